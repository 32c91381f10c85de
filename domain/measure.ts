// From a model's answers on the holdout to metrics, intervals, reports and paired comparisons. Pure; seeds are given.
import { accuracy, classScores, confusionMatrix, logLoss, logLosses, macroF1 } from '../stats/classification.js';
import { expectedCalibrationError } from '../stats/calibration.js';
import { bootstrapInterval, clopperPearson } from '../stats/intervals.js';
import { compareAccuracy, compareLosses, type PairedComparison, swapTest } from '../stats/paired.js';
import { mae, r2, rmse } from '../stats/regression.js';
import { brierScore, withoutTemperature } from '../stats/temperature.js';
import type { Task } from './dataset.js';
import type { CalibrationReport, ClassReport, Confusion, MeasuredMetric, ProbabilityReport } from './evaluation.js';
import { Failure } from './failures.js';
import type { Calibration, ModelOutputs } from './model.js';
import { onRows } from './resample.js';
import { classificationMetrics, type MetricName, regressionMetrics } from './pipeline.js';

/** A model's answers beside the truth. Classification: indexes into `classes`; regression: values. */
export interface Answers {
  task: Task;
  classes: string[];
  truth: Float64Array;
  predicted: Float64Array;
  /** Row-major rows x classes; empty for regression. */
  probabilities: Float64Array;
}

/** Every class that the models know or the labels have, sorted, so that all answers are written on one scale. */
export function allClasses(labels: readonly string[], ...known: readonly (readonly string[])[]): string[] {
  return [...new Set([...known.flat(), ...labels])].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
}

/** Classification: `own` is the order of the model's probabilities; a class that it does not know has probability 0. */
export function answersOf(
  task: Task,
  labels: readonly string[],
  outputs: ModelOutputs,
  own: readonly string[],
  classes: string[],
): Answers {
  const rows = labels.length;
  if (task === 'regression') {
    const truth = Float64Array.from(labels, Number);
    return {
      task,
      classes: [],
      truth,
      predicted: Float64Array.from(outputs.value ?? []),
      probabilities: new Float64Array(0),
    };
  }
  const index = new Map(classes.map((label, place) => [label, place]));
  const probabilities = new Float64Array(rows * classes.length);
  const given = outputs.probabilities ?? new Float32Array(0);
  for (let row = 0; row < rows; row += 1) {
    own.forEach((label, place) => {
      probabilities[row * classes.length + (index.get(label) ?? 0)] = given[row * own.length + place] ?? NaN;
    });
  }
  const stranger = outputs.label?.find((label) => !index.has(label));
  if (stranger !== undefined) {
    throw new Failure(
      'CommandModelOutputs',
      `the model answered "${stranger.slice(0, 100)}", which is none of its classes`,
    );
  }
  const indexes = (texts: readonly string[]) => Float64Array.from(texts, (text) => index.get(text) ?? -1);
  return { task, classes, truth: indexes(labels), predicted: indexes(outputs.label ?? []), probabilities };
}

/** The rows of the given numbers, repeats included. */
export function rowsOf(answers: Answers, rows: ArrayLike<number>): Answers {
  const { classes, task } = answers;
  const width = classes.length;
  const pick = (from: Float64Array) => Float64Array.from({ length: rows.length }, (_, i) => from[rows[i] ?? 0] ?? NaN);
  const probabilities = new Float64Array(rows.length * (answers.probabilities.length === 0 ? 0 : width));
  for (let i = 0; i < rows.length && probabilities.length > 0; i += 1) {
    const start = (rows[i] ?? 0) * width;
    probabilities.set(answers.probabilities.subarray(start, start + width), i * width);
  }
  return { task, classes, truth: pick(answers.truth), predicted: pick(answers.predicted), probabilities };
}

export function metricNames(task: Task): readonly MetricName[] {
  return task === 'classification' ? classificationMetrics : regressionMetrics;
}

/** One metric; NaN where it is not defined (no rows). */
export function metricOf(name: MetricName, { truth, predicted, probabilities, classes }: Answers): number {
  switch (name) {
    case 'accuracy':
      return accuracy(truth, predicted);
    case 'macroF1':
      return macroF1(truth, predicted, classes.length);
    case 'logLoss':
      return logLoss(truth, probabilities, classes.length);
    case 'rmse':
      return rmse(truth, predicted);
    case 'mae':
      return mae(truth, predicted);
    case 'r2':
      return r2(truth, predicted);
  }
}

export function metricsOf(answers: Answers): Record<string, number> {
  return Object.fromEntries(metricNames(answers.task).map((name) => [name, metricOf(name, answers)]));
}

