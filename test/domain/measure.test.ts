import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  allClasses,
  type Answers,
  answersOf,
  compareAnswers,
  measureOne,
  metricNames,
  metricOf,
  rowsOf,
} from '../../domain/measure.js';
import { mostWrong, wrongRows } from '../../domain/wrong-row.js';
import { onRows } from '../../domain/resample.js';
import { createRandom } from '../../stats/prng.js';

/** Random answers of a model that is right about two times in three. */
function answers(task: 'classification' | 'regression', n: number, seed: number): Answers {
  const random = createRandom(seed);
  const noise = () => random.uniform();
  const truth = Float64Array.from({ length: n }, () => (task === 'regression' ? noise() : Math.floor(noise() * 3)));
  if (task === 'regression') {
    const predicted = truth.map((value) => value + noise() - 0.5);
    return { task, classes: [], truth, predicted, probabilities: new Float64Array(0) };
  }
  const predicted = truth.map((value) => (noise() < 0.66 ? value : Math.floor(noise() * 3)));
  const probabilities = Float64Array.from({ length: 3 * n }, (_, i) =>
    predicted[Math.floor(i / 3)] === i % 3 ? 0.8 : 0.1,
  );
  return { task, classes: ['a', 'b', 'c'], truth, predicted, probabilities };
}

test.each(['classification', 'regression'] as const)(
  'a metric on drawn rows is the metric of those rows: %s',
  (task) => {
    const all = answers(task, 40, 1);
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 39 }), { minLength: 2, maxLength: 60 }), (rows) => {
        for (const name of metricNames(task)) {
          expect(onRows(name, all)(rows)).toBeCloseTo(metricOf(name, rowsOf(all, rows)), 10);
        }
      }),
    );
  },
);

test('an interval holds its value; the same seed gives the same one', () => {
  const all = answers('classification', 200, 2);
  for (const name of metricNames('classification')) {
    const one = measureOne(name, all, 5);
    expect(one).toEqual(measureOne(name, all, 5));
    expect(one.lo).toBeLessThanOrEqual(one.value ?? NaN);
    expect(one.hi).toBeGreaterThanOrEqual(one.value ?? NaN);
    expect(one.n).toBe(200);
  }
});

test('a model compared with itself does not differ; one that is right differs from one that guesses', () => {
  const guess = answers('classification', 300, 3);
  const right: Answers = { ...guess, predicted: guess.truth };
  for (const name of ['accuracy', 'macroF1'] as const) {
    expect(compareAnswers(name, guess, guess, 1)).toMatchObject({ value: 0, p: 1 });
    const { value, p } = compareAnswers(name, right, guess, 1);
    expect(value).toBeGreaterThan(0.1);
    expect(p).toBeLessThan(0.01);
  }
  const far = answers('regression', 300, 4);
  const near: Answers = { ...far, predicted: far.truth.map((value) => value + 0.01) };
  for (const name of ['rmse', 'mae', 'r2'] as const) expect(compareAnswers(name, near, far, 1).p).toBeLessThan(0.01);
});

test('answers are written on one scale: classes that a model does not know have probability 0', () => {
  const classes = allClasses(['b', 'd'], ['a', 'b'], ['c']);
  expect(classes).toEqual(['a', 'b', 'c', 'd']);
  const outputs = { label: ['b', 'a'], probabilities: Float32Array.from([0.25, 0.75, 0.5, 0.5]) };
  const read = answersOf('classification', ['b', 'd'], outputs, ['a', 'b'], classes);
  expect([...read.truth]).toEqual([1, 3]);
  expect([...read.predicted]).toEqual([1, 0]);
  expect([...read.probabilities]).toEqual([0.25, 0.75, 0, 0, 0.5, 0.5, 0, 0]);
});

test('wrong rows: the surest mistakes first, at most a thousand, none of a regression', () => {
  const all = answers('classification', 5_000, 3);
  const keys = all.classes.length === 3 ? Array.from(all.truth, (_, row) => `k${row}`) : [];
  const wrong = wrongRows(all, keys);
  expect(wrong).toHaveLength(mostWrong);
  for (const { key, label, predicted, probability } of wrong) {
    const row = Number(key.slice(1));
    expect([label, predicted]).toEqual([all.classes[all.truth[row]!], all.classes[all.predicted[row]!]]);
    expect(label).not.toBe(predicted);
    expect(probability).toBe(0.8);
  }
  all.probabilities[3 * 4_999 + all.predicted[4_999]!] = 0.9;
  all.truth[4_999] = (all.predicted[4_999]! + 1) % 3;
  expect(wrongRows(all, keys)[0]).toMatchObject({ key: 'k4999', probability: 0.9 });
  expect(wrongRows(answers('regression', 10, 1), keys)).toEqual([]);
});
