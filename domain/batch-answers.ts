// All answers of a batch together: what they come to when it closes, and how far its people agree. For kinds whose answers
// are one of some classes; other kinds have the consensus of each item (domain/consensus.ts).
import { answerPairs } from '../stats/answer-cells.js';
import type { Answers } from '../stats/answers.js';
import { nominalAgreement } from '../stats/nominal-agreement.js';
import { shrunkDawidSkene } from '../stats/shrunk-dawid-skene.js';
import { accuracyBefore, type Consensus } from './consensus.js';
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

/**
 * Pairs of an answer and a class that its item was given, at most: the consensus is worked out while the batch is held, and
 * this many take some 3 s of one core. 10,000 tasks with three answers each have about 45,000, whatever the classes.
 */
const mostPairs = 300_000;

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
 * The likeliest class of each task, all answers seen together: people are weighed by how they answered what others
 * answered too, gold items are held at their answer. Only a class that somebody gave can be the label, so a task whose
 * answers agree keeps it. `choices`: how many answers there are to choose from; null: any text. The order of the answers
 * does not matter; of equally likely classes the first by name is taken. Nothing above `mostPairs`: what each task came
 * to by itself stays.
 */
export function batchConsensus(given: readonly BatchAnswer[], choices: number | null): Map<string, Consensus> {
  if (given.length === 0) return new Map();
  const { answers, tasks, classes, gold } = indexed(given);
  if (answerPairs(answers) > mostPairs) return new Map();
  const among = { ...answers, classes: Math.max(choices ?? classes.length + 1, classes.length, 2) };
  const { label, confidence } = shrunkDawidSkene(among, { gold, prior: accuracyBefore });
  return new Map(
    tasks.map((task, i) => [task, { label: classes[label[i]!] ?? '', confidence: confidence[i] ?? null }]),
  );
}

/** How far people agree; null where nobody answered an item that another one answered. */
export function batchAgreement(given: readonly BatchAnswer[]): Agreement | null {
  if (given.length === 0) return null;
  const found = nominalAgreement(indexed(given).answers);
  return found.items === 0 ? null : { answers: given.length, ...found };
}
