// How unsure a model is of one item, from its class probabilities. Formulas as in modAL's `uncertainty` module and
// Settles, Active Learning Literature Survey (2009), §3.1. Probabilities are given as they are, not normalised again.

/** 1 - max p, in [0, 1]: ask where it is largest. 1 for no classes (modAL's answer of an unfitted model). */
export function leastConfidence(probabilities: readonly number[]): number {
  return probabilities.length === 0 ? 1 : 1 - Math.max(...probabilities);
}

/** Largest minus second largest p, in [0, 1]: ask where it is smallest. 0 with fewer than two classes, NaN where one of them is. */
export function margin(probabilities: readonly number[]): number {
  if (probabilities.length < 2) return 0;
  let [first, second] = [-Infinity, -Infinity];
  for (const p of probabilities) {
    if (Number.isNaN(p)) return NaN;
    if (p > first) [first, second] = [p, first];
    else if (p > second) second = p;
  }
  return first - second;
}

/** -Σ p ln p in nats, 0 ln 0 = 0, in [0, ln K]: ask where it is largest. */
export function entropy(probabilities: readonly number[]): number {
  let sum = 0;
  for (const p of probabilities) if (p > 0) sum -= p * Math.log(p);
  return sum;
}
