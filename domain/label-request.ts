// A label batch as somebody asks for it over HTTP or by a file, without a run (docs/labeling.md).
import type { Task } from './dataset.js';
import { policyFrom, waitFields, type WrittenWait } from './document-labeling.js';
import type { FieldFault } from './failures.js';
import * as f from './fields.js';
import { labelKinds, type LabelKind, type LabelSpace, labelText, labelWords } from './label-kind.js';
import type { LabelPolicy } from './label-policy.js';
import type { Suggestion } from './labeling.js';
import { nearestWord } from './nearest.js';

export interface BatchSettings {
  kind: LabelKind;
  /** Null: any label is taken. */
  classes: string[] | null;
  deadlineMs: number;
  policy: LabelPolicy;
}

/** As written: what is left out follows from the dataset or from the file. */
export type ReadSettings = Omit<BatchSettings, 'kind'> & {
  kind: LabelKind | null;
  /** Classes that the dataset does not have are meant. */
  newClasses: boolean;
  /** `gold.share` was given. */
  goldShare: boolean;
};

export interface RequestedTask {
  key: string;
  item: Record<string, unknown>;
  suggestion: Suggestion | null;
  /** The known answer, as `labelText` makes it; null: to be asked about. */
  gold: string | null;
}

export const mostRequestedTasks = 10_000;

type WrittenSettings = WrittenWait & { kind: LabelKind | null; classes: string[] | null; newClasses: boolean };

const className = f.mapped(f.text('a class', undefined, 1_000), (name) => name.normalize('NFC'));

const classList = f.list(className, { min: 1, max: 10_000, unique: true, what: 'classes' });

/** As people take two names for one: letters of either case, whatever space is in them. */
function folded(name: string): string {
  return name.normalize('NFKC').toLowerCase().replace(/\s/gu, '');
}

/** Classes that people can tell apart. */
const classes: f.Read<string[]> = (value, path, faults) => {
  const names = classList(value, path, faults);
  const first = new Map<string, string>();
  names?.forEach((name: string | undefined, index) => {
    if (name === undefined) return;
    const before = first.get(folded(name));
    if (before === undefined) first.set(folded(name), name);
    else if (before !== name) {
      const found = `${f.described(name)}, but for case and space ${f.described(before)}`;
      f.addFault(faults, `${path}[${index}]`, { found, allowed: 'classes that differ otherwise' });
    }
  });
  return names;
};

const written = f.object<WrittenSettings>({
  kind: f.optional<LabelKind, null>(f.choice(labelKinds), () => null),
  classes: f.optional<string[], null>(classes, () => null),
  newClasses: f.optional(f.flag, () => false),
  ...waitFields,
});

/** Everything about a batch but its dataset and its tasks. */
export const readSettings: f.Read<ReadSettings> = (value, path, faults) => {
  const read = written(value, path, faults);
  if (!read) return undefined;
  const { kind, classes: names, newClasses, ...wait } = read;
  const gold = f.isRecord(value) ? value['gold'] : undefined;
  const goldShare = f.isRecord(gold) && gold['share'] !== undefined;
  return { kind, classes: names, newClasses, goldShare, deadlineMs: wait.deadline, policy: policyFrom(wait) };
};

/** Share of gold items where some are brought and no share is given. */
const usualGold = 0.1;

/** The policy with the share of gold that the tasks ask for; a share of none is a fault. */
export function goldFitted(
  { policy, goldShare }: Pick<ReadSettings, 'policy' | 'goldShare'>,
  tasks: readonly { gold: string | null }[],
  place: { path: string; faults: FieldFault[] },
): LabelPolicy {
  const known = tasks.some(({ gold }) => gold !== null);
  if (known && !goldShare) return { ...policy, gold: { ...policy.gold, share: usualGold } };
  if (!known && policy.gold.share > 0) {
    const found = `${policy.gold.share} without a task that has gold`;
    f.addFault(place.faults, `${place.path}gold.share`, { found, allowed: '0, or tasks with gold' });
  }
  return policy;
}

/** Classes that the dataset does not have, of which people would make its labels; `known` null: it has none yet. */
export function checkClasses(
  names: readonly string[],
  known: readonly string[] | null,
  { path, faults }: { path: (index: number) => string; faults: FieldFault[] },
): void {
  if (known === null) return;
  const told = known.length > 20 ? `${known.slice(0, 20).join(', ')}, … (${known.length})` : known.join(', ');
  const forms = new Set(known.map((name) => name.normalize('NFC')));
  names.forEach((name, index) => {
    if (forms.has(name.normalize('NFC'))) return;
    const allowed = `the dataset's ${told}; or newClasses: true`;
    const found = `${f.described(name)}, which the dataset does not have`;
    f.addFault(faults, path(index), { found, allowed, nearest: nearestWord(name, known) });
  });
}

