// Rows of any accepted format become one Parquet file in which every cell is text and a missing cell is NULL.
// What the cells mean is decided later, in `validate`; here syntax and keys are checked (architecture: Data and learning).
import { randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, mkdir, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Format } from '../domain/dataset.js';
import { Failure } from '../domain/failures.js';
import { type Duck, type DuckSession, identifier, sqlLiteral } from './duckdb.js';
import { openRows } from './rows/bytes.js';
import { type CleanRows, type Cleaner, type RowFault, tooManyColumns, wrongFormat } from './rows/cleaner.js';
import { createCsvCleaner } from './rows/csv.js';
import { createJsonCleaner } from './rows/json.js';

export interface ParseOptions {
  /** Name of the key column. */
  key: string;
  /** 5000 in the product. */
  maxColumns: number;
  /** Scratch folder; the Parquet file stays there, everything else is removed. */
  outFolder: string;
  signal?: AbortSignal | undefined;
}

export interface ParsedRows {
  /** The Parquet file: rows in the order of the source. */
  path: string;
  columns: string[];
  rows: number;
  /** Records that could not be read or have no key. */
  quarantined: number;
  /** The first 20 of them. `row` counts from 1, the header not included. */
  faults: RowFault[];
}

/** Where DuckDB finds the rows, once they are clean. */
interface Relation {
  /** FROM item whose columns are `columns`, each VARCHAR. */
  from: string;
  /** Expression: the row's number in `from`. */
  row: string;
  columns: string[];
  clean: CleanRows | null;
}

const namedKeys = 20;
/** Names that our own SQL uses beside those of the data. */
const reservedNames = /^__(row|part|key|last|label|bad|texts|same\d+)$/i;

async function writeAll(file: FileHandle, parts: Buffer[]): Promise<void> {
  for (const part of parts) {
    for (let at = 0; at < part.length;) at += (await file.write(part, at)).bytesWritten;
  }
}

async function clean(cleaner: Cleaner, path: string, target: string, signal?: AbortSignal): Promise<CleanRows> {
  const file = await open(target, 'w', 0o600);
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) {
      signal?.throwIfAborted();
      await writeAll(file, cleaner.push(chunk as Buffer));
    }
    await writeAll(file, cleaner.end());
  } finally {
    await file.close();
  }
  return cleaner.result();
}

function csvRelation(path: string, rows: CleanRows): Relation {
  const names = rows.numbered ? ['__row', ...rows.columns.map((_, index) => `c${index}`)] : rows.columns;
  const types = names.map((name) => `${sqlLiteral(name)}: 'VARCHAR'`).join(', ');
  const padding = rows.numbered ? 'null_padding = true, parallel = false' : 'null_padding = false';
  const table = `read_csv(${sqlLiteral(path)}, header = false, auto_detect = false, columns = {${types}},
    delim = ${sqlLiteral(rows.delimiter)}, quote = '"', escape = '"', new_line = '\\n', nullstr = '', strict_mode = true,
    max_line_size = 8388608, ${padding})`;
  if (!rows.numbered) return { from: table, row: 'row_number() OVER ()', columns: rows.columns, clean: rows };
  const renamed = rows.columns.map((name, index) => `c${index} AS ${identifier(name)}`).join(', ');
  return { from: `(SELECT __row, ${renamed} FROM ${table})`, row: '__row::BIGINT', columns: rows.columns, clean: rows };
}

