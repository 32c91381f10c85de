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

/** The cursor's parts, or null at the start. @throws Failure `InvalidRequest` when it is not one of ours */
export function readCursor<P extends Part[]>(page: PageRequest, example: P): P | null {
  if (page.cursor === null) return null;
  const parts = decode(page.cursor);
  const fits = parts?.length === example.length && parts.every((part, place) => typeof part === typeof example[place]);
  if (!fits) {
    throw new Failure('InvalidRequest', 'the cursor is not one of this list', {
      faults: [{ path: 'cursor', message: 'not a cursor of this list' }],
    });
  }
  return parts as P;
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

function decode(cursor: string): unknown[] | null {
  try {
    const value: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString());
    return Array.isArray(value) ? value : null;
  } catch {
    return null;
  }
}
