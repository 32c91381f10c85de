// The training rows as an epoch sees them: all in memory in one random order, or, where they are more than a buffer holds,
// shard by shard. A shard is a stretch of the epoch's random order of blocks, read into one buffer and shuffled in it.
// Which row a step sees is a function of sizes, seed and step alone, so a training can go on at any step.
import { Tensor } from 'onnxruntime-node';
import type { Rows } from '../trainer.js';
import type { Plan } from './batches.js';
import { permutation } from './random.js';

/** A constant, since the bytes of a model must not depend on the machine. */
export const bufferBytes = 64 * 2 ** 20;
/** Long enough for a disk, short enough that a buffer mixes many. */
const blockBytes = 2 ** 20;

/** Rows of one shard: all, or as many whole batches as the buffer holds. */
export function shardRows(rows: number, width: number, batch: number): number {
  const most = Math.floor(bufferBytes / (4 * width));
  return rows <= most ? rows : Math.max(batch, Math.floor(most / batch) * batch);
}

export interface Shards {
  /** First step after `step` that needs another buffer; the epoch's order may change before. */
  until(step: number): number;
  /** Reads what `step` needs, unless it is there. */
  load(step: number): Promise<{ X: Tensor; Y: Tensor }>;
  /** Row numbers in the buffer, and y there, for a step of the shard that was loaded. */
  rowsOf(step: number): Int32Array;
  y: Float32Array;
  /** In the buffer as well; null where all rows count the same. */
  weights: Float32Array | null;
}

/** Pieces of the file, in the order of a shard: `count` rows from row `from`. */
interface Piece {
  from: number;
  count: number;
}

/** The rows [from, to) of the epoch's order of blocks. */
function pieces(plan: Plan, width: number, order: Int32Array, from: number, to: number): Piece[] {
  const blockRows = blockLength(width);
  const found: Piece[] = [];
  let at = 0;
  for (const block of order) {
    const length = Math.min(blockRows, plan.rows - block * blockRows);
    const [first, last] = [Math.max(from, at), Math.min(to, at + length)];
    if (first < last) found.push({ from: block * blockRows + first - at, count: last - first });
    at += length;
  }
  return found;
}

const blockLength = (width: number): number => Math.max(1, Math.floor(blockBytes / (4 * width)));

/** All rows in one buffer, read once. */
function whole(train: Rows, targets: Float32Array, plan: Plan, seed: number): Shards {
  const x = new Float32Array(train.rows * train.width);
  let tensors: { X: Tensor; Y: Tensor } | null = null;
  let cached: { epoch: number; order: Int32Array } = { epoch: -1, order: new Int32Array(0) };
  return {
    y: targets,
    weights: train.weights ?? null,
    until: () => plan.totalSteps,
    load: async () => {
      if (tensors !== null) return tensors;
      await train.read(0, train.rows, x);
      const X = new Tensor('float32', x, [train.rows, train.width]);
      return (tensors = { X, Y: new Tensor('float32', targets, [train.rows]) });
    },
    rowsOf: (step) => {
      const epoch = Math.floor(step / plan.stepsPerEpoch);
      if (cached.epoch !== epoch) cached = { epoch, order: permutation(plan.rows, seed, epoch) };
      const start = (step % plan.stepsPerEpoch) * plan.batch;
      return cached.order.subarray(start, start + plan.batch);
    },
  };
}

/** `targets`: of all rows, as the step graph takes them. */
export function createShards(train: Rows, targets: Float32Array, plan: Plan, seed: number): Shards {
  if (plan.shardRows >= plan.rows) return whole(train, targets, plan, seed);
  const { width } = train;
  const stepsPerShard = plan.shardRows / plan.batch;
  const shardsPerEpoch = Math.ceil(plan.rows / plan.shardRows);
  const [x, y] = [new Float32Array(plan.shardRows * width), new Float32Array(plan.shardRows)];
  const weights = train.weights ? new Float32Array(plan.shardRows) : null;
  const place = (step: number) => {
    const epoch = Math.floor(step / plan.stepsPerEpoch);
    const inEpoch = step % plan.stepsPerEpoch;
    const shard = Math.floor(inEpoch / stepsPerShard);
    return { epoch, shard, number: epoch * shardsPerEpoch + shard, inShard: inEpoch - shard * stepsPerShard };
  };
  let loaded: { number: number; order: Int32Array } = { number: -1, order: new Int32Array(0) };
  let tensors: { X: Tensor; Y: Tensor } | null = null;
  const fill = async (epoch: number, shard: number): Promise<number> => {
    const blocks = permutation(Math.ceil(plan.rows / blockLength(width)), seed, epoch);
    const from = shard * plan.shardRows;
    let at = 0;
    for (const piece of pieces(plan, width, blocks, from, Math.min(plan.rows, from + plan.shardRows))) {
      await train.read(piece.from, piece.count, x.subarray(at * width, (at + piece.count) * width));
      y.set(targets.subarray(piece.from, piece.from + piece.count), at);
      weights?.set(train.weights!.subarray(piece.from, piece.from + piece.count), at);
      at += piece.count;
    }
    return at;
  };
  return {
    ...{ y, weights },
    until: (step) => {
      const { epoch, shard } = place(step);
      return epoch * plan.stepsPerEpoch + Math.min(plan.stepsPerEpoch, (shard + 1) * stepsPerShard);
    },
    load: async (step) => {
      const { epoch, shard, number } = place(step);
      if (loaded.number === number && tensors !== null) return tensors;
      const rows = await fill(epoch, shard);
      // Epochs have the streams from 0 up, shards those below.
      loaded = { number, order: permutation(rows, seed, -1 - number) };
      const X = new Tensor('float32', x.subarray(0, rows * width), [rows, width]);
      return (tensors = { X, Y: new Tensor('float32', y.subarray(0, rows), [rows]) });
    },
    rowsOf: (step) => {
      const start = place(step).inShard * plan.batch;
      return loaded.order.subarray(start, start + plan.batch);
    },
  };
}
