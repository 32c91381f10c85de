// Numbers drawn from the seed, each kind from a stream of its own, so that any step can be replayed.
import { randomFromState } from '../../../stats/prng.js';

/** What the numbers are for: streams of different purposes have nothing in common. */
const purposes = { order: 0, dropout: 1, initial: 2 } as const;

/** Uniform 32-bit integers: splitmix32-seeded xoshiro128** (Blackman & Vigna 2018). */
export function randomSource(seed: number, stream: number, purpose: keyof typeof purposes = 'order'): () => number {
  let z = (Math.imul(seed | 0, 0x9e3779b9) ^ Math.imul(stream | 0, 0x85ebca6b)) >>> 0;
  // A seed past 32 bits counts in full.
  z = (z ^ Math.imul((Math.floor(seed / 2 ** 32) + purposes[purpose]) | 0, 0xc2b2ae35)) >>> 0;
  const mix = (): number => {
    z = (z + 0x9e3779b9) >>> 0;
    let t = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    t = Math.imul(t ^ (t >>> 15), 0x735a2d97);
    return (t ^ (t >>> 15)) >>> 0;
  };
  return randomFromState([mix(), mix(), mix(), mix() | 1]).bits;
}

/** The numbers 0 to `count` - 1 in a random order: a Fisher-Yates shuffle, a function of seed and stream. */
export function permutation(count: number, seed: number, stream: number): Int32Array {
  const order = Int32Array.from({ length: count }, (_, i) => i);
  const next = randomSource(seed, stream);
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor((next() / 2 ** 32) * (i + 1));
    const kept = order[i]!;
    order[i] = order[j]!;
    order[j] = kept;
  }
  return order;
}

/** Fills `into` with 1 (kept) and 0 (left out, a share `rate` to the precision of 2⁻¹⁶): dropout's mask of one layer in one step. */
export function drawMask(into: Uint8Array, rate: number, next: () => number): void {
  const limit = Math.round(rate * 65_536);
  for (let i = 0; i < into.length; i += 2) {
    const bits = next();
    into[i] = bits >>> 16 >= limit ? 1 : 0;
    if (i + 1 < into.length) into[i + 1] = (bits & 0xffff) >= limit ? 1 : 0;
  }
}

/** Normal numbers with mean 0 and the given standard deviation (Box & Muller 1958), the two of each pair one after the other. */
export function drawNormal(into: Float32Array, deviation: number, next: () => number): void {
  for (let i = 0; i < into.length; i += 2) {
    const radius = deviation * Math.sqrt(-2 * Math.log((next() + 1) / 2 ** 32));
    const angle = (2 * Math.PI * next()) / 2 ** 32;
    into[i] = radius * Math.cos(angle);
    if (i + 1 < into.length) into[i + 1] = radius * Math.sin(angle);
  }
}
