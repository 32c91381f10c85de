// Which rows and features a round sees: functions of seed and round alone, so any round can be replayed.
import { createRandom, drawWithout } from '../../stats/prng.js';

/** murmur3's finaliser: a fixed mix of 32 bits. */
function mixed(word: number): number {
  let bits = Math.imul(word ^ (word >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return (bits ^ (bits >>> 16)) >>> 0;
}

/** Keeps each row with chance `share`, decided by seed, round and row number: 1 in `bag` and its number in `order`. Answers how many. */
export function drawRows(seed: number, round: number, share: number, bag: Uint8Array, order: Int32Array): number {
  const key = createRandom(seed + round * 2 ** 20).bits();
  const below = share * 2 ** 32;
  let count = 0;
  for (let row = 0; row < bag.length; row++) {
    const kept = mixed(mixed(row ^ key) + key) < below ? 1 : 0;
    bag[row] = kept;
    order[count] = row;
    count += kept;
  }
  return count;
}

/** `share` of the features, at least one, ascending; all of them without a draw where the share is 1. */
export function drawFeatures(seed: number, tree: number, share: number, width: number): Int32Array {
  const count = Math.max(1, Math.round(share * width));
  if (count >= width) return Int32Array.from({ length: width }, (_, feature) => feature);
  return Int32Array.from(drawWithout(createRandom(seed + (tree + 0.5) * 2 ** 21), width, count)).sort();
}
