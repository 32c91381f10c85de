// Which given labels are probably wrong, from a model's probabilities out of sample (confident learning: Northcutt, Jiang
// & Chuang 2021, arXiv 1911.00068), with the details of cleanlab 2.9's `count` and `filter`.
import { rowsOf } from './matrix.js';
import { argMax, highestFirst, lowestFirst } from './rank.js';

export interface LabelledRows {
  /** Given labels, 0 to `classes` - 1. */
  labels: ArrayLike<number>;
  /** Row-major, rows x classes, from models that have not seen the row. */
  probabilities: ArrayLike<number>;
  classes: number;
}

/**
 * How suspects are chosen. `noiseRate` (the default): for each pair of classes as many as the joint has, the largest
 * margins first; `class`: for each class as many as the joint has off its diagonal, the least sure first; `both`: those of
 * both; `confident`: the rows off the diagonal of the joint; `predicted`: another class is likelier; `margin` and
 * `selfConfidence`: the lowest scores, as many as `confident` finds.
 */
export const labelErrorMethods = [
  'noiseRate',
  'class',
  'both',
  'confident',
  'predicted',
  'margin',
  'selfConfidence',
] as const;
export type LabelErrorMethod = (typeof labelErrorMethods)[number];

/** Threshold of a class that no row has: above every probability. */
const unreachable = 2;
const leastThreshold = 2e-6;
/** A probability this little below its threshold reaches it; a label this little below the top is the top. */
const slack = 1e-6;

function check({ labels, probabilities, classes }: LabelledRows): void {
  if (rowsOf(probabilities, classes) !== labels.length) {
    throw new RangeError(`${probabilities.length / classes} rows of probabilities for ${labels.length} labels`);
  }
  for (let i = 0; i < labels.length; i += 1) {
    const label = labels[i]!;
    if (!(Number.isInteger(label) && label >= 0 && label < classes)) throw new RangeError(`row ${i} has no such class`);
  }
}

function labelCounts({ labels, classes }: LabelledRows): Float64Array {
  const counts = new Float64Array(classes);
  for (let i = 0; i < labels.length; i += 1) counts[labels[i]!]! += 1;
  return counts;
}

/** Of each class the mean probability of it over the rows that have it; 2 for a class that no row has. */
export function confidentThresholds(rows: LabelledRows): Float64Array {
  check(rows);
  const { labels, probabilities, classes } = rows;
  const sums = new Float64Array(classes);
  for (let i = 0; i < labels.length; i += 1) sums[labels[i]!]! += probabilities[i * classes + labels[i]!]!;
  const counts = labelCounts(rows);
  return sums.map((sum, k) => (counts[k] === 0 ? unreachable : Math.max(leastThreshold, sum / counts[k]!)));
}

export interface ConfidentJoint {
  /** Rows by given label and by the class they confidently are, classes x classes; at least 1 on the diagonal. */
  counts: Float64Array;
  /** Of each row the class it confidently is, or -1. */
  confident: Int32Array;
}

/**
 * A row is confidently of a class whose threshold its probability reaches; of several, of its likeliest class.
 * @throws RangeError where labels and probabilities do not fit
 */
export function confidentJoint(rows: LabelledRows): ConfidentJoint {
  const thresholds = confidentThresholds(rows);
  const { labels, probabilities, classes } = rows;
  const counts = new Float64Array(classes * classes);
  const confident = Int32Array.from({ length: labels.length }, (_, i) => {
    let [reached, last] = [0, -1];
    for (let k = 0; k < classes; k += 1) {
      if (probabilities[i * classes + k]! >= thresholds[k]! - slack) [reached, last] = [reached + 1, k];
    }
    const guess = reached > 1 ? argMax(probabilities, i * classes, classes) : last;
    if (guess >= 0) counts[labels[i]! * classes + guess]! += 1;
    return guess;
  });
  for (let k = 0; k < classes; k += 1) counts[k * classes + k] = Math.max(1, counts[k * classes + k]!);
  return { counts, confident };
}

function halfToEven(value: number): number {
  const below = Math.floor(value);
  return value - below === 0.5 ? below + (below % 2) : Math.round(value);
}

/** Rounded values with the (rounded) sum of the row: where it is missed, those nearest to the next number move, one each. */
function rounded(row: Float64Array): Float64Array {
  const whole = row.map(halfToEven);
  const missing = Math.round(row.reduce((sum, value) => sum + value, 0)) - whole.reduce((sum, value) => sum + value, 0);
  const order = lowestFirst(row.map((value, k) => value - whole[k]!));
  for (const k of order.slice(0, Math.max(0, -missing))) whole[k]! -= 1;
  for (const k of order.reverse().slice(0, Math.max(0, missing))) whole[k]! += 1;
  return whole;
}

/** The joint with its rows scaled to the counts of the given labels, in whole numbers: the estimate for all rows. */
export function calibratedJoint(rows: LabelledRows, counts: Float64Array): Float64Array {
  const { classes } = rows;
  const given = labelCounts(rows);
  const joint = new Float64Array(counts.length);
  for (let k = 0; k < classes; k += 1) {
    const row = counts.subarray(k * classes, (k + 1) * classes);
    const sum = row.reduce((total, count) => total + count, 0);
    joint.set(rounded(row.map((count) => (count / sum) * given[k]!)), k * classes);
  }
  return joint;
}

