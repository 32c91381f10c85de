// What a trainer is: it learns from a featurised matrix step by step, hands out its whole state between two steps, and
// writes what it has learnt as nodes of the served file. Child, checkpoint and export are the same for all of them.
import type { Task } from '../../domain/dataset.js';
import type { Progress, Snapshot, TokenFacts, TrainerType, TrainSpec } from '../../domain/model.js';
import type { TrainerParameter, TrainerParams } from '../../domain/trainers.js';
import type { Graph } from '../onnx/graph.js';
import type { Needs } from './needs.js';

/** What graphs depend on: sizes and parameters, not data. */
export interface Shape {
  task: Task;
  /** Width of the featurised matrix. */
  width: number;
  /** Number of classes; 1 for regression. */
  outputs: number;
  params: TrainerParams;
  /** Absent where X has no ids of n-grams. */
  tokens?: TokenFacts;
}

/** A featurised part: `x` is row-major rows x width and may lie on disk. */
export interface Rows {
  rows: number;
  width: number;
  /** Class index, or value. */
  y: Float32Array;
  /** How much each row counts: 0 not at all, 2 as much as two equal rows. Absent: 1 each. */
  weights?: Float32Array;
  /** Rows `from` to `from + count` (exclusive) into the front of `into`. Throws ArtifactCorrupt where they are not there. */
  read(from: number, count: number, into: Float32Array): Promise<void>;
}

export interface TrainData {
  train: Rows;
  /** For early stopping and calibration; null where the split has none. */
  validation: Rows | null;
}

/** Where a training begins: at a checkpoint of its own, at what an earlier version had learnt, or at nothing. */
export interface Start {
  resume?: Snapshot;
  warm?: Snapshot;
}

export interface FitHooks {
  /** Once, before the first step of this call. */
  started(progress: Progress): void;
  /** Between two steps, as often as the trainer can be stopped; training goes on when it resolves to true. */
  after(progress: Progress, snapshot: () => Snapshot): Promise<boolean>;
}

export interface FitResult {
  progress: Progress;
  snapshot: Snapshot;
  /** False where `after` stopped it. */
  finished: boolean;
}

export interface Trainer {
  readonly type: TrainerType;
  /** Part of what a result depends on: changes whenever the same spec would give other bytes. */
  readonly version: string;
  /** Names, defaults, ranges and meanings. */
  readonly parameters: Record<string, TrainerParameter>;
  /**
   * Trains to the end, or until `after` answers false. Undisturbed, and resumed from any snapshot, the last snapshot is
   * the same to the bit. Throws TrainingDiverged, Unavailable (provider), ArtifactCorrupt (data), NoLabels (no rows),
   * CheckpointMismatch (a state of another size).
   */
  fit(spec: TrainSpec, data: TrainData, start: Start, hooks: FitHooks): Promise<FitResult>;
  /** The least that `fit` takes. Throws FeaturesUnfit where the rows are none for this trainer. */
  needs(spec: TrainSpec): Needs;
  /** Names and dimensions of what is learnt: a state with equal ones can be begun with. Absent: none can. */
  sizes?(shape: Shape): string;
  /**
   * Writes the nodes from `x` float32 [N, width] to logits [N, outputs], or to values [N, 1] in the target's unit.
   * Throws ModelInvalid when the snapshot does not fit the shape.
   */
  emit(graph: Graph, x: string, snapshot: Snapshot, shape: Shape): string;
}

export function shapeOf({ task, width, outputs, params, tokens }: Pick<TrainSpec, keyof Shape>): Shape {
  return { task, width, outputs, params, ...(tokens && { tokens }) };
}
