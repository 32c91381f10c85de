// Which points to pick so that every point has a picked one near it: the greedy k-center (Gonzalez 1985; Sener &
// Savarese 2018, arXiv 1708.00489), whose radius is at most twice the best one. Distances are Euclidean.
import { finiteRowsOf } from './matrix.js';
import { argMax } from './rank.js';

export interface KCenterOptions {
  /** Columns of a point. */
  width: number;
  /** Picks, at most as many as there are points that are not labelled. */
  count: number;
  /** Rows that are covered already. Without any, the first pick is the point nearest to the mean. */
  labelled?: ArrayLike<number>;
}

export interface KCenter {
  /** Rows in the order of picking; of points equally far the first. */
  picks: number[];
  /** Of each pick its distance to the nearest point labelled or picked before; Infinity for a first pick without any. */
  distances: number[];
  /** The largest distance of a point to the nearest one labelled or picked; Infinity where nothing is. */
  radius: number;
}

function squaredDistance(points: ArrayLike<number>, width: number, a: number, b: number): number {
  let sum = 0;
  for (let c = 0; c < width; c += 1) {
    const difference = points[a * width + c]! - points[b * width + c]!;
    sum += difference * difference;
  }
  return sum;
}

/** The point with the least sum of squared distances to all others, which is the one nearest to their mean. */
function medoid(points: ArrayLike<number>, width: number, rows: number): number {
  const mean = new Float64Array(width);
  for (let at = 0; at < rows * width; at += 1) mean[at % width]! += points[at]! / rows;
  const nearness = new Float64Array(rows);
  for (let at = 0; at < rows * width; at += 1) {
    nearness[(at / width) | 0]! -= (points[at]! - mean[at % width]!) ** 2;
  }
  return argMax(nearness);
}

/**
 * Picks `count` rows of `points` (row-major, rows x width), each the farthest from all labelled and picked ones;
 * time grows with rows x width x (count + labelled).
 * @throws RangeError where `points` has no whole rows of finite numbers or a labelled row is none of them
 */
export function kCenter(points: ArrayLike<number>, { width, count, labelled = [] }: KCenterOptions): KCenter {
  const rows = finiteRowsOf(points, width);
  // squared distance to the nearest covered point; -1 for the points that are covered themselves
  const nearest = new Float64Array(rows).fill(Infinity);
  const cover = (centre: number): void => {
    for (let i = 0; i < rows; i += 1) {
      if (nearest[i]! >= 0) nearest[i] = Math.min(nearest[i]!, squaredDistance(points, width, i, centre));
    }
    nearest[centre] = -1;
  };
  for (let at = 0; at < labelled.length; at += 1) {
    const row = labelled[at]!;
    if (!(Number.isInteger(row) && row >= 0 && row < rows)) throw new RangeError(`${row} is no row of ${rows}`);
    cover(row);
  }
  const picks: number[] = [];
  const distances: number[] = [];
  const free = nearest.reduce((sum, value) => sum + (value < 0 ? 0 : 1), 0);
  for (let left = Math.min(count, free); left > 0; left -= 1) {
    const pick = free === rows && picks.length === 0 ? medoid(points, width, rows) : argMax(nearest);
    picks.push(pick);
    distances.push(Math.sqrt(nearest[pick]!));
    cover(pick);
  }
  return { picks, distances, radius: Math.sqrt(nearest.reduce((most, value) => Math.max(most, value), 0)) };
}
