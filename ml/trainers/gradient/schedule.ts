// What an optimiser step is told besides the rows: learning rate, bias correction and decay, in float64 by step number.
import type { TrainerParams } from '../../../domain/trainers.js';
import { beta1, beta2 } from '../../onnx/optimiser.js';

/** Half a cosine from `from` at share 0 to `to` at share 1. */
const halfCosine = (from: number, to: number, share: number): number =>
  to + (from - to) * 0.5 * (1 + Math.cos(Math.PI * share));

/** Smith & Topin 2018 with the figures of common libraries: up from 1/25 in 30 % of the steps, down to 1/250,000. */
const cycle = { rise: 0.3, first: 1 / 25, last: 1 / 250_000 };

function oneCycle(full: number, step: number, totalSteps: number): number {
  const top = cycle.rise * totalSteps;
  if (step < top) return halfCosine(full * cycle.first, full, step / top);
  return halfCosine(full, full * cycle.last, (step - top) / Math.max(1, totalSteps - 1 - top));
}

/** Learning rate of a step (0-based). A warm-up of W steps rises in a line to the full rate, from 1/W of it. */
export function learningRate(params: TrainerParams, step: number, totalSteps: number): number {
  const full = Number(params['learningRate']);
  if (params['schedule'] === 'one-cycle') return oneCycle(full, step, totalSteps);
  const warm = Math.round(Number(params['warmup'] ?? 0) * totalSteps);
  if (step < warm) return (full * (step + 1)) / warm;
  return params['schedule'] === 'cosine' ? halfCosine(full, 0, (step - warm) / (totalSteps - warm)) : full;
}

/** Which scalars the step graph takes. Decoupled decay is a factor `keep`, absent where nothing decays. */
export function scalarNames(params: TrainerParams): ('rate' | 'epsilon' | 'keep')[] {
  const decays = Number(params['weightDecay']) > 0 && params['optimiser'] !== 'adam';
  return ['rate', ...(params['optimiser'] === 'sgd' ? [] : ['epsilon' as const]), ...(decays ? ['keep' as const] : [])];
}

/**
 * Of sgd the rate is the learning rate. Of Adam the bias correction c = 1 - β^t and the unscaled moments (optimiser.ts) give
 * rate = lr·√c2/c1 · (1-β1)/√(1-β2) and ε' = ε·√c2/√(1-β2), with ε = 1e-8. keep = 1 - lr·weightDecay.
 */
export function scalarsOf(params: TrainerParams, step: number, totalSteps: number) {
  const lr = learningRate(params, step, totalSteps);
  const keep = 1 - lr * Number(params['weightDecay']);
  if (params['optimiser'] === 'sgd') return { rate: lr, epsilon: 0, keep };
  const [c1, c2] = [1 - beta1 ** (step + 1), 1 - beta2 ** (step + 1)];
  const root2 = Math.sqrt(1 - beta2);
  const rate = ((lr * Math.sqrt(c2)) / c1) * ((1 - beta1) / root2);
  return { rate, epsilon: (1e-8 * Math.sqrt(c2)) / root2, keep };
}
