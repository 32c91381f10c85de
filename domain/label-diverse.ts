// Strategies that look at rows side by side: `kCenter` leaves no row far from an asked one, `badge` draws rows that are
// uncertain and unlike each other. Both compare every row with every pick, so how many are compared is bounded.
import { badge, gradients } from '../stats/badge.js';
import { kCenter } from '../stats/k-center.js';

const diverseStrategies = ['kCenter', 'badge'] as const;
export type DiverseStrategy = (typeof diverseStrategies)[number];

export function isDiverse(strategy: string): strategy is DiverseStrategy {
  return diverseStrategies.some((one) => one === strategy);
}

export interface DiverseItem {
  key: string;
  /** What the last layer sees of the row; as wide for every item. */
  vector: Float32Array;
  probabilities: ArrayLike<number> | null;
}

/** Numbers held at once, and multiplications of one choice: a second or two. */
const [mostCells, mostProducts] = [1_000_000, 1_000_000_000];

export interface DiverseBounds {
  /** Rows to choose among, drawn uniformly where it is not all. */
  pool: number;
  /** Labelled rows that count as covered, drawn likewise. */
  covered: number;
}

/** How many of `rows` and `labelled` are compared; a pool has at least twice as many rows as the batch asks for. */
export function diverseBounds(sizes: {
  rows: number;
  labelled: number;
  width: number;
  batchSize: number;
}): DiverseBounds {
  const { rows, labelled, width, batchSize } = sizes;
  const pool = Math.min(rows, Math.max(2 * batchSize, Math.floor(mostCells / Math.max(1, width))));
  const covered = Math.min(labelled, Math.floor(mostProducts / Math.max(1, pool * width)));
  return { pool, covered };
}

/** All columns with mean 0 and deviation 1 over the rows; what is missing is the mean, and a constant column 0. In place. */
export function standardise(vectors: readonly Float32Array[]): void {
  const width = vectors[0]?.length ?? 0;
  for (let column = 0; column < width; column += 1) {
    const known = vectors.map((vector) => vector[column]!).filter(Number.isFinite);
    const mean = known.reduce((sum, value) => sum + value, 0) / known.length;
    const variance = known.reduce((sum, value) => sum + (value - mean) ** 2, 0) / known.length;
    const scale = variance > 0 ? 1 / Math.sqrt(variance) : 0;
    for (const vector of vectors) {
      const value = vector[column]!;
      vector[column] = Number.isFinite(value) ? (value - mean) * scale : 0;
    }
  }
}

function flat(vectors: readonly ArrayLike<number>[], width: number): Float64Array {
  const all = new Float64Array(vectors.length * width);
  vectors.forEach((vector, row) => all.set(vector, row * width));
  return all;
}

export interface DiverseOptions {
  strategy: DiverseStrategy;
  count: number;
  seed: number;
  /** Vectors of rows that have a label, or get one anyway; for `kCenter`. */
  covered: readonly Float32Array[];
}

export interface DiversePick {
  /** Into the items. */
  index: number;
  /** `kCenter`: distance to the nearest covered row, null for the first of all; `badge`: length of the gradient. */
  score: number | null;
}

function chooseCentres(items: readonly DiverseItem[], { count, covered }: DiverseOptions): DiversePick[] {
  const width = items[0]?.vector.length ?? 1;
  const points = flat([...items.map(({ vector }) => vector), ...covered], width);
  const labelled = covered.map((_, i) => items.length + i);
  const { picks, distances } = kCenter(points, { width, count, labelled });
  return picks.map((index, i) => ({ index, score: Number.isFinite(distances[i]) ? distances[i]! : null }));
}

function chooseGradients(items: readonly DiverseItem[], { count, seed }: DiverseOptions): DiversePick[] {
  const width = items[0]?.vector.length ?? 1;
  const classes = items[0]?.probabilities?.length ?? 1;
  const rows = {
    embeddings: flat(
      items.map(({ vector }) => vector),
      width,
    ),
    probabilities: flat(
      items.map(({ probabilities }) => probabilities ?? []),
      classes,
    ),
    width,
    classes,
  };
  const { norms } = gradients(rows);
  return badge(rows, { count, seed }).map((index) => ({ index, score: Math.sqrt(norms[index]!) }));
}

/**
 * At most `count` of the items, all different. A large batch of a large pool is chosen in parts, each row in one of them,
 * so that the work stays bounded. The same items in the same order, options and seed give the same picks.
 */
export function pickDiverse(items: readonly DiverseItem[], options: DiverseOptions): DiversePick[] {
  const { strategy, count, seed } = options;
  const width = items[0]?.vector.length ?? 1;
  const parts = Math.max(1, Math.ceil((items.length * width * count) / mostProducts));
  const choose = strategy === 'kCenter' ? chooseCentres : chooseGradients;
  const picks: DiversePick[] = [];
  for (let part = 0; part < parts; part += 1) {
    const own = items.flatMap((_, index) => (index % parts === part ? [index] : []));
    const wanted = Math.ceil((count - picks.length) / (parts - part));
    const chosen = choose(
      own.map((index) => items[index]!),
      { ...options, count: wanted, seed: seed + part },
    );
    picks.push(...chosen.map(({ index, score }) => ({ index: own[index]!, score })));
  }
  return picks;
}
