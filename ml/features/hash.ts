// MurmurHash3, x86, 32 bits (Austin Appleby, public domain: https://github.com/aappleby/smhasher), and n-grams of hashes.
// The graph uses onnxruntime's kernel; the rest here is its definition, for tests and for whoever needs a bucket by name.
import type { Graph } from '../onnx/graph.js';

/** What an n-gram begins with, so that a word and a character of the same letter are not the same. */
export const gramStarts = { words: 0, characters: 1 };

/** Multiplies the hash so far before the next one is added; small enough that products stay exact below 2^53. */
export const gramFactor = 1_000_003;
const wrap = 2 ** 32;

/** int64 of the shape of `texts`: hashes of their UTF-8 bytes with the seed 0, by which the hash of '' is 0. */
export function emitHash(graph: Graph, texts: string): string {
  const [hash] = graph.ops('MurmurHash3', [texts], 1, { seed: 0, positive: 1 }, 'com.microsoft');
  return graph.op('Cast', [hash!], { to: 7 });
}

const turn = (x: number, by: number): number => (x << by) | (x >>> (32 - by));

function mixed(k: number): number {
  return Math.imul(turn(Math.imul(k, 0xcc9e2d51), 15), 0x1b873593);
}

/** 0 to 2^32 - 1, of the UTF-8 bytes of `text`, seed 0. */
export function murmur3(text: string): number {
  const bytes = Buffer.from(text, 'utf8');
  const whole = bytes.length & ~3;
  let h = 0;
  for (let at = 0; at < whole; at += 4) {
    h ^= mixed(bytes.readInt32LE(at));
    h = (Math.imul(turn(h, 13), 5) + 0xe6546b64) | 0;
  }
  let rest = 0;
  for (let at = bytes.length - 1; at >= whole; at--) rest = (rest << 8) | bytes[at]!;
  if (bytes.length > whole) h ^= mixed(rest);
  h ^= bytes.length;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** One number below 2^32 for each run of `n` hashes. A hash of 0 stands for nothing: a run with one is left out. */
export function gramsOf(hashes: readonly number[], n: number, start: number): number[] {
  const grams: number[] = [];
  for (let at = 0; at + n <= hashes.length; at++) {
    const run = hashes.slice(at, at + n);
    if (run.includes(0)) continue;
    grams.push(run.reduce((gram, hash) => (gram * gramFactor + hash) % wrap, start));
  }
  return grams;
}
