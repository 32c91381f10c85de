// Which rows each step sees, and at what rate: functions of seed and step number alone, so any step can be replayed.
import { randomFromState } from '../../../stats/prng.js';
import { beta1, beta2 } from './step.js';

/** Uniform 32-bit integers: splitmix32-seeded xoshiro128** (Blackman & Vigna 2018). */
export function randomSource(seed: number, stream: number): () => number {
  let z = (Math.imul(seed | 0, 0x9e3779b9) ^ Math.imul(stream | 0, 0x85ebca6b)) >>> 0;
  // A seed past 32 bits counts in full.
  z = (z ^ Math.imul(Math.floor(seed / 2 ** 32) | 0, 0xc2b2ae35)) >>> 0;
  const mix = (): number => {
    z = (z + 0x9e3779b9) >>> 0;
    let t = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    t = Math.imul(t ^ (t >>> 15), 0x735a2d97);
    return (t ^ (t >>> 15)) >>> 0;
  };
  return randomFromState([mix(), mix(), mix(), mix() | 1]).bits;
}

/** The order of `rows` row numbers in one epoch: a Fisher-Yates shuffle, a function of seed and epoch. */
export function permutation(rows: number, seed: number, epoch: number): Int32Array {
  const order = Int32Array.from({ length: rows }, (_, i) => i);
  const next = randomSource(seed, epoch);
  for (let i = rows - 1; i > 0; i--) {
    const j = Math.floor((next() / 2 ** 32) * (i + 1));
    const kept = order[i]!;
    order[i] = order[j]!;
    order[j] = kept;
  }
  return order;
}

export interface Plan {
  rows: number;
  /** Rows of one step: the parameter, or all rows where there are fewer. */
  batch: number;
  stepsPerEpoch: number;
  epochs: number;
  totalSteps: number;
}

/** An epoch over a table smaller than this passes over it several times: few rows need as many steps as some more. */
export const epochRows = 1_000;

/** Rows ≥ 1. `epochs` of the plan counts passes. The last batch of a pass is padded with weight 0. */
export function planOf(rows: number, params: Record<string, unknown>): Plan {
  const epochs = Number(params['epochs']) * Math.ceil(epochRows / Math.max(1, Math.min(rows, epochRows)));
  const batch = Math.min(Number(params['batch']), rows);
  const stepsPerEpoch = Math.ceil(rows / batch);
  return { rows, batch, stepsPerEpoch, epochs, totalSteps: stepsPerEpoch * epochs };
}

/** Learning rate of a step (0-based): constant, or half a cosine from the full rate towards 0. */
export function learningRate(params: Record<string, unknown>, step: number, totalSteps: number): number {
  const full = Number(params['learningRate']);
  return params['schedule'] === 'cosine' ? full * 0.5 * (1 + Math.cos((Math.PI * step) / totalSteps)) : full;
}

/** What a run of the step graph takes for steps [from, from + count). */
export interface StepInputs {
  count: number;
  idx: Int32Array;
  w: Float32Array;
  rate: Float32Array;
  epsilon: Float32Array;
  keep: Float32Array;
}

/**
 * Adam's bias correction c = 1 - β^t and the unscaled moments of step.ts give
 * rate = lr·√c2/c1 · (1-β1)/√(1-β2) and ε' = ε·√c2/√(1-β2), with ε = 1e-8; keep = 1 - lr·weightDecay.
 */
export function createBatches(
  plan: Plan,
  params: Record<string, unknown>,
  seed: number,
): (from: number, count: number) => StepInputs {
  let cached: { epoch: number; order: Int32Array } = { epoch: -1, order: new Int32Array(0) };
  const orderOf = (epoch: number): Int32Array => {
    if (cached.epoch !== epoch) cached = { epoch, order: permutation(plan.rows, seed, epoch) };
    return cached.order;
  };
  const root2 = Math.sqrt(1 - beta2);
  return (from, count) => {
    const [idx, w] = [new Int32Array(count * plan.batch), new Float32Array(count * plan.batch)];
    const [rate, epsilon, keep] = [new Float32Array(count), new Float32Array(count), new Float32Array(count)];
    for (let k = 0; k < count; k++) {
      const step = from + k;
      const start = (step % plan.stepsPerEpoch) * plan.batch;
      const rows = orderOf(Math.floor(step / plan.stepsPerEpoch)).subarray(start, start + plan.batch);
      idx.set(rows, k * plan.batch);
      w.fill(1, k * plan.batch, k * plan.batch + rows.length);
      const lr = learningRate(params, step, plan.totalSteps);
      const [c1, c2] = [1 - beta1 ** (step + 1), 1 - beta2 ** (step + 1)];
      rate[k] = ((lr * Math.sqrt(c2)) / c1) * ((1 - beta1) / root2);
      epsilon[k] = (1e-8 * Math.sqrt(c2)) / root2;
      keep[k] = 1 - lr * Number(params['weightDecay']);
    }
    return { count, idx, w, rate, epsilon, keep };
  };
}
