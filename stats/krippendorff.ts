// Krippendorff's alpha: 1 - observed over expected disagreement, for any number of people, missing answers and four kinds
// of scale (Content Analysis, 2004, ch. 11). At least 0.8 is reliable, from 0.667 on tentative. Counts as in agreement.ts.
import { rowsOf } from './matrix.js';

export type Scale = 'nominal' | 'ordinal' | 'interval' | 'ratio';

export interface AlphaOptions {
  classes: number;
  /** Default nominal. */
  scale?: Scale;
  /** What each class measures, rising, for interval and ratio; default 0, 1, 2, … */
  values?: readonly number[];
}

/** Squared distance of two classes. `totals`: how often each was given, in units of two answers or more. */
function distances(totals: Float64Array, scale: Scale, values: readonly number[]): Float64Array {
  const classes = totals.length;
  const below = new Float64Array(classes);
  for (let c = 1; c < classes; c += 1) below[c] = below[c - 1]! + totals[c - 1]!;
  const distance = (a: number, b: number): number => {
    const [low, high] = [values[a]!, values[b]!];
    if (scale === 'nominal') return 1;
    // answers from a to b, the two classes themselves by half
    if (scale === 'ordinal') return below[b]! + totals[b]! / 2 - below[a]! - totals[a]! / 2;
    if (scale === 'interval') return high - low;
    return high + low === 0 ? 0 : (high - low) / (high + low);
  };
  return Float64Array.from({ length: classes * classes }, (_, at) => {
    const [a, b] = [Math.floor(at / classes), at % classes];
    return a === b ? 0 : distance(Math.min(a, b), Math.max(a, b)) ** 2;
  });
}

/**
 * ≤ 1; 1 is perfect, 0 is chance. `counts`: units x classes, how many people gave a unit each class; units of fewer than
 * two answers are left out.
 * @throws RangeError where no unit has two answers or all of them are one and the same value
 */
export function krippendorffAlpha(
  counts: ArrayLike<number>,
  { classes, scale = 'nominal', values = Array.from({ length: classes }, (_, c) => c) }: AlphaOptions,
): number {
  if (values.length !== classes) throw new RangeError(`${values.length} values of ${classes} classes`);
  const units = rowsOf(counts, classes);
  const sizes = new Float64Array(units);
  for (let at = 0; at < counts.length; at += 1) sizes[Math.floor(at / classes)]! += counts[at]!;
  const totals = new Float64Array(classes);
  for (let at = 0; at < counts.length; at += 1) {
    if (sizes[Math.floor(at / classes)]! >= 2) totals[at % classes]! += counts[at]!;
  }
  const n = totals.reduce((sum, total) => sum + total, 0);
  if (n === 0) throw new RangeError('no unit has two answers');
  const squared = distances(totals, scale, values);
  let observed = 0;
  for (let u = 0; u < units; u += 1) {
    if (sizes[u]! < 2) continue;
    let apart = 0;
    for (let a = 0; a < classes; a += 1) {
      const count = counts[u * classes + a]!;
      for (let b = 0; count > 0 && b < classes; b += 1) {
        apart += count * counts[u * classes + b]! * squared[a * classes + b]!;
      }
    }
    observed += apart / (sizes[u]! - 1);
  }
  let expected = 0;
  squared.forEach((distance, at) => {
    expected += totals[Math.floor(at / classes)]! * totals[at % classes]! * distance;
  });
  if (expected === 0) throw new RangeError('only one value was ever given: agreement beyond chance is not defined');
  return 1 - ((n - 1) * observed) / expected;
}
