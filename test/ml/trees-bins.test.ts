import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { binCount, categoryValues, codeOf, fitBins, numberEdges, sampleOf } from '../../ml/trees/bins.js';
import { type Arena, createArena, plainArena } from '../../ml/trees/kernel.js';
import { binRows, rowsOfBlock } from '../../ml/trees/matrix.js';
import { memoryRows } from '../../ml/trainers/rows.js';
import { numbers } from './support.js';
import { bytesOf, grow, table } from './trees.support.js';

const floats = (values: readonly number[]): Float32Array => Float32Array.from(values);

test('few values: a bin each, edges half way between them', () => {
  expect(numberEdges(floats([3, 1, 1, 2, NaN, 1]), 255)).toEqual([1.5, 2.5]);
  expect(numberEdges(floats([7, 7, 7]), 255)).toEqual([]);
  expect(numberEdges(floats([NaN, NaN]), 255)).toEqual([]);
});

test('many values: bins of as many rows as the values allow', () => {
  const ramp = floats(Array.from({ length: 1000 }, (_, i) => i));
  expect(numberEdges(ramp, 4)).toEqual([249.5, 499.5, 749.5]);
  // half of the rows have one value: it takes a bin, and the others share the rest
  const heavy = floats([...Array<number>(500).fill(0), ...Array.from({ length: 500 }, (_, i) => i + 1)]);
  expect(numberEdges(heavy, 3)).toEqual([0.5, 250.5]);
});

test('an edge is at least the lower value and below the upper one, however large, small or near', () => {
  const value = fc.float({ noNaN: true });
  fc.assert(
    fc.property(fc.array(value, { minLength: 1, maxLength: 40 }), fc.integer({ min: 2, max: 20 }), (values, most) => {
      const edges = numberEdges(floats(values), most);
      expect(edges.length).toBeLessThan(most);
      for (let i = 1; i < edges.length; i++) expect(edges[i]!).toBeGreaterThan(edges[i - 1]!);
      const distinct = [...new Set(values.map((one) => one + 0))].sort((a, b) => a - b);
      // every edge tells two neighbouring values apart
      for (const edge of edges) {
        const below = distinct.filter((one) => one <= edge);
        expect(below.length).toBeGreaterThan(0);
        expect(below.length).toBeLessThan(distinct.length);
      }
    }),
  );
  expect(numberEdges(floats([-3e38, 3e38]), 255)).toEqual([0]);
  expect(numberEdges(floats([3e38, Infinity, -Infinity]), 255)).toHaveLength(2);
});

test('categories: the most frequent values have a bin, one more is for all others', async () => {
  expect(categoryValues(floats([5, 5, 2, 9, 9, 9, NaN]), 3)).toEqual([5, 9]);
  const x = floats([5, 5, 2, 9, 9, 9, NaN]);
  const bins = await fitBins(memoryRows(x, new Float32Array(7), 1), { bins: 3, categorical: [0], seed: 1 });
  expect([5, 9, 2, 77, NaN].map((value) => codeOf(bins, 0, value))).toEqual([0, 1, 2, 2, 3]);
  expect(binCount(bins, 0)).toBe(3);
});

test('the sample: ascending rows of equal stretches, a function of rows, count and seed', () => {
  const drawn = sampleOf(1_000_003, 500, 7);
  expect(drawn).toEqual(sampleOf(1_000_003, 500, 7));
  expect(drawn).not.toEqual(sampleOf(1_000_003, 500, 8));
  drawn.forEach((row, i) => {
    expect(row).toBeGreaterThanOrEqual(Math.floor((i * 1_000_003) / 500));
    expect(row).toBeLessThan(Math.floor(((i + 1) * 1_000_003) / 500));
  });
  expect([...sampleOf(4, 4, 1)]).toEqual([0, 1, 2, 3]);
});

