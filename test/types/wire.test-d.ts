// Compile-time assertions: whatever crosses a workflow's border is JSON. `tsc` runs this file by checking it.
// A type with a Date, Map, Set, class, function, bigint or undefined value inside does not compile here.
import type { ApprovalAnswer, ApprovalDecision } from '../../domain/approval.js';
import type { Json } from '../../domain/json.js';
import type { BatchDecision } from '../../domain/labeling.js';
import type { LoopState } from '../../domain/loop.js';
import type { StepInput } from '../../domain/run.js';
import type { BatchAnswer, BatchInput, BatchOutcome } from '../../workflows/labeling.messages.js';
import type { LoopInput } from '../../workflows/pipeline.messages.js';
import type { RunInput, RunOutcome } from '../../workflows/run.messages.js';

type Primitive = null | boolean | number | string;

/** T itself where T is JSON, `never` at the place that is not. Optional fields may be absent, so `undefined` is left out. */
type Wire<T> = T extends Primitive
  ? T
  : T extends readonly (infer Item)[]
    ? readonly Wire<Item>[]
    : T extends
          bigint | symbol | undefined | Date | Map<unknown, unknown> | Set<unknown> | ((...args: never) => unknown)
      ? never
      : T extends object
        ? { [K in keyof T]: Wire<Exclude<T[K], undefined>> | OnlyIfOptional<T, K> }
        : never;
type OnlyIfOptional<T, K extends keyof T> = object extends Pick<T, K> ? undefined : never;

type IsJson<T> = [T] extends [Json] ? true : [T] extends [Wire<T>] ? true : false;
type Assert<T extends true> = T;
type Refute<T extends false> = T;

export type Workflows = [
  Assert<IsJson<BatchInput>>,
  Assert<IsJson<BatchOutcome>>,
  Assert<IsJson<LoopInput>>,
  Assert<IsJson<RunInput>>,
  Assert<IsJson<RunOutcome>>,
];
export type Messages = [
  Assert<IsJson<BatchAnswer>>,
  Assert<IsJson<BatchDecision>>,
  Assert<IsJson<ApprovalAnswer>>,
  Assert<IsJson<ApprovalDecision>>,
  Assert<IsJson<LoopState>>,
];
export type Activities = [Assert<IsJson<StepInput>>];

/** The assertion itself can fail. */
export type BadSamples = [
  Refute<IsJson<{ at: Date }>>,
  Refute<IsJson<{ seen: Set<string> }>>,
  Refute<IsJson<{ byId: Map<string, number> }>>,
  Refute<IsJson<{ count: bigint }>>,
  Refute<IsJson<{ nested: { list: { at: Date }[] } }>>,
  Refute<IsJson<{ call: () => void }>>,
  Refute<IsJson<{ at?: Date }>>,
  Refute<IsJson<{ always: string | undefined }>>,
];
