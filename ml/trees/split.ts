// The best split of one leaf from its histogram: gain = GL²/(HL+λ) + GR²/(HR+λ) - G²/(H+λ) (Chen & Guestrin 2016, eq. 7, twice).
// Categories are put in the order of G/(H+smoothing), where the best of all 2^(k-1) partitions is a prefix (Fisher 1958).
import type { Bins } from './bins.js';
import { binCount } from './bins.js';
import type { Histogram, Slots } from './histogram.js';

export interface SplitRules {
  minRows: number;
  minHessian: number;
  minGain: number;
  lambda: number;
  /** Pulls rare categories to the middle when they are ordered, and is added to lambda in their splits. */
  categorySmoothing: number;
  /** Per feature: 1, -1 or 0: the prediction never falls, never rises, or both as it likes. */
  monotone: Int8Array;
}

/** Sums over rows. */
export interface Sums {
  g: number;
  h: number;
  rows: number;
}

/** Bounds of a leaf's output, set by monotone splits above it. */
export interface Bounds {
  low: number;
  high: number;
}

export interface Split {
  gain: number;
  feature: number;
  /** Numbers: codes up to this go left. Categories: -1. */
  bin: number;
  /** Categories: per code 1 where it goes left. */
  set: Uint8Array | null;
  missingLeft: boolean;
  left: Sums;
  right: Sums;
}

export interface SplitSearch {
  bins: Bins;
  slots: Slots;
  rules: SplitRules;
}

/** The output that minimises the leaf's loss to second order, within its bounds. */
export function leafOutput(sums: Sums, lambda: number, bounds: Bounds): number {
  const weight = sums.h + lambda;
  const best = weight > 0 ? -sums.g / weight : 0;
  return Math.min(bounds.high, Math.max(bounds.low, best));
}

/** Twice the loss that output w takes away: -(2 G w + (H+λ) w²); G²/(H+λ) for the best w. */
function drop(g: number, weight: number, bounds: Bounds): number {
  if (!(weight > 0)) return 0;
  const w = -g / weight;
  if (w >= bounds.low && w <= bounds.high) return (g * g) / weight;
  const held = w < bounds.low ? bounds.low : bounds.high;
  return -(2 * g * held + weight * held * held);
}

interface Leaf {
  histogram: Histogram;
  sums: Sums;
  bounds: Bounds;
}

/** What goes left in the best split of one feature so far: numbers only, so that a scan allocates nothing. */
interface Found extends Sums {
  gain: number;
  bin: number;
  missingLeft: boolean;
}

function note(found: Found, gain: number, g: number, h: number, rows: number): void {
  found.gain = gain;
  found.g = g;
  found.h = h;
  found.rows = rows;
}

/** Gain of a split where bounds or a direction hold; -Infinity where it goes against the direction. */
function heldGain(leaf: Leaf, g: number, h: number, lambda: number, direction: number): number {
  const { sums, bounds } = leaf;
  const [rightG, rightH] = [sums.g - g, sums.h - h];
  if (direction !== 0) {
    const left = leafOutput({ g, h, rows: 0 }, lambda, bounds);
    const right = leafOutput({ g: rightG, h: rightH, rows: 0 }, lambda, bounds);
    if ((right - left) * direction < 0) return -Infinity;
  }
  return drop(g, h + lambda, bounds) + drop(rightG, rightH + lambda, bounds);
}

/** Tries every edge between value bins, from the lowest up. `withMissing`: missing rows go left, else right. */
function scan(search: SplitSearch, leaf: Leaf, feature: number, withMissing: boolean, found: Found): void {
  const { histogram, sums, bounds } = leaf;
  const { minRows, minHessian, lambda } = search.rules;
  const direction = search.rules.monotone[feature]!;
  const free = direction === 0 && bounds.low === -Infinity && bounds.high === Infinity;
  const count = binCount(search.bins, feature);
  const first = search.slots.first[feature]! * 3;
  const gap = first + count * 3;
  const missingRows = histogram[gap + 2]!;
  let g = withMissing ? histogram[gap]! : 0;
  let h = withMissing ? histogram[gap + 1]! : 0;
  let rows = withMissing ? missingRows : 0;
  // The last bin ends in an edge only when missing rows stay on its right.
  const end = !withMissing && missingRows > 0 ? count : count - 1;
  const { g: allG, h: allH, rows: allRows } = sums;
  let best = found.gain;
  for (let bin = 0, slot = first; bin < end; bin++, slot += 3) {
    // a bin without rows gains what the one before it gained, and thus is not noted
    g += histogram[slot]!;
    h += histogram[slot + 1]!;
    rows += histogram[slot + 2]!;
    if (rows < minRows || h < minHessian) continue;
    if (allRows - rows < minRows || allH - h < minHessian) return;
    const rightG = allG - g;
    let gain: number;
    if (free) {
      const weight = h + lambda;
      const rightWeight = allH - h + lambda;
      const both = weight * rightWeight;
      // G²/W + G'²/W' over a common denominator: most bins are ruled out without a division
      const sum = g * g * rightWeight + rightG * rightG * weight;
      if (!(sum > best * both)) continue;
      gain = sum / both;
    } else gain = heldGain(leaf, g, h, lambda, bin < count - 1 ? direction : 0);
    if (!(gain > best)) continue;
    best = gain;
    note(found, gain, g, h, rows);
    found.bin = bin;
    found.missingLeft = withMissing;
  }
}

