// Reads unknown JSON by a table of fields: a typed value, or every fault with its path, what was found and what is allowed.
// A reader answers undefined where it added a fault, and goes on with the other fields; a value is complete without faults.
import type { FieldFault } from './failures.js';
import { durationWords, parseDuration } from './duration.js';
import { nearestWord } from './nearest.js';

export type Read<T> = (value: unknown, path: string, faults: FieldFault[]) => T | undefined;

export interface Field<T> {
  read: Read<T>;
  /** Value of an absent field; null where it may not be absent. */
  fallback: (() => T) | null;
  /** What to write, for the fault of an absent field. */
  allowed: string;
}

/** What a value is, in a few words for a message. */
export function described(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (typeof value === 'string') return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value);
  if (value === null || typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (Array.isArray(value)) return `a list of ${value.length}`;
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** `gate` + `metric` -> `gate.metric`; a list's items are `expectations[0]`. */
export function joinPath(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`;
}

/** Adds a fault in the one wording of all faults; `nearest` is the known word that was probably meant. */
export function addFault(
  faults: FieldFault[],
  path: string,
  fault: { found: string; allowed: string; nearest?: string | null },
): undefined {
  const hint = fault.nearest ? `; did you mean "${fault.nearest}"?` : '';
  faults.push({ path, message: `found ${fault.found}; allowed: ${fault.allowed}${hint}` });
}

export function required<T>(read: Read<T>, allowed: string): Field<T> {
  return { read, fallback: null, allowed };
}

export function optional<T, D = T>(read: Read<T>, fallback: () => D): Field<T | D> {
  return { read, fallback, allowed: '' };
}

export function text(allowed: string, pattern?: RegExp, maxLength = 4096): Read<string> {
  return (value, path, faults) => {
    const fits = typeof value === 'string' && value.trim() !== '' && value.length <= maxLength && !value.includes('\0');
    if (fits && (!pattern || pattern.test(value))) return value;
    return addFault(faults, path, { found: described(value), allowed });
  };
}

export interface NumberRule {
  min?: number;
  max?: number;
  /** Exclusive bounds. */
  above?: number;
  below?: number;
  integer?: boolean;
}

function numberWords(rule: NumberRule): string {
  const bounds = [
    rule.min === undefined ? '' : `≥ ${rule.min}`,
    rule.above === undefined ? '' : `> ${rule.above}`,
    rule.max === undefined ? '' : `≤ ${rule.max}`,
    rule.below === undefined ? '' : `< ${rule.below}`,
  ].filter((bound) => bound !== '');
  return `a ${rule.integer ? 'whole ' : ''}number${bounds.length > 0 ? ` ${bounds.join(' and ')}` : ''}`;
}

export function number(rule: NumberRule = {}): Read<number> {
  return (value, path, faults) => {
    const fits =
      typeof value === 'number' &&
      Number.isFinite(value) &&
      (!rule.integer || Number.isSafeInteger(value)) &&
      value >= (rule.min ?? -Infinity) &&
      value <= (rule.max ?? Infinity) &&
      value > (rule.above ?? -Infinity) &&
      value < (rule.below ?? Infinity);
    return fits ? value : addFault(faults, path, { found: described(value), allowed: numberWords(rule) });
  };
}

export const flag: Read<boolean> = (value, path, faults) =>
  typeof value === 'boolean' ? value : addFault(faults, path, { found: described(value), allowed: 'true or false' });

/** One of some words; `planned` words are known but not built yet. */
export function choice<T extends string>(words: readonly T[], planned: readonly string[] = []): Read<T> {
  return (value, path, faults) => {
    const known = words.find((word) => word === value);
    if (known !== undefined) return known;
    const allowed = words.join(', ');
    if (typeof value !== 'string') return addFault(faults, path, { found: described(value), allowed });
    if (planned.includes(value)) return addFault(faults, path, notBuilt(value, words));
    return addFault(faults, path, { found: described(value), allowed, nearest: nearestWord(value, words) });
  };
}

/** One of some numbers. */
export function oneOf(numbers: readonly number[]): Read<number> {
  return (value, path, faults) =>
    numbers.includes(value as number)
      ? (value as number)
      : addFault(faults, path, { found: described(value), allowed: numbers.join(', ') });
}

/** The fault of a word that is planned, naming what is built instead. */
export function notBuilt(
  word: string | number,
  built: readonly (string | number)[],
): { found: string; allowed: string } {
  return { found: `${described(word)}, which is not built yet`, allowed: built.join(', ') };
}

/** Milliseconds. */
export function duration(rule: { minMs: number; maxMs: number; allowed: string }): Read<number> {
  return (value, path, faults) => {
    const parsed = typeof value === 'string' ? parseDuration(value) : null;
    if (parsed !== null && parsed >= rule.minMs && parsed <= rule.maxMs) return parsed;
    const unit = typeof value === 'string' ? /^[\d.\s]+([a-z]+)$/i.exec(value)?.[1] : undefined;
    const nearest = parsed === null && unit !== undefined ? nearestWord(unit, durationWords) : null;
    return addFault(faults, path, { found: described(value), allowed: rule.allowed, nearest });
  };
}

export function list<T>(read: Read<T>, rule: { min?: number; max: number; unique?: boolean; what: string }): Read<T[]> {
  return (value, path, faults) => {
    const min = rule.min ?? 0;
    if (!Array.isArray(value) || value.length < min || value.length > rule.max) {
      return addFault(faults, path, { found: described(value), allowed: `${min} to ${rule.max} ${rule.what}` });
    }
    const seen = new Set<unknown>();
    return value.map((item: unknown, index) => {
      const itemPath = `${path}[${index}]`;
      if (rule.unique && seen.has(item))
        addFault(faults, itemPath, { found: `${described(item)} again`, allowed: 'each once' });
      seen.add(item);
      return read(item, itemPath, faults) as T;
    });
  };
}

/** An object whose names are the user's own, such as column names. */
export function record<T>(read: Read<T>, what: string): Read<Record<string, T>> {
  return (value, path, faults) => {
    if (!isRecord(value)) return addFault(faults, path, { found: described(value), allowed: what });
    return Object.fromEntries(
      Object.entries(value).map(([name, item]) => [name, read(item, joinPath(path, name), faults) as T]),
    );
  };
}

/** An object of known fields. Unknown ones are faults with the nearest known name; `planned` ones are not built yet. */
export function object<T extends object>(
  fields: { [K in keyof T]-?: Field<T[K]> },
  planned: readonly string[] = [],
): Read<T> {
  const names = Object.keys(fields);
  return (value, path, faults) => {
    const allowed = `an object with ${names.join(', ')}`;
    if (!isRecord(value)) return addFault(faults, path, { found: described(value), allowed });
    for (const name of Object.keys(value)) {
      if (names.includes(name)) continue;
      const found = `the unknown field "${name.slice(0, 60)}"`;
      const fault = planned.includes(name) ? notBuilt(name, names) : { found, allowed: names.join(', ') };
      addFault(faults, joinPath(path, name), {
        ...fault,
        nearest: planned.includes(name) ? null : nearestWord(name, names),
      });
    }
    const entries = Object.entries<Field<unknown>>(fields).map(([name, field]) => {
      const given = Object.hasOwn(value, name) ? value[name] : undefined;
      if (given !== undefined) return [name, field.read(given, joinPath(path, name), faults)];
      if (field.fallback) return [name, field.fallback()];
      return [name, addFault(faults, joinPath(path, name), { found: 'nothing', allowed: field.allowed })];
    });
    return Object.fromEntries(entries) as T;
  };
}

/** Another shape for what was read; `change` must bear undefined members, since faults may have been found. */
export function mapped<A, B>(read: Read<A>, change: (value: A) => B): Read<B> {
  return (value, path, faults) => {
    const found = read(value, path, faults);
    return found === undefined ? undefined : change(found);
  };
}
