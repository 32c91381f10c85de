// One tree, leaf by leaf: the leaf whose best split gains most is split next (best first).
// Of two new leaves the smaller is counted, the larger is what its parent had more (histogram subtraction).
import type { Bins } from './bins.js';
import { binCount } from './bins.js';
import type { Gradients, Histogram, HistogramBuilder } from './histogram.js';
import { firstFrom, subtract } from './histogram.js';
import type { Arena } from './kernel.js';
import type { BinnedMatrix } from './matrix.js';
import { rowsOfBlock } from './matrix.js';
import type { Bounds, Split, SplitRules, Sums } from './split.js';
import { bestSplit, leafOutput } from './split.js';
import type { Column, Tree } from './tree.js';
import { leftCodes, TreeBuilder } from './tree.js';

export interface GrowRules extends SplitRules {
  /** Most leaves of a tree. */
  leaves: number;
  /** Most splits between root and leaf; 0: as many as it takes. */
  depth: number;
  learningRate: number;
}

export interface Ground {
  matrix: BinnedMatrix;
  bins: Bins;
  builder: HistogramBuilder;
  rules: GrowRules;
  arena: Arena;
  /** Of the arena: per code 1 where the split at hand sends it left. */
  left: Uint8Array;
}

/** A leaf that may be split: `order` from `from` to `to` (exclusive) are its rows. */
interface Leaf {
  node: number;
  from: number;
  to: number;
  depth: number;
  sums: Sums;
  bounds: Bounds;
  split: Split | null;
  histogram: Histogram | null;
}

/** Bytes of histograms that may be kept for subtraction: beyond, every leaf is counted. A constant, as bytes depend on it. */
const histogramBytes = 2 ** 28;

/** Puts the rows that go left first; within a side they stay in order. Answers where the right side begins. */
function partition({ matrix, bins, arena, left }: Ground, { order, spare }: Seed, leaf: Leaf, split: Split): number {
  left.set(leftCodes(bins, split));
  const [group, shift] = [split.feature >> 2, (split.feature & 3) << 3];
  let lefts = leaf.from;
  for (let from = leaf.from; from < leaf.to;) {
    const index = Math.floor(order[from]! / matrix.blockRows);
    const start = index * matrix.blockRows;
    const to = firstFrom(order, from, leaf.to, start + rowsOfBlock(matrix, index));
    const rights = from - lefts;
    const words = matrix.column(index, group);
    lefts = arena.split({ words, base: -start, shift, left, order, from, to, lefts, spare, rights });
    from = to;
  }
  order.set(spare.subarray(0, leaf.to - lefts), lefts);
  return lefts;
}

/** Sums over the rows of a leaf, from the histogram of any one feature. */
function sumsOf(histogram: Histogram, first: number, places: number): Sums {
  const sums = { g: 0, h: 0, rows: 0 };
  for (let slot = first * 3; slot < (first + places) * 3; slot += 3) {
    sums.g += histogram[slot]!;
    sums.h += histogram[slot + 1]!;
    sums.rows += histogram[slot + 2]!;
  }
  return sums;
}

/** Bounds of the two sides: a monotone split puts the middle of their outputs between all that lies below them. */
function boundsBelow(leaf: Leaf, split: Split, { bins, rules }: Ground): [Bounds, Bounds] {
  const direction = rules.monotone[split.feature]!;
  // Behind the last bin there are missing values alone, which have no place in the order.
  if (direction === 0 || split.bin === binCount(bins, split.feature) - 1) return [leaf.bounds, leaf.bounds];
  const [left, right] = [split.left, split.right].map((sums) => leafOutput(sums, rules.lambda, leaf.bounds));
  const middle = (left! + right!) / 2;
  const [below, above] = [
    { low: leaf.bounds.low, high: middle },
    { low: middle, high: leaf.bounds.high },
  ];
  return direction > 0 ? [below, above] : [above, below];
}

/** What a tree is grown from: rows in `order` (ascending), their gradients, the features that take part (ascending). */
export interface Seed {
  order: Int32Array;
  /** Room for as many rows; these and the gradients are of the arena. */
  spare: Int32Array;
  gradients: Gradients;
  features: Int32Array;
}

class Grower {
  readonly #tree = new TreeBuilder();
  readonly #leaves: Leaf[] = [];
  readonly #free: Histogram[] = [];
  readonly #used: Uint8Array;
  readonly #keep: boolean;
  readonly #ground: Ground;
  readonly #seed: Seed;

  constructor(ground: Ground, seed: Seed, free: Histogram[]) {
    this.#ground = ground;
    this.#seed = seed;
    this.#free = free;
    this.#used = new Uint8Array(ground.matrix.groups);
    for (const feature of seed.features) this.#used[feature >> 2] = 1;
    this.#keep = ground.builder.slots.total * 24 * ground.rules.leaves <= histogramBytes;
  }

