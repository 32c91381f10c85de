// All answers of a batch together: what they come to when it closes, and how far its people agree. For kinds whose answers
// are one of some classes; other kinds have the consensus of each item (domain/consensus.ts).
import { pairAgreement, gwetAC } from '../stats/agreement.js';
import { type Answers, voteCounts } from '../stats/answers.js';
import { dawidSkene } from '../stats/dawid-skene.js';
import { krippendorffAlpha } from '../stats/krippendorff.js';
import type { Consensus } from './consensus.js';
import type { LabelKind } from './label-kind.js';

/** One answer that says something; skips are left out. */
export interface BatchAnswer {
  /** Id of the task. */
  task: string;
  annotator: string;
  label: string;
  /** Of a gold item the known answer. */
  gold: string | null;
}

export interface Agreement {
  answers: number;
  /** Items with two answers or more; the figures are theirs. */
  items: number;
  /** Mean share of pairs of answers that agree, 0 to 1. */
  pairs: number | null;
  /** Krippendorff's alpha, nominal: 1 perfect, 0 chance; null where nobody ever gave another answer. */
  alpha: number | null;
  /** Gwet's AC1, which does not fall where one class is common. */
  ac1: number | null;
}

/** Whether the answers of this kind are classes. */
export const hasClasses = (kind: LabelKind): boolean => kind === 'single' || kind === 'preference';

/** So much of an answer is believed beforehand of every pair of true and given class: few answers do not make certainty. */
const smoothing = 0.1;

interface Indexed {
  answers: Answers;
  tasks: string[];
  classes: string[];
  gold: Int32Array;
}

function indexed(given: readonly BatchAnswer[]): Indexed {
  const sorted = (values: Iterable<string>): string[] => [...new Set(values)].sort();
  const tasks = sorted(given.map(({ task }) => task));
  const people = sorted(given.map(({ annotator }) => annotator));
  const classes = sorted(given.flatMap(({ label, gold }) => (gold === null ? [label] : [label, gold])));
  const places = (names: string[]): Map<string, number> => new Map(names.map((name, place) => [name, place]));
  const [task, person, label] = [places(tasks), places(people), places(classes)];
  const column = (of: (answer: BatchAnswer) => number | undefined): Int32Array =>
    Int32Array.from(given, (answer) => of(answer) ?? 0);
  const gold = new Int32Array(tasks.length).fill(-1);
  for (const one of given) if (one.gold !== null) gold[task.get(one.task) ?? 0] = label.get(one.gold) ?? -1;
  return {
    answers: {
      ...{ items: tasks.length, annotators: people.length, classes: classes.length },
      item: column((one) => task.get(one.task)),
      annotator: column((one) => person.get(one.annotator)),
      label: column((one) => label.get(one.label)),
    },
    ...{ tasks, classes, gold },
  };
}

/**
 * The likeliest class of each task by Dawid and Skene's model (1979), gold items held at their answer, with its
 * probability. The order of the answers does not matter; of equally likely classes the first by name is taken.
 */
export function batchConsensus(given: readonly BatchAnswer[]): Map<string, Consensus> {
  if (given.length === 0) return new Map();
  const { answers, tasks, classes, gold } = indexed(given);
  const { posteriors } = dawidSkene(answers, { gold, smoothing });
  return new Map(
    tasks.map((task, i) => {
      const row = posteriors.subarray(i * classes.length, (i + 1) * classes.length);
      const best = row.reduce((top, value, place) => (value > (row[top] ?? 0) ? place : top), 0);
      return [task, { label: classes[best] ?? '', confidence: row[best] ?? null }];
    }),
  );
}

/** How far people agree; null where nobody answered an item that another one answered. */
export function batchAgreement(given: readonly BatchAnswer[]): Agreement | null {
  if (given.length === 0) return null;
  const { answers, classes } = indexed(given);
  const counts = voteCounts(answers);
  const perItem = new Float64Array(answers.items);
  for (let at = 0; at < given.length; at += 1) perItem[answers.item[at] ?? 0]! += 1;
  const items = perItem.filter((count) => count > 1).length;
  if (items === 0) return null;
  const one = classes.length < 2;
  return {
    ...{ answers: given.length, items },
    pairs: pairAgreement(counts, classes.length),
    alpha: one ? null : measured(() => krippendorffAlpha(counts, { classes: classes.length })),
    ac1: one ? null : measured(() => gwetAC(counts, classes.length)),
  };
}

/** Null where the measure is not defined: all answers to the items that count may be one and the same. */
function measured(measure: () => number): number | null {
  try {
    return measure();
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
}