/** Kinds whose labels are chosen from classes; of the first of them any text is taken where none are named. */
const ofClasses: readonly LabelKind[] = ['single', 'multiple', 'span', 'box'];
const columnKinds = { classification: 'single', regression: 'number' } as const satisfies Record<Task, LabelKind>;

/** The kind of the labels that a dataset of this task holds. */
export function kindOfTask(task: Task): LabelKind {
  return columnKinds[task];
}

/** What does not fit together: kind, classes and the dataset, whose column can hold the one kind only. */
export function checkSpace(space: LabelSpace, task: Task, faults: FieldFault[]): void {
  const { kind, classes } = space;
  const own = kindOfTask(task);
  if ((kind === 'single' || kind === 'number') && kind !== own) {
    const others = labelKinds.filter((one) => one === own || (one !== 'single' && one !== 'number'));
    f.addFault(faults, 'kind', { found: kind, allowed: `${others.join(', ')}, as the dataset is for ${task}` });
  }
  if (classes !== null && !ofClasses.includes(kind)) {
    f.addFault(faults, 'classes', { found: f.described(classes), allowed: `none, for labels of kind ${kind}` });
  }
  if (classes === null && kind !== 'single' && ofClasses.includes(kind)) {
    f.addFault(faults, 'classes', { found: 'nothing', allowed: `the classes of a ${kind}, at least one` });
  }
}

/** A label of the batch, as its text. */
export function labelOf(space: LabelSpace): f.Read<string> {
  return (value, path, faults) => {
    const label = labelText(value, space);
    return label ?? f.addFault(faults, path, { found: f.described(value), allowed: labelWords(space) });
  };
}

/** `space` with the length of the item's text, which bounds its spans. */
export function spaceOfItem(space: LabelSpace, item: unknown): LabelSpace {
  const text = f.isRecord(item) ? item['text'] : undefined;
  return { ...space, textLength: typeof text === 'string' ? text.length : null };
}

export const taskKey = f.text('the key of a row, a text of at most 1,000 letters', undefined, 1_000);
export const taskItem: f.Read<Record<string, unknown>> = (value, path, faults) =>
  f.isRecord(value)
    ? value
    : f.addFault(faults, path, { found: f.described(value), allowed: 'an object of what the labeler sees' });

/** A guess: a label with the probability that it is given. */
export function suggestionOf(space: LabelSpace): f.Read<Suggestion> {
  return f.object<Suggestion>({
    label: f.required(labelOf(space), labelWords(space)),
    confidence: f.optional<number | null>(orNull(f.number({ min: 0, max: 1 })), () => null),
  });
}

/** Null counts as absent. */
export function orNull<T>(read: f.Read<T>): f.Read<T | null> {
  return (value, path, faults) => (value === null ? null : read(value, path, faults));
}

function readTask(space: LabelSpace): f.Read<RequestedTask> {
  return (value, path, faults) => {
    const own = spaceOfItem(space, f.isRecord(value) ? value['item'] : undefined);
    return f.object<RequestedTask>({
      key: f.required(taskKey, 'the key of a row'),
      item: f.required(taskItem, 'an object of what the labeler sees'),
      suggestion: f.optional<Suggestion | null>(orNull(suggestionOf(own)), () => null),
      gold: f.optional<string | null>(orNull(labelOf(own)), () => null),
    })(value, path, faults);
  };
}

/** The tasks of a request; every fault with its path. */
export function readTasks(space: LabelSpace): f.Read<RequestedTask[]> {
  const list = f.list(readTask(space), { min: 1, max: mostRequestedTasks, what: 'tasks' });
  return (value, path, faults) => {
    const tasks = list(value, path, faults);
    if (tasks) checkTasks(tasks, path, faults);
    return tasks;
  };
}

/** Keys that are there twice, and a batch that would ask nothing. Tasks with faults may be undefined or lack their key. */
export function checkTasks(
  tasks: readonly (Pick<RequestedTask, 'key' | 'gold'> | undefined)[],
  path: string,
  faults: FieldFault[],
  field = 'key',
): void {
  const first = new Map<string, number>();
  tasks.forEach((task, index) => {
    const key = task?.key;
    if (key === undefined) return;
    const before = first.get(key);
    if (before === undefined) first.set(key, index);
    else {
      const found = `${f.described(key)} again, as in ${path}[${before}]`;
      f.addFault(faults, `${path}[${index}].${field}`, { found, allowed: 'each once' });
    }
  });
  if (tasks.length > 0 && tasks.every((task) => typeof task?.gold === 'string')) {
    f.addFault(faults, path, { found: 'gold items only', allowed: 'at least one task to ask about' });
  }
}
