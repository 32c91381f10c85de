// The few WebAssembly instructions that ml/trees/loops.ts is made of, as bytes, and a module around functions of them.
// Encoding: https://webassembly.github.io/spec/core/binary/index.html

type Code = number[];

function signedLeb(value: number): Code {
  const bytes: Code = [];
  for (let rest = value; ;) {
    const byte = rest & 0x7f;
    rest >>= 7;
    if ((rest === 0 && byte < 0x40) || (rest === -1 && byte >= 0x40)) return [...bytes, byte];
    bytes.push(byte | 0x80);
  }
}

function unsignedLeb(value: number): Code {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...unsignedLeb(value >>> 7)];
}

const f64Bytes = (value: number): Code => [...new Uint8Array(Float64Array.of(value).buffer)];

/** Numbers are i32 unless the name says otherwise; loads and stores are at the address plus `offset` bytes. */
export const op = {
  get: (local: number): Code => [0x20, local],
  set: (local: number): Code => [0x21, local],
  tee: (local: number): Code => [0x22, local],
  constant: (value: number): Code => [0x41, ...signedLeb(value)],
  add: [0x6a],
  subtract: [0x6b],
  and: [0x71],
  shiftLeft: [0x74],
  shiftRight: [0x76],
  less: [0x49],
  load: (offset = 0): Code => [0x28, 2, ...unsignedLeb(offset)],
  loadByte: [0x2d, 0, 0],
  store: [0x36, 2, 0],
  /** A float32 as f64. */
  loadFloat: [0x2a, 2, 0, 0xbb],
  storeF64: (offset = 0): Code => [0x39, 3, ...unsignedLeb(offset)],
  f64: (value: number): Code => [0x44, ...f64Bytes(value)],
  addF64: [0xa0],
  multiplyF64: [0xa2],
  /** Two f64 side by side. */
  loadPair: [0xfd, 0x00, 3, 0],
  storePair: [0xfd, 0x0b, 3, 0],
  addPair: [0xfd, 0xf0, 0x01],
  /** The body runs again when the number that it leaves is not 0. */
  loop: (...body: Code[]): Code => [0x03, 0x40, ...body.flat(), 0x0d, 0, 0x0b],
};

export interface FunctionCode {
  name: string;
  /** All i32. */
  parameters: number;
  /** i32 locals behind the parameters, then one of 128 bits if `pair`. */
  locals: number;
  pair?: true;
  /** Leaves an i32. */
  result?: true;
  body: Code;
}

const [i32, v128] = [0x7f, 0x7b];

const section = (id: number, content: Code): Code => [id, ...unsignedLeb(content.length), ...content];
const vector = (items: Code[]): Code => [...unsignedLeb(items.length), ...items.flat()];
const named = (name: string): Code => [...unsignedLeb(name.length), ...Buffer.from(name, 'latin1')];

function bodyOf({ locals, pair, body }: FunctionCode): Code {
  const code = [...vector([[locals, i32], ...(pair ? [[1, v128]] : [])]), ...body, 0x0b];
  return [...unsignedLeb(code.length), ...code];
}

/** A module that imports `host.memory` and exports the functions. */
export function moduleOf(functions: readonly FunctionCode[]): Uint8Array {
  const types = functions.map(({ parameters, result }) => [
    ...[0x60, parameters, ...new Array<number>(parameters).fill(i32)],
    ...(result ? [1, i32] : [0]),
  ]);
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, vector(types)),
    ...section(2, vector([[...named('host'), ...named('memory'), 2, 0, 1]])),
    ...section(3, vector(functions.map((_, i) => [i]))),
    ...section(7, vector(functions.map(({ name }, i) => [...named(name), 0, i]))),
    ...section(10, vector(functions.map(bodyOf))),
  ]);
}
