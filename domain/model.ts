// Words about models: signature, features as fitted, what training and packaging hand on.
import type { Digest } from './artifact.js';
import type { MetricLine } from './command.js';
import type { Task } from './dataset.js';
import type { Span } from './features.js';
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
  /** Columns of text; absent when there is none, as the input is. */
  text?: string[];
  task: Task;
  /** Order of `probabilities`; empty for regression. */
  classes: string[];
}

/** The same task without any input, for reading keys and labels alone. */
export function withoutInputs({ task, classes }: Signature): Signature {
  return { num: [], cat: [], task, classes };
}

/** Statistics of one `num` input, fitted on the training part: (x or impute, minus mean) times scale. */
export interface FittedNumber {
  input: NumberInput;
  /** null: a missing value stays NaN. */
  impute: number | null;
  mean: number;
  /** 0 for a constant input that is scaled. */
  scale: number;
  /** One more column: 1 where the value is missing. */
  indicator?: true;
  /** Sine and cosine of a number that comes round again: `first` and how many there are. Missing: 0 and 0. */
  cycle?: { first: number; count: number };
}

/** Places of one `cat` input; a missing value ('') has none. By default one column for each place. */
export interface FittedCategory {
  column: string;
  /** Vocabulary: place i is values[i], the place after the last is "other". Empty where values are hashed. */
  values: string[];
  /** The place is the value's hash modulo so many. */
  buckets?: number;
  /** One column instead, the number of the place; `missing`: what a missing value is, null for NaN. */
  code?: { missing: number | null };
}

/** How one `text` input is read: n-grams of words and of characters, hashed (ml/features/text.ts). */
export interface FittedText {
  column: string;
  words: Span | null;
  characters: Span | null;
  lower: boolean;
  counts: 'log' | 'plain' | 'binary';
  /** Columns with the counts of hashed n-grams, of length 1; 0: none. */
  hashes: number;
  /** Columns with the ids of the first n-grams: `length` for each length of n-gram, id 1 to `ids`, 0 for none. */
  tokens?: { length: number; ids: number };
}

export interface FittedFeatures {
  version: 1;
  num: FittedNumber[];
  cat: FittedCategory[];
  /** Absent when there is none. */
  text?: FittedText[];
  /** Width of the featurised matrix. */
  width: number;
  signature: Signature;
}

/**
 * Rows as the model takes them: `num` row-major rows x signature.num, NaN = missing; `cat` and `text` row-major,
 * '' = missing.
 */
export interface ModelInputs {
  rows: number;
  num: Float32Array;
  cat: string[];
  text?: string[];
}

/** Rows `from` to `to` (exclusive) of `inputs`; the numbers are not copied. */
export function sliceInputs(inputs: ModelInputs, signature: Signature, from: number, to: number): ModelInputs {
  const [n, m, t] = [signature.num.length, signature.cat.length, signature.text?.length ?? 0];
  return {
    rows: to - from,
    num: inputs.num.subarray(from * n, to * n),
    cat: inputs.cat.slice(from * m, to * m),
    ...(t > 0 && { text: (inputs.text ?? []).slice(from * t, to * t) }),
  };
}

/** Code points of a text that are read; the rest is cut off before the model. */
export const longestText = 10_000;
/** Rows times the longest text of one call, and its rows: the graph's arrays have so many cells. */
const [textCells, textRows] = [500_000, 2_048];

/** `inputs` in pieces of at most `mostRows` rows, in order; fewer where texts are long. No row, one piece. */
export function* piecesOf(inputs: ModelInputs, signature: Signature, mostRows: number): Generator<ModelInputs> {
  const t = signature.text?.length ?? 0;
  const most = t > 0 ? Math.min(mostRows, textRows) : mostRows;
  for (let from = 0; from < inputs.rows || from === 0;) {
    let [to, longest] = [from, 1];
    while (to < inputs.rows && to - from < most) {
      for (let i = to * t; i < (to + 1) * t; i++) longest = Math.max(longest, inputs.text?.[i]?.length ?? 0);
      if (to > from && (to - from + 1) * longest > textCells && t > 0) break;
      to++;
    }
    yield sliceInputs(inputs, signature, from, to);
    if (to === from) return;
    from = to;
  }
}