  #histogram(leaf: Leaf): Histogram {
    const histogram = this.#free.pop() ?? new Float64Array(this.#ground.builder.slots.total * 3);
    const { order, gradients } = this.#seed;
    this.#ground.builder.build({ order, from: leaf.from, to: leaf.to }, gradients, this.#used, histogram);
    return histogram;
  }

  #maySplit(leaf: Leaf): boolean {
    const { rules } = this.#ground;
    if (rules.depth > 0 && leaf.depth >= rules.depth) return false;
    return leaf.to - leaf.from >= 2 * rules.minRows && leaf.to - leaf.from > 1;
  }

  /** Finds the best split of a leaf; its histogram is kept where there is one, as a split leaf needs it. */
  #judge(leaf: Leaf, histogram: Histogram): void {
    const { bins, rules, builder } = this.#ground;
    const { sums, bounds } = leaf;
    if (this.#maySplit(leaf)) {
      const search = { bins, rules, slots: builder.slots };
      leaf.split = bestSplit(search, { histogram, sums, bounds }, this.#seed.features);
    }
    if (leaf.split !== null && this.#keep) leaf.histogram = histogram;
    else this.#free.push(histogram);
  }

  #root(): void {
    const { order, features } = this.#seed;
    const { slots } = this.#ground.builder;
    const bounds = { low: -Infinity, high: Infinity };
    const none = { g: 0, h: 0, rows: 0 };
    const node = this.#tree.leaf(order.length);
    const root = { node, from: 0, to: order.length, depth: 0, sums: none, bounds, split: null, histogram: null };
    this.#leaves.push(root);
    const histogram = this.#histogram(root);
    const feature = features[0]!;
    const places = (slots.first[feature + 1] ?? slots.total) - slots.first[feature]!;
    root.sums = sumsOf(histogram, slots.first[feature]!, places);
    this.#judge(root, histogram);
  }

  /** The leaf with the highest gain; the older one of two. */
  #next(): Leaf | null {
    let best: Leaf | null = null;
    for (const leaf of this.#leaves)
      if (leaf.split !== null && (best === null || leaf.split.gain > best.split!.gain)) best = leaf;
    return best;
  }

  /** Judges two new leaves of one parent. */
  #judgeBoth(left: Leaf, right: Leaf, parent: Histogram | null): void {
    if (!this.#maySplit(left) && !this.#maySplit(right)) {
      if (parent) this.#free.push(parent);
      return;
    }
    const [small, large] = left.to - left.from <= right.to - right.from ? [left, right] : [right, left];
    const counted = this.#histogram(small);
    if (parent === null) {
      this.#judge(small, counted);
      if (this.#maySplit(large)) this.#judge(large, this.#histogram(large));
      return;
    }
    subtract(parent, counted);
    this.#judge(small, counted);
    this.#judge(large, parent);
  }

  #split(leaf: Leaf, split: Split): void {
    const middle = partition(this.#ground, this.#seed, leaf, split);
    const [leftNode, rightNode] = this.#tree.split(leaf.node, split);
    const [leftBounds, rightBounds] = boundsBelow(leaf, split, this.#ground);
    const below = { depth: leaf.depth + 1, split: null, histogram: null };
    const left = { ...below, node: leftNode, from: leaf.from, to: middle, sums: split.left, bounds: leftBounds };
    const right = { ...below, node: rightNode, from: middle, to: leaf.to, sums: split.right, bounds: rightBounds };
    this.#leaves.splice(this.#leaves.indexOf(leaf), 1, left, right);
    if (this.#leaves.length < this.#ground.rules.leaves) this.#judgeBoth(left, right, leaf.histogram);
    else if (leaf.histogram) this.#free.push(leaf.histogram);
  }

  /** Grows to the end, adds the values of the leaves to the column for the rows in `order`, and answers the tree. */
  grow(column: Column): Tree {
    const { rules } = this.#ground;
    this.#root();
    while (this.#leaves.length < rules.leaves) {
      const leaf = this.#next();
      if (leaf === null) break;
      this.#split(leaf, leaf.split!);
    }
    for (const leaf of this.#leaves) {
      if (leaf.histogram) this.#free.push(leaf.histogram);
      const value = Math.fround(rules.learningRate * leafOutput(leaf.sums, rules.lambda, leaf.bounds));
      this.#tree.setValue(leaf.node, value);
      const { values, stride, offset } = column;
      for (let i = leaf.from; i < leaf.to; i++) values[this.#seed.order[i]! * stride + offset]! += value;
    }
    return this.#tree.done();
  }
}

/** Grows trees on one matrix, one at a time; histograms are used again from tree to tree. */
export function treeGrower(on: Omit<Ground, 'left'>): (seed: Seed, column: Column) => Tree {
  const free: Histogram[] = [];
  const ground = { ...on, left: on.arena.bytes(256) };
  return (seed, column) => new Grower(ground, seed, free).grow(column);
}
