// Label Studio's list of tasks with annotations and predictions (docs/labeling.md): read, and written back as it was.
import type { FieldFault } from '../failures.js';
import { addFault, described, isRecord, type Read } from '../fields.js';
import type { Json } from '../json.js';
import type { LabelKind, LabelSpace } from '../label-kind.js';
import type { Suggestion } from '../labeling.js';
import { spaceOfItem } from '../label-request.js';
import {
  annotatorName,
  type Brought,
  type BroughtAnswer,
  type BroughtTask,
  isJsonRecord,
  isTouched,
  type JsonRecord,
  keyOf,
  mostImportedTasks,
  originOf,
  type ReadOptions,
  resultOf,
  type TakenAnswer,
  type TakenBatch,
  type TakenTask,
} from './form.js';
import { type Control, labelOfResults, resultsOfLabel, resultTypes } from './label-studio-result.js';

/** Marks an annotation that says only what a gold item's answer is: nobody gave it. */
const goldMark = 'gold';

function listOf(task: unknown, name: string): unknown[] {
  const list = isRecord(task) ? task[name] : undefined;
  return Array.isArray(list) ? list : [];
}

/** Every result of the file, as far as it can be read. */
function* allResults(tasks: readonly unknown[]): Generator<Record<string, unknown>> {
  for (const task of tasks) {
    for (const one of [...listOf(task, 'annotations'), ...listOf(task, 'predictions')]) {
      for (const result of listOf(one, 'result')) if (isRecord(result)) yield result;
    }
  }
}

interface Seen {
  kind: LabelKind | null;
  classes: string[];
  control: Control | null;
}

/** What the file says of itself: the first control, its kind, and the classes that are named. */
function survey(tasks: readonly unknown[]): Seen {
  const seen: Seen = { kind: null, classes: [], control: null };
  const classes = new Set<string>();
  for (const result of allResults(tasks)) {
    const { type, from_name: from, to_name: to } = result;
    const kind = (Object.keys(resultTypes) as LabelKind[]).find((one) => resultTypes[one] === type);
    const value = isRecord(result['value']) ? result['value'] : {};
    if (kind !== undefined) seen.kind ??= kind;
    if (typeof from === 'string') seen.control ??= { from_name: from, to_name: (to ?? '') as Json };
    const names = value[String(type)];
    if (!Array.isArray(names)) continue;
    if (seen.kind === 'single' && type === 'choices' && names.length !== 1) seen.kind = 'multiple';
    for (const name of names) if (typeof name === 'string') classes.add(name.normalize('NFC'));
  }
  return { ...seen, classes: [...classes] };
}

/** A list of tasks as Label Studio exports it; every fault with its path. */
export function readLabelStudio(options: ReadOptions): Read<Brought> {
  return (value, path, faults) => {
    if (!Array.isArray(value) || value.length === 0 || value.length > mostImportedTasks) {
      const allowed = `a list of 1 to ${mostImportedTasks} tasks`;
      return addFault(faults, path, { found: described(value), allowed });
    }
    const seen = survey(value);
    const kind = options.kind ?? seen.kind ?? options.fallback;
    const named = seen.classes.length > 0 && kind !== 'number' && kind !== 'preference' ? seen.classes : null;
    const classes = options.classes ?? named;
    const reading = { space: { kind, classes }, control: seen.control, key: options.key, faults };
    const tasks = value.map((task, index) => readTask(task, { ...reading, path: `${path}[${index}]` }));
    const origin = { form: 'labelStudio', control: seen.control as Json };
    return { kind, classes, tasks: tasks as BroughtTask[], origin };
  };
}

interface Reading {
  space: LabelSpace;
  control: Control | null;
  key: string;
  path: string;
  faults: FieldFault[];
}

function readTask(task: unknown, reading: Reading): BroughtTask | undefined {
  const { path, faults, key: column } = reading;
  if (!isJsonRecord(task)) return addFault(faults, path, { found: described(task), allowed: 'a task with data' });
  const { data, annotations, ...rest } = task;
  if (!isJsonRecord(data)) {
    return addFault(faults, `${path}.data`, { found: described(data), allowed: 'an object of what the labeler sees' });
  }
  const own = { ...reading, space: spaceOfItem(reading.space, data) };
  const answers = readList(annotations, { ...own, path: `${path}.annotations` }, readAnnotation);
  const guesses = readList(rest['predictions'], { ...own, path: `${path}.predictions` }, readPrediction);
  const mark = isRecord(rest['perennial']) ? rest['perennial']['key'] : undefined;
  const key = keyOf(data, column, mark ?? rest['id']);
  if (key === null) {
    const allowed = `the task’s id, or data.${column}`;
    return addFault(faults, `${path}.id`, { found: described(rest['id']), allowed });
  }
  return {
    ...{ key, item: data, suggestion: guesses.find((guess) => guess !== null) ?? null },
    gold: answers.find(({ truth, label }) => truth && label !== null)?.label ?? null,
    answers: answers.filter(({ marked }) => !marked).map(({ truth: _, marked: __, ...answer }) => answer),
    source: annotations === undefined ? rest : { ...rest, annotations: [] },
  };
}

