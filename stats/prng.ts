// A seeded stream of random numbers: xoshiro128** 1.1 (Blackman & Vigna, 2018), state filled by splitmix32.
// The same seed gives the same numbers on every machine. Not for secrets.

export interface Random {
  /** 32 random bits as a whole number, 0 to 2^32 - 1. */
  bits(): number;
  /** Uniform in [0, 1), in steps of 2^-53. */
  uniform(): number;
  /** Uniform whole number from 0 to `below` - 1, without bias: draws past the last full multiple are thrown away. `below`: 1 to 2^32. */
  below(below: number): number;
}

const twoTo32 = 4_294_967_296;

function rotated(word: number, by: number): number {
  return (word << by) | (word >>> (32 - by));
}

/** The generator from its four words of state, not all 0. */
export function randomFromState(state: readonly [number, number, number, number]): Random {
  let [a, b, c, d] = state;
  const bits = (): number => {
    const result = Math.imul(rotated(Math.imul(b, 5), 7), 9) >>> 0;
    const shifted = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= shifted;
    d = rotated(d, 11);
    return result;
  };
  const uniform = (): number => ((bits() >>> 5) * 67_108_864 + (bits() >>> 6)) / 9_007_199_254_740_992;
  const below = (count: number): number => {
    const limit = twoTo32 - (twoTo32 % count);
    let drawn = bits();
    while (drawn >= limit) drawn = bits();
    return drawn % count;
  };
  return { bits, uniform, below };
}

/** `seed`: any finite number; equal numbers give equal streams, and the low and high 32 bits of whole ones both count. */
export function createRandom(seed: number): Random {
  const whole = Math.trunc(seed);
  let word = (whole ^ Math.imul(Math.floor(whole / twoTo32) | 0, 0x9e3779b9)) >>> 0;
  // splitmix32: a counter with the golden ratio's step through murmur3's finaliser.
  const next = (): number => {
    word = (word + 0x9e3779b9) >>> 0;
    let mixed = Math.imul(word ^ (word >>> 16), 0x85ebca6b);
    mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
    return (mixed ^ (mixed >>> 16)) >>> 0;
  };
  return randomFromState([next(), next(), next(), next() || 1]);
}

/** `count` of the numbers 0 to n - 1, each subset of that size equally likely, in the order drawn (Fisher & Yates). */
export function drawWithout(random: Random, n: number, count: number): number[] {
  const order = new Uint32Array(n);
  for (let i = 0; i < n; i += 1) order[i] = i;
  const size = Math.min(n, Math.max(0, count));
  for (let i = 0; i < size; i += 1) {
    const j = i + random.below(n - i);
    const picked = order[j] ?? 0;
    order[j] = order[i] ?? 0;
    order[i] = picked;
  }
  return Array.from(order.subarray(0, size));
}
