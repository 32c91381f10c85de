// How unsure a model is of one item, from its class probabilities. Formulas as in modAL's `uncertainty` module and
// Settles, Active Learning Literature Survey (2009), §3.1. Probabilities are given as they are, not normalised again.

/** 1 - max p, in [0, 1]: ask where it is largest. 1 for no classes (modAL's answer of an unfitted model). */
export function leastConfidence(probabilities: ArrayLike<number>): number {
  if (probabilities.length === 0) return 1;
  let most = -Infinity;
  for (let at = 0; at < probabilities.length; at += 1) most = Math.max(most, probabilities[at]!);
  return 1 - most;
}

/** Largest minus second largest p, in [0, 1]: ask where it is smallest. 0 with fewer than two classes, NaN where one of them is. */
export function margin(probabilities: ArrayLike<number>): number {
  if (probabilities.length < 2) return 0;
  let [first, second] = [-Infinity, -Infinity];
  for (let at = 0; at < probabilities.length; at += 1) {
    const p = probabilities[at]!;
    if (Number.isNaN(p)) return NaN;
    if (p > first) [first, second] = [p, first];
    else if (p > second) second = p;
  }
  return first - second;
}

/** -Σ p ln p in nats, 0 ln 0 = 0, in [0, ln K]: ask where it is largest. */
export function entropy(probabilities: ArrayLike<number>): number {
  let sum = 0;
  for (let at = 0; at < probabilities.length; at += 1) {
    const p = probabilities[at]!;
    if (p > 0) sum -= p * Math.log(p);
  }
  return sum;
}
