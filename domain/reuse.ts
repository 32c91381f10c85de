// What each pure step reads: parts of the document, the trainer of its candidate, fields of the results it takes. A step
// sees nothing else (activities/reuse.ts), so its inputs digest covers all that its result depends on.
import { isDigest, type Digest } from './artifact.js';
import type { Json } from './json.js';
import type { PipelineDocument, TrainerSpecification } from './pipeline.js';
import type { StepInput } from './run.js';

interface Reads {
  document: readonly (keyof PipelineDocument)[];
  /** Whether it reads the specification of its candidate's trainer. */
  trainer: boolean;
  /** Fields of results, by the name of the step that gave them. */
  inputs: Record<string, readonly string[]>;
}

const labelled = { validate: ['kind', 'dataset', 'file'], label: ['dataset', 'file'] } as const;

const sourced = { validate: [...labelled.validate, 'sources'], label: [...labelled.label, 'sources'] } as const;

/** Steps that are functions of what stands here. `validate` is none: it writes versions, and reads labels and schemas as they are now. */
export const stepReads = {
  profile: {
    document: ['dataset', 'features', 'expectations'],
    trainer: false,
    inputs: { extract: ['raw'] },
  },
  split: {
    document: ['dataset', 'split'],
    trainer: false,
    inputs: { validate: ['kind', 'file'] },
  },
  featurize: {
    document: ['dataset', 'features'],
    trainer: false,
    inputs: {
      ...sourced,
      split: ['split'],
    },
  },
  train: {
    document: ['dataset'],
    trainer: true,
    inputs: { featurize: ['features', 'train', 'validation', 'outputs', 'tokens'] },
  },
  package: {
    document: ['dataset', 'serving'],
    trainer: true,
    inputs: { ...labelled, split: ['split'], featurize: ['features'], train: ['state'] },
  },
  evaluate: {
    document: ['dataset', 'gate', 'evaluation', 'serving', 'trainers'],
    trainer: false,
    inputs: { ...sourced, split: ['split'], package: ['variants', 'signature', 'calibration'] },
  },
} as const satisfies Record<string, Reads>;

export type PureStep = keyof typeof stepReads;

export const pureSteps = Object.keys(stepReads) as PureStep[];

export function isPureStep(name: string): name is PureStep {
  return Object.hasOwn(stepReads, name);
}

/** The parts of the document that a step sees. */
export type PartsRead<S extends PureStep> = Pick<PipelineDocument, (typeof stepReads)[S]['document'][number]>;

export interface StepReads<S extends PureStep> {
  document: PartsRead<S>;
  /** Undefined for a step that reads none, and where the document has no such candidate. */
  trainer: TrainerSpecification | undefined;
  inputs: Record<string, Json>;
}

/** Results of candidates are named `train-2`. */
const stepOf = (node: string): string => node.replace(/-\d+$/, '');

function fields(result: Json, names: readonly string[]): Json {
  if (typeof result !== 'object' || result === null || Array.isArray(result)) return result;
  return Object.fromEntries(names.flatMap((name) => (result[name] === undefined ? [] : [[name, result[name]]])));
}

/** Exactly what `step` may know of the document and of the results before it. */
export function readsOf<S extends PureStep>(
  step: S,
  document: PipelineDocument,
  input: Pick<StepInput, 'inputs' | 'candidate'>,
): StepReads<S> {
  const reads: Reads = stepReads[step];
  const parts = Object.fromEntries(reads.document.map((part) => [part, document[part]]));
  const inputs = Object.entries(input.inputs).flatMap(([name, result]) => {
    const read = reads.inputs[stepOf(name)];
    return read ? [[name, fields(result, read)] as const] : [];
  });
  return {
    document: parts as PartsRead<S>,
    trainer: reads.trainer ? document.trainers[input.candidate] : undefined,
    inputs: Object.fromEntries(inputs),
  };
}

/** The same as JSON, for the inputs digest. Which candidate it is makes no difference to a step that belongs to one. */
export function readFacts<S extends PureStep>(step: S, reads: StepReads<S>, node: string): Json {
  const nameOf = node === step ? (name: string) => name : stepOf;
  const inputs = Object.fromEntries(Object.entries(reads.inputs).map(([name, result]) => [nameOf(name), result]));
  return { document: reads.document as unknown as Json, trainer: (reads.trainer ?? null) as unknown as Json, inputs };
}

/** Every digest in a result, wherever it stands. */
export function digestsIn(value: Json): Digest[] {
  if (isDigest(value)) return [value];
  if (value === null || typeof value !== 'object') return [];
  return (Array.isArray(value) ? value : Object.values(value)).flatMap(digestsIn);
}
