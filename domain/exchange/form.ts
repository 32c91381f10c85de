// What an import brings and an export takes, whatever the form of the file: tasks with their answers (docs/labeling.md).
import type { FieldFault } from '../failures.js';
import { addFault, described, isRecord } from '../fields.js';
import type { Json } from '../json.js';
import { type LabelKind, type LabelSpace, labelParts, labelText, labelWords } from '../label-kind.js';
import type { TaskAnswer, TaskReview } from '../label-task.js';
import type { AskReason, ReviewVerdict, Suggestion, TaskStatus } from '../labeling.js';

export const exchangeForms = ['labelStudio', 'coco', 'csv', 'jsonl'] as const;
export type ExchangeForm = (typeof exchangeForms)[number];

export const mostImportedTasks = 100_000;

/** A name as people have one here: no control characters, no space around it. */
export const annotatorName = /^(?!\s)[^\u0000-\u001f\u007f]{1,200}(?<!\s)$/;

export interface BroughtAnswer {
  annotator: string;
  /** As `labelText` made it; null: skipped. */
  label: string | null;
  seconds: number | null;
  comment: string | null;
  /** ISO time; null: the file does not say. */
  at: string | null;
  /** As it came; null where its form keeps nothing more. */
  source: Json;
}

export interface BroughtTask {
  key: string;
  item: Json;
  suggestion: Suggestion | null;
  gold: string | null;
  answers: BroughtAnswer[];
  /** What else the file said of it. */
  source: Json;
}

/** A file that was read. */
export interface Brought {
  kind: LabelKind;
  classes: string[] | null;
  tasks: BroughtTask[];
  /** What else the file said; null: nothing. */
  origin: Json;
}

/** What the reader of a file is told beside it. */
export interface ReadOptions {
  /** Null: as the file says, else as the dataset is. */
  kind: LabelKind | null;
  /** Null: those of the file. */
  classes: string[] | null;
  /** Kind of the dataset's labels. */
  fallback: LabelKind;
  /** Name of the dataset's key column. */
  key: string;
}

export interface TakenAnswer extends TaskAnswer {
  id: string;
  /** As it came; null: given here. */
  source: Json;
}

/** A task with all that is known of it, as an export takes it. */
export interface TakenTask {
  taskId: string;
  position: number;
  key: string;
  item: Json;
  status: TaskStatus;
  gold: string | null;
  label: string | null;
  confidence: number | null;
  suggestion: Suggestion | null;
  reason: AskReason;
  review: ReviewVerdict | null;
  reviewer: string | null;
  answers: TakenAnswer[];
  reviews: TaskReview[];
  source: Json;
}

/** The batch that is exported. */
export interface TakenBatch {
  kind: LabelKind;
  classes: string[] | null;
  origin: Json;
}

export type JsonRecord = { [name: string]: Json };

export const isJsonRecord = isRecord as (value: unknown) => value is JsonRecord;

/** What an import of this form left with the batch; null where it came otherwise. */
export function originOf(form: ExchangeForm, { origin }: Pick<TakenBatch, 'origin'>): JsonRecord | null {
  return isJsonRecord(origin) && origin['form'] === form ? origin : null;
}

/** A label as JSON: lists for kinds with parts, else its text. */
export function labelValue(kind: LabelKind, label: string | null): Json {
  if (label === null) return null;
  return kind === 'multiple' || kind === 'span' || kind === 'box' ? labelParts<Json>(label) : label;
}

/** What was made of a task here, for forms that have no place of their own for it. */
export function resultOf(kind: LabelKind, task: TakenTask): JsonRecord {
  const { key, status, label, confidence, review, reviewer, answers, reviews } = task;
  return {
    ...{ key, status, label: labelValue(kind, label), confidence, review, reviewer },
    answers: answers.map(({ source: _, label: given, ...answer }) => ({ ...answer, label: labelValue(kind, given) })),
    reviews: reviews.map((one) => ({ ...one, label: labelValue(kind, one.label) })),
  };
}

/** Whether anything happened to a task since it came in this form; what came otherwise has none of it. */
export function isTouched({ answers, reviews }: TakenTask, origin: JsonRecord | null): boolean {
  return origin === null || reviews.length > 0 || answers.some(({ source }) => source === null);
}

/** A number to so many decimals, so that what was converted and back is what it was. */
export function rounded(value: number, decimals: number): number {
  return Number(value.toFixed(decimals));
}

/** Decimals of shares of an image. */
export const shareDecimals = 12;

/** The label in the batch's words, or a fault at `path`. */
export function readLabel(
  value: unknown,
  { space, path, faults }: { space: LabelSpace; path: string; faults: FieldFault[] },
): string | null {
  const label = labelText(value, space);
  if (label === null) addFault(faults, path, { found: described(value), allowed: labelWords(space) });
  return label;
}

/** The key of a task: of the dataset's column where the item has one, else its id. Null where it has none. */
export function keyOf(item: JsonRecord, key: string, id: unknown): string | null {
  for (const value of [item[key], id]) {
    if (typeof value === 'number' && Number.isFinite(value)) return String(value);
    if (typeof value === 'string' && value.trim() !== '' && value.length <= 1_000) return value;
  }
  return null;
}
