// Which items people are asked about: a uniform exploration share first, then what the strategy chooses.
import { createRandom, drawWithout } from '../stats/prng.js';
import { entropy, leastConfidence, margin } from '../stats/uncertainty.js';
import { type DiverseItem, type DiverseStrategy, isDiverse, pickDiverse } from './label-diverse.js';
import type { Strategy } from './labeling.js';
import { rowsByKey, type ScoredRows, scoredRows } from './scored-rows.js';

/** An unlabelled item of the training part; `probabilities` null where no model has scored it. */
export interface PickCandidate {
  key: string;
  probabilities: number[] | null;
  /** For `kCenter` and `badge`: what the model's last layer sees; absent where the row is not in the pool compared. */
  vector?: Float32Array;
}

/** Candidates side by side. */
export interface PickPool extends ScoredRows {
  vector(row: number): Float32Array | undefined;
}

/** The pool but for these keys, in its order. */
export function poolWithout(pool: PickPool, gone: ReadonlySet<string>): PickPool {
  if (gone.size === 0) return pool;
  const left = Uint32Array.from(pool.keys.keys()).filter((row) => !gone.has(pool.keys[row]!));
  return {
    keys: Array.from(left, (row) => pool.keys[row]!),
    probabilities: (place) => pool.probabilities(left[place]!),
    vector: (place) => pool.vector(left[place]!),
  };
}

export interface PickOptions {
  strategy: Strategy;
  batchSize: number;
  /** Share of the batch drawn uniformly, 0 to 1. */
  explore: number;
  seed: number;
  /** For `kCenter`: vectors of rows that have a label. */
  covered?: readonly Float32Array[];
}

export interface PickedTask {
  key: string;
  reason: 'strategy' | 'explore';
  /** The strategy's own number (docs/pipeline.md, Labels); null for uniform draws without one. */
  score: number | null;
  /** Chance to be in the batch of an item drawn uniformly; null for the strategy's choice, which is no draw. */
  probability: number | null;
}

function scoreOf(strategy: Strategy, probabilities: ArrayLike<number> | null): number | null {
  if (probabilities === null || probabilities.length === 0) return null;
  if (strategy === 'random' || isDiverse(strategy)) return null;
  const measure = { leastConfidence, margin, entropy }[strategy];
  const score = measure(probabilities);
  return Number.isFinite(score) ? score : null;
}

/** The larger, the sooner it is asked; items without a score come first, since nothing is known about them. */
function urgency(strategy: Strategy, score: number): number {
  if (Number.isNaN(score)) return Infinity;
  return strategy === 'margin' ? -score : score;
}

/** Candidates in key order, by their place in it. */
interface Sorted {
  keys: readonly string[];
  /** NaN where there is none. */
  scores: Float64Array;
  probabilities(place: number): ArrayLike<number> | null;
  vector(place: number): Float32Array | undefined;
}

function sortedPool(pool: PickPool, strategy: Strategy): Sorted {
  const order = rowsByKey(pool.keys);
  const scores = new Float64Array(order.length).fill(NaN);
  const probabilities = (place: number) => pool.probabilities(order[place]!);
  if (strategy !== 'random' && !isDiverse(strategy)) {
    for (let place = 0; place < scores.length; place += 1) {
      scores[place] = scoreOf(strategy, probabilities(place)) ?? NaN;
    }
  }
  const keys = Array.from(order, (row) => pool.keys[row]!);
  return { keys, scores, probabilities, vector: (place) => pool.vector(order[place]!) };
}

interface Chosen {
  place: number;
  score: number | null;
}

/** The most urgent of the places; of equal ones the first. All but these are never sorted one by one. */
function mostUrgent(strategy: Strategy, scores: Float64Array, rest: Float64Array, count: number): Chosen[] {
  if (count === 0) return [];
  const urgencies = new Float64Array(rest.length);
  rest.forEach((place, index) => (urgencies[index] = urgency(strategy, scores[place]!)));
  const least = count < rest.length ? urgencies.slice().sort()[rest.length - count]! : -Infinity;
  const above: number[] = [];
  const level: number[] = [];
  urgencies.forEach((urgent, index) => {
    if (urgent > least) above.push(index);
    else if (urgent === least && level.length < count) level.push(index);
  });
  above.sort((a, b) => (urgencies[a] === urgencies[b] ? a - b : urgencies[b]! - urgencies[a]!));
  return [...above, ...level].slice(0, count).map((index) => {
    const place = rest[index]!;
    const score = scores[place]!;
    return { place, score: Number.isNaN(score) ? null : score };
  });
}

/** Those with a vector; where they are too few, the others in key order. */
function mostDiverse(
  strategy: DiverseStrategy,
  { keys, probabilities, vector }: Sorted,
  { rest, ...options }: { rest: Float64Array; count: number; seed: number; covered: Float32Array[] },
): Chosen[] {
  const compared: { place: number; item: DiverseItem }[] = [];
  const others: Chosen[] = [];
  for (const place of rest) {
    const own = vector(place);
    if (own) {
      const item = { key: keys[place]!, vector: own, probabilities: probabilities(place) };
      compared.push({ place, item });
    } else if (others.length < options.count) others.push({ place, score: null });
  }
  const picks = pickDiverse(
    compared.map(({ item }) => item),
    { strategy, ...options },
  );
  const chosen = picks.map(({ index, score }): Chosen => ({ place: compared[index]!.place, score }));
  return [...chosen, ...others.slice(0, options.count - chosen.length)];
}

/** `pickFrom` of few candidates. */
export function pickTasks(candidates: readonly PickCandidate[], options: PickOptions): PickedTask[] {
  return pickFrom({ ...scoredRows(candidates), vector: (row) => candidates[row]?.vector }, options);
}

/**
 * At most `batchSize` tasks: round(batchSize · explore) drawn uniformly from all candidates, the rest by the strategy,
 * ties by key. With strategy `random`, or where nothing has a score or a vector, all are drawn uniformly. The answer
 * depends on keys, probabilities, vectors and options only, never on the order of the pool (keys must differ).
 */
export function pickFrom(pool: PickPool, options: PickOptions): PickedTask[] {
  const { strategy, seed, covered = [] } = options;
  const sorted = sortedPool(pool, strategy);
  const { keys, scores, vector } = sorted;
  const size = Math.min(keys.length, Math.max(0, Math.floor(options.batchSize)));
  const uniform = isDiverse(strategy)
    ? keys.every((_, place) => vector(place) === undefined)
    : scores.every(Number.isNaN);
  const explored = Math.min(size, Math.round(size * Math.min(1, Math.max(0, options.explore))));
  const drawn = drawWithout(createRandom(seed), keys.length, uniform ? size : explored);
  const probability = keys.length === 0 ? null : drawn.length / keys.length;
  const picks = drawn.map((place, index): PickedTask => {
    const score = scores[place]!;
    const reason = index < explored ? 'explore' : 'strategy';
    return { key: keys[place]!, score: Number.isNaN(score) ? null : score, reason, probability };
  });
  if (uniform) return picks;
  const taken = new Set(drawn);
  const rest = scores.map((_, place) => place).filter((place) => !taken.has(place));
  const count = size - picks.length;
  const asked = drawn.map(vector).filter((one) => one !== undefined);
  const chosen = isDiverse(strategy)
    ? mostDiverse(strategy, sorted, { rest, count, seed, covered: [...covered, ...asked] })
    : mostUrgent(strategy, scores, rest, count);
  for (const { place, score } of chosen)
    picks.push({ key: keys[place]!, score, reason: 'strategy', probability: null });
  return picks;
}
