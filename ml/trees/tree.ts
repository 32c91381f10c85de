// One regression tree as flat arrays. It is learned and replayed on codes; floats go the same way by the edges of the bins.
import type { Bins } from './bins.js';
import { binCount, codeOf } from './bins.js';
import type { BinnedMatrix } from './matrix.js';
import { rowsOfBlock } from './matrix.js';
import type { Split } from './split.js';

/** Bytes of one left set: a bit for each of 256 codes. */
export const setBytes = 32;

/** Nodes are numbered from the root, 0; children come after their parent. */
export interface Tree {
  /** Feature of a split; -1: a leaf. */
  feature: Int32Array;
  /** Numbers: codes up to this go left. Categories: the number of the left set. */
  bin: Int32Array;
  /** 1: missing values go left. */
  missingLeft: Uint8Array;
  left: Int32Array;
  right: Int32Array;
  /** What a leaf adds to the score. */
  value: Float32Array;
  gain: Float32Array;
  /** Training rows that came here. */
  count: Int32Array;
  /** Left sets of category splits: bit `code` is 1 where the code goes left. */
  sets: Uint8Array;
}

/** A tree under construction, as growing lists. */
export class TreeBuilder {
  readonly #feature: number[] = [];
  readonly #bin: number[] = [];
  readonly #missingLeft: number[] = [];
  readonly #left: number[] = [];
  readonly #right: number[] = [];
  readonly #value: number[] = [];
  readonly #gain: number[] = [];
  readonly #count: number[] = [];
  readonly #sets: number[] = [];

  /** Adds a leaf and answers its number. */
  leaf(rows: number): number {
    const lists = [this.#bin, this.#missingLeft, this.#left, this.#right, this.#value, this.#gain];
    for (const list of lists) list.push(0);
    this.#feature.push(-1);
    return this.#count.push(rows) - 1;
  }

  /** Makes a leaf a split with two new leaves and answers their numbers. */
  split(node: number, split: Split): [number, number] {
    this.#feature[node] = split.feature;
    this.#missingLeft[node] = split.missingLeft ? 1 : 0;
    this.#gain[node] = split.gain;
    this.#bin[node] = split.set === null ? split.bin : this.#addSet(split.set);
    const children: [number, number] = [this.leaf(split.left.rows), this.leaf(split.right.rows)];
    [this.#left[node], this.#right[node]] = children;
    return children;
  }

  setValue(leaf: number, value: number): void {
    this.#value[leaf] = value;
  }

  #addSet(set: Uint8Array): number {
    const bits = new Uint8Array(setBytes);
    set.forEach((left, code) => (bits[code >> 3]! |= left << (code & 7)));
    this.#sets.push(...bits);
    return this.#sets.length / setBytes - 1;
  }

  done(): Tree {
    return {
      feature: Int32Array.from(this.#feature),
      bin: Int32Array.from(this.#bin),
      missingLeft: Uint8Array.from(this.#missingLeft),
      left: Int32Array.from(this.#left),
      right: Int32Array.from(this.#right),
      value: Float32Array.from(this.#value),
      gain: Float32Array.from(this.#gain),
      count: Int32Array.from(this.#count),
      sets: Uint8Array.from(this.#sets),
    };
  }
}

/** Whether `code` is in left set `index`. */
export function inSet(sets: Uint8Array, index: number, code: number): boolean {
  return ((sets[index * setBytes + (code >> 3)]! >> (code & 7)) & 1) === 1;
}

/** 1 for each code that a split sends left. */
export function leftCodes(bins: Bins, split: Pick<Split, 'feature' | 'bin' | 'set' | 'missingLeft'>): Uint8Array {
  if (split.set !== null) return split.set;
  const left = new Uint8Array(256).fill(1, 0, split.bin + 1);
  left[binCount(bins, split.feature)] = split.missingLeft ? 1 : 0;
  return left;
}

function goesLeft(tree: Tree, bins: Bins, node: number, code: number): boolean {
  const feature = tree.feature[node]!;
  if (bins.categorical[feature] === 1) return inSet(tree.sets, tree.bin[node]!, code);
  if (code === binCount(bins, feature)) return tree.missingLeft[node] === 1;
  return code <= tree.bin[node]!;
}

/** The leaf of one row of a block. */
function leafOfWords(tree: Tree, bins: Bins, words: Int32Array, rows: number, row: number): number {
  const { feature, left, right } = tree;
  let node = 0;
  for (let f = feature[0]!; f >= 0; f = feature[node]!) {
    const code = (words[(f >> 2) * rows + row]! >>> ((f & 3) << 3)) & 255;
    node = goesLeft(tree, bins, node, code) ? left[node]! : right[node]!;
  }
  return node;
}

/** Scores of one output among `stride`: row r is at r * stride + offset. */
export interface Column {
  values: Float32Array;
  stride: number;
  offset: number;
}

/** Adds the tree's values to a column, for all rows, or for those where `skip` is 0. */
export function addTree(matrix: BinnedMatrix, bins: Bins, tree: Tree, column: Column, skip?: Uint8Array): void {
  const { values, stride, offset } = column;
  for (let index = 0; index < matrix.blocks; index++) {
    const [words, rows, from] = [matrix.block(index), rowsOfBlock(matrix, index), index * matrix.blockRows];
    for (let row = 0; row < rows; row++) {
      if (skip?.[from + row] === 1) continue;
      values[(from + row) * stride + offset]! += tree.value[leafOfWords(tree, bins, words, rows, row)]!;
    }
  }
}

/** The leaf of a row of floats. */
export function leafOfValues(tree: Tree, bins: Bins, x: Float32Array, at: number): number {
  let node = 0;
  for (let f = tree.feature[0]!; f >= 0; f = tree.feature[node]!) {
    const code = codeOf(bins, f, x[at + f]!);
    node = goesLeft(tree, bins, node, code) ? tree.left[node]! : tree.right[node]!;
  }
  return node;
}
