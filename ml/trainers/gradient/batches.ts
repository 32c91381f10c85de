// How many steps a training has, and what a run of the step graph takes for some of them: functions of the step number.
import { Tensor } from 'onnxruntime-node';
import type { TrainerParams } from '../../../domain/trainers.js';
import { weightOfClasses } from '../weights.js';
import type { Dropout } from './model.js';
import { drawMask, randomSource } from './random.js';
import { scalarNames, scalarsOf } from './schedule.js';
import { type Shards, shardRows } from './shards.js';

export interface Plan {
  rows: number;
  /** Rows of one step: the parameter, or all rows where there are fewer. */
  batch: number;
  /** Steps of one pass over the rows. */
  stepsPerEpoch: number;
  /** Passes. */
  epochs: number;
  /** Steps between two looks at the validation part: an epoch of the document, which over few rows has several passes. */
  stepsPerLook: number;
  totalSteps: number;
  shardRows: number;
}

/** An epoch over a table smaller than this passes over it several times: few rows need as many steps as some more. */
export const epochRows = 1_000;

/** Rows ≥ 1. The last batch of a pass is padded with weight 0. */
export function planOf({ rows, width }: { rows: number; width: number }, params: TrainerParams): Plan {
  const passes = Math.ceil(epochRows / Math.max(1, Math.min(rows, epochRows)));
  const epochs = Number(params['epochs']) * passes;
  const batch = Math.min(Number(params['batch']), rows);
  const stepsPerEpoch = Math.ceil(rows / batch);
  const steps = { stepsPerEpoch, stepsPerLook: stepsPerEpoch * passes, totalSteps: stepsPerEpoch * epochs };
  return { rows, batch, epochs, ...steps, shardRows: shardRows(rows, width, batch) };
}

/**
 * Rows of a class count by this; null where all count the same. balanced: rows / (classes · rows of the class), where a
 * row counts by its weight.
 */
export function classWeights(
  params: TrainerParams,
  y: Float32Array,
  classes: number,
  weights?: Float32Array,
): Float32Array | null {
  if (params['classWeight'] !== 'balanced' || classes < 2) return null;
  const { each, total } = weightOfClasses(y, classes, weights);
  return Float32Array.from(each, (weight) => (weight === 0 ? 0 : total / (classes * weight)));
}

/** All that the inputs of a step depend on besides its number. */
export interface BatchSource {
  plan: Plan;
  params: TrainerParams;
  seed: number;
  shards: Pick<Shards, 'rowsOf' | 'y' | 'weights'>;
  classWeights: Float32Array | null;
  dropouts: readonly Dropout[];
}

function masks(source: BatchSource, layer: number, from: number, count: number): Uint8Array {
  const { plan, dropouts, seed } = source;
  const { width, rate } = dropouts[layer]!;
  const size = plan.batch * width;
  const all = new Uint8Array(count * size);
  for (let k = 0; k < count; k++) {
    const next = randomSource(seed, (from + k) * dropouts.length + layer, 'dropout');
    drawMask(all.subarray(k * size, (k + 1) * size), rate, next);
  }
  return all;
}

/** How much the rows of a step count in its mean: by their weight and by that of their class. */
function fillWeights({ shards, classWeights: ofClass }: BatchSource, rows: Int32Array, into: Float32Array): void {
  const { y, weights } = shards;
  if (ofClass === null && weights === null) into.fill(1);
  else rows.forEach((row, i) => (into[i] = (ofClass?.[y[row]!] ?? 1) * (weights?.[row] ?? 1)));
}

/** The scanned inputs of step.ts for the steps [from, from + count), which lie in the shard that was loaded. */
export function stepInputs(source: BatchSource, from: number, count: number): Record<string, Tensor> {
  const { plan, params, shards } = source;
  const [idx, w] = [new Int32Array(count * plan.batch), new Float32Array(count * plan.batch)];
  const scalars = { rate: new Float32Array(count), epsilon: new Float32Array(count), keep: new Float32Array(count) };
  for (let k = 0; k < count; k++) {
    const rows = shards.rowsOf(from + k);
    idx.set(rows, k * plan.batch);
    fillWeights(source, rows, w.subarray(k * plan.batch, k * plan.batch + rows.length));
    const now = scalarsOf(params, from + k, plan.totalSteps);
    for (const name of scalarNames(params)) scalars[name][k] = now[name];
  }
  const feeds: Record<string, Tensor> = {
    idx: new Tensor('int32', idx, [count, plan.batch]),
    w: new Tensor('float32', w, [count, plan.batch]),
  };
  for (const name of scalarNames(params)) feeds[name] = new Tensor('float32', scalars[name], [count]);
  source.dropouts.forEach(({ width }, layer) => {
    feeds[`mask${layer}`] = new Tensor('uint8', masks(source, layer, from, count), [count, plan.batch, width]);
  });
  return feeds;
}
