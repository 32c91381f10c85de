// How many of N labels are wrong, after a random sample of them was looked at: bounds that hold at every look at once
// (prior-posterior ratio, Waudby-Smith & Ramdas 2020, arXiv 2006.04347, with a uniform prior), so an audit may go on
// label by label and stop whenever it likes.
import { logGamma } from './intervals.js';

export interface AuditSample {
  /** Labels in all, N. */
  population: number;
  /** Looked at so far, drawn uniformly without replacement. */
  audited: number;
  /** Wrong ones among these. */
  errors: number;
}

function logChoose(n: number, k: number): number {
  return logGamma(n + 1) - logGamma(k + 1) - logGamma(n - k + 1);
}

/** The last M from `inside` towards `outside` for which `kept` holds; it holds at `inside`, and never again once it fails. */
function lastKept(inside: number, outside: number, kept: (wrong: number) => boolean): number {
  if (kept(outside)) return outside;
  let [yes, no] = [inside, outside];
  while (Math.abs(no - yes) > 1) {
    const middle = Math.trunc((yes + no) / 2);
    if (kept(middle)) yes = middle;
    else no = middle;
  }
  return yes;
}

/**
 * Least and most wrong labels of the population, as counts: the chance that the true number ever leaves them, over all
 * looks, is ≤ `alpha`, so bounds of earlier looks hold on. M is kept while C(M, s) C(N - M, t - s) / C(N + 1, t + 1), its posterior, is above α / (N + 1).
 * @throws RangeError where the counts do not fit each other or alpha is not between 0 and 1
 */
export function auditBounds({ population, audited, errors }: AuditSample, alpha = 0.05): { lo: number; hi: number } {
  const whole = [population, audited, errors].every((count) => Number.isInteger(count) && count >= 0);
  if (!whole || audited > population || errors > audited || population === 0) {
    throw new RangeError(`${errors} errors among ${audited} of ${population} is no audit`);
  }
  if (!(alpha > 0 && alpha < 1)) throw new RangeError(`alpha ${alpha} is not between 0 and 1`);
  const [least, most] = [errors, population - audited + errors];
  const bar = Math.log(alpha / (population + 1)) + logChoose(population + 1, audited + 1);
  const kept = (wrong: number): boolean =>
    logChoose(wrong, errors) + logChoose(population - wrong, audited - errors) > bar;
  // the posterior rises to here and falls after it; its top is above the prior, so it is always kept
  const top = audited === 0 ? least : Math.floor((errors * (population + 1)) / audited);
  const mode = Math.min(most, Math.max(least, top));
  return { lo: lastKept(mode, least, kept), hi: lastKept(mode, most, kept) };
}
