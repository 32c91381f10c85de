// Rows of the holdout that the judged model gets wrong: what a person looks at to see whether the model errs or the label.
import type { Answers } from './measure.js';

export interface WrongRow {
  key: string;
  label: string;
  predicted: string;
  /** That the model gives its answer; null where it is no number. */
  probability: number | null;
}

export const mostWrong = 1_000;

/** The surest first, ties by key, at most 1,000; none for regression, where no row is right or wrong. */
export function wrongRows(answers: Answers, keys: readonly string[]): WrongRow[] {
  const { task, classes, truth, predicted, probabilities } = answers;
  if (task === 'regression') return [];
  const wrong: WrongRow[] = [];
  truth.forEach((label, row) => {
    const guess = predicted[row]!;
    if (guess === label) return;
    const probability = probabilities[row * classes.length + guess] ?? NaN;
    wrong.push({
      ...{ key: keys[row] ?? '', label: classes[label] ?? '', predicted: classes[guess] ?? '' },
      probability: Number.isFinite(probability) ? probability : null,
    });
  });
  const sureness = ({ probability }: WrongRow): number => probability ?? -1;
  wrong.sort((a, b) => sureness(b) - sureness(a) || (a.key < b.key ? -1 : 1));
  return wrong.slice(0, mostWrong);
}
