// Confidence intervals: exact for shares of rows (Clopper & Pearson 1934), Wilson's, and the percentile bootstrap for the rest.
import { createRandom } from './prng.js';

export interface Interval {
  lo: number;
  hi: number;
}

/** Lanczos' coefficients, g = 7, n = 9 (Godfrey 2001); relative error below 1e-14 for x > 0. */
const lanczos = [
  0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059,
  12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7,
];

/** ln Γ(x) for x > 0. */
export function logGamma(x: number): number {
  if (x < 0.5) return Math.log(Math.PI / Math.sin(Math.PI * x)) - logGamma(1 - x);
  const z = x - 1;
  let sum = lanczos[0] ?? 0;
  for (let i = 1; i < lanczos.length; i += 1) sum += (lanczos[i] ?? 0) / (z + i);
  const t = z + 7.5;
  return 0.5 * Math.log(2 * Math.PI) + (z + 0.5) * Math.log(t) - t + Math.log(sum);
}

/** The continued fraction of the incomplete beta function by Lentz' method (Numerical Recipes, 3rd ed., §6.4). */
function betaFraction(x: number, a: number, b: number): number {
  const tiny = 1e-300;
  const kept = (value: number): number => (Math.abs(value) < tiny ? tiny : value);
  let c = 1;
  let d = 1 / kept(1 - ((a + b) * x) / (a + 1));
  let result = d;
  for (let m = 1; m <= 10_000; m += 1) {
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 / kept(1 + even * d);
    c = kept(1 + even / c);
    result *= d * c;
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / kept(1 + odd * d);
    c = kept(1 + odd / c);
    result *= d * c;
    if (Math.abs(d * c - 1) < 1e-15) break;
  }
  return result;
}

/** Regularised incomplete beta function I_x(a, b): the chance that a Beta(a, b) variable is ≤ x. a, b > 0. */
export function betaCdf(x: number, a: number, b: number): number {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  const front = Math.exp(logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log1p(-x));
  return x < (a + 1) / (a + b + 2) ? (front * betaFraction(x, a, b)) / a : 1 - (front * betaFraction(1 - x, b, a)) / b;
}

/** The x with I_x(a, b) = p, by halving [0, 1] to the last bit. */
export function betaQuantile(p: number, a: number, b: number): number {
  if (p <= 0) return 0;
  if (p >= 1) return 1;
  let lo = 0;
  let hi = 1;
  for (let i = 0; i < 1100; i += 1) {
    const middle = (lo + hi) / 2;
    if (middle === lo || middle === hi) break;
    if (betaCdf(middle, a, b) < p) lo = middle;
    else hi = middle;
  }
  return (lo + hi) / 2;
}

function checkCounts(hits: number, n: number): void {
  const fits = Number.isInteger(hits) && Number.isInteger(n) && hits >= 0 && hits <= n;
  if (!fits) throw new RangeError(`${hits} of ${n} is no count`);
}

/** Exact two-sided interval for a share; covers at least `level`. (0, 1) without rows. */
export function clopperPearson(hits: number, n: number, level = 0.95): Interval {
  checkCounts(hits, n);
  const tail = (1 - level) / 2;
  return {
    lo: hits === 0 ? 0 : betaQuantile(tail, hits, n - hits + 1),
    hi: hits === n ? 1 : betaQuantile(1 - tail, hits + 1, n - hits),
  };
}

/** One-sided exact upper bound of a share: P(share > bound) ≤ 1 - level. */
export function clopperPearsonUpper(hits: number, n: number, level = 0.95): number {
  checkCounts(hits, n);
  return hits === n ? 1 : betaQuantile(level, hits + 1, n - hits);
}

/** One-sided exact lower bound of a share: P(share < bound) ≤ 1 - level. */
export function clopperPearsonLower(hits: number, n: number, level = 0.95): number {
  checkCounts(hits, n);
  return hits === 0 ? 0 : betaQuantile(1 - level, hits, n - hits + 1);
}

/** Wilson's score interval (1927) for a share; `z` 1.96 for 95 %. (0, 1) without rows. */
export function wilson(hits: number, n: number, z = 1.959963984540054): Interval {
  checkCounts(hits, n);
  if (n === 0) return { lo: 0, hi: 1 };
  const share = hits / n;
  const square = (z * z) / n;
  const centre = (share + square / 2) / (1 + square);
  const half = (z / (1 + square)) * Math.sqrt((share * (1 - share)) / n + square / (4 * n));
  return { lo: Math.max(0, centre - half), hi: Math.min(1, centre + half) };
}

/** Linear interpolation between order statistics (Hyndman & Fan's type 7, numpy's default). `sorted` ascending, not empty. */
export function quantile(sorted: ArrayLike<number>, p: number): number {
  const place = Math.min(1, Math.max(0, p)) * (sorted.length - 1);
  const below = Math.floor(place);
  const low = sorted[below] ?? NaN;
  const high = sorted[Math.min(sorted.length - 1, below + 1)] ?? NaN;
  return low + (high - low) * (place - below);
}

export interface BootstrapOptions {
  /** Rows. */
  n: number;
  /** The measure on the rows of these indexes (some more than once); not finite draws are left out. */
  statistic: (rows: Uint32Array) => number;
  seed: number;
  /** Default 2,000. */
  repetitions?: number;
  /** Default 0.95. */
  level?: number;
}

/** Percentile bootstrap (Efron & Tibshirani 1993, §13.3). The same seed gives the same interval; null without finite draws. */
export function bootstrapInterval({
  n,
  statistic,
  seed,
  repetitions = 2000,
  level = 0.95,
}: BootstrapOptions): Interval | null {
  const random = createRandom(seed);
  const rows = new Uint32Array(n);
  const draws: number[] = [];
  if (n === 0) return null;
  for (let draw = 0; draw < repetitions; draw += 1) {
    for (let i = 0; i < n; i += 1) rows[i] = random.below(n);
    const value = statistic(rows);
    if (Number.isFinite(value)) draws.push(value);
  }
  if (draws.length === 0) return null;
  const sorted = Float64Array.from(draws).sort();
  return { lo: quantile(sorted, (1 - level) / 2), hi: quantile(sorted, (1 + level) / 2) };
}
