// Which labelled rows are asked about again: those that confident learning suspects, and a uniform share that says how many
// labels are wrong.
import { argMax } from '../stats/rank.js';
import { labelErrors, normalizedMargin } from '../stats/label-errors.js';
import { createRandom, drawWithout } from '../stats/prng.js';
import type { Suggestion } from './labeling.js';

/** Labelled rows, each with probabilities of a model that has not seen its label. Rows without a model are left out. */
export interface JudgedRows {
  keys: string[];
  labels: string[];
  /** Of all labels, in the order of the probabilities. */
  classes: string[];
  /** Row-major, rows x classes. */
  probabilities: Float64Array;
}

export interface SuspectPick {
  key: string;
  reason: 'suspect' | 'explore';
  /** (p of the label - largest p of another + 1) / 2: low is suspect. */
  score: number;
  /** With which it was drawn; null where it was chosen. */
  probability: number | null;
  /** The label that it has. */
  given: string;
  /** What the model takes it for. */
  guess: Suggestion;
}

export interface SuspectOptions {
  batchSize: number;
  /** Share of the batch drawn uniformly from all rows that may be asked about. */
  explore: number;
  seed: number;
  /** Keys that people have looked at in a relabelling before: they are evidence, and not asked about again. */
  done: ReadonlySet<string>;
}

const byKey = (a: { key: string }, b: { key: string }): number => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0);

/** Every row with its score, in key order. `suspect`: by `noiseRate`, which counts for each pair of classes what the joint has. */
function judged({ keys, labels, classes, probabilities }: JudgedRows): (SuspectPick & { suspect: boolean })[] {
  const place = new Map(classes.map((name, index) => [name, index]));
  const rows = {
    labels: Int32Array.from(labels, (label) => place.get(label) ?? -1),
    probabilities,
    classes: classes.length,
  };
  const marks = labelErrors(rows, 'noiseRate');
  const margins = normalizedMargin(rows);
  return keys
    .map((key, row) => {
      const best = argMax(probabilities, row * classes.length, classes.length);
      const guess = { label: classes[best] ?? '', confidence: probabilities[row * classes.length + best] ?? 0 };
      const facts = { key, given: labels[row] ?? '', guess, score: margins[row] ?? 0 };
      return { ...facts, suspect: marks[row] === 1, reason: 'suspect' as const, probability: null };
    })
    .sort(byKey);
}

/**
 * At most `batchSize` picks: round(batchSize · explore) drawn uniformly, then suspects, the most suspicious first, ties by
 * key. None where no label is suspect, however much is to be explored: then there is nothing to ask.
 */
export function pickSuspects(rows: JudgedRows, options: SuspectOptions): SuspectPick[] {
  if (rows.keys.length === 0) return [];
  const open = judged(rows).filter(({ key }) => !options.done.has(key));
  if (!open.some(({ suspect }) => suspect)) return [];
  const size = Math.min(open.length, Math.max(0, Math.floor(options.batchSize)));
  const explored = Math.min(size, Math.round(size * Math.min(1, Math.max(0, options.explore))));
  const drawn = new Set(drawWithout(createRandom(options.seed), open.length, explored));
  const chosen = open
    .filter(({ suspect }, index) => suspect && !drawn.has(index))
    .sort((a, b) => a.score - b.score || byKey(a, b))
    .slice(0, size - explored);
  const probability = explored / open.length;
  const uniform = [...drawn].map((index) => ({ ...open[index]!, reason: 'explore' as const, probability }));
  return [...uniform, ...chosen].map(({ suspect: _, ...pick }) => pick);
}
