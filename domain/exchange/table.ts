// Tables of tasks (docs/labeling.md), a line each: JSON Lines, and CSV whose cells hold JSON where a value has parts.
import type { FieldFault } from '../failures.js';
import * as f from '../fields.js';
import type { Json } from '../json.js';
import { type LabelKind, type LabelSpace } from '../label-kind.js';
import { labelOf, orNull, spaceOfItem, suggestionOf, taskItem, taskKey } from '../label-request.js';
import { type AnnotationOutcome, annotationOutcomes, type Suggestion } from '../labeling.js';
import {
  annotatorName,
  type Brought,
  type BroughtAnswer,
  type BroughtTask,
  type JsonRecord,
  labelValue,
  mostImportedTasks,
  type ReadOptions,
  type TakenTask,
} from './form.js';

type WrittenAnswer = Omit<BroughtAnswer, 'source'> & { past: boolean };
interface WrittenTask {
  key: string;
  item: Record<string, unknown>;
  suggestion: Suggestion | null;
  gold: string | null;
  answers: WrittenAnswer[] | null;
}

/** What an export says of a task that an import makes anew. */
const madeAnew = ['status', 'label', 'confidence', 'reason', 'review', 'reviewer', 'reviews'] as const;
/** ISO time. */
const moment: f.Read<string> = (value, path, faults) => {
  const ms = typeof value === 'string' && /^\d{4}-\d{2}-\d{2}T/.test(value) ? Date.parse(value) : NaN;
  if (Number.isFinite(ms)) return new Date(ms).toISOString();
  return f.addFault(faults, path, { found: f.described(value), allowed: 'a moment, such as 2026-01-31T12:00:00Z' });
};

const anything: f.Read<null> = () => null;

function ignored<K extends string>(names: readonly K[]): { [N in K]: f.Field<null> } {
  return Object.fromEntries(names.map((name) => [name, f.optional(anything, () => null)])) as {
    [N in K]: f.Field<null>;
  };
}

function answer(space: LabelSpace): f.Read<WrittenAnswer> {
  return f.object<WrittenAnswer & { outcome: AnnotationOutcome | null }>({
    annotator: f.required(f.text('a name of at most 200 letters', annotatorName, 200), 'who gave it'),
    label: f.optional<string | null>(orNull(labelOf(space)), () => null),
    seconds: f.optional<number | null>(orNull(f.number({ min: 0 })), () => null),
    comment: f.optional<string | null>(orNull(f.text('a text', undefined, 20_000)), () => null),
    past: f.optional(f.flag, () => false),
    at: f.optional<string | null>(orNull(moment), () => null),
    // made anew, from what counts here
    outcome: f.optional<AnnotationOutcome | null>(orNull(f.choice(annotationOutcomes)), () => null),
  });
}

function task(space: LabelSpace): f.Read<WrittenTask> {
  return (value, path, faults) => {
    const own = spaceOfItem(space, f.isRecord(value) ? value['item'] : undefined);
    return f.object<WrittenTask & Record<(typeof madeAnew)[number], null>>({
      key: f.required(taskKey, 'the key of a row'),
      item: f.required(taskItem, 'an object of what the labeler sees'),
      suggestion: f.optional<Suggestion | null>(orNull(suggestionOf(own)), () => null),
      gold: f.optional<string | null>(orNull(labelOf(own)), () => null),
      answers: f.optional<WrittenAnswer[] | null>(
        orNull(f.list(answer(own), { max: 1_000, what: 'answers' })),
        () => null,
      ),
      ...ignored(madeAnew),
    })(value, path, faults);
  };
}

/** Tasks of a table, as `jsonLines` or `csvRecord` gave them; every fault with its path. */
export function readTable({ kind: told, classes: named, fallback }: ReadOptions): f.Read<Brought> {
  return (value, path, faults) => {
    const kind: LabelKind = told ?? fallback;
    const classes = named ?? classesIn(kind, value);
    const read = f.list(task({ kind, classes }), { min: 1, max: mostImportedTasks, what: 'tasks' });
    const tasks = read(value, path, faults) as (WrittenTask | undefined)[] | undefined;
    if (!tasks) return undefined;
    return { kind, classes, tasks: tasks.map((one) => broughtTask(one)!), origin: null };
  };
}

/** The classes of every label in a table of labels with parts, in a fixed order; null where there is none. */
function classesIn(kind: LabelKind, value: unknown): string[] | null {
  if (kind !== 'multiple' && kind !== 'span' && kind !== 'box') return null;
  const names = new Set<string>();
  for (const one of listOf(value)) {
    if (!f.isRecord(one)) continue;
    const guess = f.isRecord(one['suggestion']) ? one['suggestion']['label'] : null;
    const given = listOf(one['answers']).map((answer) => (f.isRecord(answer) ? answer['label'] : null));
    for (const part of [one['gold'], one['label'], guess, ...given].flatMap(partsIn)) {
      const name = f.isRecord(part) ? part['label'] : part;
      if (typeof name === 'string' && name !== '') names.add(name.normalize('NFC'));
    }
  }
  return names.size === 0 ? null : [...names].sort();
}

