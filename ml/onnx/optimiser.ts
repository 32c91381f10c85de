// One step of an optimiser on a flat vector of parameters. What changes from step to step (learning rate, bias
// correction, decay) comes in as scalars that the caller computes in float64 (ml/trainers/gradient/schedule.ts).
import type { Graph } from './graph.js';

export const beta1 = 0.9;
export const beta2 = 0.999;

/** Names of flat vectors and of scalars. */
export interface Descent {
  /** Parameters, after decoupled decay. */
  p: string;
  gradient: string;
  rate: string;
}

/**
 * Adam (Kingma & Ba 2015, algorithm 1); with decoupled decay in `p` it is AdamW (Loshchilov & Hutter 2019, algorithm 2).
 * The moments are unscaled, m' = m/(1-β1) and v' = v/(1-β2), which saves two passes; `rate` and `epsilon` make up for it.
 */
export function adam(graph: Graph, step: Descent & { m: string; v: string; epsilon: string }) {
  const { p, gradient, rate, epsilon } = step;
  const decayed = (name: string, beta: number): string => graph.op('Mul', [name, graph.scalar('float', beta)]);
  const m = graph.op('Add', [decayed(step.m, beta1), gradient]);
  const v = graph.op('Add', [decayed(step.v, beta2), graph.op('Mul', [gradient, gradient])]);
  const divisor = graph.op('Add', [graph.op('Sqrt', [v]), epsilon]);
  const change = graph.op('Mul', [graph.op('Div', [m, divisor]), rate]);
  return { p: graph.op('Sub', [p, change]), m, v };
}

/** Gradient descent with momentum μ: m' = μ·m + g, p' = p - rate·m' (Polyak 1964; Sutskever et al. 2013, §2). */
export function momentum(graph: Graph, step: Descent & { m: string; mu: number }) {
  const m = graph.op('Add', [graph.op('Mul', [step.m, graph.scalar('float', step.mu)]), step.gradient]);
  return { p: graph.op('Sub', [step.p, graph.op('Mul', [m, step.rate])]), m };
}

/** The gradient, shortened to `longest` where its Euclidean norm is greater (Pascanu, Mikolov & Bengio 2013, algorithm 1). */
export function clipped(graph: Graph, gradient: string, longest: number): string {
  const squares = graph.op('ReduceSumSquare', [gradient], { keepdims: 0 });
  const share = graph.op('Div', [graph.scalar('float', longest), graph.op('Sqrt', [squares])]);
  return graph.op('Mul', [gradient, graph.op('Min', [share, graph.scalar('float', 1)])]);
}
