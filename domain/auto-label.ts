// Labels by the model alone, with a promise: an error rate of at most `maxError`, but for a chance of 1 - `confidence`.
// Which items get one, which of these people check unknowingly, and when a batch of them is revoked. Pure decisions.
import { auditBounds } from '../stats/audit.js';
import { autoLabelThreshold, leastSample, type ThresholdTest } from '../stats/auto-label.js';
import { createRandom, drawWithout } from '../stats/prng.js';
import { argMax } from '../stats/rank.js';
import { rowsByKey, type ScoredRows } from './scored-rows.js';

export type { ThresholdTest };

export const autoStatuses = ['none', 'landing', 'standing', 'revoked', 'void'] as const;
/**
 * Of an automatic batch. `none`: nothing may be labelled; `landing`: its round's people are not done; `void`: their batch
 * was cancelled.
 */
export type AutoStatus = (typeof autoStatuses)[number];

export interface AutoRules {
  /** r: the error rate that may not be exceeded. */
  maxError: number;
  /** 1 - δ: of the whole campaign, however many batches it labels alone. */
  confidence: number;
  /** Share of the automatic labels that people check. */
  auditShare: number;
}

/**
 * An item that was drawn uniformly (the exploration share) and labelled by people, as a model sees it that was neither
 * trained on it nor chosen by it. The holdout is never among them.
 */
export interface CheckedItem {
  probabilities: readonly number[];
  /** People's label, as an index of the probabilities; -1 for one that the model does not know. */
  label: number;
}

export interface AutoLabel {
  key: string;
  /** Index of the probabilities. */
  label: number;
  confidence: number;
}

export interface AutoPlan {
  /** Null: nothing may be labelled without people. */
  threshold: number | null;
  /** Share of the pool that gets a label. */
  coverage: number;
  /** In key order. */
  labels: AutoLabel[];
  /** Keys of `labels` that people are to check, in the order in which they are to be asked. */
  audit: string[];
  tests: ThresholdTest[];
  /** Fewer checked items than this can show nothing. */
  leastSample: number;
  /** There were as many: this look at them is paid for from the campaign's δ. */
  tested: boolean;
  why: string;
}

/** δ of the n-th automatic batch, from 1: δ / (n (n + 1)), so that all batches together stay within δ. */
export function deltaOf({ confidence }: AutoRules, batch: number): number {
  return (1 - confidence) / (batch * (batch + 1));
}

interface Guess {
  label: number;
  confidence: number;
}

function guessOf(probabilities: ArrayLike<number>): Guess {
  const label = argMax(probabilities);
  return { label, confidence: probabilities[label] ?? NaN };
}

export interface AutoRequest {
  rules: AutoRules;
  /** Number of this automatic batch within the campaign, from 1: every one before it that was tested counts. */
  batch: number;
  /** The unlabelled items as the model sees them. */
  pool: ScoredRows;
  sample: readonly CheckedItem[];
  seed: number;
}

/** What the model labels alone. The same items in any order give the same plan. Throws RangeError for rules outside 0 and 1. */
export function planAutoLabels({ rules, batch, pool, sample, seed }: AutoRequest): AutoPlan {
  const delta = deltaOf(rules, batch);
  const order = rowsByKey(pool.keys);
  const [classes, confidences] = [new Uint32Array(order.length), new Float64Array(order.length)];
  order.forEach((row, place) => {
    const guess = guessOf(pool.probabilities(row) ?? []);
    classes[place] = guess.label;
    confidences[place] = guess.confidence;
  });
  const checked = sample.map(({ probabilities, label }) => ({ ...guessOf(probabilities), truth: label }));
  const { threshold, coverage, tests } = autoLabelThreshold({
    pool: confidences,
    confidences: checked.map(({ confidence }) => confidence),
    wrong: checked.map(({ label, truth }) => (label === truth ? 0 : 1)),
    rate: rules.maxError,
    delta,
  });
  const labels: AutoLabel[] = [];
  confidences.forEach((confidence, place) => {
    if (threshold === null || !(confidence >= threshold)) return;
    labels.push({ key: pool.keys[order[place]!]!, label: classes[place]!, confidence });
  });
  const wanted = Math.min(labels.length, Math.ceil(labels.length * rules.auditShare));
  const audit = drawWithout(createRandom(seed), labels.length, wanted).map((index) => labels[index]!.key);
  const least = leastSample(0, rules.maxError, delta);
  const why = reasonOf(tests, sample.length, least);
  return { threshold, coverage, labels, audit, tests, leastSample: least, tested: sample.length >= least, why };
}

/** Nothing is labelled, since there is nothing to test. */
export function autoPlanWithout(rules: AutoRules, batch: number, why: string): AutoPlan {
  const least = leastSample(0, rules.maxError, deltaOf(rules, batch));
  return { threshold: null, coverage: 0, labels: [], audit: [], tests: [], leastSample: least, tested: false, why };
}

/**
 * Of the checked items those that the model would have labelled alone. Like the labelled rows they leave the pool: what
 * they say of sure items is no word on those that remain.
 */
export function coveredItems<T extends Pick<CheckedItem, 'probabilities'>>(sample: readonly T[], plan: AutoPlan): T[] {
  const { threshold } = plan;
  if (threshold === null) return [];
  return sample.filter(({ probabilities }) => guessOf(probabilities).confidence >= threshold);
}

/** How often people are asked about one item that they leave without an answer; then it counts as a wrong label. */
export const mostTries = 2;

/** Audit items that one round's batch takes beside its own tasks. */
export function auditQuota(batchSize: number): number {
  return Math.max(1, Math.floor(batchSize / 2));
}

function reasonOf(tests: readonly ThresholdTest[], rows: number, least: number): string {
  if (rows < least) return `${rows} checked items can show nothing, ${least} are needed`;
  const passed = tests.filter((test) => test.passed).at(-1);
  if (!passed) return 'even the surest items are wrong too often, or too few of them were checked';
  const { n, errors, upper, threshold } = passed;
  return `${errors} of ${n} checked items from ${threshold.toFixed(4)} on are wrong: at most ${(100 * upper).toFixed(2)} %`;
}

export interface AuditState {
  /** Automatic labels of the batch. */
  population: number;
  /** Checked so far, and the wrong ones among these. */
  audited: number;
  errors: number;
}

export interface AuditVerdict {
  /** Bounds of the error rate; they hold over all looks together. */
  lo: number;
  hi: number;
  /** The rate is above `maxError`: the labels are to be withdrawn. */
  revoked: boolean;
}

/** After each answer of the audit. A batch that keeps the promise is revoked with a chance of at most 1 - `confidence`. */
export function judgeAudit(state: AuditState, { maxError, confidence }: AutoRules): AuditVerdict {
  const { population } = state;
  if (population === 0) return { lo: 0, hi: 0, revoked: false };
  const { lo, hi } = auditBounds(state, 1 - confidence);
  return { lo: lo / population, hi: hi / population, revoked: lo / population > maxError };
}

/** The audit's items among those of the next batch, at places drawn uniformly, so that nobody can tell them apart. */
export function mixAudit<T>(tasks: readonly T[], audit: readonly T[], seed: number): T[] {
  const total = tasks.length + audit.length;
  const places = new Set(drawWithout(createRandom(seed), total, audit.length));
  const [plain, checked] = [tasks.values(), audit.values()];
  return Array.from({ length: total }, (_, place) => (places.has(place) ? checked : plain).next().value as T);
}
