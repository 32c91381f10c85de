// Pseudo-labels: a model's own labels that the next training learns from, with a smaller weight. Which rows get one, from
// which confidence on, and whether a round of them is kept. Pure decisions; the deeds are in activities/labeling/pseudo.ts.
import { autoLabelThreshold, leastSample, type ThresholdTest } from '../stats/auto-label.js';
import { mcNemar } from '../stats/paired.js';
import { argMax } from '../stats/rank.js';
import { pseudoLabels } from '../stats/self-training.js';
import type { CheckedItem } from './auto-label.js';
import { rowsByKey, type ScoredRows } from './scored-rows.js';

export interface PseudoRules {
  /** r: the error rate of the pseudo-labels that may not be exceeded. */
  maxError: number;
  /** 1 - δ: how sure that must be. */
  confidence: number;
  /** How much a row with a pseudo-label counts in training; one with a label of people counts 1. */
  weight: number;
  /** Rows of one class at most. */
  perClass: number;
}

export interface PseudoLabelled {
  key: string;
  label: string;
  confidence: number;
}

export interface PseudoPlan {
  /** Null: no confidence keeps the promise. */
  threshold: number | null;
  /** In key order. */
  labels: PseudoLabelled[];
  /** Checked items, and the last test of the threshold; null where there was none. */
  checked: number;
  test: ThresholdTest | null;
  why: string;
}

export interface PseudoRequest {
  rules: PseudoRules;
  /** In the order of the probabilities. */
  classes: readonly string[];
  pool: ScoredRows;
  /** Uniformly drawn, labelled by people, unseen by the model. */
  sample: readonly CheckedItem[];
}

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

function reasonOf({ maxError, confidence }: PseudoRules, checked: number, test: ThresholdTest | null): string {
  const least = leastSample(0, maxError, 1 - confidence);
  if (checked < least) return `${checked} checked rows can show nothing, ${least} are needed`;
  if (test === null) return 'even the surest rows are wrong too often, or too few of them were checked';
  const { n, errors, threshold, upper } = test;
  return `${errors} of ${n} checked rows from ${threshold.toFixed(4)} on are wrong: at most ${percent(upper)}`;
}

/** Rows of the pool that may learn from the model's label. The same items in any order give the same plan. */
export function planPseudoLabels({ rules, classes, pool, sample }: PseudoRequest): PseudoPlan {
  const { maxError, confidence, perClass } = rules;
  const width = classes.length;
  const ordered = rowsByKey(pool.keys).filter((row) => pool.probabilities(row)?.length === width);
  const probabilities = new Float64Array(ordered.length * width);
  ordered.forEach((row, place) => probabilities.set(pool.probabilities(row)!, place * width));
  const sureOf = (own: ArrayLike<number>) => own[argMax(own)] ?? NaN;
  const { threshold, tests } = autoLabelThreshold({
    pool: Float64Array.from(ordered, (row) => sureOf(pool.probabilities(row)!)),
    confidences: sample.map((item) => sureOf(item.probabilities)),
    wrong: sample.map((item) => (argMax(item.probabilities) === item.label ? 0 : 1)),
    ...{ rate: maxError, delta: 1 - confidence },
  });
  const test = tests.filter(({ passed }) => passed).at(-1) ?? null;
  const why = reasonOf(rules, sample.length, test);
  if (threshold === null) return { threshold, labels: [], checked: sample.length, test, why };
  const picked = pseudoLabels(probabilities, { classes: width, threshold, perClass });
  picked.sort((a, b) => a.row - b.row);
  const labels = picked.map(({ row, label, confidence: sure }) => {
    return { key: pool.keys[ordered[row]!]!, label: classes[label]!, confidence: sure };
  });
  return { threshold, labels, checked: sample.length, test, why };
}

/** Rows of the validation part with a label of people, and those that only one of two models names right. */
export interface PseudoGuard {
  rows: number;
  onlyWith: number;
  onlyWithout: number;
  /** Two-sided exact McNemar test; 1 where the models never differ. */
  p: number;
}

export interface PseudoVerdict {
  kept: boolean;
  guard: PseudoGuard;
  why: string;
}

/** Fewer rows hardly show a harm: it takes six that one model alone has wrong for p ≤ 0.05. */
export const leastGuardRows = 50;

/**
 * Kept where they cost no row; p says how sure that is. To keep them until they are significantly worse would take harm
 * for granted that few rows cannot show: `npm run bench -- pseudo-labels`.
 * `withLabels` and `without`: per row whether the model is right that learnt from the pseudo-labels, or that did not.
 */
export function judgePseudoLabels(withLabels: readonly boolean[], without: readonly boolean[]): PseudoVerdict {
  const rows = withLabels.length;
  const onlyWith = withLabels.filter((right, row) => right && !without[row]).length;
  const onlyWithout = without.filter((right, row) => right && !withLabels[row]).length;
  const guard = { rows, onlyWith, onlyWithout, p: mcNemar(onlyWith, onlyWithout) };
  if (rows < leastGuardRows) {
    const why = `the validation part has ${rows} rows with a label of people, ${leastGuardRows} are needed to judge`;
    return { kept: false, guard, why };
  }
  const told = `of ${rows} rows of the validation part ${onlyWith} are right only with them, ${onlyWithout} only without`;
  return { kept: onlyWith >= onlyWithout, guard, why: `${told} (p = ${guard.p.toPrecision(2)})` };
}

/** What a label step says of its pseudo-labels: in its result, in the run's events, and in words in its summary. */
export interface PseudoReport {
  /** The version has them. */
  kept: boolean;
  /** Rows that got one, or would have. */
  labels: number;
  weight: number;
  threshold: number | null;
  checked: number;
  /** Of the checked rows from the threshold on; null where nothing was shown. */
  errors: { n: number; wrong: number; upper: number } | null;
  /** Null where there was nothing to judge. */
  guard: PseudoGuard | null;
  why: string;
}

export function pseudoReport({ weight }: PseudoRules, plan: PseudoPlan, verdict: PseudoVerdict | null): PseudoReport {
  const { threshold, labels, checked, test } = plan;
  return {
    ...{ kept: verdict?.kept ?? false, labels: labels.length, weight, threshold, checked },
    errors: test && { n: test.n, wrong: test.errors, upper: test.upper },
    guard: verdict?.guard ?? null,
    why: verdict ? `${plan.why}; ${verdict.why}` : plan.why,
  };
}

export function pseudoSummary({ kept, labels, weight, why }: PseudoReport): string {
  if (labels === 0) return `no pseudo-label: ${why}`;
  return `${labels} pseudo-labels of weight ${weight} ${kept ? 'kept' : 'undone'}: ${why}`;
}
