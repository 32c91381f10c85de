// Losses: scalars that are weighted means over the rows. `weights` [N] ≥ 0 with a positive sum: 0 = padding, and a
// row may count by the weight of its class.
import type { Tape, Var } from './autodiff.js';

function shareOf(tape: Tape, weights: Var): string {
  const { graph } = tape;
  return graph.op('Div', [weights.name, graph.op('ReduceSum', [weights.name], { keepdims: 0 })]);
}

/** Σ share · values, a scalar. */
function weighted(tape: Tape, values: string, share: string): string {
  return tape.graph.op('ReduceSum', [tape.graph.op('Mul', [values, share])], { keepdims: 0 });
}

export interface Targets {
  /** [N,C]: 1 at the row's class. */
  onehot: Var;
  weights: Var;
  /** Share of the target that is spread over all classes (Szegedy et al. 2016, §7). */
  smoothing?: number;
}

/** Softmax cross-entropy of logits [N,C]: -Σ w·target·log softmax(logits) / Σ w. */
export function crossEntropy(tape: Tape, logits: Var, targets: Targets): Var {
  const { graph } = tape;
  const { onehot, weights, smoothing = 0 } = targets;
  const classes = Number(logits.dims[1]);
  const share = graph.op('Unsqueeze', [shareOf(tape, weights), graph.ints([1])]);
  let target = onehot.name;
  if (smoothing > 0) {
    const kept = graph.op('Mul', [target, tape.scalar(1 - smoothing).name]);
    target = graph.op('Add', [kept, tape.scalar(smoothing / classes).name]);
  }
  const logp = graph.op('LogSoftmax', [logits.name], { axis: -1 });
  const picked = graph.op('Mul', [graph.op('Mul', [logp, target]), share]);
  const loss = graph.op('Neg', [graph.op('ReduceSum', [picked], { keepdims: 0 })]);
  return tape.record(loss, [], [logits], (g) => [
    graph.op('Mul', [graph.op('Sub', [graph.op('Exp', [logp]), target]), graph.op('Mul', [share, g])]),
  ]);
}

/** What a regression is compared with. Prediction and target are [N]. */
export interface Values {
  target: Var;
  weights: Var;
}

/** Mean of (prediction - target)². */
export function meanSquaredError(tape: Tape, prediction: Var, { target, weights }: Values): Var {
  const { graph } = tape;
  const difference = graph.op('Sub', [prediction.name, target.name]);
  const part = graph.op('Mul', [difference, shareOf(tape, weights)]);
  return tape.record(weighted(tape, difference, part), [], [prediction], (g) => [
    graph.op('Mul', [part, graph.op('Mul', [g, tape.scalar(2).name])]),
  ]);
}

/** ½d² for |d| ≤ delta, delta·(|d| - ½delta) beyond (Huber 1964): with c = d cut to ±delta it is c·(d - ½c), its slope c. */
export function huber(tape: Tape, prediction: Var, { target, weights, delta }: Values & { delta: number }): Var {
  const { graph } = tape;
  const difference = graph.op('Sub', [prediction.name, target.name]);
  const cut = graph.op('Clip', [difference, tape.scalar(-delta).name, tape.scalar(delta).name]);
  const half = graph.op('Mul', [cut, tape.scalar(0.5).name]);
  const part = graph.op('Mul', [cut, shareOf(tape, weights)]);
  return tape.record(weighted(tape, graph.op('Sub', [difference, half]), part), [], [prediction], (g) => [
    graph.op('Mul', [part, g]),
  ]);
}

/** max(q·e, (q - 1)·e) of e = target - prediction: its least mean is the quantile q (Koenker & Bassett 1978). */
export function pinball(
  tape: Tape,
  prediction: Var,
  { target, weights, quantile }: Values & { quantile: number },
): Var {
  const { graph } = tape;
  const error = graph.op('Sub', [target.name, prediction.name]);
  const above = graph.op('Greater', [error, tape.scalar(0).name]);
  const slope = graph.op('Where', [above, tape.scalar(quantile).name, tape.scalar(quantile - 1).name]);
  const part = graph.op('Mul', [slope, shareOf(tape, weights)]);
  return tape.record(weighted(tape, error, part), [], [prediction], (g) => [
    graph.op('Neg', [graph.op('Mul', [part, g])]),
  ]);
}
