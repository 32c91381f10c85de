// What the text of a cell means, in SQL. domain/dates.ts and domain/signature.ts say the same for JSON.
import { datePattern } from '../domain/dates.js';
import type { ColumnType } from '../domain/dataset.js';
import type { DatePart } from '../domain/model.js';

const largestFloat32 = '3.4028234663852886e38::DOUBLE';

/** The words for what is no number: bad values wherever a number is expected. `cell` is an SQL expression of text. */
export function isNumberWord(cell: string): string {
  return `(length(${cell}) <= 9 AND regexp_full_match(${cell}, '(?i)[+-]?(nan|inf|infinity)'))`;
}

/** DOUBLE, or NULL where the text is no finite number that fits 32 bits. */
export function numberCell(cell: string): string {
  const cast = `TRY_CAST(${cell} AS DOUBLE)`;
  return `CASE WHEN abs(${cast}) <= ${largestFloat32} AND NOT contains(${cell}, '_') THEN ${cast} END`;
}

/** TIMESTAMP in UTC, or NULL where the text is no date. DuckDB wants seconds where there is a zone. */
export function dateCell(cell: string): string {
  return `CASE WHEN regexp_full_match(${cell}, '${datePattern}') AND ${cell} >= '0001'
    THEN TRY_CAST(regexp_replace(${cell}, '^(.{16})([Z+-].*)$', '\\1:00\\2') AS TIMESTAMPTZ) AT TIME ZONE 'UTC' END`;
}

export function typedCell(cell: string, type: ColumnType): string {
  if (type === 'number') return numberCell(cell);
  return type === 'date' ? dateCell(cell) : cell;
}

/** One part of a TIMESTAMP (UTC) as a number. */
export function datePartCell(time: string, part: DatePart): string {
  if (part === 'epochDays') return `datediff('day', DATE '1970-01-01', ${time}::DATE)`;
  return `${part === 'weekday' ? 'isodow' : part}(${time})`;
}
