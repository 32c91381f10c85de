// A column of a model's inputs changed, everything else as it was: for asking whether its answers depend on it.
import type { Random } from '../stats/prng.js';
import { drawWithout } from '../stats/prng.js';
import { type Change, wordsOf } from './check.js';
import type { ColumnType } from './dataset.js';
import { datePart } from './dates.js';
import type { ModelInputs, NumberInput, Signature } from './model.js';
import { readDate, readNumber } from './signature.js';

/** Whether the model is told the column at all. */
export function isInput(signature: Signature, column: string): boolean {
  return signature.num.some((input) => input.column === column) || textPlaces(signature, column) !== null;
}

/** Where a column of texts or categories lies. */
function textPlaces({ cat, text = [] }: Signature, column: string) {
  if (cat.includes(column)) return { in: 'cat' as const, place: cat.indexOf(column), width: cat.length };
  return text.includes(column) ? { in: 'text' as const, place: text.indexOf(column), width: text.length } : null;
}

type Changed = { inputs: ModelInputs } | { fault: string };

/** A text of one row, given its number; null: the change has no meaning for texts. */
function textChange(change: Change, cell: (row: number) => string, order: readonly number[]): (row: number) => string {
  switch (change.kind) {
    case 'shuffle':
      return (row) => cell(order[row] ?? row);
    case 'missing':
      return () => '';
    case 'set':
      return () => change.value;
    case 'upper':
      return (row) => cell(row).toUpperCase();
    case 'lower':
      return (row) => cell(row).toLowerCase();
    case 'spaces':
      // a missing text stays missing
      return (row) => (cell(row) === '' ? '' : ` ${cell(row)} `);
  }
}

/** Why the change means nothing for a column of that type, or null. */
export function changeFault(change: Change, type: ColumnType): string | null {
  if (type === 'category' || type === 'text' || change.kind === 'shuffle' || change.kind === 'missing') return null;
  if (change.kind !== 'set') return `a ${type} has no form "${wordsOf(change)}"`;
  const read = type === 'date' ? readDate(change.value) : readNumber(change.value);
  return 'fault' in read ? `${JSON.stringify(change.value)} ${read.fault}` : null;
}

const isDate = (parts: readonly NumberInput[]): boolean => parts.some(({ part }) => part !== null);

/** The numbers that a written value becomes: one, or the parts of a date. */
function numbersOf(value: string, parts: readonly NumberInput[]): number[] {
  const read = isDate(parts) ? readDate(value) : readNumber(value);
  if ('fault' in read) return parts.map(() => NaN);
  return parts.map(({ part }) => {
    if (part === null) return read.value;
    return Number.isNaN(read.value) ? NaN : datePart(read.value, part);
  });
}

function changeNumbers(
  inputs: ModelInputs,
  signature: Signature,
  { column, change, order }: { column: string; change: Change; order: readonly number[] },
): Changed {
  const places = signature.num.flatMap((input, place) => (input.column === column ? [place] : []));
  const width = signature.num.length;
  const parts = places.map((place) => signature.num[place]!);
  const fault = changeFault(change, isDate(parts) ? 'date' : 'number');
  if (fault !== null) return { fault };
  let set: number[] | null = change.kind === 'missing' ? places.map(() => NaN) : null;
  if (change.kind === 'set') set = numbersOf(change.value, parts);
  const num = inputs.num.slice();
  for (let row = 0; row < inputs.rows; row += 1) {
    const from = order[row] ?? row;
    places.forEach((place, i) => (num[row * width + place] = set ? set[i]! : inputs.num[from * width + place]!));
  }
  return { inputs: { ...inputs, num } };
}

/** All places of a column change together; `inputs` stay as they are. A fault where the change means nothing for the column. */
export function changeColumn(
  inputs: ModelInputs,
  signature: Signature,
  asked: { column: string; change: Change; random: Random },
): Changed {
  const { column, change, random } = asked;
  const order = change.kind === 'shuffle' ? drawWithout(random, inputs.rows, inputs.rows) : [];
  const text = textPlaces(signature, column);
  if (!text) return changeNumbers(inputs, signature, { column, change, order });
  const given = inputs[text.in] ?? [];
  const changed = textChange(change, (row) => given[row * text.width + text.place] ?? '', order);
  const cells = [...given];
  for (let row = 0; row < inputs.rows; row += 1) cells[row * text.width + text.place] = changed(row);
  return { inputs: { ...inputs, [text.in]: cells } };
}
