// Kinds of labels: what an answer of each may be, and the one text that stands for it. Equal answers have equal texts.
import { canonicalJson, type Json } from './json.js';

export const labelKinds = ['single', 'multiple', 'span', 'box', 'number', 'preference'] as const;
export type LabelKind = (typeof labelKinds)[number];

/** The answers to which of two is better. */
export const preferences = ['left', 'right', 'tie'] as const;

/** How many answers there are to choose from; null: any. */
export function choicesOf(kind: LabelKind, classes: readonly string[] | null): number | null {
  return kind === 'preference' ? preferences.length : (classes?.length ?? null);
}

/** A piece of the item's text, in UTF-16 code units as browsers count them: `start` inclusive, `end` exclusive. */
export interface Span {
  start: number;
  end: number;
  label: string;
}

/** A box in an image, in shares of its width and height: 0 is left and top, 1 right and bottom. */
export interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
  label: string;
}

/** What the answers to a batch may be. */
export interface LabelSpace {
  kind: LabelKind;
  /** Null: any label is taken. */
  classes: readonly string[] | null;
  /** Of the item's text, for spans; null where it is not known. */
  textLength?: number | null;
}

const mostParts = 1_000;
const decimal = /^[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?$/i;
/** Letters of a number: every finite one that JavaScript or Postgres writes has fewer. */
const longestNumber = 400;

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * The class as it is kept, or null where it is none. A class is spelled as in the data, whose letters may be composed
 * otherwise than those that somebody types.
 */
function classOf(value: unknown, { classes }: LabelSpace): string | null {
  const name = typeof value === 'number' ? String(value) : value;
  if (typeof name !== 'string' || name === '' || name.length > 1_000) return null;
  if (classes?.includes(name)) return name;
  const label = name.normalize('NFC');
  return classes === null ? label : (classes.find((one) => one.normalize('NFC') === label) ?? null);
}

/** The parts in one order and each once, or null where one of them is none. */
function partsOf<T>(value: unknown, read: (part: unknown) => T | null): T[] | null {
  if (!Array.isArray(value) || value.length > mostParts) return null;
  const parts = new Map<string, T>();
  for (const part of value as unknown[]) {
    const found = read(part);
    if (found === null) return null;
    parts.set(canonicalJson(found as Json), found);
  }
  return [...parts].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, part]) => part);
}

function spanOf(value: unknown, space: LabelSpace): Span | null {
  if (!isRecord(value)) return null;
  const { start, end } = value;
  const label = classOf(value['label'], space);
  if (label === null || !Number.isInteger(start) || !Number.isInteger(end)) return null;
  const [from, to] = [start as number, end as number];
  return from >= 0 && from < to && to <= (space.textLength ?? Infinity) ? { start: from, end: to, label } : null;
}

/** How far beyond the image's edge rounding may carry a box. */
const edge = 1e-9;

function boxOf(value: unknown, space: LabelSpace): Box | null {
  if (!isRecord(value)) return null;
  const label = classOf(value['label'], space);
  const numbers = ['x', 'y', 'width', 'height'].map((name) => value[name]);
  if (label === null || !numbers.every((one): one is number => typeof one === 'number' && Number.isFinite(one))) {
    return null;
  }
  const [x = 0, y = 0, width = 0, height = 0] = numbers;
  const inside = x >= 0 && y >= 0 && width > 0 && height > 0 && x + width <= 1 + edge && y + height <= 1 + edge;
  return inside ? { x, y, width, height, label } : null;
}

/** As people send it: a text or a number, or a JSON value or its text for kinds with parts. */
function parsed(value: unknown): unknown {
  if (typeof value !== 'string') return value;
  try {
    return JSON.parse(value) as unknown;
  } catch {
    return null;
  }
}

function joined(parts: readonly unknown[] | null): string | null {
  return parts === null ? null : canonicalJson(parts as unknown as Json);
}

/** The text of an answer, or null where the batch does not take it. Never throws. */
export function labelText(value: unknown, space: LabelSpace): string | null {
  switch (space.kind) {
    case 'single':
      return classOf(value, space);
    case 'preference':
      return classOf(value, { kind: 'single', classes: preferences });
    case 'number': {
      const text = typeof value === 'number' ? String(value) : value;
      if (typeof text !== 'string' || text.length > longestNumber) return null;
      return decimal.test(text) && Number.isFinite(Number(text)) ? text : null;
    }
    case 'multiple':
      return joined(partsOf(parsed(value), (part) => classOf(part, space)));
    case 'span':
      return joined(partsOf(parsed(value), (part) => spanOf(part, space)));
    case 'box':
      return joined(partsOf(parsed(value), (part) => boxOf(part, space)));
  }
}

/** What an answer may be, in a few words for a message. */
export function labelWords({ kind, classes }: LabelSpace): string {
  const some = classes?.slice(0, 20).join(', ') ?? 'any text';
  const names = classes !== null && classes.length > 20 ? `${some}, … (${classes.length})` : some;
  switch (kind) {
    case 'single':
      return names;
    case 'preference':
      return preferences.join(', ');
    case 'number':
      return 'a number';
    case 'multiple':
      return `a list of classes: ${names}`;
    case 'span':
      return `a list of {start, end, label} inside the text, start < end, label one of ${names}`;
    case 'box':
      return `a list of {x, y, width, height, label} in shares of the image, label one of ${names}`;
  }
}

/** The parts of a text that `labelText` made. */
export function labelParts<T>(text: string): T[] {
  return JSON.parse(text) as T[];
}
