// Histograms of a leaf's rows: per bin the sums of gradient and hessian and the number of rows.
// Counting is exact: each row adds its gradient, and 1 + 2^16 times its hessian as a whole number, so two additions carry three sums.
import type { Bins } from './bins.js';
import { binCount } from './bins.js';
import type { Arena, Span } from './kernel.js';
import { arenaBytes } from './kernel.js';
import type { BinnedMatrix } from './matrix.js';
import { rowsOfBlock } from './matrix.js';

/** Hessians are whole multiples of this: below 0.5 they are under 2^21, so fewer than 2^16 rows of them and of ones stay below 2^53. */
export const hessianUnit = 2 ** -22;
const countShift = 2 ** 16;
const mostRowsPacked = countShift - 1;
/** Codes of one feature at most. */
const codes = 256;

/** Places of the features in a histogram. Each value bin has one, missing has one. */
export interface Slots {
  /** Per feature, filled to whole groups: its first slot. Features that only fill a group share one after the last. */
  first: Int32Array;
  total: number;
}

export function slotsOf(bins: Bins): Slots {
  const groups = (bins.width + 3) >> 2;
  const first = new Int32Array(groups * 4);
  let total = 0;
  for (let feature = 0; feature < bins.width; feature++) {
    first[feature] = total;
    total += binCount(bins, feature) + 1;
  }
  first.fill(total, bins.width);
  return { first, total };
}

/** Three numbers a slot: gradient, hessian, rows. */
export type Histogram = Float64Array;

/** Gradient and hessian of every row. */
export interface Gradients {
  g: Float32Array;
  /** In whole units; where they are all 1, that one number. */
  h: Float32Array;
  /** `hessianUnit`, 1 where they are all 1, and larger where rows of large weights would pass the bound on units. */
  unit: number;
}

/** Moves the packed sums into the histogram and clears them. */
function unpack(packed: Float64Array, into: Histogram, unit: number): void {
  for (let at = 0, to = 0; to < into.length; at += 2, to += 3) {
    const both = packed[at + 1]!;
    const hessian = Math.floor(both / countShift);
    into[to]! += packed[at]!;
    into[to + 1]! += hessian * unit;
    into[to + 2]! += both - hessian * countShift;
  }
  packed.fill(0);
}

/** Builds histograms of one matrix. `used`: per group, 1 where a feature of it takes part. */
export interface HistogramBuilder {
  readonly slots: Slots;
  build(rows: Span, gradients: Gradients, used: Uint8Array, into: Histogram): void;
}

/** First place in [from, to) whose row is not below `bound`. */
export function firstFrom(order: Int32Array, from: number, to: number, bound: number): number {
  let [low, high] = [from, to];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (order[middle]! < bound) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Numbers that a builder takes of its arena. */
function workspace(slots: Slots, blockRows: number): { packed: number; pairs: number } {
  return { packed: 2 * (slots.total + codes), pairs: 2 * blockRows };
}

/** Bytes that a builder takes of its arena. */
export function builderBytes(bins: Bins, blockRows: number): number {
  const { packed, pairs } = workspace(slotsOf(bins), blockRows);
  return arenaBytes(packed * 8) + arenaBytes(pairs * 8);
}

/** Groups that take part, and for each where its word of row 0 lies (set for each block) and its first slots. */
function groupsOf(slots: Slots, used: Uint8Array): { numbers: number[]; table: Int32Array } {
  const numbers = [...used.keys()].filter((group) => used[group] === 1);
  const table = numbers.flatMap((group) => [0, ...slots.first.subarray(group * 4, group * 4 + 4)]);
  return { numbers, table: Int32Array.from(table) };
}

/** `matrix`, gradients and the row orders that it builds from lie in `arena`. */
export function histogramBuilder(matrix: BinnedMatrix, bins: Bins, arena: Arena): HistogramBuilder {
  const slots = slotsOf(bins);
  const space = workspace(slots, matrix.blockRows);
  const packed = arena.doubles(space.packed);
  const pairs = arena.doubles(space.pairs);
  const build: HistogramBuilder['build'] = ({ order, from, to }, { g, h, unit }, used, into) => {
    into.fill(0);
    const groups = groupsOf(slots, used);
    let packedRows = 0;
    for (let at = from; at < to;) {
      const index = Math.floor(order[at]! / matrix.blockRows);
      const start = index * matrix.blockRows;
      const count = rowsOfBlock(matrix, index);
      const end = firstFrom(order, at, to, start + count);
      if (packedRows + end - at > mostRowsPacked) {
        unpack(packed, into, unit);
        packedRows = 0;
      }
      const span = { order, from: at, to: end };
      arena.gather({ ...span, g, h, pairs });
      groups.numbers.forEach((group, i) => (groups.table[i * 5] = group * count - start));
      arena.add({ ...span, words: matrix.block(index), pairs, sums: packed, groups: groups.table });
      packedRows += end - at;
      at = end;
    }
    unpack(packed, into, unit);
  };
  return { slots, build };
}

/** What is left of the parent without one child, in place. Counts and hessians are exact; an empty bin is exactly empty. */
export function subtract(parent: Histogram, child: Histogram): void {
  for (let at = 0; at < parent.length; at += 3) {
    const rows = parent[at + 2]! - child[at + 2]!;
    parent[at] = rows === 0 ? 0 : parent[at]! - child[at]!;
    parent[at + 1]! -= child[at + 1]!;
    parent[at + 2] = rows;
  }
}
