// Lists in pages: the cursor is the sort key of the last item, opaque to clients.
import { Failure } from '../domain/failures.js';

export interface Page<T> {
  items: T[];
  nextCursor: string | null;
}

export interface PageRequest {
  /** At least 1. */
  limit: number;
  /** Null: from the start. */
  cursor: string | null;
}

type Part = string | number;

/** What a part of a cursor is: a moment as Postgres writes it, a text, a number of an `integer` column. */
const fitting = {
  moment: (part: unknown) => typeof part === 'string' && isMoment(part),
  text: (part: unknown) => typeof part === 'string' && !part.includes('\0'),
  number: (part: unknown) => Number.isInteger(part) && Math.abs(part as number) <= 2_147_483_647,
};
type Kind = keyof typeof fitting;
type Parts<K extends readonly Kind[]> = { -readonly [I in keyof K]: K[I] extends 'number' ? number : string };

/** The cursor's parts, or null at the start. @throws Failure `InvalidRequest` when it is not one of ours */
export function readCursor<const K extends readonly Kind[]>(page: PageRequest, kinds: K): Parts<K> | null {
  if (page.cursor === null) return null;
  const parts = decode(page.cursor);
  const fits = parts?.length === kinds.length && kinds.every((kind, place) => fitting[kind](parts[place]));
  if (!fits) {
    throw new Failure('InvalidRequest', 'the cursor is not one of this list', {
      faults: [{ path: 'cursor', message: 'not a cursor of this list' }],
    });
  }
  return parts as Parts<K>;
}

/** A page of `found`, which was asked for with limit + 1 to see whether there is more. */
export function toPage<R, T>(found: R[], page: PageRequest, key: (row: R) => Part[], view: (row: R) => T): Page<T> {
  const shown = found.slice(0, page.limit);
  const last = shown.at(-1);
  const more = found.length > page.limit && last !== undefined;
  return {
    items: shown.map(view),
    nextCursor: more ? Buffer.from(JSON.stringify(key(last))).toString('base64url') : null,
  };
}

// JavaScript makes the 2nd of March of a 30th of February, which Postgres refuses
function isMoment(part: string): boolean {
  const written = /^([1-9]\d{3}-\d\d-\d\d) (\d\d:\d\d:\d\d)(\.\d{1,6})?\+00$/.exec(part);
  if (written === null) return false;
  const read = new Date(`${written[1]}T${written[2]}Z`);
  return !Number.isNaN(read.getTime()) && read.toISOString().startsWith(`${written[1]}T${written[2]}`);
}

function decode(cursor: string): unknown[] | null {
  try {
    const value: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString());
    return Array.isArray(value) ? value : null;
  } catch {
    return null;
  }
}
