// Reuse: a pure step whose inputs digest has a stored result takes that result over instead of computing it again, and
// sees of document and results only what that digest covers (domain/reuse.ts; architecture: Results).
import { createHash } from 'node:crypto';
import type { Log } from '../adapters/log.js';
import type { Artifacts } from '../adapters/store/index.js';
import { stepOwner } from '../db/artifact.js';
import { type Db, inTransaction, type Tx } from '../db/client.js';
import {
  findResult,
  keepResult,
  noteInputs,
  noteReuse,
  type ResultKey,
  type ResultSource,
  useResult,
} from '../db/result.js';
import { runSpecification } from '../db/run.js';
import type { Digest } from '../domain/artifact.js';
import { canonicalJson, type Json } from '../domain/json.js';
import { type PureStep, readFacts, readsOf, type StepReads } from '../domain/reuse.js';
import type { RunContext, StepInput, StepResultBase } from '../domain/run.js';
import { currentStep } from './step.js';

export interface ReuseDeps {
  db: Db;
  artifacts: Artifacts;
  log: Log;
  /** What computes: digest of our code and of the libraries it calls (adapters/code.ts). */
  code: string;
}

interface Seen<S extends PureStep> extends Omit<StepReads<S>, 'inputs'> {
  context: RunContext;
  /** Id. */
  model: string;
  /** With the results that the step reads, and of those no other field. */
  input: StepInput;
}

/** What a pure step may know. @throws Failure `NotFound` */
export async function seenBy<S extends PureStep>(db: Db, step: S, input: StepInput): Promise<Seen<S>> {
  const { document, context, model } = await runSpecification(db, input.context.run);
  const { inputs, ...reads } = readsOf(step, document, input);
  return { ...reads, context, model, input: { ...input, inputs } };
}

export interface PureWork<T> {
  step: PureStep;
  /** Facts that the result depends on besides what stands in `domain/reuse.ts`: a champion, a device. */
  facts?: () => Promise<Json>;
  work(): Promise<T>;
  /** Whether a later run may take the result over; without it: always. */
  keeps?(result: T): boolean;
  /** What the step writes besides its result, where that is taken over. Part of that transaction. */
  applied?(tx: Tx, result: T, source: ResultSource): Promise<void>;
}

/** The stored result of equal inputs, or that of `work`, which is then stored. With `fresh` nothing is taken. */
export async function reusing<T extends StepResultBase>(
  deps: ReuseDeps,
  input: StepInput,
  pure: PureWork<T>,
): Promise<T> {
  const { document, context, fresh } = await runSpecification(deps.db, input.context.run);
  const keyNow = async (): Promise<ResultKey> => {
    const facts = (await pure.facts?.()) ?? null;
    const read = readFacts(pure.step, readsOf(pure.step, document, input), input.node);
    const inputsDigest = digestOf({ step: pure.step, code: deps.code, read, facts });
    return { project: context.project, activity: pure.step, inputsDigest };
  };
  const key = await keyNow();
  const taken = await take(deps, key, pure, fresh);
  if (taken !== null) return taken;
  const result = await pure.work();
  if (pure.keeps?.(result) === false) return result;
  // what changed meanwhile (another champion) may be in the result, and is not in the digest
  if ((await keyNow()).inputsDigest === key.inputsDigest) await keep(deps, key, input, result);
  return result;
}

async function take<T extends StepResultBase>(
  deps: ReuseDeps,
  key: ResultKey,
  pure: PureWork<T>,
  fresh: boolean,
): Promise<T | null> {
  const step = currentStep();
  return inTransaction(deps.db, async (tx) => {
    await step.guard(tx);
    await noteInputs(tx, step.key, key.inputsDigest);
    const found = fresh ? null : await findResult(tx, key);
    if (found === null) return null;
    for (const digest of found.artifacts) {
      if (await deps.artifacts.store.has(digest)) continue;
      deps.log.warn({ run: step.run, node: step.node, digest }, 'reuse.bytes-gone');
      return null;
    }
    const result = found.result as unknown as T;
    await useResult(tx, key, stepOwner(step.key));
    await noteReuse(tx, step.key, found.run);
    await pure.applied?.(tx, result, found);
    return { ...result, summary: `reused from run ${found.number}: ${result.summary}` };
  });
}

/** What cannot be stored is computed again next time: no reason to lose the step. */
async function keep(deps: ReuseDeps, key: ResultKey, input: StepInput, result: StepResultBase): Promise<void> {
  const step = currentStep();
  const { context, candidate } = input;
  try {
    await inTransaction(deps.db, async (tx) => {
      await step.guard(tx);
      await keepResult(tx, key, { step: step.key, run: context.run, candidate, result: result as unknown as Json });
    });
  } catch (error) {
    deps.log.warn({ err: error, run: context.run, node: input.node }, 'reuse.not-kept');
  }
}

function digestOf(value: unknown): Digest {
  return `sha256:${createHash('sha256').update(canonicalJson(value)).digest('hex')}`;
}
