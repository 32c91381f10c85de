// How much each row counts in a training. A row of weight 2 is two equal rows, one of weight 0 is none: it is left out before
// a trainer sees it, so that batches, epochs and bins are those of the rows that count.
import { Failure } from '../../domain/failures.js';
import type { Rows } from './trainer.js';

/** The rows that count. Where all count the same, they have no weights. Throws ArtifactCorrupt for a weight that is none. */
export function countedRows(rows: Rows): Rows {
  const { weights, ...bare } = rows;
  if (!weights) return rows;
  const bad = weights.find((weight) => !(Number.isFinite(weight) && weight >= 0));
  if (bad !== undefined) throw new Failure('ArtifactCorrupt', `a row has the weight ${bad}`);
  const kept = Int32Array.from(weights.keys()).filter((row) => weights[row]! > 0);
  const own = Float32Array.from(kept, (row) => weights[row]!);
  const some = own.every((weight) => weight === 1) ? {} : { weights: own };
  if (kept.length === rows.rows) return { ...bare, ...some };
  const y = Float32Array.from(kept, (row) => rows.y[row]!);
  return { rows: kept.length, width: rows.width, y, ...some, read: readKept(rows, kept) };
}

/** Reads stretches of rows that lie together. */
function readKept({ read, width }: Rows, kept: Int32Array): Rows['read'] {
  return async (from, count, into) => {
    for (let at = from; at < from + count;) {
      let end = at + 1;
      while (end < from + count && kept[end] === kept[end - 1]! + 1) end += 1;
      await read(kept[at]!, end - at, into.subarray((at - from) * width, (end - from) * width));
      at = end;
    }
  };
}

/** Σ weights of the rows of each value of `y`, and of all; without weights their numbers. */
export function weightOfClasses(
  y: Float32Array,
  classes: number,
  weights?: Float32Array,
): { each: Float64Array; total: number } {
  const each = new Float64Array(classes);
  y.forEach((label, row) => (each[label]! += weights?.[row] ?? 1));
  return { each, total: weights ? each.reduce((sum, weight) => sum + weight, 0) : y.length };
}

/**
 * Mean and standard deviation (n) in float64, in row order, as float32; a constant target keeps scale 1. With weights
 * both are weighted.
 */
export function targetMoments(y: Float32Array, weights?: Float32Array): { mean: number; scale: number } {
  let [sum, squares, total] = [0, 0, 0];
  y.forEach((value, row) => {
    const weight = weights?.[row] ?? 1;
    sum += weight * value;
    total += weight;
  });
  const mean = Math.fround(sum / total);
  y.forEach((value, row) => (squares += (weights?.[row] ?? 1) * (value - mean) ** 2));
  const scale = Math.fround(Math.sqrt(squares / total));
  return { mean, scale: scale > 0 && Number.isFinite(scale) ? scale : 1 };
}
