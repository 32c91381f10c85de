// From which confidence on a model may label alone: the largest set {confidence ≥ t} that is shown to have an error rate
// of at most r, wrong with a chance of at most δ. Fixed-sequence testing of one-sided Clopper-Pearson bounds
// (Angelopoulos et al. 2021, Learn then Test, arXiv 2110.01052; Clopper & Pearson 1934).
import { betaCdf, clopperPearsonUpper } from './intervals.js';
import { highestFirst } from './rank.js';

/** Whether the one-sided upper bound of `errors` of `n` at level 1 - `delta` is at most `rate`. */
function shown(errors: number, n: number, { rate, delta }: { rate: number; delta: number }): boolean {
  return n > errors && betaCdf(rate, errors + 1, n - errors) >= 1 - delta;
}

function checkPromise(rate: number, delta: number): void {
  for (const share of [rate, delta]) {
    if (!(share > 0 && share < 1)) throw new RangeError(`${share} is not between 0 and 1`);
  }
}

/**
 * Least number of checked labels that, with `errors` wrong ones among them, shows an error rate of at most `rate` at level
 * 1 - `delta`; without errors ⌈ln δ / ln(1 - r)⌉. @throws RangeError where rate or delta is not between 0 and 1
 */
export function leastSample(errors: number, rate: number, delta = 0.05): number {
  checkPromise(rate, delta);
  let [no, yes] = [errors, Math.max(1, 2 * errors)];
  while (!shown(errors, yes, { rate, delta })) [no, yes] = [yes, 2 * yes];
  while (yes - no > 1) {
    const middle = Math.floor((no + yes) / 2);
    if (shown(errors, middle, { rate, delta })) yes = middle;
    else no = middle;
  }
  return yes;
}

export interface AutoLabelOptions {
  /** The model's confidence in its label for each item of the unlabelled pool. They alone fix the thresholds. */
  pool: ArrayLike<number>;
  /** The same for the rows of a random sample labelled by people, used neither for training nor for choosing what to ask. */
  confidences: ArrayLike<number>;
  /** 1 where the model's label of that row is wrong, else 0. */
  wrong: ArrayLike<number>;
  /** r: the error rate that may not be exceeded, such as 0.05. */
  rate: number;
  /** δ: the accepted chance that it is. For a threshold per class: their rows alone, and δ / classes. */
  delta: number;
}

export interface ThresholdTest {
  threshold: number;
  /** Rows of the sample with at least this confidence, and the wrong ones among them. */
  n: number;
  errors: number;
  /** Upper bound of the error rate at level 1 - δ. */
  upper: number;
  passed: boolean;
}

export interface AutoLabelThreshold {
  /** Label alone from here on; null: nothing may be labelled without people. */
  threshold: number | null;
  /** Share of the pool at or above it. */
  coverage: number;
  /** All tests in their order; only the last one may have failed. */
  tests: ThresholdTest[];
}

/** How much larger the share of the pool is with each test. */
const step = 1.15;

/** Falling confidences of the pool at growing shares: first where about 2 n_min rows of the sample are expected. */
function thresholds(pool: Float64Array, sample: number, first: number): number[] {
  const found: number[] = [];
  for (let share = Math.min(1, first / sample); pool.length > 0; share = Math.min(1, share * step)) {
    const threshold = pool[pool.length - Math.max(1, Math.round(share * pool.length))]!;
    if (threshold !== found.at(-1)) found.push(threshold);
    if (share === 1) break;
  }
  return found;
}

/**
 * Tests falling thresholds until the first failure; the last that passed is the answer. The chance that the true error
 * rate of what is labelled exceeds `rate` is at most `delta`: the order of tests is fixed before the sample is looked at,
 * so nothing is paid for their number.
 * @throws RangeError where rate or delta is not between 0 and 1, or the columns have unequal lengths
 */
export function autoLabelThreshold({ pool, confidences, wrong, rate, delta }: AutoLabelOptions): AutoLabelThreshold {
  const rows = confidences.length;
  if (wrong.length !== rows) throw new RangeError(`${rows} confidences and ${wrong.length} marks`);
  // an item without a number is never labelled alone; sorting would put it above all others
  const sorted = Float64Array.from(pool)
    .filter((confidence) => !Number.isNaN(confidence))
    .sort();
  const order = highestFirst(confidences);
  const tests: ThresholdTest[] = [];
  let [n, errors] = [0, 0];
  let passed: number | null = null;
  for (const threshold of thresholds(sorted, rows, 2 * leastSample(0, rate, delta))) {
    for (; n < rows && confidences[order[n]!]! >= threshold; n += 1) if (wrong[order[n]!]) errors += 1;
    const upper = clopperPearsonUpper(errors, n, 1 - delta);
    tests.push({ threshold, n, errors, upper, passed: shown(errors, n, { rate, delta }) });
    if (!tests.at(-1)!.passed) break;
    passed = threshold;
  }
  const covered = passed === null ? 0 : sorted.reduce((sum, confidence) => sum + (confidence >= passed ? 1 : 0), 0);
  return { threshold: passed, coverage: pool.length === 0 ? 0 : covered / pool.length, tests };
}
