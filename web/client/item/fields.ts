// Reads what an item is: its columns, its text, its picture. Items are the rows' own values, in any shape.
import type { Item } from '../types.js';

export type Fields = [name: string, value: unknown][];

/** Columns in their order; a value that is no object is one column. */
export function fieldsOf(item: Item): Fields {
  if (typeof item === 'object' && item !== null && !Array.isArray(item)) return Object.entries(item);
  return [['item', item]];
}

/** A value as a person reads it. */
export function valueText(value: unknown): string {
  if (value === null || value === undefined) return '';
  return typeof value === 'object' ? JSON.stringify(value) : String(value as string | number | boolean);
}

/** An item in a few words, to tell it from others: its text, else its first column that is no picture. */
export function itemWords(item: Item): string {
  const fields = fieldsOf(item).filter(([, value]) => !(typeof value === 'string' && dataUrl.test(value)));
  const value = fields.find(([name]) => name === 'text')?.[1] ?? fields[0]?.[1];
  const words = valueText(value).trim();
  return words.length > 60 ? `${words.slice(0, 60)}…` : words;
}

/** The column whose text is read and marked: `text`, else for spans the longest one. Null: none. */
export function textField(item: Item, wanted: boolean): string | null {
  const texts = fieldsOf(item).filter((field): field is [string, string] => typeof field[1] === 'string');
  if (texts.some(([name]) => name === 'text')) return 'text';
  if (!wanted) return null;
  return (
    texts.reduce<[string, string] | null>(
      (best, one) => (best && best[1].length >= one[1].length ? best : one),
      null,
    )?.[0] ?? null
  );
}

/** What a picture is made of, and the columns that are used up by it. */
export type Picture =
  | { kind: 'address'; address: string; columns: string[] }
  | { kind: 'stored'; path: string; columns: string[] }
  | { kind: 'pixels'; side: number; values: number[]; most: number; columns: string[] };

/** Only pictures: a data URL of anything else is text. */
const dataUrl = /^data:image\/(png|jpeg|gif|webp|avif|svg\+xml)[;,]/i;
const storedBytes = /^(?:\/api\/v1\/artifacts\/)?(sha256:[0-9a-f]{64})$/;
/** On this server; `//host` is another one. */
const ownPath = /^\/(?![/\\])[^\s]+\.(png|jpe?g|gif|webp|avif|svg)$/i;

/** The first picture of an item; null: it has none. Pictures of other hosts are not loaded, their address is text. */
export function pictureOf(item: Item): Picture | null {
  for (const [name, value] of fieldsOf(item)) {
    if (typeof value !== 'string') continue;
    if (dataUrl.test(value)) return { kind: 'address', address: value, columns: [name] };
    const digest = storedBytes.exec(value)?.[1];
    if (digest !== undefined) return { kind: 'stored', path: `/api/v1/artifacts/${digest}`, columns: [name] };
    if (ownPath.test(value)) return { kind: 'stored', path: value, columns: [name] };
  }
  return pixelsOf(fieldsOf(item));
}

/** Columns that differ in their last number only and are n × n numbers, 16 at least: `px00` … `px63`. */
function pixelsOf(fields: Fields): Picture | null {
  const groups = new Map<string, { name: string; place: number; value: number }[]>();
  for (const [name, value] of fields) {
    const [, head, digits] = /^(.*?)(\d+)$/.exec(name) ?? [];
    const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
    if (head === undefined || typeof number !== 'number' || !Number.isFinite(number) || number < 0) continue;
    groups.set(head, [...(groups.get(head) ?? []), { name, place: Number(digits), value: number }]);
  }
  for (const group of groups.values()) {
    const side = Math.sqrt(group.length);
    if (group.length < 16 || !Number.isInteger(side)) continue;
    const sorted = group.sort((a, b) => a.place - b.place);
    const values = sorted.map(({ value }) => value);
    return { kind: 'pixels', side, values, most: brightest(values), columns: sorted.map(({ name }) => name) };
  }
  return null;
}

/** What white is: the next of the usual scales. */
function brightest(values: number[]): number {
  const most = Math.max(...values);
  return [1, 16, 255, 65_535].find((scale) => most <= scale) ?? most;
}
