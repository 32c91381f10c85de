// Measures of a regression on rows of truth and prediction; definitions as in scikit-learn's `metrics`.

function meanOf(truth: ArrayLike<number>, predicted: ArrayLike<number>, part: (error: number) => number): number {
  if (truth.length !== predicted.length)
    throw new RangeError(`${truth.length} values and ${predicted.length} predictions`);
  let sum = 0;
  for (let i = 0; i < truth.length; i += 1) sum += part((predicted[i] ?? NaN) - (truth[i] ?? NaN));
  return truth.length === 0 ? NaN : sum / truth.length;
}

/** Root of the mean squared error, ≥ 0, in the label's unit; NaN without rows. */
export function rmse(truth: ArrayLike<number>, predicted: ArrayLike<number>): number {
  return Math.sqrt(meanOf(truth, predicted, (error) => error * error));
}

/** Mean absolute error, ≥ 0, in the label's unit; NaN without rows. */
export function mae(truth: ArrayLike<number>, predicted: ArrayLike<number>): number {
  return meanOf(truth, predicted, Math.abs);
}

/** 1 - residual / total sum of squares, ≤ 1. Constant truth: 1 if hit exactly, else 0. NaN with fewer than two rows. */
export function r2(truth: ArrayLike<number>, predicted: ArrayLike<number>): number {
  const n = truth.length;
  if (n < 2) return NaN;
  const residual = meanOf(truth, predicted, (error) => error * error) * n;
  let sum = 0;
  for (let i = 0; i < n; i += 1) sum += truth[i] ?? NaN;
  const centre = sum / n;
  let total = 0;
  for (let i = 0; i < n; i += 1) total += ((truth[i] ?? NaN) - centre) ** 2;
  if (total === 0) return residual === 0 ? 1 : 0;
  return 1 - residual / total;
}