function readList<T>(list: unknown, place: Reading, read: (one: JsonRecord, place: Reading) => T | undefined): T[] {
  const { path, faults } = place;
  if (list === undefined || list === null) return [];
  if (!Array.isArray(list)) return addFault(faults, path, { found: described(list), allowed: 'a list' }) ?? [];
  return list.flatMap((one: unknown, index) => {
    const at = { ...place, path: `${path}[${index}]` };
    if (!isJsonRecord(one)) {
      addFault(faults, at.path, { found: described(one), allowed: 'an object' });
      return [];
    }
    const found = read(one, at);
    return found === undefined ? [] : [found];
  });
}

function readResults(one: JsonRecord, { path, ...place }: Reading): string | null {
  const results = one['result'];
  const at = { ...place, path: `${path}.result` };
  if (Array.isArray(results)) return labelOfResults(results, at);
  return addFault(place.faults, at.path, { found: described(results), allowed: 'a list of results' }) ?? null;
}

type ReadAnnotation = BroughtAnswer & { truth: boolean; marked: boolean };

function readAnnotation(one: JsonRecord, reading: Reading): ReadAnnotation {
  const seconds = one['lead_time'];
  const label = one['was_cancelled'] === true ? null : readResults(one, reading);
  return {
    ...{ annotator: annotatorOf(one['completed_by']), label, comment: commentOf(one['comments']), source: one },
    seconds: typeof seconds === 'number' && seconds >= 0 ? seconds : null,
    at: momentOf(one['created_at']),
    truth: one['ground_truth'] === true,
    marked: one['perennial'] === goldMark,
  };
}

/** A person by their address, or by their number in Label Studio. */
function annotatorOf(by: unknown): string {
  if (isRecord(by) && typeof by['email'] === 'string' && annotatorName.test(by['email'])) return by['email'];
  const id = isRecord(by) ? by['id'] : by;
  const known = typeof id === 'number' || (typeof id === 'string' && id !== '');
  const name = known ? `label-studio/${id}` : 'label-studio';
  return annotatorName.test(name) ? name : 'label-studio';
}

function momentOf(text: unknown): string | null {
  const ms = typeof text === 'string' ? Date.parse(text) : NaN;
  return Number.isFinite(ms) ? new Date(ms).toISOString() : null;
}

function commentOf(comments: unknown): string | null {
  const texts = (Array.isArray(comments) ? comments : []).flatMap((one: unknown) =>
    isRecord(one) && typeof one['text'] === 'string' ? [one['text']] : [],
  );
  return texts.length === 0 ? null : texts.join('\n');
}

function readPrediction(one: JsonRecord, reading: Reading): Suggestion | null {
  const label = readResults(one, reading);
  const { score } = one;
  const sure = typeof score === 'number' && score >= 0 && score <= 1 ? score : null;
  return label === null ? null : { label, confidence: sure };
}

/** What stands in a result where no import said it. */
function controlOf(batch: TakenBatch): Control {
  const control = originOf('labelStudio', batch)?.['control'];
  if (isJsonRecord(control)) return control as unknown as Control;
  const to = { single: 'item', multiple: 'item', number: 'item', span: 'text', box: 'image', preference: 'left,right' };
  return { from_name: 'label', to_name: to[batch.kind] };
}

/** A task as Label Studio has it. One that came from there and that nothing happened to comes out as it came. */
export function labelStudioTask(batch: TakenBatch, task: TakenTask): JsonRecord {
  const origin = originOf('labelStudio', batch);
  const control = controlOf(batch);
  const { kind } = batch;
  const brought = origin !== null && isJsonRecord(task.source) ? task.source : null;
  const answers = task.answers.map((answer) =>
    origin !== null && answer.source !== null ? answer.source : annotationOf(answer, { batch, task, control }),
  );
  const gold = brought === null && task.gold !== null ? [goldAnnotation(task.gold, { batch, task, control })] : [];
  const annotations = [...gold, ...answers];
  return {
    ...(brought ?? { id: task.position + 1, predictions: predictionsOf({ batch, task, control }) }),
    data: task.item,
    ...(brought === null || 'annotations' in brought || annotations.length > 0 ? { annotations } : {}),
    ...(isTouched(task, origin) ? { perennial: resultOf(kind, task) } : {}),
  };
}

interface Writing {
  batch: TakenBatch;
  task: TakenTask;
  control: Control;
}

function resultsOf(label: string | null, id: string, { batch, task, control }: Writing): Json[] {
  return label === null ? [] : resultsOfLabel(label, { kind: batch.kind, control, item: task.item, id });
}

function annotationOf({ id, annotator, label, seconds, comment, at }: TakenAnswer, writing: Writing): JsonRecord {
  return {
    ...{ id, completed_by: { email: annotator }, result: resultsOf(label, id, writing) },
    ...{ was_cancelled: label === null, ground_truth: false, lead_time: seconds, created_at: at, updated_at: at },
    ...(comment === null ? {} : { comments: [{ text: comment, created_at: at }] }),
  };
}

function goldAnnotation(gold: string, writing: Writing): JsonRecord {
  const id = `${writing.task.taskId}-gold`;
  return { id, result: resultsOf(gold, id, writing), was_cancelled: false, ground_truth: true, perennial: goldMark };
}

function predictionsOf(writing: Writing): Json[] {
  const { suggestion, taskId } = writing.task;
  if (suggestion === null) return [];
  const { label, confidence } = suggestion;
  const result = resultsOf(label, `${taskId}-guess`, writing);
  return [{ model_version: 'perennial', result, ...(confidence === null ? {} : { score: confidence }) }];
}
