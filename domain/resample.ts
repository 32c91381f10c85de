// One metric on many resamples of the same answers: what depends on a row is computed once, a draw only adds up.
import { logLosses } from '../stats/classification.js';
import type { Answers } from './measure.js';
import type { MetricName } from './pipeline.js';

/** The metric on the rows of these numbers (some more than once). */
export type OnRows = (rows: ArrayLike<number>) => number;

function meanOf(values: ArrayLike<number>): OnRows {
  return (rows) => {
    let sum = 0;
    for (let i = 0; i < rows.length; i += 1) sum += values[rows[i] ?? 0] ?? NaN;
    return sum / rows.length;
  };
}

/** Mean F1 over the classes that rows have or predictions name, from counts of hits, labels and predictions. */
function macroF1Of(truth: Float64Array, predicted: Float64Array, classes: number): OnRows {
  const hits = new Float64Array(classes);
  const labels = new Float64Array(classes);
  const named = new Float64Array(classes);
  return (rows) => {
    for (const counts of [hits, labels, named]) counts.fill(0);
    for (let i = 0; i < rows.length; i += 1) {
      const row = rows[i] ?? 0;
      const [t, p] = [truth[row] ?? -1, predicted[row] ?? -1];
      if (t >= 0) labels[t] = (labels[t] ?? 0) + 1;
      if (p >= 0) named[p] = (named[p] ?? 0) + 1;
      if (t === p && t >= 0) hits[t] = (hits[t] ?? 0) + 1;
    }
    let sum = 0;
    let present = 0;
    for (let c = 0; c < classes; c += 1) {
      const both = (labels[c] ?? 0) + (named[c] ?? 0);
      if (both === 0) continue;
      present += 1;
      sum += (2 * (hits[c] ?? 0)) / both;
    }
    return present === 0 ? NaN : sum / present;
  };
}

/** 1 - residual / total sum of squares of the drawn rows; as stats/regression.ts where the truth is constant. */
function r2Of(truth: Float64Array, predicted: Float64Array): OnRows {
  return (rows) => {
    const n = rows.length;
    if (n < 2) return NaN;
    let [sum, residual] = [0, 0];
    for (let i = 0; i < n; i += 1) sum += truth[rows[i] ?? 0] ?? NaN;
    const mean = sum / n;
    let total = 0;
    for (let i = 0; i < n; i += 1) {
      const row = rows[i] ?? 0;
      total += ((truth[row] ?? NaN) - mean) ** 2;
      residual += ((truth[row] ?? NaN) - (predicted[row] ?? NaN)) ** 2;
    }
    if (total === 0) return residual === 0 ? 1 : 0;
    return 1 - residual / total;
  };
}

/** Prepares `metric` for drawing. Cost of a draw: one pass over its rows, without allocation. */
export function onRows(metric: MetricName, { truth, predicted, probabilities, classes }: Answers): OnRows {
  switch (metric) {
    case 'accuracy':
      return meanOf(truth.map((value, i) => (value === predicted[i] ? 1 : 0)));
    case 'macroF1':
      return macroF1Of(truth, predicted, classes.length);
    case 'logLoss':
      return meanOf(logLosses(truth, probabilities, classes.length));
    case 'mae':
      return meanOf(truth.map((value, i) => Math.abs(value - (predicted[i] ?? NaN))));
    case 'rmse': {
      const mean = meanOf(truth.map((value, i) => (value - (predicted[i] ?? NaN)) ** 2));
      return (rows) => Math.sqrt(mean(rows));
    }
    case 'r2':
      return r2Of(truth, predicted);
  }
}
