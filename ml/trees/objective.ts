// What is minimised: the mean loss at the scores of all rows, and its first and second derivatives by one output.
// A score is base + the sum of the trees; base is the log odds, the log shares of the classes, or 0 of a standardised target.
import type { Task } from '../../domain/dataset.js';
import { targetMoments, weightOfClasses } from '../trainers/weights.js';
import type { Rows } from '../trainers/trainer.js';
import type { Gradients } from './histogram.js';
import { hessianUnit } from './histogram.js';

/** Regression learns (y - mean) / scale. Classification: 0 and 1. */
export interface Target {
  mean: number;
  scale: number;
}

/** What training learns about the target before the first tree. */
export interface Beginning {
  target: Target;
  /** Added to the sums of the trees, per output. */
  base: Float32Array;
}

/** Sums of trees, row-major rows x outputs, the base not in them. */
export type Scores = Float32Array;

export interface Objective {
  /** Trees of one round: one for two classes and for regression, else one a class. */
  readonly outputs: number;
  /** The second derivative is 1 everywhere. */
  readonly flat: boolean;
  /** What the second derivatives are counted in. */
  readonly unit: number;
  loss(y: Float32Array, scores: Scores): number;
  /** Of one row. */
  lossOf(y: Float32Array, scores: Scores, row: number): number;
  /**
   * The loss, and the derivatives of a round of trees: `next` writes those by one output. It takes the scores of other
   * outputs as they were, so trees of one round do not see each other.
   */
  begin(y: Float32Array, scores: Scores, into: Gradients): { loss: number; next(output: number): void };
}

/** The loss of one row is at most minus the log of this. */
const leastChance = 1e-15;
/** Chances multiplied before a logarithm is taken: 16 of them stay above the smallest double. */
const chancesAtOnce = 16;

/** Mean of -log(chance) over rows, where `side` is 1 for the second class and -1 for the first. Writes nothing. */
function logisticLoss(y: Float32Array, scores: Scores, base: number): number {
  let [product, loss] = [1, 0];
  for (let row = 0; row < y.length; row++) {
    const side = 2 * y[row]! - 1;
    const chance = 1 / (1 + Math.exp(-side * (scores[row]! + base)));
    product *= chance > leastChance ? chance : leastChance;
    if (row % chancesAtOnce !== 0) continue;
    loss -= Math.log(product);
    product = 1;
  }
  return (loss - Math.log(product)) / y.length;
}

/** The same with both derivatives. */
function logisticBegin(
  y: Float32Array,
  scores: Scores,
  base: number,
  { g, h }: { g: Float32Array; h: Float32Array },
): number {
  let [product, loss] = [1, 0];
  for (let row = 0; row < y.length; row++) {
    const side = 2 * y[row]! - 1;
    const chance = 1 / (1 + Math.exp(-side * (scores[row]! + base)));
    const rest = 1 - chance;
    g[row] = -side * rest;
    h[row] = Math.floor((chance * rest) / hessianUnit + 0.5);
    product *= chance > leastChance ? chance : leastChance;
    if (row % chancesAtOnce !== 0) continue;
    loss -= Math.log(product);
    product = 1;
  }
  return (loss - Math.log(product)) / y.length;
}

/** Two classes: one score, the log odds of the second. */
function logistic(base: number): Objective {
  return {
    ...{ outputs: 1, flat: false, unit: hessianUnit },
    loss: (y, scores) => logisticLoss(y, scores, base),
    lossOf: (y, scores, row) => {
      const chance = 1 / (1 + Math.exp((1 - 2 * y[row]!) * (scores[row]! + base)));
      return -Math.log(Math.max(leastChance, chance));
    },
    begin: (y, scores, { g, h }) => ({ loss: logisticBegin(y, scores, base, { g, h }), next: () => undefined }),
  };
}

/** Three classes or more. The second derivative is p(1-p) k/(k-1): the scores of k classes have k-1 free sums (Friedman 2001, §4.6). */
function softmax(base: Float32Array): Objective {
  const outputs = base.length;
  const factor = outputs / (outputs - 1) / hessianUnit;
  /** log of the sum of exp over the scores of a row. */
  const logTotal = (scores: Scores, at: number): number => {
    let most = -Infinity;
    for (let k = 0; k < outputs; k++) most = Math.max(most, scores[at + k]! + base[k]!);
    let sum = 0;
    for (let k = 0; k < outputs; k++) sum += Math.exp(scores[at + k]! + base[k]! - most);
    return most + Math.log(sum);
  };
  const lossAt = (y: Float32Array, scores: Scores, row: number, total: number): number =>
    Math.min(total - scores[row * outputs + y[row]!]! - base[y[row]!]!, -Math.log(leastChance));
  const each = (y: Float32Array, scores: Scores, totals: Float32Array | null): number => {
    let sum = 0;
    for (let row = 0; row < y.length; row++) {
      const total = logTotal(scores, row * outputs);
      sum += lossAt(y, scores, row, total);
      if (totals !== null) totals[row] = total;
    }
    return sum / y.length;
  };
  let totals = new Float32Array(0);
  return {
    ...{ outputs, flat: false, unit: hessianUnit },
    loss: (y, scores) => each(y, scores, null),
    lossOf: (y, scores, row) => lossAt(y, scores, row, logTotal(scores, row * outputs)),
    begin(y, scores, { g, h }) {
      if (totals.length !== y.length) totals = new Float32Array(y.length);
      const loss = each(y, scores, totals);
      const next = (output: number): void => {
        const b = base[output]!;
        for (let row = 0; row < y.length; row++) {
          const chance = Math.min(1, Math.exp(scores[row * outputs + output]! + b - totals[row]!));
          g[row] = y[row] === output ? chance - 1 : chance;
          h[row] = Math.round(chance * (1 - chance) * factor);
        }
      };
      return { loss, next };
    },
  };
}

/** Half the squared error of the standardised target; its loss is shown as the whole mean squared error. */
function squares({ mean, scale }: Target): Objective {
  const each = (y: Float32Array, scores: Scores, g: Float32Array | null): number => {
    let sum = 0;
    for (let row = 0; row < y.length; row++) {
      const error = scores[row]! - (y[row]! - mean) / scale;
      sum += error * error;
      if (g !== null) g[row] = error;
    }
    return sum / y.length;
  };
  return {
    ...{ outputs: 1, flat: true, unit: 1 },
    loss: (y, scores) => each(y, scores, null),
    lossOf: (y, scores, row) => (scores[row]! - (y[row]! - mean) / scale) ** 2,
    begin: (y, scores, { g }) => ({ loss: each(y, scores, g), next: () => undefined }),
  };
}

/** Trees of one round. */
export function outputsOf(task: Task, classes: number): number {
  return task === 'regression' || classes === 2 ? 1 : classes;
}

/** Base rates of the training rows, each by its weight. A class without rows counts as half a row. */
export function beginningOf(task: Task, classes: number, { y, weights }: Pick<Rows, 'y' | 'weights'>): Beginning {
  if (task === 'regression') return { target: targetMoments(y, weights), base: new Float32Array(1) };
  const { each, total } = weightOfClasses(y, classes, weights);
  const logs = each.map((weight) => Math.log(Math.max(0.5, weight)));
  const base = classes === 2 ? [logs[1]! - logs[0]!] : logs.map((log) => log - Math.log(total));
  return { target: { mean: 0, scale: 1 }, base: Float32Array.from(base) };
}

export function objectiveOf(task: Task, { target, base }: Beginning): Objective {
  if (task === 'regression') return squares(target);
  return base.length === 1 ? logistic(base[0]!) : softmax(base);
}
