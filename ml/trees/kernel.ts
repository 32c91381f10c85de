// The inner loop of histograms as WebAssembly with SIMD: gradient and packed hessian of a row are one 128-bit addition.
// The module is put together here from its few instructions; `addGroupPlain` says what it computes, and stands in without SIMD.
// Encoding: https://webassembly.github.io/spec/core/binary/index.html

/** Rows of one block and one group: all numbers are places in the arrays. */
export interface GroupSpan {
  words: Int32Array;
  /** The word of a row is at row + base. */
  base: number;
  order: Int32Array;
  from: number;
  to: number;
  /** Two numbers for each row of the span. */
  pairs: Float64Array;
  /** Two sums for each slot. */
  sums: Float64Array;
  /** First slots of the four features. */
  first: ArrayLike<number>;
}

/** Memory that the kernel reaches: arrays are given out once and never returned. */
export interface Arena {
  ints(length: number): Int32Array;
  doubles(length: number): Float64Array;
  /** Adds every row's pair to one slot of each feature of the group. Arrays are of this arena. */
  addGroup(span: GroupSpan): void;
}

export function addGroupPlain({ words, base, order, from, to, pairs, sums, first }: GroupSpan): void {
  const [first0, first1] = [first[0]! << 1, first[1]! << 1];
  const [first2, first3] = [first[2]! << 1, first[3]! << 1];
  for (let i = from, at = 0; i < to; i++, at += 2) {
    const word = words[order[i]! + base]!;
    const g = pairs[at]!;
    const h = pairs[at + 1]!;
    const a = first0 + ((word & 255) << 1);
    const b = first1 + ((word >>> 7) & 510);
    const c = first2 + ((word >>> 15) & 510);
    const d = first3 + ((word >>> 23) & 510);
    sums[a]! += g;
    sums[a + 1]! += h;
    sums[b]! += g;
    sums[b + 1]! += h;
    sums[c]! += g;
    sums[c + 1]! += h;
    sums[d]! += g;
    sums[d + 1]! += h;
  }
}

/** An arena of ordinary arrays. */
export const plainArena: Arena = {
  ints: (length) => new Int32Array(length),
  doubles: (length) => new Float64Array(length),
  addGroup: addGroupPlain,
};

const i32 = 0x7f;
const v128 = 0x7b;

/** LEB128, signed: also right for the small unsigned numbers here, as long as they stay below 64 or are given as constants. */
function leb(value: number): number[] {
  const bytes: number[] = [];
  for (let rest = value; ;) {
    const byte = rest & 0x7f;
    rest >>= 7;
    if ((rest === 0 && byte < 0x40) || (rest === -1 && byte >= 0x40)) return [...bytes, byte];
    bytes.push(byte | 0x80);
  }
}

function unsignedLeb(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...unsignedLeb(value >>> 7)];
}

const get = (local: number): number[] => [0x20, local];
const set = (local: number): number[] => [0x21, local];
const tee = (local: number): number[] => [0x22, local];
const constant = (value: number): number[] => [0x41, ...leb(value)];
const add = [0x6a];
const and = [0x71];
const shiftLeft = [0x74];
const shiftRight = [0x76];
const less = [0x49];
const load = [0x28, 2, 0];
const loadPair = [0xfd, 0x00, 3, 0];
const storePair = [0xfd, 0x0b, 3, 0];
const addPair = [0xfd, 0xf0, 0x01];
const [loop, end, repeatIf] = [[0x03, 0x40], [0x0b], [0x0d, 0]];

/** Parameters, all i32: addresses of the word of row 0, of the first row number and behind the last, of the pairs, of four features' slots. */
const [words, order, orderEnd, pairs, feature0] = [0, 1, 2, 3, 4];
const [word, slot, pair] = [8, 9, 10];
const parameters = 8;

/** Adds the pair to the slot that byte `index` of the word names. A slot has 16 bytes. */
function addToFeature(index: number): number[] {
  const shift = index * 8 - 4;
  const offset = shift < 0 ? [...constant(-shift), ...shiftLeft] : [...constant(shift), ...shiftRight];
  const address = [...get(feature0! + index), ...get(word!), ...offset, ...constant(0xff0), ...and, ...add];
  return [...address, ...tee(slot!), ...get(slot!), ...loadPair, ...get(pair!), ...addPair, ...storePair];
}

const addGroupCode = [
  ...[2, 2, i32, 1, v128],
  ...loop,
  ...[...get(words!), ...get(order!), ...load, ...constant(2), ...shiftLeft, ...add, ...load, ...set(word!)],
  ...[...get(pairs!), ...loadPair, ...set(pair!)],
  ...[0, 1, 2, 3].flatMap(addToFeature),
  ...[...get(pairs!), ...constant(16), ...add, ...set(pairs!)],
  ...[...get(order!), ...constant(4), ...add, ...tee(order!), ...get(orderEnd!), ...less, ...repeatIf],
  ...end,
  ...end,
];

function section(id: number, content: number[]): number[] {
  return [id, ...unsignedLeb(content.length), ...content];
}

const named = (name: string): number[] => [name.length, ...Buffer.from(name, 'latin1')];

/** One function `addGroup` over an imported memory. */
const moduleBytes = Uint8Array.from([
  ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
  ...section(1, [1, 0x60, parameters, ...new Array<number>(parameters).fill(i32), 0]),
  ...section(2, [1, ...named('host'), ...named('memory'), 2, 0, 1]),
  ...section(3, [1, 0]),
  ...section(7, [1, ...named('addGroup'), 0, 0]),
  ...section(10, [1, ...unsignedLeb(addGroupCode.length), ...addGroupCode]),
]);

/** The part of the WebAssembly API used here; neither the language's nor Node's types declare it as a value. */
interface Wasm {
  validate(bytes: Uint8Array): boolean;
  Memory: new (size: { initial: number }) => { buffer: ArrayBuffer };
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object, imports: object) => { exports: { addGroup: (...addresses: number[]) => void } };
}

const wasm = (globalThis as unknown as { WebAssembly?: Wasm }).WebAssembly;

const pageBytes = 65_536;
/** WebAssembly addresses are 32 bits. */
const mostBytes = 2 ** 32 - pageBytes;
/** Arrays begin at cache lines. */
const lineBytes = 64;

/** Bytes that an array of so many takes in an arena. */
export const arenaBytes = (bytes: number): number => Math.ceil(bytes / lineBytes) * lineBytes;

/** An arena with room for `bytes`; of ordinary arrays where there is no SIMD or not so much room. */
export function createArena(bytes: number): Arena {
  if (bytes > mostBytes || !wasm?.validate(moduleBytes)) return plainArena;
  const memory = new wasm.Memory({ initial: Math.ceil((bytes + lineBytes) / pageBytes) });
  const { exports } = new wasm.Instance(new wasm.Module(moduleBytes), { host: { memory } });
  const run = exports.addGroup;
  let top = lineBytes;
  const take = (size: number): number => {
    const at = top;
    top += arenaBytes(size);
    return at;
  };
  return {
    ints: (length) => new Int32Array(memory.buffer, take(length * 4), length),
    doubles: (length) => new Float64Array(memory.buffer, take(length * 8), length),
    addGroup({ words: from, base, order: rows, from: first, to, pairs: each, sums, first: slots }) {
      if (to <= first) return;
      const at = (feature: number): number => sums.byteOffset + slots[feature]! * 16;
      const lines = [rows.byteOffset + first * 4, rows.byteOffset + to * 4] as const;
      run(from.byteOffset + base * 4, ...lines, each.byteOffset, at(0), at(1), at(2), at(3));
    },
  };
}
