// Dawid and Skene's model for few answers and many classes: a person has one chance to be right, drawn towards that of all
// (one coin each; Raykar et al. 2010, JMLR 11, section 2.5), and errors of their own only where many answers speak of them.
// Sparse: of an item only the classes that it was given, of a person only errors that were seen. The plain model stands
// in dawid-skene.ts: where few answers meet many classes it overturns what all agree on.
import type { Answers } from './answers.js';
import { answerCells, type Cells } from './answer-cells.js';

export interface ShrunkOptions {
  /** Of each item its known class, or -1; these are held fixed. */
  gold: ArrayLike<number>;
  /** Answers of all people together that are taken to be right and wrong beforehand. */
  prior: { right: number; wrong: number };
}

export interface Likeliest {
  /** Of each item one of the classes that it was given, or its known one; of equally likely ones the first; -1: no answer. */
  label: Int32Array;
  /** Its probability, all classes counted; NaN without answers. */
  confidence: Float64Array;
}

/** A person is taken to have answered so many items as people on average do: ten answers do not make an expert. */
const pooled = 20;
/** Answers for each class, to items that tell, from which on a person has errors of their own: a row of errors then rests on 25. */
const ownFrom = 25;
/** Each such row is taken to have so many answers beforehand, which err as the one coin does. */
const rowStrength = 30;
/** Each class is taken to have so many items beforehand. */
const classStrength = 1;
const rounds = 50;
/** Ends when the answers of no person count as right by more than this more or less than a round before. */
const enough = 1e-3;
/** Equally likely: sums of logarithms differ in their last bits. */
const tie = 1e-12;

/** Summed posteriors of the items that tell how people err: of cells, their rows, people, classes. */
interface Sums {
  cell: Float64Array;
  row: Float64Array;
  right: Float64Array;
  answered: Float64Array;
  classes: Float64Array;
}

interface Parameters {
  /** Logarithms of the share of each class, of each cell's probability, and of a person giving one certain wrong class. */
  share: Float64Array;
  cell: Float64Array;
  wrong: Float64Array;
}

interface State {
  cells: Cells;
  gold: ArrayLike<number>;
  sums: Sums;
  /** Of each candidate. */
  posteriors: Float64Array;
}

function total(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value, 0);
}

/** What the items with a known class alone say of people. */
function startOf(cells: Cells, gold: ArrayLike<number>): State {
  const { people, classes } = cells;
  const sums: Sums = {
    cell: new Float64Array(cells.person.length),
    row: new Float64Array(cells.rows),
    right: new Float64Array(people),
    answered: new Float64Array(people),
    classes: new Float64Array(classes),
  };
  for (let i = 0; i < cells.items; i += 1) {
    for (let at = cells.start[i]!; gold[i]! >= 0 && at < cells.start[i + 1]!; at += 1) {
      sums.answered[cells.annotator[at]!]! += 1;
      if (cells.label[at] === gold[i]) sums.right[cells.annotator[at]!]! += 1;
    }
  }
  return { cells, gold, sums, posteriors: new Float64Array(cells.candidate.length) };
}

/** `own`: with the errors of each person who answered enough. */
function maximise({ cells, sums }: State, { right, wrong }: ShrunkOptions['prior'], own: boolean): Parameters {
  const { classes } = cells;
  const mean = (total(sums.right) + right) / (total(sums.answered) + right + wrong);
  const accuracy = sums.right.map((count, who) => (count + pooled * mean) / (sums.answered[who]! + pooled));
  const other = accuracy.map((share) => (1 - share) / (classes - 1));
  const cell = sums.cell.map((count, at) => {
    const who = cells.person[at]!;
    const coin = cells.right[at] ? accuracy[who]! : other[who]!;
    if (!own || !hasOwn(sums, who, classes)) return Math.log(coin);
    return Math.log((count + rowStrength * coin) / (sums.row[cells.row[at]!]! + rowStrength));
  });
  const items = total(sums.classes) + classStrength * classes;
  return {
    share: sums.classes.map((mass) => Math.log((mass + classStrength) / items)),
    cell,
    wrong: other.map(Math.log),
  };
}

function hasOwn({ answered }: Sums, who: number, classes: number): boolean {
  return answered[who]! >= ownFrom * classes;
}