/** Text of a Parquet cell: as in CSV, so 1.0 is `1`; lists and structures as JSON. */
function parquetCell(name: string, type: string): string {
  const column = identifier(name);
  if (type === 'VARCHAR') return `nullif(${column}, '')`;
  if (type === 'DOUBLE' || type === 'FLOAT') return `regexp_replace(${column}::VARCHAR, '\\.0$', '')`;
  if (/\[|^STRUCT|^MAP|^UNION/.test(type)) return `to_json(${column})::VARCHAR`;
  return `${column}::VARCHAR`;
}

async function parquetRelation(session: DuckSession, path: string, maxColumns: number): Promise<Relation> {
  const file = `read_parquet(${sqlLiteral(path)}, file_row_number = true)`;
  const [count] = await session.query<{ columns: number }>(
    `SELECT coalesce(max(num_children), 0) AS columns FROM (SELECT num_children FROM parquet_schema(${sqlLiteral(path)}) LIMIT 1)`,
  );
  if ((count?.columns ?? 0) > maxColumns) tooManyColumns(count?.columns ?? 0, maxColumns);
  const described = await session.query<{ column_name: string; column_type: string }>(`DESCRIBE SELECT * FROM ${file}`);
  const cells = described.filter((column) => column.column_name !== 'file_row_number');
  const texts = cells.map(
    (cell) => `${parquetCell(cell.column_name, cell.column_type)} AS ${identifier(cell.column_name)}`,
  );
  return {
    from: `(SELECT file_row_number + 1 AS __row, ${texts.join(', ')} FROM ${file})`,
    row: '__row',
    columns: cells.map((cell) => cell.column_name),
    clean: null,
  };
}

/** The number of the `kept`-th kept row among all rows of the source. */
function sourceRow(kept: number, dropped: readonly number[]): number {
  let row = kept;
  for (const left of dropped) {
    if (left > row) break;
    row++;
  }
  return row;
}

async function refuseDuplicates(session: DuckSession, relation: Relation, key: string): Promise<never> {
  const column = identifier(key);
  const found = await session.query<{ key: string; rows: number[] }>(
    `SELECT key, list(row ORDER BY row)[1:10] AS rows FROM (SELECT ${column} AS key, ${relation.row} AS row FROM ${relation.from})
     WHERE key <> '' GROUP BY key HAVING count(*) > 1 ORDER BY min(row) LIMIT ${namedKeys}`,
  );
  const dropped = relation.clean && !relation.clean.numbered ? relation.clean.dropped : [];
  const keys = found.map(({ key: name, rows }) => ({ key: name, rows: rows.map((row) => sourceRow(row, dropped)) }));
  const told = keys.map((item) => `${JSON.stringify(item.key)} in rows ${item.rows.join(', ')}`).join('; ');
  throw new Failure(
    'DuplicateKeys',
    `${column} repeats: ${told}${keys.length === namedKeys ? '; and maybe more' : ''}`,
    {
      members: { keys },
    },
  );
}

async function countRows(session: DuckSession, relation: Relation): Promise<number> {
  const [counted] = await session.query<{ rows: number }>(`SELECT count(*) AS rows FROM ${relation.from}`);
  return counted?.rows ?? 0;
}

async function write(session: DuckSession, relation: Relation, options: ParseOptions): Promise<ParsedRows> {
  const { columns, clean: cleaned } = relation;
  const reserved = columns.find((name) => reservedNames.test(name));
  if (reserved !== undefined) wrongFormat(`a column may not be named ${reserved}`);
  if (!columns.includes(options.key)) {
    throw new Failure(
      'KeyColumnMissing',
      `there is no column ${JSON.stringify(options.key)}; there are ${columns.slice(0, 20).join(', ')}`,
    );
  }
  const key = identifier(options.key);
  const path = join(options.outFolder, `${randomUUID()}.parquet`);
  const cells = columns.map(identifier).join(', ');
  await session.run(
    `COPY (SELECT ${cells} FROM ${relation.from} WHERE ${key} <> '') TO ${sqlLiteral(path)} (FORMAT parquet, COMPRESSION zstd)`,
  );
  const [counts] = await session.query<{ rows: number; keys: number }>(
    `SELECT count(*) AS rows, count(DISTINCT ${key}) AS keys FROM read_parquet(${sqlLiteral(path)})`,
  );
  const rows = counts?.rows ?? 0;
  if (rows !== counts?.keys) await refuseDuplicates(session, relation, options.key);
  const read = rows === cleaned?.kept ? rows : await countRows(session, relation);
  if (cleaned && read !== cleaned.kept) wrongFormat(`${cleaned.kept} rows were found, ${read} could be read`);
  const total = read + (cleaned?.dropped.length ?? 0);
  const faults = [...(cleaned?.faults ?? [])];
  const keyless = read - rows;
  if (keyless > 0 && faults.length < namedKeys)
    faults.push({ row: 0, message: `${keyless} rows have no ${options.key}` });
  if (rows === 0) {
    throw new Failure('DatasetEmpty', total === 0 ? 'there are no rows' : `none of ${total} rows has a key`, {
      members: { faults },
    });
  }
  return { path, columns, rows, quarantined: total - rows, faults };
}

/** Throws what DuckDB says about rows as `WrongFormat`, unless it is about the machine or a failure already. */
function asWrongFormat(error: unknown): unknown {
  const text = error instanceof Error ? error.message : '';
  if (
    error instanceof Failure ||
    !/^(Invalid Input|IO|Conversion|Binder|Serialization|Not implemented|TProtocol)/.test(text)
  ) {
    return error;
  }
  return new Failure('WrongFormat', 'the content cannot be read as rows', { cause: error });
}

/**
 * Reads a file of rows; gzip and zstd are recognised by their bytes. Throws `WrongFormat`, `DatasetEmpty`, `TooManyColumns`,
 * `KeyColumnMissing`, `DuplicateKeys` (the first 20 keys with their rows) and `SourceNotFound`; nothing is kept then.
 */
export async function parseRows(
  duck: Duck,
  input: { path: string; format: Format | 'auto' },
  options: ParseOptions,
): Promise<ParsedRows> {
  await mkdir(options.outFolder, { recursive: true, mode: 0o700 });
  const scratch = join(options.outFolder, `parse-${randomUUID()}`);
  await mkdir(scratch, { mode: 0o700 });
  try {
    const { format, path } = await openRows(duck, input, { outFolder: scratch, signal: options.signal });
    let relation: Relation | undefined;
    if (format !== 'parquet') {
      const target = join(scratch, 'clean.csv');
      const cleaner = format === 'csv' ? createCsvCleaner(options) : createJsonCleaner(options);
      const rows = await clean(cleaner, path, target, options.signal);
      if (rows.columns.length === 0 && rows.seen === 0) throw new Failure('DatasetEmpty', 'there are no rows');
      if (rows.seen > 0 && rows.kept === 0) {
        const first = rows.faults[0];
        wrongFormat(`none of ${rows.seen} rows can be read as ${format}; row ${first?.row} ${first?.message}`);
      }
      relation = csvRelation(target, rows);
    }
    return await duck.session({ signal: options.signal, exact: true }, async (session) =>
      write(session, relation ?? (await parquetRelation(session, path, options.maxColumns)), options),
    );
  } catch (error) {
    throw asWrongFormat(error);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}
