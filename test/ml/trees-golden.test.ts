// Values of LightGBM 4.7.0 (numpy 2.4.6) on the table below: num_leaves 5, learning_rate 0.2, 4 rounds, min_data_in_bin 1,
// min_data_in_leaf 5 and min_sum_hessian_in_leaf 0.001 (multiclass: 1 and 1.0), num_threads 1; raw scores of the first 8 rows.
// minRows is 1 for multiclass because LightGBM estimates the rows of a bin from its hessian, and ours are counted.
import { expect, test } from 'vitest';
import { importanceOf, scoresOf } from '../../ml/trees/model.js';
import { numbers } from './support.js';
import { grown, type Table } from './trees.support.js';

const [rows, width] = [80, 3];

/** Quarters in [-5, 5], every ninth value of column 1 missing; targets in eighths. */
function golden(): { x: Float32Array; y: number[] } {
  const x = Float32Array.from(numbers(11, rows * width), (value) => Math.round(value * 20) / 4);
  for (let row = 0; row < rows; row += 9) x[row * width + 1] = NaN;
  const noise = numbers(12, rows);
  const y = noise.map((error, row) => {
    const [a, b, c] = [...x.subarray(row * width, row * width + width)] as [number, number, number];
    const square = Number.isNaN(b) ? 1.5 : b;
    return Math.round((3 * a - square * square + a * c + error) * 8) / 8;
  });
  return { x, y };
}

/** numpy's default: linear between the neighbours. */
function quantile(values: number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const at = share * (sorted.length - 1);
  const [low, high] = [sorted[Math.floor(at)]!, sorted[Math.ceil(at)]!];
  return low + (high - low) * (at - Math.floor(at));
}

const { x, y } = golden();
const params = { rounds: 4, leaves: 5, learningRate: 0.2, minRows: 5 };

function expectNear(found: number[], wanted: number[], digits: number): void {
  expect(found).toHaveLength(wanted.length);
  found.forEach((value, i) => expect(value).toBeCloseTo(wanted[i]!, digits));
}

async function learnt(targets: number[], outputs: number, more = {}) {
  const data: Table = { x, y: Float32Array.from(targets), width, outputs };
  const model = await grown(data, { params: { ...params, ...more } });
  const { mean, scale } = model.target;
  const first = [...scoresOf(model, x.subarray(0, 8 * width))].map((score) => score * scale + mean);
  const { gain, splits } = importanceOf(model);
  return { first, splits: [...splits], gain: [...gain].map((one) => one * scale * scale) };
}

test('regression', async () => {
  const { first, splits, gain } = await learnt(y, 1);
  const scores = [-10.881678, -25.961544, -10.527134, -10.881678, -10.734041, -2.322699, -6.821939, -9.497144];
  expectNear(first, scores, 4);
  expect(splits).toEqual([7, 2, 7]);
  expectNear(gain, [19552.9092, 1551.321, 9946.3589], 1);
});

test('two classes', async () => {
  const median = quantile(y, 0.5);
  const { first, splits, gain } = await learnt(
    y.map((value) => (value > median ? 1 : 0)),
    2,
  );
  expectNear(first, [0.837264, -1.260758, 0.304045, -0.221735, 1.330813, 1.223516, 1.223516, -0.345994], 5);
  expect(splits).toEqual([5, 8, 3]);
  expectNear(gain, [52.8835, 62.324, 33.9417], 3);
});

test('three classes', async () => {
  const [low, high] = [quantile(y, 1 / 3), quantile(y, 2 / 3)];
  const targets = y.map((value) => (value >= low ? 1 : 0) + (value >= high ? 1 : 0));
  const { first, splits, gain } = await learnt(targets, 3, { minRows: 1, minHessian: 1 });
  const scores = [
    [-1.797064, -0.241606, -1.346053],
    [-0.167433, -1.62041, -1.749462],
    [-1.363492, -1.243733, -1.346053],
    [-1.44901, -0.241606, -1.346053],
    [-1.629295, -1.200919, -1.749462],
    [-1.745008, -1.200919, -0.038702],
    [-1.745008, -1.502861, -0.038702],
    [-1.745008, 0.06611, -1.815353],
  ];
  expectNear(first, scores.flat(), 5);
  expect(splits).toEqual([15, 16, 17]);
  expectNear(gain, [113.9105, 62.9336, 59.63], 3);
});
