// Words about models: signature, features as fitted, what training and packaging hand on.
import type { Digest } from './artifact.js';
import type { Task } from './dataset.js';
import type { Json } from './json.js';
import type { TrainerParams } from './trainers.js';

export const dateParts = ['year', 'month', 'day', 'weekday', 'hour', 'epochDays'] as const;
export type DatePart = (typeof dateParts)[number];

/** One float of `num`: a number column itself, or one part of a date column (UTC). */
export interface NumberInput {
  column: string;
  part: DatePart | null;
}

/** architecture: Data and learning: what the ONNX file takes and gives, in order. */
export interface Signature {
  num: NumberInput[];
  cat: string[];
  task: Task;
  /** Order of `probabilities`; empty for regression. */
  classes: string[];
}

/** Statistics of one `num` input, fitted on the training part: (x or impute, minus mean) times scale. */
export interface FittedNumber {
  input: NumberInput;
  impute: number;
  mean: number;
  /** 1 / standard deviation, 0 for a constant input. */
  scale: number;
}

/** Vocabulary of one `cat` input; a value outside it goes to one "other" place, a missing one ('') to none. */
export interface FittedCategory {
  column: string;
  values: string[];
}

export interface FittedFeatures {
  version: 1;
  num: FittedNumber[];
  cat: FittedCategory[];
  /** Width of the featurised matrix. */
  width: number;
  signature: Signature;
}

/** Rows as the model takes them: `num` row-major rows x signature.num, NaN = missing; `cat` row-major, '' = missing. */
export interface ModelInputs {
  rows: number;
  num: Float32Array;
  cat: string[];
}

/** Rows `from` to `to` (exclusive) of `inputs`; the numbers are not copied. */
export function sliceInputs(inputs: ModelInputs, signature: Signature, from: number, to: number): ModelInputs {
  const [n, m] = [signature.num.length, signature.cat.length];
  return { rows: to - from, num: inputs.num.subarray(from * n, to * n), cat: inputs.cat.slice(from * m, to * m) };
}

/** The rows of the given numbers, repeats included. */
export function pickInputs(inputs: ModelInputs, signature: Signature, rows: readonly number[]): ModelInputs {
  const [n, m] = [signature.num.length, signature.cat.length];
  const num = new Float32Array(rows.length * n);
  rows.forEach((row, place) => num.set(inputs.num.subarray(row * n, row * n + n), place * n));
  return { rows: rows.length, num, cat: rows.flatMap((row) => inputs.cat.slice(row * m, row * m + m)) };
}

export interface ModelOutputs {
  /** Classification. */
  label?: string[];
  /** Row-major rows x classes. */
  probabilities?: Float32Array;
  /** Regression. */
  value?: Float32Array;
}

/** A featurised part in the store: row-major float32 `x` (rows x width), `y` float32 (class index or value), both in key order. */
export interface MatrixRef {
  rows: number;
  width: number;
  x: Digest;
  y: Digest;
}

/**
 * Another kind of CPU adds in another order: golden rows of a registered model may differ by so much, relative to numbers
 * above 1. Where a model was just packaged they are compared bit for bit.
 */
export const servedTolerance = 1e-5;

export interface GoldenRows {
  inputs: { rows: number; num: (number | null)[]; cat: string[] };
  outputs: { label?: string[]; probabilities?: number[]; value?: number[] };
}

export const trainerTypes = ['linear', 'mlp'] as const;
export type TrainerType = (typeof trainerTypes)[number];

export const providers = ['cpu', 'cuda'] as const;
export type Provider = (typeof providers)[number];

/** `spec.json` of a trainer child (architecture: Data and learning): all it knows. Paths are local files, verified by the parent. */
export interface TrainSpec {
  trainer: TrainerType;
  task: Task;
  /** Trainer parameters after defaults. */
  params: TrainerParams;
  seed: number;
  rows: number;
  width: number;
  /** Number of classes; 1 for regression. */
  outputs: number;
  /** Paths of the validation part, of the same width; null where the split has none. */
  validation: { rows: number; x: string; y: string } | null;
  paths: { x: string; y: string; checkpoint: string | null; out: string };
  provider: Provider;
  threads: number;
  /** K: optimiser steps in one session.run. */
  stepsPerRun: number;
  /** At least this long between two checkpoints. */
  checkpointEveryMs: number;
  /** sha256 over everything that the result depends on; a checkpoint with another one is refused. */
  inputsDigest: Digest;
}

export type SnapshotArray = Float32Array | Float64Array | Int32Array | Uint8Array;

/** Everything between two steps of any trainer, as plain data; a checkpoint is one of these as a file. */
export interface Snapshot {
  /** Steps done. */
  step: number;
  facts: { [key: string]: Json };
  arrays: Record<string, SnapshotArray>;
}

/** Where a training is: optimiser steps and epochs, or trees. */
export interface Progress {
  step: number;
  totalSteps: number;
  /** 1-based, of the last step done; 0 before the first. */
  epoch: number;
  epochs: number;
  /** Mean training loss of the epoch so far. */
  loss: number;
  /** The last loss on the validation part, where it is measured. */
  validation: number | null;
}

/** Parent <-> trainer child. A checkpoint is a file written by rename in `paths.out`; the parent stores it, then heartbeats. */
export type TrainerMessage =
  | { type: 'started'; step: number; totalSteps: number; provider: Provider }
  | ({ type: 'progress' } & Progress)
  | { type: 'checkpoint'; step: number; path: string }
  | { type: 'done'; path: string; steps: number; loss: number }
  | { type: 'failed'; failure: string; detail: string };
