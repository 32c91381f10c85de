// How far people agree beyond chance. Counts are units x classes, row-major: how many people gave a unit each class
// (`voteCounts` makes them), so the order of people does not matter. All answers are ≤ 1; 1 is perfect, 0 is chance.
import { rowsOf } from './matrix.js';

/** What two classes apart are worth: nothing, or less the further apart on the scale 0 to K - 1. */
export type AgreementWeights = 'none' | 'linear' | 'quadratic';

/** Sizes of the units and how many there are, of a table of whole counts. */
function unitSizes(counts: ArrayLike<number>, classes: number): Float64Array {
  const sizes = new Float64Array(rowsOf(counts, classes));
  for (let at = 0; at < counts.length; at += 1) sizes[Math.floor(at / classes)]! += counts[at]!;
  return sizes;
}

function weightOf(weights: AgreementWeights, classes: number): (a: number, b: number) => number {
  if (weights === 'none') return (a, b) => (a === b ? 1 : 0);
  const power = weights === 'linear' ? 1 : 2;
  return (a, b) => 1 - (Math.abs(a - b) / (classes - 1)) ** power;
}

function beyondChance(observed: number, expected: number): number {
  if (expected >= 1) throw new RangeError('only one class was ever given: agreement beyond chance is not defined');
  return (observed - expected) / (1 - expected);
}

/**
 * Mean over the units with two answers or more of the (weighted) share of pairs that agree, in [0, 1].
 * @throws RangeError without such a unit
 */
export function pairAgreement(counts: ArrayLike<number>, classes: number, weights: AgreementWeights = 'none'): number {
  const weight = weightOf(weights, classes);
  const sizes = unitSizes(counts, classes);
  let [sum, units] = [0, 0];
  sizes.forEach((size, u) => {
    if (size < 2) return;
    units += 1;
    let pairs = 0;
    for (let a = 0; a < classes; a += 1) {
      const count = counts[u * classes + a]!;
      for (let b = 0; count > 0 && b < classes; b += 1) {
        pairs += weight(a, b) * count * (counts[u * classes + b]! - (a === b ? 1 : 0));
      }
    }
    sum += pairs / (size * (size - 1));
  });
  if (units === 0) throw new RangeError('no unit has two answers');
  return sum / units;
}

/**
 * Cohen's kappa (1960), weighted with `linear` or `quadratic` (Cohen 1968), of two people: `table[a][b]` units that the
 * first gave class a and the second b (`confusionMatrix` makes it).
 * @throws RangeError for an empty table, or one where chance alone agrees always
 */
export function cohenKappa(table: readonly (readonly number[])[], weights: AgreementWeights = 'none'): number {
  const weight = weightOf(weights, table.length);
  const rows = table.map((row) => row.reduce((sum, count) => sum + count, 0));
  const columns = table.map((_, b) => table.reduce((sum, row) => sum + (row[b] ?? NaN), 0));
  const n = rows.reduce((sum, count) => sum + count, 0);
  if (!(n > 0)) throw new RangeError('the table of answers is empty');
  let [observed, expected] = [0, 0];
  for (let a = 0; a < table.length; a += 1) {
    for (let b = 0; b < table.length; b += 1) {
      observed += (weight(a, b) * table[a]![b]!) / n;
      expected += (weight(a, b) * rows[a]! * columns[b]!) / (n * n);
    }
  }
  return beyondChance(observed, expected);
}

/**
 * Fleiss' kappa (1971) of equally many, at least two, answers to each unit.
 * @throws RangeError for other tables, or where only one class was ever given
 */
export function fleissKappa(counts: ArrayLike<number>, classes: number): number {
  const sizes = unitSizes(counts, classes);
  if (sizes.some((size) => size !== sizes[0])) throw new RangeError('units have unequal numbers of answers');
  const observed = pairAgreement(counts, classes);
  const total = sizes.length * sizes[0]!;
  const shares = new Float64Array(classes);
  for (let at = 0; at < counts.length; at += 1) shares[at % classes]! += counts[at]! / total;
  return beyondChance(
    observed,
    shares.reduce((sum, share) => sum + share * share, 0),
  );
}

/**
 * Gwet's AC1 (2008), with `linear` or `quadratic` weights his AC2 (2014): chance is small where one class is common, so
 * high agreement on rare classes does not look like none. Units may have any number of answers.
 * @throws RangeError without a unit of two answers or with fewer than two classes
 */
export function gwetAC(counts: ArrayLike<number>, classes: number, weights: AgreementWeights = 'none'): number {
  if (classes < 2) throw new RangeError('agreement beyond chance needs two classes');
  const observed = pairAgreement(counts, classes, weights);
  const sizes = unitSizes(counts, classes);
  const rated = sizes.reduce((sum, size) => sum + (size > 0 ? 1 : 0), 0);
  const shares = new Float64Array(classes);
  for (let at = 0; at < counts.length; at += 1) {
    const size = sizes[Math.floor(at / classes)]!;
    if (size > 0) shares[at % classes]! += counts[at]! / size / rated;
  }
  const weight = weightOf(weights, classes);
  let whole = 0;
  for (let a = 0; a < classes; a += 1) for (let b = 0; b < classes; b += 1) whole += weight(a, b);
  const spread = shares.reduce((sum, share) => sum + share * (1 - share), 0);
  return beyondChance(observed, (whole * spread) / (classes * (classes - 1)));
}
