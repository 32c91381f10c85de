// A batch that is uncertain and diverse at once: k-means++ over the gradients of the last layer. BADGE: Ash et al. 2020,
// arXiv 1906.03671. The gradient of a row is its residual r = onehot(best class) - p times its embedding h; it is never
// built: |g_i - g_j|² = |r_i|²|h_i|² + |r_j|²|h_j|² - 2 (r_i · r_j)(h_i · h_j) (Zhang et al. 2023, arXiv 2306.09910).
import { finiteRowsOf } from './matrix.js';
import { createRandom } from './prng.js';
import { argMax } from './rank.js';

export interface BadgeRows {
  /** What the last layer sees: row-major, rows x width. */
  embeddings: ArrayLike<number>;
  width: number;
  /** Row-major, rows x classes. */
  probabilities: ArrayLike<number>;
  classes: number;
}

export interface Gradients {
  /** Squared length of each row's gradient. */
  norms: Float64Array;
  /** Squared distance of every gradient to that of `row`, ≥ 0, into `into` where it is smaller than what stands there. */
  nearer(row: number, into: Float64Array): void;
}

function dot(values: ArrayLike<number>, width: number, a: number, b: number): number {
  let sum = 0;
  for (let c = 0; c < width; c += 1) sum += values[a * width + c]! * values[b * width + c]!;
  return sum;
}

/** @throws RangeError where embeddings and probabilities have no whole, finite or not equally many rows */
export function gradients({ embeddings, width, probabilities, classes }: BadgeRows): Gradients {
  const rows = finiteRowsOf(probabilities, classes);
  if (finiteRowsOf(embeddings, width) !== rows)
    throw new RangeError(`${embeddings.length / width} embeddings of ${rows} rows`);
  const residuals = Float64Array.from(probabilities, (p) => -p);
  for (let i = 0; i < rows; i += 1) residuals[i * classes + argMax(probabilities, i * classes, classes)]! += 1;
  const norms = Float64Array.from(
    { length: rows },
    (_, i) => dot(residuals, classes, i, i) * dot(embeddings, width, i, i),
  );
  const nearer = (row: number, into: Float64Array): void => {
    for (let i = 0; i < rows; i += 1) {
      const product = dot(residuals, classes, i, row) * dot(embeddings, width, i, row);
      into[i] = Math.min(into[i]!, Math.max(0, norms[i]! + norms[row]! - 2 * product));
    }
    into[row] = 0;
  };
  return { norms, nearer };
}

/** A row drawn by weight; -1 where all weights are 0. */
function drawByWeight(weights: Float64Array, uniform: number): number {
  let left = uniform * weights.reduce((sum, weight) => sum + weight, 0);
  let last = -1;
  for (let i = 0; i < weights.length; i += 1) {
    if (weights[i] === 0) continue;
    last = i;
    left -= weights[i]!;
    if (left < 0) break;
  }
  return last;
}

/**
 * `count` rows, at most all: first the longest gradient, then each with a chance in proportion to its squared distance to
 * the nearest pick; where all are at distance 0, uniformly among the rest. The same seed gives the same rows.
 * @throws RangeError as `gradients`
 */
export function badge(rows: BadgeRows, { count, seed }: { count: number; seed: number }): number[] {
  const { norms, nearer } = gradients(rows);
  const random = createRandom(seed);
  const nearest = new Float64Array(norms.length).fill(Infinity);
  const free = new Set(norms.keys());
  const picks: number[] = [];
  while (picks.length < Math.min(count, norms.length)) {
    let pick = picks.length === 0 ? argMax(norms) : drawByWeight(nearest, random.uniform());
    if (pick < 0) pick = [...free][random.below(free.size)]!;
    picks.push(pick);
    free.delete(pick);
    nearer(pick, nearest);
  }
  return picks;
}
