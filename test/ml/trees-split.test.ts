import { expect, test } from 'vitest';
import type { Bins } from '../../ml/trees/bins.js';
import { hessianUnit, histogramBuilder, slotsOf, subtract } from '../../ml/trees/histogram.js';
import { plainArena } from '../../ml/trees/kernel.js';
import { binRows } from '../../ml/trees/matrix.js';
import { bestSplit, leafOutput, type SplitRules, type Sums } from '../../ml/trees/split.js';
import { memoryRows } from '../../ml/trainers/rows.js';

const free = { low: -Infinity, high: Infinity };
const rules: SplitRules = {
  ...{ minRows: 1, minHessian: 0, minGain: 0, lambda: 1, categorySmoothing: 0 },
  monotone: new Int8Array(2),
};

/** Column 0: numbers in bins up to 1, 2, 3; column 1: category codes 0, 1, 2. */
const bins: Bins = {
  width: 2,
  categorical: Uint8Array.of(0, 1),
  start: Int32Array.of(0, 2, 5),
  edges: Float32Array.of(1, 2, 0, 1, 2),
};

const rowsOf: readonly (readonly [number, number])[] = [
  [1, 2],
  [2, 0],
  [3, 2],
  [NaN, 1],
  [1, 0],
  [3, 1],
];
const g = Float32Array.of(-2, 1, 3, -1, -4, 2);
const halves = Float32Array.of(1, 2, 1, 2, 1, 1).map((hessian) => hessian / 4 / hessianUnit);

async function leafOf(order: number[], given: Float32Array | null) {
  const [h, flat] = [given ?? Float32Array.of(1), given === null];
  const x = Float32Array.from(rowsOf.flat());
  const matrix = await binRows(memoryRows(x, new Float32Array(6), 2), bins, { folder: '.' });
  const builder = histogramBuilder(matrix, bins, plainArena);
  const histogram = new Float64Array(builder.slots.total * 3);
  builder.build(
    { order: Int32Array.from(order), from: 0, to: order.length },
    { g, h, unit: flat ? 1 : hessianUnit },
    Uint8Array.of(1),
    histogram,
  );
  return histogram;
}

const all = [0, 1, 2, 3, 4, 5];

test('a histogram, by hand: gradient, hessian and rows of every bin, missing last', async () => {
  // column 0: bin 0 rows 0 and 4; bin 1 row 1; bin 2 rows 2 and 5; missing row 3
  expect([...(await leafOf(all, halves)).subarray(0, 12)]).toEqual([-6, 0.5, 2, 1, 0.5, 1, 5, 0.5, 2, -1, 0.5, 1]);
  // column 1: code 0 rows 1 and 4; code 1 rows 3 and 5; code 2 rows 0 and 2; no others, none missing
  const second = [...(await leafOf(all, null)).subarray(12)];
  expect(second).toEqual([-3, 2, 2, 1, 2, 2, 1, 2, 2, 0, 0, 0, 0, 0, 0]);
});

test('what is left of a parent is the other child, to the bit', async () => {
  const [parent, left, right] = [
    await leafOf(all, halves),
    await leafOf([0, 3], halves),
    await leafOf([1, 2, 4, 5], halves),
  ];
  subtract(parent, left);
  expect([...parent]).toEqual([...right]);
});

test('sums over more rows than are packed at once are whole', async () => {
  const rows = 200_000;
  const one: Bins = {
    width: 1,
    categorical: new Uint8Array(1),
    start: Int32Array.of(0, 0),
    edges: new Float32Array(0),
  };
  const matrix = await binRows(memoryRows(new Float32Array(rows), new Float32Array(rows), 1), one, { folder: '.' });
  const builder = histogramBuilder(matrix, one, plainArena);
  const histogram = new Float64Array(6);
  const order = Int32Array.from({ length: rows }, (_, row) => row);
  const h = new Float32Array(rows).fill(2 ** 21 - 1);
  builder.build(
    { order, from: 0, to: rows },
    { g: new Float32Array(rows).fill(0.5), h, unit: hessianUnit },
    Uint8Array.of(1),
    histogram,
  );
  expect([...histogram]).toEqual([rows / 2, rows * (2 ** 21 - 1) * hessianUnit, rows, 0, 0, 0]);
});

const sums: Sums = { g: -1, h: 6, rows: 6 };
const search = { bins, slots: slotsOf(bins), rules };

test('gain, by hand: numbers, with missing values on the better side', async () => {
  const histogram = await leafOf(all, null);
  // left {0,4} and missing {3}: G=-7, H=3; right G=6, H=3; own 1/7. 49/4 + 36/4 - 1/7
  const split = bestSplit(search, { histogram, sums, bounds: free }, Int32Array.of(0))!;
  expect(split).toMatchObject({ feature: 0, bin: 0, missingLeft: true, left: { g: -7, h: 3, rows: 3 } });
  expect(split.gain).toBeCloseTo(49 / 4 + 36 / 4 - 1 / 7, 12);
  expect(split.right).toEqual({ g: 6, h: 3, rows: 3 });
});

test('categories: ordered by G/H, one prefix goes left', async () => {
  const histogram = await leafOf(all, null);
  const split = bestSplit(search, { histogram, sums, bounds: free }, Int32Array.of(1))!;
  // {0} against {1,2}: 9/3 + 4/5 - 1/7; codes without rows go with the most rows
  expect(split.gain).toBeCloseTo(9 / 3 + 4 / 5 - 1 / 7, 12);
  expect([...split.set!]).toEqual([1, 0, 0, 0, 0]);
  const smooth = { ...search, rules: { ...rules, categorySmoothing: 2 } };
  const tame = bestSplit(smooth, { histogram, sums, bounds: free }, Int32Array.of(1))!;
  expect(tame.gain).toBeCloseTo(9 / 5 + 4 / 7 - 1 / 7, 12);
});

test('limits: too few rows, too little gain, and a direction that the data goes against', async () => {
  const histogram = await leafOf(all, null);
  const best = (other: Partial<SplitRules>, bounds = free) =>
    bestSplit({ ...search, rules: { ...rules, ...other } }, { histogram, sums, bounds }, Int32Array.of(0));
  expect(best({ minRows: 4 })).toBeNull();
  expect(best({ minHessian: 4 })).toBeNull();
  expect(best({ minGain: 21.2 })).toBeNull();
  expect(best({ minGain: 21 })).not.toBeNull();
  // outputs are -G/(H+1): they fall with column 0 here
  expect(best({ monotone: Int8Array.of(-1, 0) })?.bin).toBe(0);
  // what is left is missing against everything else
  expect(best({ monotone: Int8Array.of(1, 0) })?.bin).toBe(2);
  // held to [-1, 1] both sides: 2·7 - 4·1 + 2·6 - 4·1 - (own 1/7)
  expect(best({}, { low: -1, high: 1 })!.gain).toBeCloseTo(14 - 4 + 12 - 4 - 1 / 7, 12);
});

test('the output of a leaf', () => {
  expect(leafOutput({ g: -6, h: 2, rows: 1 }, 1, free)).toBe(2);
  expect(leafOutput({ g: -6, h: 2, rows: 1 }, 1, { low: 0, high: 0.5 })).toBe(0.5);
  expect(leafOutput({ g: 0, h: 0, rows: 0 }, 0, free)).toBe(0);
});
