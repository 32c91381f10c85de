// What a model takes: chosen from the schema by `features`, and filled from JSON rows (architecture: Data and learning).
import type { ColumnType, Schema } from './dataset.js';
import { datePart, parseDate } from './dates.js';
import type { FieldFault } from './failures.js';
import { type FeatureTreatments, treatmentOf } from './features.js';
import { longestText, type ModelInputs, type NumberInput, type Signature } from './model.js';
import type { FeatureSelection } from './pipeline.js';

/** Faults told at once; more are cut off. */
const toldFaults = 100;
const largestFloat32 = 3.4028234663852886e38;
const numberText = /^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$/;

/** Columns of the schema that the model sees, in the schema's order. */
export function featureColumns(
  schema: Schema,
  features: Pick<FeatureSelection, 'include' | 'exclude'>,
): Schema['columns'] {
  const { include, exclude } = features;
  return schema.columns.filter(({ name }) => (include === null || include.includes(name)) && !exclude.includes(name));
}

/** `classes` in the order of `probabilities`; empty for regression. A date column becomes one input per part. */
export function signatureOf(
  schema: Schema,
  features: FeatureSelection & FeatureTreatments,
  classes: string[] = [],
): Signature {
  const columns = featureColumns(schema, features);
  const named = (wanted: ColumnType) => columns.filter(({ type }) => type === wanted).map(({ name }) => name);
  const text = named('text');
  return {
    num: columns.flatMap(({ name, type }): NumberInput[] => {
      if (type === 'number') return [{ column: name, part: null }];
      return type === 'date' ? treatmentOf(features, name).date.parts.map((part) => ({ column: name, part })) : [];
    }),
    cat: named('category'),
    ...(text.length > 0 && { text }),
    task: schema.task,
    classes,
  };
}

/** A cell that is understood, or what is wrong with it. */
type Read<T> = { value: T } | { fault: string };

/** NaN for a missing value. Text is taken where it is a decimal number. */
export function readNumber(cell: unknown): Read<number> {
  if (cell === null || cell === '') return { value: NaN };
  const text = typeof cell === 'string' ? cell.trim() : undefined;
  const number = text !== undefined && numberText.test(text) ? Number(text) : cell;
  if (typeof number !== 'number' || Number.isNaN(number)) return { fault: 'must be a number or null' };
  if (Math.abs(number) > largestFloat32) return { fault: 'is too large: the model computes in 32 bits' };
  return { value: number };
}

/** '' for a missing value; numbers and booleans become their text. */
export function readCategory(cell: unknown): Read<string> {
  if (cell === null) return { value: '' };
  if (typeof cell === 'string') return { value: cell };
  const scalar = typeof cell === 'boolean' || (typeof cell === 'number' && Number.isFinite(cell));
  return scalar ? { value: String(cell) } : { fault: 'must be a text or null' };
}

/** What is read of a text: the first code points, up to a NUL, where the runtime's own strings end. */
export function cutText(text: string): string {
  const end = text.indexOf('\0');
  const whole = end < 0 ? text : text.slice(0, end);
  return whole.length <= longestText ? whole : [...whole.slice(0, 2 * longestText)].slice(0, longestText).join('');
}

/** Milliseconds since 1970, NaN for a missing value. */
export function readDate(cell: unknown): Read<number> {
  if (cell === null || cell === '') return { value: NaN };
  const epochMs = typeof cell === 'string' ? parseDate(cell) : null;
  return epochMs === null ? { fault: 'must be an ISO 8601 date or time, or null' } : { value: epochMs };
}

/** One row's inputs in the order of the signature; `report` is told each fault with its column, once. */
function fillRow(
  signature: Signature,
  row: Record<string, unknown>,
  out: { num: Float32Array; cat: string[]; text: string[]; index: number },
  report: (column: string, message: string) => void,
): void {
  const take = <T>(column: string, read: (cell: unknown) => Read<T>): T | undefined => {
    const cell = Object.hasOwn(row, column) ? row[column] : undefined;
    const found: Read<T> = cell === undefined ? { fault: 'is missing; null stands for an unknown value' } : read(cell);
    if ('value' in found) return found.value;
    report(column, found.fault);
    return undefined;
  };
  let date: { column: string; epochMs: number } | undefined;
  signature.num.forEach(({ column, part }, place) => {
    let value: number;
    if (part === null) value = take(column, readNumber) ?? NaN;
    else {
      if (date?.column !== column) date = { column, epochMs: take(column, readDate) ?? NaN };
      value = Number.isNaN(date.epochMs) ? NaN : datePart(date.epochMs, part);
    }
    out.num[out.index * signature.num.length + place] = value;
  });
  for (const column of signature.cat) out.cat.push(take(column, readCategory) ?? '');
  for (const column of signature.text ?? []) out.text.push(cutText(take(column, readCategory) ?? ''));
}

/** JSON rows as the model's inputs: columns in any order, others (key and label too) ignored; null is a missing value. */
export function toModelInputs(
  signature: Signature,
  rows: readonly Record<string, unknown>[],
): { inputs: ModelInputs } | { faults: FieldFault[] } {
  const faults: FieldFault[] = [];
  const num = new Float32Array(rows.length * signature.num.length);
  const cat: string[] = [];
  const text: string[] = [];
  rows.forEach((row, index) => {
    if (row === null || typeof row !== 'object' || Array.isArray(row)) {
      if (faults.length < toldFaults) faults.push({ path: `rows[${index}]`, message: 'must be an object of columns' });
      return;
    }
    fillRow(signature, row, { num, cat, text, index }, (column, message) => {
      if (faults.length < toldFaults) faults.push({ path: `rows[${index}].${column}`, message });
    });
  });
  if (faults.length > 0) return { faults };
  return { inputs: { rows: rows.length, num, cat, ...(signature.text && { text }) } };
}