/** Codes of a category that has rows here, missing among them, by G/(H+smoothing). */
function orderedCodes(search: SplitSearch, histogram: Histogram, feature: number): number[] {
  const first = search.slots.first[feature]! * 3;
  const codes: number[] = [];
  for (let code = 0; code <= binCount(search.bins, feature); code++)
    if (histogram[first + code * 3 + 2]! > 0) codes.push(code);
  const place = (code: number): number =>
    histogram[first + code * 3]! / (histogram[first + code * 3 + 1]! + search.rules.categorySmoothing + 1e-12);
  return codes.sort((a, b) => place(a) - place(b) || a - b);
}

/** Tries every prefix of the ordered codes as the left side; answers how many codes the best one has. */
function scanCategory(search: SplitSearch, leaf: Leaf, feature: number, codes: number[], found: Found): number {
  const { histogram, sums } = leaf;
  const { minRows, minHessian, lambda, categorySmoothing } = search.rules;
  const first = search.slots.first[feature]! * 3;
  let [g, h, rows, best] = [0, 0, 0, 0];
  for (let taken = 1; taken < codes.length; taken++) {
    const slot = first + codes[taken - 1]! * 3;
    g += histogram[slot]!;
    h += histogram[slot + 1]!;
    rows += histogram[slot + 2]!;
    if (rows < minRows || h < minHessian) continue;
    if (sums.rows - rows < minRows || sums.h - h < minHessian) break;
    const gain = heldGain(leaf, g, h, lambda + categorySmoothing, 0);
    if (!(gain > found.gain)) continue;
    note(found, gain, g, h, rows);
    best = taken;
  }
  return best;
}

/** 1 for each code that goes left. A code without rows here goes with the most. */
function leftSet(codes: number[], taken: number, places: number, mostLeft: boolean): Uint8Array {
  const set = new Uint8Array(places).fill(mostLeft ? 1 : 0);
  codes.forEach((code, i) => (set[code] = i < taken ? 1 : 0));
  return set;
}

/** Gains differ by rounding alone below this part of what the leaf itself takes away. */
const noise = 1e-9;

/** The best split of a leaf over the features, or null when none is allowed or gains more than `minGain`. */
export function bestSplit(search: SplitSearch, leaf: Leaf, features: Int32Array): Split | null {
  const { rules, bins } = search;
  const own = drop(leaf.sums.g, leaf.sums.h + rules.lambda, leaf.bounds);
  const found: Found = { gain: own + rules.minGain + noise * own, bin: -1, missingLeft: false, g: 0, h: 0, rows: 0 };
  let [feature, set]: [number, Uint8Array | null] = [-1, null];
  for (const candidate of features) {
    const before = found.gain;
    if (bins.categorical[candidate] === 1) {
      const codes = orderedCodes(search, leaf.histogram, candidate);
      const taken = scanCategory(search, leaf, candidate, codes, found);
      if (taken === 0) continue;
      const mostLeft = found.rows * 2 > leaf.sums.rows;
      set = leftSet(codes, taken, binCount(bins, candidate) + 1, mostLeft);
      found.bin = -1;
      found.missingLeft = set[binCount(bins, candidate)] === 1;
    } else {
      const missing = leaf.histogram[(search.slots.first[candidate]! + binCount(bins, candidate)) * 3 + 2]!;
      scan(search, leaf, candidate, false, found);
      if (missing > 0) scan(search, leaf, candidate, true, found);
      if (found.gain === before) continue;
      if (missing === 0) found.missingLeft = found.rows * 2 > leaf.sums.rows;
      set = null;
    }
    feature = candidate;
  }
  if (feature < 0) return null;
  const left = { g: found.g, h: found.h, rows: found.rows };
  const right = { g: leaf.sums.g - left.g, h: leaf.sums.h - left.h, rows: leaf.sums.rows - left.rows };
  const { bin, missingLeft } = found;
  return { gain: found.gain - own, feature, bin, set, missingLeft, left, right };
}
