// The pipeline document (docs/pipeline.md) after parsing: every default filled in, durations in milliseconds.
import type { Check } from './check.js';
import type { CommandParams } from './command.js';
import type { ColumnType, Task } from './dataset.js';
import type { FeatureTreatments } from './features.js';
import type { Labeling } from './document-labeling.js';
import type { TrainerType } from './model.js';
import type { TrainerParams } from './trainers.js';
import type { Serving } from './variant.js';

export const classificationMetrics = ['accuracy', 'macroF1', 'logLoss'] as const;
export const regressionMetrics = ['rmse', 'mae', 'r2'] as const;
export type MetricName = (typeof classificationMetrics)[number] | (typeof regressionMetrics)[number];

export interface FileSource {
  type: 'file';
  /** A path or a glob. */
  path: string;
}

/** Per column (range, allowed values, pattern, presence) or for the table as a whole. */
export type Expectation =
  | { column: string; min?: number; max?: number; in?: string[]; notNull?: boolean; unique?: boolean }
  | { rows: { min?: number; max?: number } };

interface TrainerChoice {
  seed: number;
  /** `auto` goes to `gpu` when FLOPs per step make it pay. */
  pool: 'auto' | 'cpu' | 'gpu';
  /** Begins with what this version has learnt, where it fits. */
  warmStart?: 'champion';
}

export interface BuiltInTrainer extends TrainerChoice {
  type: TrainerType;
  params: TrainerParams;
}

export interface CommandTrainer extends TrainerChoice {
  type: 'command';
  params: CommandParams;
}

export type TrainerSpecification = BuiltInTrainer | CommandTrainer;

export type SplitBy = { kind: 'key' } | { kind: 'group'; column: string } | { kind: 'time'; column: string };

/** Which columns a model sees, and types that go before the inferred ones. */
export interface FeatureSelection {
  include: string[] | null;
  exclude: string[];
  types: Record<string, ColumnType>;
}

export interface PipelineDocument {
  name: string;
  dataset: { name: string; source: FileSource | null; key: string; label: string; task: Task };
  features: FeatureSelection & FeatureTreatments;
  expectations: Expectation[];
  quarantine: { maxShare: number };
  labeling: Labeling | null;
  split: { holdout: number; validation: number; seed: number; by: SplitBy };
  /** At least one; several are candidates, compared on the same holdout rows. */
  trainers: TrainerSpecification[];
  gate: {
    metric: MetricName;
    min: number | null;
    max: number | null;
    champion: { notWorseBy: number } | null;
    checks: Check[];
  };
  evaluation: { slices: string[] };
  approval: { quorum: number; deadlineMs: number; onDeadline: 'reject' | 'approve' } | null;
  serving: Serving;
  release: { strategy: 'direct' };
  triggers: {
    schedule: string | null;
    timezone: string;
    newRows: number | null;
    cooldownMs: number;
    maxRunsPerDay: number | null;
  };
}
