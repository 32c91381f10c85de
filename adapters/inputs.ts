// Rows of a dataset version as a model takes them: DuckDB's vectors are read as they are, no object per value.
// The file's first two columns are the key and the label (activities/dataset/version.ts).
import type { DuckDBDataChunk, DuckDBVector } from '@duckdb/node-api';
import type { SplitPart } from '../domain/dataset.js';
import { Failure } from '../domain/failures.js';
import type { ModelInputs, NumberInput, Signature } from '../domain/model.js';
import { datePartCell } from './cells.js';
import { type Duck, type DuckSession, identifier, sqlLiteral } from './duckdb.js';

export interface InputsRequest {
  /** Typed Parquet file of a dataset version. */
  file: string;
  /** Parquet (key, part). Without it, all rows. */
  split?: string;
  part?: SplitPart;
  signature: Signature;
  /** true: labelled rows only; false: unlabelled rows only. Default: both. */
  labelled?: boolean;
  /** Further columns, as text; '' where missing. */
  columns?: string[];
  /** The first so many rows in key order. */
  limit?: number;
  signal?: AbortSignal | undefined;
}

export interface InputRows {
  /** In key order, as everything here. */
  keys: string[];
  labels: (string | null)[];
  inputs: ModelInputs;
  extra: Record<string, string[]>;
}

/** FROM and WHERE of a part's rows, as `typed`. */
export function partRows(request: InputsRequest, key: string, label: string): string {
  const { file, split, part, labelled } = request;
  const join =
    split === undefined
      ? ''
      : `JOIN read_parquet(${sqlLiteral(split)}) AS split ON typed.${identifier(key)} = split.key`;
  const where = [
    ...(split !== undefined && part ? [`split.part = ${sqlLiteral(part)}`] : []),
    ...(labelled === undefined ? [] : [`typed.${identifier(label)} IS ${labelled ? 'NOT NULL' : 'NULL'}`]),
  ];
  return `FROM read_parquet(${sqlLiteral(file)}) AS typed ${join} ${where.length > 0 ? `WHERE ${where.join(' AND ')}` : ''}`;
}

export async function typedColumns(session: DuckSession, file: string): Promise<string[]> {
  const described = await session.query<{ column_name: string }>(
    `DESCRIBE SELECT * FROM read_parquet(${sqlLiteral(file)})`,
  );
  return described.map((column) => column.column_name);
}

/** FLOAT expression of one numeric input of the relation `typed`; NULL where missing. */
export function numberInputCell({ column, part }: NumberInput): string {
  const cell = `typed.${identifier(column)}`;
  const value = part === null ? cell : datePartCell(`TRY_CAST(${cell} AS TIMESTAMP)`, part);
  return `TRY_CAST(${value} AS FLOAT)`;
}

/** The numbers of a FLOAT vector. `items` is private in the typings; a test holds the package to it. */
function floats(vector: DuckDBVector | null): Float32Array {
  const { items } = vector as unknown as { items: unknown };
  if (!(items instanceof Float32Array)) throw new Error('DuckDB gives no Float32Array for a FLOAT column');
  return items;
}

function fill(rows: InputRows, chunk: DuckDBDataChunk, start: number, request: InputsRequest): void {
  const { signature, columns = [] } = request;
  const width = signature.num.length;
  const count = chunk.rowCount;
  const texts = (index: number) => chunk.getColumnVector(index);
  const keys = texts(0);
  const labels = texts(1);
  for (let row = 0; row < count; row++) {
    rows.keys.push(keys.getItem(row) as string);
    rows.labels.push(labels.getItem(row) as string | null);
  }
  for (let place = 0; place < width; place++) {
    const values = floats(chunk.getColumnVector(2 + place));
    const { num } = rows.inputs;
    for (let row = 0, at = start * width + place; row < count; row++, at += width) num[at] = values[row] as number;
  }
  const cats = signature.cat.map((_, place) => texts(2 + width + place));
  for (let row = 0; row < count; row++) for (const cat of cats) rows.inputs.cat.push(cat.getItem(row) as string);
  columns.forEach((name, place) => {
    const vector = texts(2 + width + cats.length + place);
    const out = rows.extra[name] as string[];
    for (let row = 0; row < count; row++) out.push(vector.getItem(row) as string);
  });
}

/** Throws `SchemaMismatch` when the file lacks a column of the signature. */
export async function readInputs(duck: Duck, request: InputsRequest): Promise<InputRows> {
  const { signature, columns = [], limit } = request;
  return duck.session({ signal: request.signal }, async (session) => {
    const present = await typedColumns(session, request.file);
    const [key = '', label = ''] = present;
    const wanted = [...signature.num.map(({ column }) => column), ...signature.cat, ...columns];
    const absent = wanted.find((name) => !present.includes(name));
    if (absent !== undefined) throw new Failure('SchemaMismatch', `the dataset has no column ${absent}`);
    const from = partRows(request, key, label);
    const bound = limit === undefined ? '' : `LIMIT ${Math.max(0, Math.trunc(limit))}`;
    const [counted] = await session.query<{ rows: number }>(`SELECT count(*) AS rows FROM (SELECT 1 ${from} ${bound})`);
    const total = counted?.rows ?? 0;
    const text = (name: string) => `coalesce(typed.${identifier(name)}::VARCHAR, '')`;
    const cells = [
      `typed.${identifier(key)}`,
      `typed.${identifier(label)}`,
      ...signature.num.map((input) => `coalesce(${numberInputCell(input)}, 'nan'::FLOAT)`),
      ...[...signature.cat, ...columns].map(text),
    ];
    const rows: InputRows = {
      keys: [],
      labels: [],
      inputs: { rows: total, num: new Float32Array(total * signature.num.length), cat: [] },
      extra: Object.fromEntries(columns.map((name) => [name, []])),
    };
    const result = await session.connection.stream(
      `SELECT ${cells.join(', ')} ${from} ORDER BY typed.${identifier(key)} ${bound}`,
    );
    for (let start = 0; ;) {
      const chunk = await result.fetchChunk();
      if (!chunk || chunk.rowCount === 0) return rows;
      fill(rows, chunk, start, request);
      start += chunk.rowCount;
    }
  });
}
