// Which of its own labels a model may learn from. The threshold comes from stats/auto-label.ts; whether the round is kept
// is a paired test on rows labelled by people (stats/paired.ts).
import { rowsOf } from './matrix.js';
import { argMax, highestFirst } from './rank.js';

export interface PseudoLabelOptions {
  classes: number;
  /** Least confidence. */
  threshold: number;
  /** Rows of one class at most, so that the common class does not crowd out the others; default: no limit. */
  perClass?: number;
}

export interface PseudoLabel {
  row: number;
  label: number;
  /** The model's probability of `label`, in [threshold, 1]. */
  confidence: number;
}

/**
 * The rows whose largest probability is at least the threshold, of each class the surest `perClass`; surest first, equal
 * ones in order of rows. `probabilities` is row-major, rows x classes; a row with NaN is never sure.
 * @throws RangeError where they are no whole rows
 */
export function pseudoLabels(
  probabilities: ArrayLike<number>,
  { classes, threshold, perClass = Infinity }: PseudoLabelOptions,
): PseudoLabel[] {
  const rows = rowsOf(probabilities, classes);
  const labels = Uint32Array.from({ length: rows }, (_, i) => argMax(probabilities, i * classes, classes));
  const confidences = Float64Array.from(labels, (label, i) => {
    for (let c = 0; c < classes; c += 1) if (Number.isNaN(probabilities[i * classes + c])) return NaN;
    return probabilities[i * classes + label]!;
  });
  const taken = new Uint32Array(classes);
  const picked: PseudoLabel[] = [];
  for (const row of highestFirst(confidences)) {
    const [label, confidence] = [labels[row]!, confidences[row]!];
    if (!(confidence >= threshold)) break;
    if (taken[label]! >= perClass) continue;
    taken[label]! += 1;
    picked.push({ row, label, confidence });
  }
  return picked;
}
