// The evaluation of a run as stored: one JSON artifact, made by the packaged file on the holdout rows.
import type { Digest } from './artifact.js';
import type { Task } from './dataset.js';
import type { Calibration } from './model.js';
import type { Verdict } from './run.js';
import type { DroppedVariant, Variant } from './variant.js';
import type { WrongRow } from './wrong-row.js';

/** How `lo` and `hi` were found: exact (Clopper & Pearson) for shares of rows, else the percentile bootstrap. */
export const intervalMethods = ['clopper-pearson', 'bootstrap', 'none'] as const;
export type IntervalMethod = (typeof intervalMethods)[number];

/** A metric with its 95 % interval on `n` rows. A value that is no finite number is null, since JSON has none. */
export interface MeasuredMetric {
  value: number | null;
  lo: number | null;
  hi: number | null;
  n: number;
  method: IntervalMethod;
}

export type MeasuredMetrics = Record<string, MeasuredMetric>;

/** `counts[t][p]`: rows whose label is `classes[t]` and whose prediction is `classes[p]`. */
export interface Confusion {
  classes: string[];
  counts: number[][];
}

export interface ClassReport {
  label: string;
  precision: number;
  recall: number;
  f1: number;
  /** Rows that have this label. */
  support: number;
}

/** The metrics on the rows with one value of one column. */
export interface SliceReport {
  column: string;
  value: string;
  n: number;
  metrics: MeasuredMetrics;
}

/** Against the champion on the same rows; `difference` is candidate minus champion in the gate's metric. */
export interface ChampionComparison {
  version: number;
  metrics: Record<string, number>;
  difference: { value: number | null; lo: number | null; hi: number | null; p: number };
  /** `mcnemar`, `sign-flip` or `swap`: which test gave p. */
  test: string;
}

export interface CandidateReport {
  /** Index into the document's trainers. */
  candidate: number;
  trainer: string;
  metrics: Record<string, number>;
  /** Paired test against the chosen candidate; null for that one itself and for dropped ones. */
  p: number | null;
  /** The same after Holm's correction over all candidates. */
  adjustedP: number | null;
  chosen: boolean;
  reason: string;
}

/** How well probabilities keep their word on the holdout; ECE and Brier score: stats/calibration.ts, stats/temperature.ts. */
export interface ProbabilityReport {
  logLoss: number | null;
  ece: number | null;
  brier: number | null;
}

/** `before`: as the probabilities would have been at temperature 1. */
export interface CalibrationReport extends Calibration {
  before: ProbabilityReport;
  after: ProbabilityReport;
}

/** By how much the metric gets worse when a column's values change places among the rows. */
export interface Importance {
  metric: string;
  /** The metric on the sampled rows as they are. */
  baseline: number | null;
  rows: number;
  repeats: number;
  /** The most important first; `sd` over the repeats. */
  columns: { column: string; mean: number | null; sd: number | null }[];
  /** Columns that were not looked at, since there are too many. */
  unmeasured: number;
}

export interface EvaluatedRows {
  /** Of the keys and the labels that the rows have now, in the order of the bits: a label that changed is another truth. */
  keys: Digest;
  /** Base64, bit i of byte b for row 8 b + i. */
  right: string;
}

export interface Evaluation {
  v: 1;
  task: Task;
  /** Labelled holdout rows. */
  n: number;
  metrics: MeasuredMetrics;
  /** Null for regression. */
  confusion: Confusion | null;
  perClass: ClassReport[];
  slices: SliceReport[];
  champion: ChampionComparison | null;
  candidates: CandidateReport[];
  /** Those of the version, and which one was judged; times are with the version, since they differ from run to run. */
  variants: { variant: Variant; sizeBytes: number; agreement: number }[];
  served: Variant;
  dropped: DroppedVariant[];
  verdict: Verdict;
  /** Null for regression. */
  calibration: CalibrationReport | null;
  importance: Importance;
  /** Which rows of the holdout are right, so that any two runs can be compared on the same rows; null for regression. */
  rows: EvaluatedRows | null;
  /** The surest mistakes on the holdout (domain/wrong-row.ts); absent: older software did not keep them. */
  wrong?: WrongRow[];
  /** Seed of the bootstrap and of the tests, so that the numbers can be made again. */
  seed: number;
}
