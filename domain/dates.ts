// ISO 8601 dates and times as the product reads them: without a zone they are UTC, and impossible ones are none.
// adapters/cells.ts says the same in SQL; a property test holds the two together.
import { dayMs } from './duration.js';
import type { DatePart } from './model.js';

/** Understood alike by JavaScript and by RE2 (DuckDB). `2026-01-31`, `2026-01-31T10:00`, `2026-01-31 10:00:00.5+09:00`. */
export const datePattern =
  '\\d{4}-\\d{2}-\\d{2}([T ]([01]\\d|2[0-3]):[0-5]\\d(:[0-5]\\d(\\.\\d{1,9})?)?(Z|[+-](0\\d|1[0-4])(:?[0-5]\\d)?)?)?';

const parts =
  /^(\d{4})-(\d{2})-(\d{2})(?:[T ]([01]\d|2[0-3]):([0-5]\d)(?::([0-5]\d)(?:\.(\d{1,9}))?)?(Z|[+-](?:0\d|1[0-4])(?::?[0-5]\d)?)?)?$/;

function offsetMinutes(zone: string | undefined): number {
  if (zone === undefined || zone === 'Z') return 0;
  const digits = zone.slice(1).replace(':', '');
  const minutes = Number(digits.slice(0, 2)) * 60 + Number(digits.slice(2) || 0);
  return zone.startsWith('-') ? -minutes : minutes;
}

/** Milliseconds since 1970 (UTC), or null when the text is no date. Finer fractions are cut off. */
export function parseDate(text: string): number | null {
  const match = parts.exec(text);
  if (!match) return null;
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map((part) => Number(part ?? 0)) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  if (year < 1) return null;
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return null;
  const fraction = Number((match[7] ?? '').slice(0, 3).padEnd(3, '0'));
  return date.getTime() + ((hour * 60 + minute - offsetMinutes(match[8])) * 60 + second) * 1000 + fraction;
}

/** One part of a time in UTC. `weekday`: Monday 1 to Sunday 7; `epochDays`: whole days since 1970-01-01. */
export function datePart(epochMs: number, part: DatePart): number {
  const date = new Date(epochMs);
  switch (part) {
    case 'year':
      return date.getUTCFullYear();
    case 'month':
      return date.getUTCMonth() + 1;
    case 'day':
      return date.getUTCDate();
    case 'weekday':
      return date.getUTCDay() || 7;
    case 'hour':
      return date.getUTCHours();
    case 'epochDays':
      return Math.floor(epochMs / dayMs);
  }
}
