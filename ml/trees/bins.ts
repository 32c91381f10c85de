// Bins: each feature's float32 values as codes 0 to 254 and one code more for missing, fixed once from a sample of the rows.
// A number's code is how many edges lie below it; a category's code is its place among the values with a bin of their own.
import { createRandom } from '../../stats/prng.js';
import type { Rows } from '../trainers/trainer.js';

/** The binning of all features: plain arrays, part of every snapshot. The code after the last value bin means missing. */
export interface Bins {
  width: number;
  /** Per feature: 1 where its values are category codes. */
  categorical: Uint8Array;
  /** Per feature: its first place in `edges`; one entry more than features. */
  start: Int32Array;
  /** Numbers: upper edges, ascending; v is in the first bin with v <= edge, the last bin has none. Categories: values. */
  edges: Float32Array;
}

/** Value bins of a feature, missing not counted. A category has one for all values without a bin of their own. */
export function binCount(bins: Bins, feature: number): number {
  return bins.start[feature + 1]! - bins.start[feature]! + 1;
}

/** Rows that edges are fitted on: 256 for each of 255 bins; fewer of a wide table, so that the sample stays below 64 MiB. */
const [sampleRows, sampleNumbers, leastSampleRows] = [65_536, 2 ** 24, 4_096];
/** Floats in one piece read from the rows. */
const pieceNumbers = 2 ** 20;

/** How many rows to read at once. */
export function pieceRows(width: number): number {
  return Math.max(1, Math.floor(pieceNumbers / width));
}

/** One row of each of `count` equal stretches, drawn by seed: ascending, a function of the three numbers alone. */
export function sampleOf(rows: number, count: number, seed: number): Float64Array {
  const random = createRandom(seed);
  return Float64Array.from({ length: count }, (_, i) => {
    if (count === rows) return i;
    const from = Math.floor((i * rows) / count);
    return from + random.below(Math.max(1, Math.floor(((i + 1) * rows) / count) - from));
  });
}

/** The sample, feature by feature. */
async function readSample(data: Rows, seed: number): Promise<{ values: Float32Array; count: number }> {
  const { rows, width } = data;
  const most = Math.max(leastSampleRows, Math.floor(sampleNumbers / width));
  const count = Math.min(rows, sampleRows, most);
  const wanted = sampleOf(rows, count, seed);
  const values = new Float32Array(count * width);
  const piece = new Float32Array(Math.min(rows, pieceRows(width)) * width);
  let taken = 0;
  for (let from = 0; from < rows && taken < count; from += piece.length / width) {
    const size = Math.min(piece.length / width, rows - from);
    if (wanted[taken]! >= from + size) continue;
    await data.read(from, size, piece);
    for (; taken < count && wanted[taken]! < from + size; taken++) {
      const at = (wanted[taken]! - from) * width;
      for (let f = 0; f < width; f++) values[f * count + taken] = piece[at + f]!;
    }
  }
  return { values, count };
}

/** Between two neighbouring values: at least the lower, less than the upper. */
function edgeBetween(lower: number, upper: number): number {
  const middle = Math.fround(lower / 2 + upper / 2);
  return middle >= lower && middle < upper ? middle : lower;
}

/** Ascending values with how often each occurs; NaN left out. */
function distinctOf(sample: Float32Array): { values: Float32Array; counts: Int32Array; total: number } {
  const sorted = sample.slice().sort();
  // NaN is sorted behind everything else.
  let total = sorted.length;
  while (total > 0 && Number.isNaN(sorted[total - 1])) total--;
  const counts = new Int32Array(total);
  let distinct = 0;
  for (let i = 0; i < total; i++) {
    if (i === 0 || sorted[i] !== sorted[distinct - 1]) sorted[distinct++] = sorted[i]!;
    counts[distinct - 1]! += 1;
  }
  return { values: sorted.subarray(0, distinct), counts: counts.subarray(0, distinct), total };
}

/**
 * Upper edges of at most `most` bins with rows as equal as the values allow: a bin ends where stopping short of its
 * share is nearer to it than going past it. No more values than bins: every value has its own.
 */
export function numberEdges(sample: Float32Array, most: number): number[] {
  const { values, counts, total } = distinctOf(sample);
  const edges: number[] = [];
  let [rest, inBin] = [total, 0];
  for (let i = 0; i < values.length; i++) {
    const share = rest / (most - edges.length);
    const past = inBin + counts[i]! - share;
    if (inBin > 0 && edges.length < most - 1 && (values.length <= most || past > share - inBin)) {
      edges.push(edgeBetween(values[i - 1]!, values[i]!));
      rest -= inBin;
      inBin = 0;
    }
    inBin += counts[i]!;
  }
  return edges;
}

/** The values with a bin of their own, ascending: the most frequent ones, ties by value. One bin is for all others. */
export function categoryValues(sample: Float32Array, most: number): number[] {
  const { values, counts } = distinctOf(sample);
  const byCount = Array.from(values, (value, i) => ({ value, count: counts[i]! }));
  byCount.sort((a, b) => b.count - a.count || a.value - b.value);
  const own = byCount.slice(0, most - 1).map(({ value }) => value);
  return own.sort((a, b) => a - b);
}

export interface BinOptions {
  /** Most value bins of a feature, 2 to 255. */
  bins: number;
  /** Features whose values are category codes, whole numbers from 0. */
  categorical: readonly number[];
  seed: number;
}

/** Fits the bins of all features on a seeded sample of the rows. */
export async function fitBins(data: Rows, options: BinOptions): Promise<Bins> {
  const { values, count } = await readSample(data, options.seed);
  const categorical = new Uint8Array(data.width);
  for (const feature of options.categorical) categorical[feature] = 1;
  const start = new Int32Array(data.width + 1);
  const edges: number[] = [];
  for (let f = 0; f < data.width; f++) {
    const sample = values.subarray(f * count, (f + 1) * count);
    edges.push(...(categorical[f] === 1 ? categoryValues : numberEdges)(sample, options.bins));
    start[f + 1] = edges.length;
  }
  return { width: data.width, categorical, start, edges: Float32Array.from(edges) };
}

/** The code of a number that is not NaN. */
export function numberCode(edges: Float32Array, from: number, to: number, value: number): number {
  let [low, high] = [from, to];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (edges[middle]! < value) low = middle + 1;
    else high = middle;
  }
  return low - from;
}

/** The code of a category value that is not NaN: its place, or that of all others. */
export function categoryCode(edges: Float32Array, from: number, to: number, value: number): number {
  const place = numberCode(edges, from, to, value);
  return from + place < to && edges[from + place] === value ? place : to - from;
}

/** The code of any value of a feature. */
export function codeOf(bins: Bins, feature: number, value: number): number {
  const [from, to] = [bins.start[feature]!, bins.start[feature + 1]!];
  if (value !== value) return to - from + 1;
  return (bins.categorical[feature] === 1 ? categoryCode : numberCode)(bins.edges, from, to, value);
}
