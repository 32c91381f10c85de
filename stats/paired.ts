// Comparing two models on the same rows, and several comparisons at once.
import { bootstrapInterval, type BootstrapOptions, type Interval, logGamma } from './intervals.js';
import { createRandom } from './prng.js';

/** P(X ≤ k) for X ~ Binomial(n, 1/2). */
function halfBinomialCdf(k: number, n: number): number {
  let sum = 0;
  for (let i = 0; i <= k; i += 1) {
    sum += Math.exp(logGamma(n + 1) - logGamma(i + 1) - logGamma(n - i + 1) - n * Math.LN2);
  }
  return Math.min(1, sum);
}

/**
 * Exact two-sided McNemar test (1947): `onlyFirst` rows only the first model has right, `onlySecond` only the second.
 * p = min(1, 2 P(X ≤ min)) with X ~ Binomial(onlyFirst + onlySecond, 1/2); 1 where the models never differ.
 */
export function mcNemar(onlyFirst: number, onlySecond: number): number {
  const n = onlyFirst + onlySecond;
  return n === 0 ? 1 : Math.min(1, 2 * halfBinomialCdf(Math.min(onlyFirst, onlySecond), n));
}

export interface RandomisationOptions {
  seed: number;
  /** Default 4,999: p in steps of 1/5,000. */
  repetitions?: number;
}

/** Two sums that differ by no more than rounding are ties, which count against a difference. */
const tieShare = 1e-12;

function atLeast(value: number, observed: number): boolean {
  return value >= observed - Math.abs(observed) * tieShare;
}

/**
 * Two-sided sign-flip test that paired differences (such as loss of one model minus loss of the other) have mean 0
 * (Good 2005, §3.2). p = (1 + draws at least as extreme) / (1 + draws), never 0 (Phipson & Smyth 2010).
 */
export function signFlip(differences: ArrayLike<number>, { seed, repetitions = 4999 }: RandomisationOptions): number {
  const random = createRandom(seed);
  const values = Float64Array.from(differences);
  const observed = Math.abs(values.reduce((sum, value) => sum + value, 0));
  let extreme = 0;
  for (let draw = 0; draw < repetitions; draw += 1) {
    let sum = 0;
    for (let i = 0, bits = 0; i < values.length; i += 1) {
      if (i % 32 === 0) bits = random.bits();
      const value = values[i] ?? 0;
      sum += bits & 1 ? value : -value;
      bits >>>= 1;
    }
    if (atLeast(Math.abs(sum), observed)) extreme += 1;
  }
  return (1 + extreme) / (1 + repetitions);
}

export interface SwapOptions extends RandomisationOptions {
  /** Rows. */
  n: number;
  /** The difference of the measure where the two models' answers are swapped in the rows marked 1. */
  difference: (swapped: Uint8Array) => number;
}

/** Randomisation test for measures that are no means (macro F1, RMSE, R²): answers are swapped between models row by row. */
export function swapTest({ n, difference, seed, repetitions = 4999 }: SwapOptions): number {
  const random = createRandom(seed);
  const swapped = new Uint8Array(n);
  const observed = Math.abs(difference(swapped));
  if (!Number.isFinite(observed)) return 1;
  let extreme = 0;
  for (let draw = 0; draw < repetitions; draw += 1) {
    for (let i = 0; i < n; i += 1) swapped[i] = random.bits() >>> 31;
    if (atLeast(Math.abs(difference(swapped)), observed)) extreme += 1;
  }
  return (1 + extreme) / (1 + repetitions);
}

export interface PairedComparison extends Interval {
  /** First minus second. */
  value: number;
  p: number;
}

/** First minus second accuracy, with a bootstrap interval over rows and McNemar's p. Arrays are 1 where the row is right. */
export function compareAccuracy(
  first: ArrayLike<number>,
  second: ArrayLike<number>,
  options: Pick<BootstrapOptions, 'seed' | 'repetitions'>,
): PairedComparison {
  const differences = Float64Array.from({ length: first.length }, (_, i) => (first[i] ?? 0) - (second[i] ?? 0));
  const onlyFirst = differences.filter((difference) => difference > 0).length;
  const onlySecond = differences.filter((difference) => difference < 0).length;
  return { ...meanDifference(differences, options), p: mcNemar(onlyFirst, onlySecond) };
}

/** First minus second mean loss, with a bootstrap interval over rows and the sign-flip p. */
export function compareLosses(
  first: ArrayLike<number>,
  second: ArrayLike<number>,
  options: Pick<BootstrapOptions, 'seed' | 'repetitions'>,
): PairedComparison {
  const differences = Float64Array.from({ length: first.length }, (_, i) => (first[i] ?? NaN) - (second[i] ?? NaN));
  return { ...meanDifference(differences, options), p: signFlip(differences, options) };
}

function meanDifference(
  differences: Float64Array,
  options: Pick<BootstrapOptions, 'seed' | 'repetitions'>,
): Interval & { value: number } {
  const n = differences.length;
  const value = n === 0 ? NaN : differences.reduce((sum, difference) => sum + difference, 0) / n;
  const statistic = (rows: Uint32Array): number => {
    let sum = 0;
    for (const row of rows) sum += differences[row] ?? 0;
    return sum / n;
  };
  const interval = bootstrapInterval({ n, statistic, ...options });
  return { value, lo: interval?.lo ?? NaN, hi: interval?.hi ?? NaN };
}

/** Holm's step-down correction (1979) of several p-values, in the order given: adjusted ones keep the error over all at α. */
export function holm(pValues: readonly number[]): number[] {
  const order = pValues.map((p, index) => ({ p, index })).sort((a, b) => a.p - b.p);
  const adjusted = new Array<number>(pValues.length).fill(1);
  let highest = 0;
  order.forEach(({ p, index }, rank) => {
    highest = Math.max(highest, Math.min(1, (pValues.length - rank) * p));
    adjusted[index] = highest;
  });
  return adjusted;
}