/** Fewer draws on many rows, where intervals are narrow anyway: about 5 million row visits, never under 40 draws. */
function drawsFor(n: number, most: number): number {
  return Math.max(Math.min(40, most), Math.min(most, Math.floor(5e6 / Math.max(1, n))));
}

const finite = (value: number): number | null => (Number.isFinite(value) ? value : null);

/** One metric with its 95 % interval: exact for accuracy, percentile bootstrap for the others. */
export function measureOne(name: MetricName, answers: Answers, seed: number, repetitions = 1000): MeasuredMetric {
  const n = answers.truth.length;
  const value = finite(metricOf(name, answers));
  if (value === null) return { value, lo: null, hi: null, n, method: 'none' };
  if (name === 'accuracy') {
    return { value, ...clopperPearson(Math.round(value * n), n), n, method: 'clopper-pearson' };
  }
  const statistic = onRows(name, answers);
  const interval = bootstrapInterval({ n, statistic, seed, repetitions: drawsFor(n, repetitions) });
  return { value, lo: finite(interval?.lo ?? NaN), hi: finite(interval?.hi ?? NaN), n, method: 'bootstrap' };
}

/** How well the probabilities keep their word, at `temperature` and without it; null for a regression. */
export function calibrationReport(answers: Answers, calibration: Calibration | null): CalibrationReport | null {
  if (answers.task === 'regression' || calibration === null) return null;
  const { truth, probabilities, classes } = answers;
  const reportOf = (given: Float64Array): ProbabilityReport => ({
    logLoss: finite(logLoss(truth, given, classes.length)),
    ece: finite(expectedCalibrationError(truth, given, classes.length)),
    brier: finite(brierScore(truth, given, classes.length)),
  });
  const before = withoutTemperature(probabilities, classes.length, calibration.temperature);
  return { ...calibration, before: reportOf(before), after: reportOf(probabilities) };
}

export function confusionOf({ task, truth, predicted, classes }: Answers): Confusion | null {
  return task === 'regression' ? null : { classes, counts: confusionMatrix(truth, predicted, classes.length) };
}

export function classReports(confusion: Confusion | null): ClassReport[] {
  if (!confusion) return [];
  return classScores(confusion.counts).map((scores, index) => ({ label: confusion.classes[index] ?? '', ...scores }));
}

/** First minus second in `metric` on the same rows, with a paired test: exact McNemar, sign flips of losses, or swaps. */
export function compareAnswers(
  metric: MetricName,
  first: Answers,
  second: Answers,
  seed: number,
): PairedComparison & { test: string } {
  const n = first.truth.length;
  const options = { seed, repetitions: drawsFor(n, 1000) };
  const right = (answers: Answers) =>
    Float64Array.from(answers.truth, (truth, i) => (truth === answers.predicted[i] ? 1 : 0));
  const losses = (loss: (answers: Answers) => Float64Array) => ({
    ...compareLosses(loss(first), loss(second), options),
    test: 'sign-flip',
  });
  if (metric === 'accuracy') return { ...compareAccuracy(right(first), right(second), options), test: 'mcnemar' };
  if (metric === 'logLoss')
    return losses(({ truth, probabilities, classes }) => logLosses(truth, probabilities, classes.length));
  if (metric === 'mae')
    return losses(({ truth, predicted }) => truth.map((value, i) => Math.abs(value - (predicted[i] ?? NaN))));
  const value = metricOf(metric, first) - metricOf(metric, second);
  const [ofFirst, ofSecond] = [onRows(metric, first), onRows(metric, second)];
  const statistic = (rows: Uint32Array) => ofFirst(rows) - ofSecond(rows);
  const interval = bootstrapInterval({ n, statistic, ...options }) ?? { lo: NaN, hi: NaN };
  const p = swapTest({ n, difference: swapped(metric, first, second), seed, repetitions: drawsFor(n, 999) });
  return { value, ...interval, p, test: 'swap' };
}

/** The difference of the two models where their answers change places in the rows marked 1. */
function swapped(metric: MetricName, first: Answers, second: Answers): (marks: Uint8Array) => number {
  const n = first.truth.length;
  const joined = (a: Float64Array, b: Float64Array) => Float64Array.from([...a, ...b]);
  const both = onRows(metric, {
    ...first,
    truth: joined(first.truth, second.truth),
    predicted: joined(first.predicted, second.predicted),
  });
  const [one, other] = [new Uint32Array(n), new Uint32Array(n)];
  return (marks) => {
    for (let i = 0; i < n; i += 1) {
      one[i] = marks[i] === 1 ? n + i : i;
      other[i] = marks[i] === 1 ? i : n + i;
    }
    return both(one) - both(other);
  };
}