test('codes in memory and in a file are the same, and the file has no name', async () => {
  const [rows, width] = [20_000, 6];
  const data = memoryRows(floats(numbers(3, rows * width)), new Float32Array(rows), width);
  const bins = await fitBins(data, { bins: 255, categorical: [], seed: 1 });
  const folder = mkdtempSync(join(tmpdir(), 'trees-'));
  const inMemory = await binRows(data, bins, { folder });
  const inFile = await binRows(data, bins, { folder, memoryWords: 1 });
  try {
    expect(inMemory.blocks).toBe(2);
    expect(readdirSync(folder)).toEqual([]);
    for (let index = 0; index < inMemory.blocks; index++) {
      expect(inFile.block(index)).toEqual(inMemory.block(index));
      expect(inFile.column(index, 1)).toEqual(inMemory.column(index, 1));
    }
    const last = rowsOfBlock(inMemory, 1);
    const word = inMemory.column(1, 1)[last - 1]!;
    const row = new Float32Array(width);
    await data.read(rows - 1, 1, row);
    expect([word & 255, (word >>> 8) & 255]).toEqual([codeOf(bins, 4, row[4]!), codeOf(bins, 5, row[5]!)]);
  } finally {
    inMemory.close();
    inFile.close();
    rmSync(folder, { recursive: true });
  }
});

test('training in memory and out of a file ends in the same bytes', async () => {
  const data = table(20_000, 5, 2);
  const params = { rounds: 3, leaves: 7, subsample: 0.7 };
  const folder = mkdtempSync(join(tmpdir(), 'trees-'));
  const spec = { paths: { x: '', y: '', checkpoint: null, out: folder } };
  const inMemory = await grow(data, { params, spec, validation: table(500, 5, 2) });
  const inFile = await grow(data, { params, spec, validation: table(500, 5, 2), memoryWords: 1 });
  rmSync(folder, { recursive: true });
  expect(bytesOf(inFile.snapshot)).toBe(bytesOf(inMemory.snapshot));
});

test('the WebAssembly loops compute what the plain ones do, to the bit', () => {
  const fast = createArena(1 << 20, 2);
  expect(fast).not.toBe(plainArena);
  const rows = 999;
  const run = (arena: Arena, from: number, to: number, h: number[]) => {
    const fill = <T extends Int32Array | Float32Array>(array: T, make: (i: number) => number): T => {
      array.forEach((_, i) => (array[i] = make(i)));
      return array;
    };
    const drawn = numbers(5, rows * 2);
    const words = fill(arena.ints(rows * 2), (i) => Math.floor(drawn[i]! * 2 ** 31));
    const order = fill(arena.ints(600), (i) => i + Math.floor(i / 2));
    const gradients = numbers(6, rows);
    const g = fill(arena.floats(rows), (i) => gradients[i]!);
    const pairs = arena.doubles(1200);
    const sums = arena.doubles(2 * 2048);
    const groups = Int32Array.of(0, 0, 256, 512, 768, rows, 1024, 1280, 1536, 1792);
    const span = { order, from, to };
    arena.gather({ ...span, g, h: fill(arena.floats(h.length), (i) => h[i]!), pairs });
    arena.add({ ...span, words, pairs, sums, groups });
    const left = arena.bytes(256);
    left.forEach((_, code) => (left[code] = code % 3 === 0 ? 1 : 0));
    const spare = arena.ints(600);
    const given = { ...span, words, base: rows, shift: 16, left, lefts: 5, spare, rights: 3 };
    const lefts = arena.split(given);
    return [[...pairs], [...sums], lefts, [...order], [...spare.subarray(0, 3 + to - from - (lefts - 5))]];
  };
  const each = numbers(7, rows).map((value) => Math.floor((value + 1) * 1e6));
  expect(run(fast, 10, 590, each)).toEqual(run(plainArena, 10, 590, each));
  expect(run(createArena(1 << 20, 2), 10, 11, [1])).toEqual(run(plainArena, 10, 11, [1]));
  expect(run(createArena(1 << 20, 2), 10, 10, [1])).toEqual(run(plainArena, 10, 10, [1]));
  expect(run(plainArena, 10, 590, each)[1]).toContain(0);
});
