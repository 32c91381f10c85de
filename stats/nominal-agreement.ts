// Agreement of people whose answers are names, from the answers themselves: no table of items x classes, which is large where
// there are many classes. The same figures as `pairAgreement`, `krippendorffAlpha` and `gwetAC` have from a table.
import { type Answers, byItem } from './answers.js';

export interface NominalAgreement {
  /** Items with two answers or more. */
  items: number;
  /** Mean over these of the share of pairs that agree; null where there is none. */
  pairs: number | null;
  /** Krippendorff's alpha; null where it is not defined. */
  alpha: number | null;
  /** Gwet's AC1; null where it is not defined. */
  ac1: number | null;
}

/** Time grows with the answers. @throws RangeError as `byItem` */
export function nominalAgreement(answers: Answers): NominalAgreement {
  const { start, label } = byItem(answers);
  const { classes } = answers;
  // of each class its answers in items of two or more, and its mean share in all items that were answered
  const [totals, shares] = [new Float64Array(classes), new Float64Array(classes)];
  let [items, rated, agreeing, apart] = [0, 0, 0, 0];
  for (let i = 0; i < answers.items; i += 1) {
    const given = label.subarray(start[i]!, start[i + 1]!);
    const size = given.length;
    if (size === 0) continue;
    rated += 1;
    const counts = new Map<number, number>();
    for (const one of given) {
      shares[one]! += 1 / size;
      counts.set(one, (counts.get(one) ?? 0) + 1);
    }
    if (size < 2) continue;
    items += 1;
    let squares = 0;
    for (const [one, times] of counts) {
      totals[one]! += times;
      squares += times * times;
    }
    agreeing += (squares - size) / (size * (size - 1));
    apart += (size * size - squares) / (size - 1);
  }
  if (items === 0) return { items, pairs: null, alpha: null, ac1: null };
  const pairs = agreeing / items;
  const chance = shares.reduce((sum, share) => sum + (share / rated) * (1 - share / rated), 0) / (classes - 1);
  return {
    ...{ items, pairs, alpha: alphaOf(apart, totals) },
    ac1: classes < 2 || chance >= 1 ? null : (pairs - chance) / (1 - chance),
  };
}

function alphaOf(apart: number, totals: Float64Array): number | null {
  const n = totals.reduce((sum, total) => sum + total, 0);
  const expected = totals.reduce((sum, total) => sum + total * (n - total), 0);
  return expected === 0 ? null : 1 - ((n - 1) * apart) / expected;
}
