// What a campaign's rounds have shown of the accuracy, which is looked at after each of them.
import { clopperPearsonLower } from '../stats/intervals.js';
import type { MeasuredMetric } from './evaluation.js';

/** Chance that any of the bounds, over all looks together, is above the accuracy. */
const risk = 0.05;

/**
 * The accuracy is at least this, however often one looks and whenever one stops: the k-th look may err with a chance of
 * `risk` / (k (k + 1)), and these add up to `risk` (union bound). At the first look it is the lower end of the two-sided
 * 95 % interval. `rounds` in their order, those that were not measured are no look; null before the first one.
 */
export function shownAccuracy(rounds: readonly { accuracy: MeasuredMetric | null }[]): number | null {
  const looks = rounds.flatMap(({ accuracy }) => (accuracy === null ? [] : [accuracy]));
  const last = looks.at(-1);
  if (last === undefined || last.value === null) return null;
  const { value, n } = last;
  return clopperPearsonLower(Math.round(value * n), n, 1 - risk / (looks.length * (looks.length + 1)));
}
