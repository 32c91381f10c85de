// Which items people are asked about: a uniform exploration share first, then the least certain ones.
import { createRandom, drawWithout } from '../stats/prng.js';
import { entropy, leastConfidence, margin } from '../stats/uncertainty.js';
import type { Strategy } from './labeling.js';

/** An unlabelled item of the training part; `probabilities` null where no model has scored it. */
export interface PickCandidate {
  key: string;
  probabilities: number[] | null;
}

export interface PickOptions {
  strategy: Strategy;
  batchSize: number;
  /** Share of the batch drawn uniformly, 0 to 1. */
  explore: number;
  seed: number;
}

export interface PickedTask {
  key: string;
  reason: 'strategy' | 'explore';
  /** The strategy's own number: 1 - max p, margin or entropy; null for uniform draws without a score. */
  score: number | null;
  /** Chance to be in the batch of an item drawn uniformly; null for the strategy's choice, which is no draw. */
  probability: number | null;
}

function scoreOf(strategy: Strategy, { probabilities }: PickCandidate): number | null {
  if (probabilities === null || probabilities.length === 0) return null;
  if (strategy === 'random') return null;
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

/**
 * At most `batchSize` tasks: round(batchSize · explore) drawn uniformly from all candidates, the rest by the strategy,
 * ties by key. With strategy `random`, or where nothing has a score, all are drawn uniformly. The answer depends on keys,
 * probabilities and options only, never on the order of `candidates` (keys must differ).
 */
export function pickTasks(candidates: readonly PickCandidate[], options: PickOptions): PickedTask[] {
  const { strategy, seed } = options;
  const sorted = candidates
    .map((candidate) => ({ key: candidate.key, score: scoreOf(strategy, candidate) }))
    .sort(byKey);
  const size = Math.min(sorted.length, Math.max(0, Math.floor(options.batchSize)));
  const uniform = sorted.every(({ score }) => score === null);
  const explored = Math.min(size, Math.round(size * Math.min(1, Math.max(0, options.explore))));
  const drawn = drawWithout(createRandom(seed), sorted.length, uniform ? size : explored);
  const probability = sorted.length === 0 ? null : drawn.length / sorted.length;
  const picks: PickedTask[] = [];
  drawn.forEach((index, place) => {
    const item = sorted[index];
    if (item) picks.push({ ...item, reason: place < explored ? 'explore' : 'strategy', probability });
  });
  if (uniform) return picks;
  const taken = new Set(drawn);
  const rest = sorted.filter((_, index) => !taken.has(index));
  rest.sort((a, b) => {
    const [urgentA, urgentB] = [urgency(strategy, a.score), urgency(strategy, b.score)];
    return urgentA === urgentB ? byKey(a, b) : urgentB - urgentA;
  });
  for (const item of rest.slice(0, size - picks.length)) picks.push({ ...item, reason: 'strategy', probability: null });
  return picks;
}
