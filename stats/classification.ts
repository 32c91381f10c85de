// Measures of a classifier. Labels are class indexes, 0 to classes - 1; definitions as in scikit-learn's `metrics`.

export interface ClassScores {
  precision: number;
  recall: number;
  f1: number;
  support: number;
}

function sameLength(a: ArrayLike<unknown>, b: ArrayLike<unknown>): void {
  if (a.length !== b.length) throw new RangeError(`${a.length} labels and ${b.length} predictions`);
}

/** Share of rows whose prediction equals the label, in [0, 1]; NaN without rows. */
export function accuracy(truth: ArrayLike<number>, predicted: ArrayLike<number>): number {
  sameLength(truth, predicted);
  let right = 0;
  for (let i = 0; i < truth.length; i += 1) if (truth[i] === predicted[i]) right += 1;
  return truth.length === 0 ? NaN : right / truth.length;
}

/**
 * `counts[t][p]`: rows of class t predicted as p.
 * @throws RangeError for a label or prediction that is not a whole number from 0 to `classes` - 1
 */
export function confusionMatrix(truth: ArrayLike<number>, predicted: ArrayLike<number>, classes: number): number[][] {
  sameLength(truth, predicted);
  const counts = Array.from({ length: classes }, () => new Array<number>(classes).fill(0));
  for (let i = 0; i < truth.length; i += 1) {
    const row = counts[truth[i] ?? -1];
    const column = predicted[i] ?? -1;
    if (row?.[column] === undefined) throw new RangeError(`row ${i} has a class outside 0 to ${classes - 1}`);
    row[column] += 1;
  }
  return counts;
}

/** Precision, recall and F1 per class; 0 where nothing was predicted or nothing has the label (`zero_division=0`). */
export function classScores(counts: readonly (readonly number[])[]): ClassScores[] {
  return counts.map((row, index) => {
    const hits = row[index] ?? 0;
    const support = row.reduce((sum, count) => sum + count, 0);
    const predicted = counts.reduce((sum, other) => sum + (other[index] ?? 0), 0);
    return {
      precision: predicted === 0 ? 0 : hits / predicted,
      recall: support === 0 ? 0 : hits / support,
      f1: support + predicted === 0 ? 0 : (2 * hits) / (support + predicted),
      support,
    };
  });
}

/** Mean F1 over the classes that occur as label or prediction, in [0, 1]; NaN without rows. */
export function macroF1(truth: ArrayLike<number>, predicted: ArrayLike<number>, classes: number): number {
  const counts = confusionMatrix(truth, predicted, classes);
  const present = classScores(counts).filter(
    ({ support }, index) => support > 0 || counts.some((row) => (row[index] ?? 0) > 0),
  );
  return present.length === 0 ? NaN : present.reduce((sum, { f1 }) => sum + f1, 0) / present.length;
}

/** Smallest probability that is taken at its word: below it one sure error would make the mean infinite. */
export const smallestProbability = 1e-15;

/** -ln of the probability given to the label, per row, in nats. `probabilities` is row-major, rows x classes. */
export function logLosses(truth: ArrayLike<number>, probabilities: ArrayLike<number>, classes: number): Float64Array {
  if (probabilities.length !== truth.length * classes) {
    throw new RangeError(`${probabilities.length} probabilities for ${truth.length} rows of ${classes} classes`);
  }
  return Float64Array.from({ length: truth.length }, (_, i) => {
    const label = truth[i] ?? -1;
    if (!Number.isInteger(label) || label < 0 || label >= classes) throw new RangeError(`row ${i} has no such class`);
    const p = probabilities[i * classes + label] ?? NaN;
    return -Math.log(Math.min(1, Math.max(smallestProbability, p)));
  });
}

/** Mean of `logLosses`, ≥ 0; NaN without rows. */
export function logLoss(truth: ArrayLike<number>, probabilities: ArrayLike<number>, classes: number): number {
  const losses = logLosses(truth, probabilities, classes);
  return losses.length === 0 ? NaN : losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
}
