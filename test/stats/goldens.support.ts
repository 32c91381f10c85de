// What goldens.py has written, and its tables of answers as columns.
import type { Answers } from '../../stats/answers.js';

/** A row per item, a column per person; null: not asked. */
type Table = (number | null)[][];

interface Scored {
  table: Table;
  probabilities: number[][];
  scores: number[];
}

export interface Goldens {
  versions: Record<string, string>;
  activeLab: Scored & { unlabelled: number[][]; unlabelledScores: number[] };
  activeLabSingle: Scored;
  crowdlab: {
    table: Table;
    probabilities: number[][];
    consensus: number[];
    quality: number[];
    annotatorWeights: number[];
    modelWeight: number;
  };
  labelErrors: {
    labels: number[];
    probabilities: number[][];
    thresholds: number[];
    joint: number[][];
    calibrated: number[][];
    found: Record<string, number[]>;
    selfConfidence: number[];
    normalizedMargin: number[];
  }[];
  agreement: {
    counts: number[][];
    alpha: Record<string, number>;
    gwet: Record<string, number>;
    cohen: { table: number[][]; none: number; linear: number; quadratic: number };
  };
}

export function answersOfTable(table: Table, classes: number): Answers {
  const cells = table.flatMap((row, item) => row.map((label, annotator) => ({ item, annotator, label })));
  const given = cells.filter((cell): cell is { item: number; annotator: number; label: number } => cell.label !== null);
  return {
    ...{ items: table.length, annotators: table[0]?.length ?? 0, classes },
    item: given.map(({ item }) => item),
    annotator: given.map(({ annotator }) => annotator),
    label: given.map(({ label }) => label),
  };
}