/** The rows of the given numbers, repeats included. */
export function pickInputs(inputs: ModelInputs, signature: Signature, rows: readonly number[]): ModelInputs {
  const cells = (from: readonly string[], width: number) =>
    rows.flatMap((row) => from.slice(row * width, (row + 1) * width));
  const n = signature.num.length;
  const num = new Float32Array(rows.length * n);
  rows.forEach((row, place) => num.set(inputs.num.subarray(row * n, row * n + n), place * n));
  const text = signature.text && { text: cells(inputs.text ?? [], signature.text.length) };
  return { rows: rows.length, num, cat: cells(inputs.cat, signature.cat.length), ...text };
}

/** What a classifier's logits are divided by before they become probabilities, from `rows` of the validation part. */
export interface Calibration {
  temperature: number;
  rows: number;
  /** Why nothing was fitted and the temperature is 1; else null. */
  reason: string | null;
}

export interface ModelOutputs {
  /** Classification. */
  label?: string[];
  /** Row-major rows x classes. */
  probabilities?: Float32Array;
  /** Regression. */
  value?: Float32Array;
}

export function joinedFloats(parts: readonly Float32Array[]): Float32Array {
  if (parts.length === 1) return parts[0]!;
  const all = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** The answers to all rows from those to pieces of them. */
export function joinedOutputs(pieces: readonly ModelOutputs[]): ModelOutputs {
  if (pieces.length === 1) return pieces[0]!;
  const floats = (pick: (one: ModelOutputs) => Float32Array | undefined) =>
    joinedFloats(pieces.flatMap((one) => pick(one) ?? []));
  const [first = {}] = pieces;
  return {
    ...(first.label && { label: pieces.flatMap(({ label = [] }) => label) }),
    ...(first.probabilities && { probabilities: floats(({ probabilities }) => probabilities) }),
    ...(first.value && { value: floats(({ value }) => value) }),
  };
}

/** A featurised part in the store: row-major float32 `x` (rows x width), `y` float32 (class index or value), both in key order. */
export interface MatrixRef {
  rows: number;
  width: number;
  x: Digest;
  y: Digest;
  /** float32 as `y`: how much each row counts in training; absent: 1 each. */
  weights?: Digest;
}

/**
 * Another kind of CPU adds in another order: golden rows of a registered model may differ by so much, relative to numbers
 * above 1. Where a model was just packaged they are compared bit for bit.
 */
export const servedTolerance = 1e-5;

export interface GoldenRows {
  inputs: { rows: number; num: (number | null)[]; cat: string[]; text?: string[] };
  outputs: { label?: string[]; probabilities?: number[]; value?: number[] };
}

export const trainerTypes = ['linear', 'mlp', 'trees', 'text', 'cnn'] as const;
export type TrainerType = (typeof trainerTypes)[number];

export const providers = ['cpu', 'cuda'] as const;
export type Provider = (typeof providers)[number];

/** Columns of X by their numbers. */
export interface ColumnFacts {
  /** These hold category codes. */
  codes: number[];
  /** With these the prediction may only rise (1) or only fall (-1). */
  monotone: { column: number; direction: number }[];
}

/** The last columns of X are ids of n-grams: so many for each text column, from 0 (none) to `ids`. */
export interface TokenFacts {
  columns: number[];
  ids: number;
}

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
  /** What a trainer may know of the columns of X; absent: they are numbers like any other. */
  columns?: ColumnFacts;
  /** Absent where X has no ids of n-grams. */
  tokens?: TokenFacts;
  /** Paths of the validation part, of the same width; null where the split has none. */
  validation: { rows: number; x: string; y: string } | null;
  /** `weights`: of the rows, where they do not all count the same. `warm`: training state of a version to begin with; a checkpoint goes before it. */
  paths: { x: string; y: string; weights?: string; checkpoint: string | null; warm?: string; out: string };
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
  /** Of a program: numbers by name. */
  | { type: 'metrics'; lines: MetricLine[] }
  | { type: 'checkpoint'; step: number; path: string }
  | { type: 'done'; path: string; steps: number; loss: number }
  | { type: 'failed'; failure: string; detail: string };
