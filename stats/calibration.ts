// Whether probabilities keep their word: of the rows that a model is 80 % sure about, 80 % should be right.

/**
 * Expected calibration error in [0, 1] (Guo et al. 2017): the rows fall into `bins` intervals (lo, hi] of equal width by
 * their largest probability; the mean over rows of |share of hits - mean probability| of their interval. NaN without rows.
 * `probabilities` is row-major, rows x classes; labels are class indexes.
 * @throws RangeError where the lengths do not fit
 */
export function expectedCalibrationError(
  truth: ArrayLike<number>,
  probabilities: ArrayLike<number>,
  classes: number,
  bins = 15,
): number {
  if (probabilities.length !== truth.length * classes) {
    throw new RangeError(`${probabilities.length} probabilities for ${truth.length} rows of ${classes} classes`);
  }
  // hits minus probability, summed up by interval: |sum| over all rows is what is asked for
  const gaps = new Float64Array(bins);
  for (let row = 0; row < truth.length; row += 1) {
    let [best, most] = [0, -Infinity];
    for (let c = 0; c < classes; c += 1) {
      const p = probabilities[row * classes + c] ?? NaN;
      if (Number.isNaN(p)) return NaN;
      if (p > most) [best, most] = [c, p];
    }
    const bin = Math.min(bins - 1, Math.max(0, Math.ceil(most * bins) - 1));
    gaps[bin] = (gaps[bin] ?? 0) + (truth[row] === best ? 1 : 0) - most;
  }
  return truth.length === 0 ? NaN : gaps.reduce((sum, gap) => sum + Math.abs(gap), 0) / truth.length;
}
