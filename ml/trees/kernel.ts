// The inner loops of growing a tree over one memory: as WebAssembly with SIMD (loops.ts), or as the functions under `plain`,
// which say what each computes, to the bit, and stand in where there is no SIMD.
import { countShift, moduleBytes } from './loops.js';

/** Some rows, ascending: `order` from `from` to `to` (exclusive). For the loops they are of one block. */
export interface Span {
  order: Int32Array;
  from: number;
  to: number;
}

export interface GatherSpan extends Span {
  g: Float32Array;
  /** One hessian for each row, or a single one for all. */
  h: Float32Array;
  /** Two numbers for each row of the span: its gradient; 2^16 times its hessian, and 1. */
  pairs: Float64Array;
}

export interface AddSpan extends Span {
  words: Int32Array;
  pairs: Float64Array;
  /** Two sums for each slot. */
  sums: Float64Array;
  /** Five for each group: where its word of row 0 would lie in `words`, and the first slots of its four features. */
  groups: Int32Array;
}

export interface SplitSpan extends Span {
  words: Int32Array;
  /** The word of a row is at row + base; the code is its byte at `shift`. */
  base: number;
  shift: number;
  /** Per code 1 where it goes left. */
  left: Uint8Array;
  /** Rows that go left are written to `order` from here on, the others to `spare`. */
  lefts: number;
  spare: Int32Array;
  rights: number;
}

/** Memory that the loops reach, and the loops. Arrays are given out once and never returned; spans are made of them. */
export interface Arena {
  ints(length: number): Int32Array;
  floats(length: number): Float32Array;
  doubles(length: number): Float64Array;
  bytes(length: number): Uint8Array;
  gather(span: GatherSpan): void;
  /** Adds every row's pair to one slot of each feature of each group. */
  add(span: AddSpan): void;
  /** Answers where the next left row is to be written. */
  split(span: SplitSpan): number;
}

const plain: Pick<Arena, 'gather' | 'add' | 'split'> = {
  gather({ g, h, pairs, order, from, to }) {
    const mask = h.length === 1 ? 0 : -1;
    for (let i = from, at = 0; i < to; i++, at += 2) {
      pairs[at] = g[order[i]!]!;
      pairs[at + 1] = h[order[i]! & mask]! * countShift + 1;
    }
  },
  add({ words, pairs, sums, groups, order, from, to }) {
    for (let group = 0; group < groups.length; group += 5) {
      const base = groups[group]!;
      for (let i = from, at = 0; i < to; i++, at += 2) {
        const word = words[order[i]! + base]!;
        for (let feature = 0; feature < 4; feature++) {
          const slot = (groups[group + 1 + feature]! + ((word >>> (8 * feature)) & 255)) * 2;
          sums[slot]! += pairs[at]!;
          sums[slot + 1]! += pairs[at + 1]!;
        }
      }
    }
  },
  split({ words, base, shift, left, order, from, to, spare, ...next }) {
    let { lefts, rights } = next;
    for (let i = from; i < to; i++) {
      const row = order[i]!;
      const goes = left[(words[row + base]! >>> shift) & 255]!;
      order[lefts] = row;
      spare[rights] = row;
      lefts += goes;
      rights += 1 - goes;
    }
    return lefts;
  },
};

/** An arena of ordinary arrays. */
export const plainArena: Arena = {
  ints: (length) => new Int32Array(length),
  floats: (length) => new Float32Array(length),
  doubles: (length) => new Float64Array(length),
  bytes: (length) => new Uint8Array(length),
  ...plain,
};

/** The part of the WebAssembly API used here; neither the language's nor Node's types declare it as a value. */
interface Wasm {
  validate(bytes: Uint8Array): boolean;
  Memory: new (size: { initial: number }) => { buffer: ArrayBuffer };
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object, imports: object) => { exports: Loops };
}

type Loops = Record<'gather' | 'add' | 'split', (...addresses: number[]) => number>;

const wasm = (globalThis as unknown as { WebAssembly?: Wasm }).WebAssembly;

const pageBytes = 65_536;
/** WebAssembly addresses are 32 bits, and wrap: where row 0 of a later block would lie may be below 0. */
const mostBytes = 2 ** 32 - pageBytes;
/** Arrays begin at cache lines. */
const lineBytes = 64;

/** Bytes that an array of so many takes in an arena. */
export const arenaBytes = (bytes: number): number => Math.ceil(bytes / lineBytes) * lineBytes;

const addressOf = (array: Int32Array, index: number): number => array.byteOffset + index * 4;

/** The loops over one memory. `scratch` takes the addresses of groups. */
function loopsOf({ gather, add: addAll, split }: Loops, scratch: Int32Array): Pick<Arena, 'gather' | 'add' | 'split'> {
  return {
    gather({ g, h, pairs, order, from, to }) {
      if (to <= from) return;
      const rows = [addressOf(order, from), addressOf(order, to)] as const;
      gather(g.byteOffset, h.byteOffset, h.length === 1 ? 0 : -1, ...rows, pairs.byteOffset);
    },
    add({ words, pairs, sums, groups, order, from, to }) {
      if (to <= from || groups.length === 0) return;
      for (let group = 0; group < groups.length; group += 5) {
        scratch[group] = addressOf(words, groups[group]!);
        for (let i = group + 1; i < group + 5; i++) scratch[i] = sums.byteOffset + groups[i]! * 16;
      }
      const table = [scratch.byteOffset, addressOf(scratch, groups.length)] as const;
      addAll(...table, addressOf(order, from), addressOf(order, to), pairs.byteOffset);
    },
    split({ words, base, shift, left, order, from, to, spare, lefts, rights }) {
      if (to <= from) return lefts;
      const rows = [addressOf(order, from), addressOf(order, to)] as const;
      const next = [addressOf(order, lefts), addressOf(spare, rights)] as const;
      const end = split(...rows, addressOf(words, base), shift, left.byteOffset, ...next);
      return ((end >>> 0) - order.byteOffset) / 4;
    },
  };
}

/** An arena with room for `bytes` of arrays and for `groups`; of ordinary arrays where there is no SIMD or not so much room. */
export function createArena(bytes: number, groups: number): Arena {
  const whole = bytes + lineBytes + arenaBytes(groups * 20);
  if (whole > mostBytes || !wasm?.validate(moduleBytes)) return plainArena;
  const memory = new wasm.Memory({ initial: Math.ceil(whole / pageBytes) });
  const { exports } = new wasm.Instance(new wasm.Module(moduleBytes), { host: { memory } });
  let top = lineBytes;
  const take = (size: number): number => {
    const at = top;
    top += arenaBytes(size);
    return at;
  };
  const ints = (length: number): Int32Array => new Int32Array(memory.buffer, take(length * 4), length);
  return {
    ints,
    floats: (length) => new Float32Array(memory.buffer, take(length * 4), length),
    doubles: (length) => new Float64Array(memory.buffer, take(length * 8), length),
    bytes: (length) => new Uint8Array(memory.buffer, take(length), length),
    ...loopsOf(exports, ints(groups * 5)),
  };
}
