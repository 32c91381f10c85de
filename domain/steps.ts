// What each built-in step hands on: digests and counts, kept in its row and passed to the nodes after it.
import type { Digest } from './artifact.js';
import type { SplitPart, Watermark } from './dataset.js';
import { Failure } from './failures.js';
import type { BatchCounts } from './labeling.js';
import type { Calibration, MatrixRef, TokenFacts } from './model.js';
import type { PseudoReport } from './pseudo-label.js';
import type { StepInput, StepResultBase, Verdict } from './run.js';
import type { Variant, VariantBytes, VariantReport } from './variant.js';

/** All rows read so far, every cell as text, one Parquet file ordered by key. */
export interface ExtractResult extends StepResultBase {
  raw: Digest;
  rows: number;
  newRows: number;
  watermark: Watermark;
  /** Parent dataset version, if there is one. */
  parent: Digest | null;
  /** Rows that could not be parsed. */
  unparsable: number;
  /** Columns of the accepted schema that a file or push read now does not have. */
  missing?: { columns: string[]; rows: string[] };
}

export interface ProfileResult extends StepResultBase {
  /** JSON `Profile`. */
  profile: Digest;
  /** One HTML page with plots. */
  report: Digest;
  /** JSON `Schema` as inferred from these rows. */
  schema: Digest;
}

/** `ask`: a new column waits for a person; the workflow opens a `schema` approval and runs `validate` again with the answer. */
export type ValidateResult =
  | (StepResultBase & {
      kind: 'ok';
      /** Id of the dataset version (architecture, rule 9). */
      dataset: Digest;
      /** The one Parquet file of it: typed columns, ordered by key. */
      file: Digest;
      rows: number;
      labelled: number;
      quarantine: Digest | null;
      quarantined: number;
      sources?: Digest;
    })
  | (StepResultBase & { kind: 'ask'; schema: Digest; newColumns: string[] });

export interface SplitResult extends StepResultBase {
  /** Parquet (key, part), ordered by key. */
  split: Digest;
  counts: Record<SplitPart, number>;
}

export interface LabelResult extends StepResultBase {
  batch: string | null;
  counts: BatchCounts | null;
  /** Dataset version with the labels in it (the same as before when nobody answered). */
  dataset: Digest;
  file: Digest;
  /** Rows with a label of people, of the world, or made alone by a campaign; pseudo-labels are not among them. */
  labelled: number;
  /** Parquet `LabelProvenance`, ordered by key: every row whose label is neither given with the data nor by people. */
  sources?: Digest;
  /** Absent where the document has no `labeling.pseudo`. */
  pseudo?: PseudoReport;
}

export interface FeaturizeResult extends StepResultBase {
  /** JSON `FittedFeatures`. */
  features: Digest;
  train: MatrixRef;
  validation: MatrixRef | null;
  /** Labelled holdout rows, by number only: evaluation runs the packaged file on raw rows. */
  holdoutRows: number;
  /** Number of classes; 1 for regression. */
  outputs: number;
  /** Null where X has no ids of n-grams. */
  tokens: TokenFacts | null;
  warnings: string[];
}

export interface TrainResult extends StepResultBase {
  /** Final optimiser state: float32 parameters and moments, with a JSON header. */
  state: Digest;
  trainer: string;
  trainerVersion: string;
  steps: number;
  /** Null where a program named none. */
  loss: number | null;
  provider: string;
  device: string;
  threads: number;
  seconds: number;
  resumedFromStep: number;
  /** The version whose training state it began with; absent: it began at zero. */
  warm?: { version: number; state: Digest };
  /** What a program ran in. */
  environment?: { digest: Digest; note: string };
}

export interface PackageResult extends StepResultBase {
  /** float32 first; int8 where the document asks for it and the trainer has it. */
  variants: VariantBytes[];
  signature: Digest;
  /** Null for a regression. */
  calibration: Calibration | null;
}

export interface EvaluateResult extends StepResultBase {
  /** JSON: metrics with intervals and n, confusion, per class, per slice, comparison with the champion, candidates. */
  evaluation: Digest;
  metrics: Record<string, number>;
  verdict: Verdict;
  /** Index of the candidate that goes on. */
  best: number;
  /** float32 and the one that is served, of that candidate. */
  variants: VariantReport[];
  served: Variant;
  signature: Digest;
  /** Version of the champion it was compared with. */
  champion: number | null;
  /** A program of the gate gave no verdict: with equal inputs it is asked again. */
  unanswered?: true;
}

export interface RegisterResult extends StepResultBase {
  version: number;
  /** Digest of the version: sha256 of the RFC 8785 list of its files. */
  digest: Digest;
}

export interface ReleaseResult extends StepResultBase {
  champion: number;
  /** False when the champion moved since the evaluation: the run goes back to the node named in `again`. */
  moved: boolean;
  again?: string;
}

/** The dataset version that the model steps work on: with the labels of this run where people were asked. */
export function labelledVersion(input: StepInput): { dataset: Digest; file: Digest } {
  const labelled = input.inputs['label'] as unknown as LabelResult | undefined;
  if (labelled) return { dataset: labelled.dataset, file: labelled.file };
  const validated = input.inputs['validate'] as unknown as ValidateResult;
  if (validated.kind !== 'ok') throw new Failure('Internal', 'the data was not validated');
  return { dataset: validated.dataset, file: validated.file };
}