function listOf(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

/** Of a label with parts, or of its text in a cell. */
function partsIn(label: unknown): unknown[] {
  if (typeof label !== 'string') return listOf(label);
  try {
    return listOf(JSON.parse(label));
  } catch {
    return [];
  }
}

function broughtTask(read: WrittenTask | undefined): BroughtTask | undefined {
  if (!read) return undefined;
  const { key, item, suggestion, gold } = read;
  // what was sent back before counts no more
  const answers = (read.answers ?? []).flatMap((one) => {
    if (!one || one.past) return [];
    const { annotator, label, seconds, comment, at } = one;
    return [{ annotator, label, seconds, comment, at, source: null }];
  });
  return { ...{ key, item: item as Json, suggestion, gold, answers }, source: null };
}

/** The objects of JSON Lines; blank lines are none. */
export function jsonLines(text: string, faults: FieldFault[]): unknown[] {
  const lines = text.split(/\r?\n/).filter((line) => line.trim() !== '');
  return lines.map((line, index) => {
    try {
      return JSON.parse(line) as unknown;
    } catch {
      return f.addFault(faults, `[${index}]`, { found: f.described(line), allowed: 'one JSON object a line' });
    }
  });
}

const jsonCells = ['item', 'answers', 'reviews'] as const;

/**
 * A record of CSV as a task. With a column `item` it is what an export wrote; without, every column but the key, `gold`,
 * `suggestion` and `suggestion.confidence` is part of the item, the column of the dataset's key too.
 */
export function csvRecord(
  cells: Record<string, string | null>,
  place: { key: string; path: string; faults: FieldFault[] },
): JsonRecord {
  const exported = Object.hasOwn(cells, 'item');
  const own = exported ? Object.entries(cells).map(([name, cell]) => [name, unguarded(cell)]) : Object.entries(cells);
  const { suggestion, 'suggestion.confidence': sure, gold, ...rest } = Object.fromEntries(own) as typeof cells;
  const filled = Object.fromEntries(Object.entries(rest).filter(([, cell]) => cell !== null && cell !== ''));
  const guess = suggestion
    ? { suggestion: { label: suggestion, ...(sure ? { confidence: cellNumber(sure) } : {}) } }
    : {};
  const known = { ...guess, ...(gold ? { gold } : {}) };
  if (!exported) {
    const key = filled[place.key] ?? filled['key'];
    const { key: _, ...item } = filled;
    return { ...known, ...(key ? { key } : {}), item: (place.key === 'key' ? filled : item) as JsonRecord };
  }
  const record: JsonRecord = { ...known, ...(filled as JsonRecord) };
  for (const name of jsonCells) {
    const cell = filled[name];
    if (!cell) continue;
    try {
      record[name] = JSON.parse(cell) as Json;
    } catch {
      f.addFault(place.faults, `${place.path}.${name}`, { found: f.described(cell), allowed: 'JSON' });
      delete record[name];
    }
  }
  return record;
}

function cellNumber(cell: string): Json {
  return cell.trim() !== '' && Number.isFinite(Number(cell)) ? Number(cell) : cell;
}

/** A task as a line of JSON Lines. */
export function tableTask(kind: LabelKind, task: TakenTask): JsonRecord {
  const { key, item, status, confidence, reason, review, reviewer, suggestion } = task;
  const value = (label: string | null) => labelValue(kind, label);
  return {
    ...{ key, item, status, label: value(task.label), confidence, gold: value(task.gold), reason, review, reviewer },
    suggestion: suggestion && { label: value(suggestion.label), confidence: suggestion.confidence },
    answers: task.answers.map(({ id: _, source: __, label, ...one }) => ({ ...one, label: value(label) })),
    reviews: task.reviews.map(({ label, ...one }) => ({ ...one, label: value(label) })),
  };
}

const columns = [
  ...['key', 'item', 'status', 'label', 'confidence', 'gold', 'suggestion', 'suggestion.confidence', 'reason'],
  ...['review', 'reviewer', 'answers', 'reviews'],
] as const;

/** Spreadsheets take such a cell for a formula, and run it. */
const formula = /^'*[=+\-@\t\r]/;
const decimal = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

/** A text that no spreadsheet runs: an apostrophe before it, and one more before those that begin so themselves. */
function guarded(text: string): string {
  return formula.test(text) && !decimal.test(text) ? `'${text}` : text;
}

function unguarded(cell: string | null): string | null {
  return cell?.startsWith("'") && formula.test(cell) ? cell.slice(1) : cell;
}

function csvCell(value: Json | undefined): string {
  if (value === null || value === undefined) return '';
  const plain = typeof value === 'object' ? JSON.stringify(value) : String(value);
  const text = typeof value === 'string' ? guarded(plain) : plain;
  return /[",;\t\r\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

export const csvHeader = `${columns.join(',')}\n`;

/** A task as a record of CSV; lists and objects are JSON in their cells. */
export function csvLine(kind: LabelKind, task: TakenTask): string {
  const record = tableTask(kind, task);
  const guess = task.suggestion;
  const cells: JsonRecord = {
    ...record,
    suggestion: guess === null ? null : labelValue(kind, guess.label),
    'suggestion.confidence': guess?.confidence ?? null,
  };
  return `${columns.map((name) => csvCell(cells[name])).join(',')}\n`;
}
