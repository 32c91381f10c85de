// Answers of several people, sparse in classes: of each item the classes that it was given, of each person the pairs of
// a possible class and a given one that occur (cells).
import { type Answers, byItem } from './answers.js';

export interface Cells {
  items: number;
  people: number;
  classes: number;
  /** Answers by item, and in an item by person and class. */
  start: Uint32Array;
  annotator: Uint32Array;
  label: Uint32Array;
  /** Candidates: the distinct classes of an item's answers and its known one, rising; item i has `first[i]` to `first[i + 1]` - 1. */
  first: Uint32Array;
  candidate: Uint32Array;
  /** 1: tells how its people err, since its class is known or two people answered it. */
  tells: Uint8Array;
  /** Of each answer and each candidate of its item, in this order, their cell. */
  of: Uint32Array;
  /** Of each cell whose it is, whether given and true class are one, and its row: the person and the true class. */
  person: number[];
  right: boolean[];
  row: number[];
  rows: number;
}

/** Sums over the answers do not depend on the order in which they came. */
function ordered(answers: Answers): Answers {
  const { item, annotator, label } = answers;
  const order = Uint32Array.from({ length: item.length }, (_, at) => at).sort(
    (a, b) => item[a]! - item[b]! || annotator[a]! - annotator[b]! || label[a]! - label[b]!,
  );
  const sorted = (values: ArrayLike<number>): Uint32Array => order.map((at) => values[at]!);
  return { ...answers, item: sorted(item), annotator: sorted(annotator), label: sorted(label) };
}

/** How many pairs there are of an answer and a class that its item was given: what the time and memory grow with. */
export function answerPairs(answers: Answers): number {
  const { start, label } = byItem(answers);
  let pairs = 0;
  for (let i = 0; i < answers.items; i += 1) {
    pairs += (start[i + 1]! - start[i]!) * new Set(label.subarray(start[i]!, start[i + 1]!)).size;
  }
  return pairs;
}

function candidatesOf({ start, label }: Pick<Cells, 'start' | 'label'>, gold: ArrayLike<number>) {
  const first = new Uint32Array(start.length);
  const found: number[] = [];
  for (let i = 0; i + 1 < start.length; i += 1) {
    const classes = new Set(label.subarray(start[i]!, start[i + 1]!));
    if (gold[i]! >= 0) classes.add(gold[i]!);
    for (const one of [...classes].sort((a, b) => a - b)) found.push(one);
    first[i + 1] = found.length;
  }
  return { first, candidate: Uint32Array.from(found) };
}

/** Numbers keys in the order in which they come. */
function numbered(): { of: (key: number) => number; size: () => number } {
  const numbers = new Map<number, number>();
  return {
    of: (key) => {
      const known = numbers.get(key);
      if (known !== undefined) return known;
      numbers.set(key, numbers.size);
      return numbers.size - 1;
    },
    size: () => numbers.size,
  };
}

/** `gold`: of each item its known class, or -1. @throws RangeError as `byItem` */
export function answerCells(answers: Answers, gold: ArrayLike<number>): Cells {
  const { items, annotators: people, classes } = answers;
  const { start, annotator, label } = byItem(ordered(answers));
  const { first, candidate } = candidatesOf({ start, label }, gold);
  const tells = Uint8Array.from({ length: items }, (_, i) => {
    const [from, to] = [start[i]!, start[i + 1]!];
    return to > from && (gold[i]! >= 0 || annotator[from] !== annotator[to - 1]) ? 1 : 0;
  });
  const [cells, rows] = [numbered(), numbered()];
  const of: number[] = [];
  const [person, right, row]: [number[], boolean[], number[]] = [[], [], []];
  for (let i = 0; i < items; i += 1) {
    for (let at = start[i]!; at < start[i + 1]!; at += 1) {
      for (let c = first[i]!; c < first[i + 1]!; c += 1) {
        const rowKey = annotator[at]! * classes + candidate[c]!;
        const cell = cells.of(rowKey * classes + label[at]!);
        of.push(cell);
        if (cell < person.length) continue;
        person.push(annotator[at]!);
        right.push(candidate[c] === label[at]);
        row.push(rows.of(rowKey));
      }
    }
  }
  return {
    ...{ items, people, classes, start, annotator, label, first, candidate, tells },
    ...{ of: Uint32Array.from(of), person, right, row, rows: rows.size() },
  };
}