/** The posteriors of item `i`; `pair`: the place of its first answer and candidate. */
function judge({ cells, gold, posteriors }: State, { share, cell, wrong }: Parameters, i: number, pair: number): void {
  const [first, last] = [cells.first[i]!, cells.first[i + 1]!];
  let [none, shares] = [0, 0];
  for (let c = first; c < last; c += 1) {
    posteriors[c] = share[cells.candidate[c]!]!;
    shares += Math.exp(posteriors[c]!);
  }
  for (let at = cells.start[i]!, place = pair; at < cells.start[i + 1]!; at += 1) {
    none += wrong[cells.annotator[at]!]!;
    for (let c = first; c < last; c += 1, place += 1) posteriors[c]! += cell[cells.of[place]!]!;
  }
  // a class that nobody gave: it takes of the confidence, but cannot win
  none = last - first < cells.classes ? none + Math.log(Math.max(0, 1 - shares)) : -Infinity;
  const top = posteriors.subarray(first, last).reduce((most, value) => Math.max(most, value), none);
  let sum = Math.exp(none - top);
  for (let c = first; c < last; c += 1) sum += posteriors[c] = Math.exp(posteriors[c]! - top);
  for (let c = first; c < last; c += 1) {
    if (gold[i]! < 0) posteriors[c]! /= sum;
    else posteriors[c] = cells.candidate[c] === gold[i] ? 1 : 0;
  }
}

function count({ cells, gold, sums, posteriors }: State, i: number, pair: number): void {
  const [first, last] = [cells.first[i]!, cells.first[i + 1]!];
  // gold items were chosen: they say nothing of how frequent a class is
  for (let c = first; gold[i]! < 0 && c < last; c += 1) sums.classes[cells.candidate[c]!]! += posteriors[c]!;
  for (let at = cells.start[i]!, place = pair; at < cells.start[i + 1]!; at += 1) {
    const who = cells.annotator[at]!;
    sums.answered[who]! += 1;
    for (let c = first; c < last; c += 1, place += 1) {
      const cell = cells.of[place]!;
      sums.cell[cell]! += posteriors[c]!;
      sums.row[cells.row[cell]!]! += posteriors[c]!;
      if (cells.right[cell]) sums.right[who]! += posteriors[c]!;
    }
  }
}

/** New posteriors, summed up; answers how far a person's right answers moved at most. */
function expect(state: State, parameters: Parameters): number {
  const { cells, sums } = state;
  const before = sums.right.slice();
  for (const sum of Object.values(sums) as Float64Array[]) sum.fill(0);
  let pair = 0;
  for (let i = 0; i < cells.items; i += 1) {
    const answers = cells.start[i + 1]! - cells.start[i]!;
    if (answers === 0) continue;
    judge(state, parameters, i, pair);
    if (cells.tells[i]) count(state, i, pair);
    pair += answers * (cells.first[i + 1]! - cells.first[i]!);
  }
  return sums.right.reduce((most, now, who) => Math.max(most, Math.abs(now - before[who]!)), 0);
}

/**
 * The likeliest class of each item. It starts with what known items say of each person; then people and items are judged
 * by each other in rounds, items that only one person answered left out of the first. Whatever the order of the answers,
 * the numbers are the same. An item whose answers are one and the same class keeps it. Time: rounds x `answerPairs`.
 * @throws RangeError as `byItem`
 */
export function shrunkDawidSkene(answers: Answers, { gold, prior }: ShrunkOptions): Likeliest {
  const state = startOf(answerCells(answers, gold), gold);
  const { cells, sums, posteriors } = state;
  const settle = (own: boolean): void => {
    for (let round = 0; round < rounds && expect(state, maximise(state, prior, own)) >= enough; round += 1);
  };
  settle(false);
  if (sums.answered.some((_, who) => hasOwn(sums, who, cells.classes))) settle(true);
  const label = new Int32Array(cells.items).fill(-1);
  const confidence = new Float64Array(cells.items).fill(NaN);
  for (let i = 0; i < cells.items; i += 1) {
    for (let c = cells.first[i]!; c < cells.first[i + 1]! && cells.start[i]! < cells.start[i + 1]!; c += 1) {
      if (label[i] !== -1 && !(posteriors[c]! > confidence[i]! + tie)) continue;
      label[i] = cells.candidate[c]!;
      confidence[i] = posteriors[c]!;
    }
  }
  return { label, confidence };
}
