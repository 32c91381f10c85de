// Which items people are asked about: a uniform exploration share first, then what the strategy chooses.
import { createRandom, drawWithout } from '../stats/prng.js';
import { entropy, leastConfidence, margin } from '../stats/uncertainty.js';
import { type DiverseItem, type DiverseStrategy, isDiverse, pickDiverse } from './label-diverse.js';
import type { Strategy } from './labeling.js';

/** An unlabelled item of the training part; `probabilities` null where no model has scored it. */
export interface PickCandidate {
  key: string;
  probabilities: number[] | null;
  /** For `kCenter` and `badge`: what the model's last layer sees; absent where the row is not in the pool compared. */
  vector?: Float32Array;
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

function scoreOf(strategy: Strategy, { probabilities }: PickCandidate): number | null {
  if (probabilities === null || probabilities.length === 0) return null;
  if (strategy === 'random' || isDiverse(strategy)) return null;
  const measure = { leastConfidence, margin, entropy }[strategy];
  const score = measure(probabilities);
  return Number.isFinite(score) ? score : null;
}

/** The larger, the sooner it is asked; items without a score come first, since nothing is known about them. */
function urgency(strategy: Strategy, score: number | null): number {
  if (score === null) return Infinity;
  return strategy === 'margin' ? -score : score;
}

function byKey(a: { key: string }, b: { key: string }): number {
  return a.key < b.key ? -1 : a.key > b.key ? 1 : 0;
}

type Scored = PickCandidate & { score: number | null };
type Chosen = Pick<PickedTask, 'key' | 'score'>;

/** Only those that can be among the first are sorted by key as well: a pool may have a million items. */
function mostUrgent(strategy: Strategy, rest: readonly Scored[], count: number): Chosen[] {
  if (count === 0) return [];
  const urgencies = Float64Array.from(rest, ({ score }) => urgency(strategy, score));
  const least = count < rest.length ? urgencies.slice().sort()[rest.length - count]! : -Infinity;
  const within = rest.map((_, index) => index).filter((index) => urgencies[index]! >= least);
  within.sort((a, b) => {
    const [urgentA, urgentB] = [urgencies[a]!, urgencies[b]!];
    return urgentA === urgentB ? byKey(rest[a]!, rest[b]!) : urgentB - urgentA;
  });
  return within.slice(0, count).map((index) => rest[index]!);
}

/** Those with a vector; where they are too few, the others in key order. */
function mostDiverse(
  strategy: DiverseStrategy,
  rest: Scored[],
  options: { count: number; seed: number; covered: Float32Array[] },
) {
  const items = rest.filter((one): one is Scored & DiverseItem => one.vector !== undefined);
  const picks = pickDiverse(items, { strategy, ...options });
  const chosen: Chosen[] = picks.map(({ index, score }) => ({ key: items[index]!.key, score }));
  const others = rest.filter(({ vector }) => vector === undefined);
  return [...chosen, ...others.slice(0, options.count - chosen.length)];
}

/**
 * At most `batchSize` tasks: round(batchSize · explore) drawn uniformly from all candidates, the rest by the strategy,
 * ties by key. With strategy `random`, or where nothing has a score or a vector, all are drawn uniformly. The answer
 * depends on keys, probabilities, vectors and options only, never on the order of `candidates` (keys must differ).
 */
export function pickTasks(candidates: readonly PickCandidate[], options: PickOptions): PickedTask[] {
  const { strategy, seed, covered = [] } = options;
  const sorted: Scored[] = candidates.map((one) => ({ ...one, score: scoreOf(strategy, one) })).sort(byKey);
  const size = Math.min(sorted.length, Math.max(0, Math.floor(options.batchSize)));
  const uniform = sorted.every(({ score, vector }) => (isDiverse(strategy) ? vector === undefined : score === null));
  const explored = Math.min(size, Math.round(size * Math.min(1, Math.max(0, options.explore))));
  const drawn = drawWithout(createRandom(seed), sorted.length, uniform ? size : explored);
  const probability = sorted.length === 0 ? null : drawn.length / sorted.length;
  const picks: PickedTask[] = [];
  drawn.forEach((index, place) => {
    const item = sorted[index];
    const reason = place < explored ? 'explore' : 'strategy';
    if (item) picks.push({ key: item.key, score: item.score, reason, probability });
  });
  if (uniform) return picks;
  const taken = new Set(drawn);
  const rest = sorted.filter((_, index) => !taken.has(index));
  const count = size - picks.length;
  const asked = drawn.map((index) => sorted[index]?.vector).filter((vector) => vector !== undefined);
  const chosen = isDiverse(strategy)
    ? mostDiverse(strategy, rest, { count, seed, covered: [...covered, ...asked] })
    : mostUrgent(strategy, rest, count);
  for (const { key, score } of chosen) picks.push({ key, score, reason: 'strategy', probability: null });
  return picks;
}