/** Of each row the probability of its given label, in [0, 1]: low is suspect. */
export function selfConfidence({ labels, probabilities, classes }: LabelledRows): Float64Array {
  return Float64Array.from({ length: labels.length }, (_, i) => probabilities[i * classes + labels[i]!]!);
}

/** Of each row (p of its label - largest p of another class + 1) / 2, in [0, 1]: low is suspect. */
export function normalizedMargin({ labels, probabilities, classes }: LabelledRows): Float64Array {
  return Float64Array.from({ length: labels.length }, (_, i) => {
    let other = -Infinity;
    for (let k = 0; k < classes; k += 1) {
      if (k !== labels[i]) other = Math.max(other, probabilities[i * classes + k]!);
    }
    return (probabilities[i * classes + labels[i]!]! - other + 1) / 2;
  });
}

/** How many rows of given label k are to go to class j: row k of the joint, its diagonal at least 1, as whole numbers. */
function removals(joint: Float64Array, classes: number, k: number): Float64Array {
  const row = joint.slice(k * classes, (k + 1) * classes);
  const added = Math.max(1, row[k]!) - row[k]!;
  const others = Math.max(1, row.filter((count) => count !== 0).length - 1);
  const reduced = row.map((count) => Math.max(0, count - added / others));
  reduced[k] = row[k]! + added;
  return reduced;
}

/** Marks rows by the joint: by pairs of classes and by classes. */
function prune(rows: LabelledRows, joint: Float64Array): { byPair: Uint8Array; byClass: Uint8Array } {
  const { labels, probabilities, classes } = rows;
  const [byPair, byClass] = [new Uint8Array(labels.length), new Uint8Array(labels.length)];
  const table = new Float64Array(classes * classes);
  for (let k = 0; k < classes; k += 1) table.set(removals(joint, classes, k), k * classes);
  // rounding keeps the sums of the rows of the transposed table, by the class rows are to go to
  const counts = new Float64Array(classes * classes);
  for (let j = 0; j < classes; j += 1) {
    const column = rounded(Float64Array.from({ length: classes }, (_, k) => table[k * classes + j]!));
    column.forEach((count, k) => (counts[k * classes + j] = count));
  }
  for (let k = 0; k < classes; k += 1) {
    const own = Array.from({ length: labels.length }, (_, i) => i).filter((i) => labels[i] === k);
    if (own.length <= 1) continue;
    const p = (i: number, j: number): number => probabilities[i * classes + j]!;
    for (let j = 0; j < classes; j += 1) {
      if (j === k || counts[k * classes + j] === 0) continue;
      const order = highestFirst(own.map((i) => p(i, j) - p(i, k)));
      for (const place of order.slice(0, counts[k * classes + j])) byPair[own[place]!] = 1;
    }
    const unsure = lowestFirst(own.map((i) => p(i, k)));
    for (const place of unsure.slice(0, Math.max(0, own.length - counts[k * classes + k]!))) byClass[own[place]!] = 1;
  }
  return { byPair, byClass };
}

/** 1 where another class is likelier than the given one by more than a rounding error. */
function predictedOther({ labels, probabilities, classes }: LabelledRows): Uint8Array {
  return Uint8Array.from({ length: labels.length }, (_, i) => {
    const row = Float64Array.from({ length: classes }, (_, k) => probabilities[i * classes + k]!);
    row[labels[i]!]! += slack;
    return argMax(row) === labels[i] ? 0 : 1;
  });
}

/**
 * 1 for each row whose given label is suspect, else 0. No row is suspect whose label is also the likeliest class, save by
 * `margin` and `selfConfidence`.
 * @throws RangeError where labels and probabilities do not fit
 */
export function labelErrors(rows: LabelledRows, method: LabelErrorMethod = 'noiseRate'): Uint8Array {
  const { counts, confident } = confidentJoint(rows);
  const { labels } = rows;
  const other = predictedOther(rows);
  const unlike = confident.reduce((sum, guess, i) => sum + (guess >= 0 && guess !== labels[i] ? other[i]! : 0), 0);
  const lowest = (scores: Float64Array): Uint8Array => {
    const marks = new Uint8Array(labels.length);
    for (const i of lowestFirst(scores).slice(0, unlike)) marks[i] = 1;
    return marks;
  };
  switch (method) {
    case 'margin':
      return lowest(normalizedMargin(rows));
    case 'selfConfidence':
      return lowest(selfConfidence(rows));
    case 'predicted':
      return other;
    case 'confident':
      return other.map((mark, i) => (confident[i]! >= 0 && confident[i] !== labels[i] ? mark : 0));
    default: {
      const { byPair, byClass } = prune(rows, calibratedJoint(rows, counts));
      return other.map((mark, i) => {
        const chosen =
          method === 'noiseRate' ? byPair[i]! : method === 'class' ? byClass[i]! : byPair[i]! & byClass[i]!;
        return mark & chosen;
      });
    }
  }
}
