// What type a column of the raw file has: number, date, text or category. Pure SQL, exact.
import { type DuckSession, identifier } from '../../adapters/duckdb.js';
import { dateCell, isNumberWord, numberCell } from '../../adapters/cells.js';
import type { ColumnType, Schema } from '../../domain/dataset.js';
import type { PipelineDocument } from '../../domain/pipeline.js';
import { columnsOf } from './deps.js';

/** The words NaN and Infinity do not stop a column from being of numbers where at least this share are numbers. */
const numberShare = 0.99;

/** Types that the document states, or that its rules take for granted: a range is a range of numbers. */
export function statedTypes(document: Pick<PipelineDocument, 'expectations' | 'features'>): Map<string, ColumnType> {
  const stated = new Map<string, ColumnType>();
  for (const rule of document.expectations) {
    if ('column' in rule && (rule.min !== undefined || rule.max !== undefined)) stated.set(rule.column, 'number');
  }
  for (const [name, type] of Object.entries(document.features.types)) stated.set(name, type);
  return stated;
}

/** Free text, and no category with long names: so many words on average, so many values, hardly one twice (about). */
const textWords = 5;
const textValues = 20;
const textDistinct = 0.8;

interface Counts {
  some: number;
  numbers: number;
  words: number;
  dates: number;
  /** Blanks between words, in all values together. */
  gaps: number;
  distinct: number;
}

function typeOf({ some, numbers, words, dates, gaps, distinct }: Counts): ColumnType {
  if (numbers > 0 && numbers + words === some && numbers >= numberShare * some) return 'number';
  // A column without any value is of numbers that are all missing.
  if (some === 0) return 'number';
  if (dates === some) return 'date';
  const free = some >= textValues && gaps >= (textWords - 1) * some && distinct >= textDistinct * some;
  return free ? 'text' : 'category';
}

/** The schema of raw rows. Columns are in the order of the file, key and label apart. */
export async function inferSchema(
  session: DuckSession,
  raw: string,
  document: Pick<PipelineDocument, 'dataset' | 'expectations' | 'features'>,
): Promise<Schema> {
  const { key, label, task } = document.dataset;
  const all = await columnsOf(session, raw);
  const stated = statedTypes(document);
  const columns = all.filter((name) => name !== key && name !== label);
  const types = new Map(stated);
  const open = columns.filter((name) => !stated.has(name));
  // In slices: a thousand columns in one statement take their memory at once.
  for (let from = 0; from < open.length; from += 200) {
    const slice = open.slice(from, from + 200);
    const counts = slice.map((name) => {
      const cell = identifier(name);
      return `[count(${cell}), count(${numberCell(cell)}), count(*) FILTER (WHERE ${isNumberWord(cell)}), count(${dateCell(cell)}),
        coalesce(sum(length(trim(${cell})) - length(replace(trim(${cell}), ' ', ''))), 0)::BIGINT, approx_count_distinct(${cell})]`;
    });
    const [row] = await session.query<{ counts: [number, number, number, number, number, number][] }>(
      `SELECT [${counts.join(', ')}] AS counts FROM ${raw}`,
    );
    slice.forEach((name, index) => {
      const [some = 0, numbers = 0, words = 0, dates = 0, gaps = 0, distinct = 0] = row?.counts[index] ?? [];
      types.set(name, typeOf({ some, numbers, words, dates, gaps, distinct }));
    });
  }
  return { key, label, task, columns: columns.map((name) => ({ name, type: types.get(name) ?? 'category' })) };
}
