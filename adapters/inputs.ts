// Rows of a dataset version as a model takes them: DuckDB's vectors are read as they are, no object per value.
// The file's first two columns are the key and the label (activities/dataset/version.ts).
import type { DuckDBDataChunk, DuckDBVector } from '@duckdb/node-api';
import type { SplitPart } from '../domain/dataset.js';
import { Failure } from '../domain/failures.js';
import { joinedFloats, longestText, type ModelInputs, type NumberInput, type Signature } from '../domain/model.js';
import { datePartCell } from './cells.js';
import { type Duck, type DuckSession, identifier, sqlLiteral } from './duckdb.js';

export interface InputsRequest {
  /** Typed Parquet file of a dataset version. */
  file: string;
  /** Parquet (key, part). Without it, all rows. */
  split?: string;
  part?: SplitPart;
  signature: Signature;
  /**
   * Parquet `LabelProvenance`. What a model said is no truth: labelled rows of the holdout are without it. Labels are a
   * dataset's and parts a pipeline's, so the model of another pipeline may have labelled rows of this holdout.
   */
  sources?: string;
  /** true: labelled rows only; false: unlabelled rows only. Default: both. */
  labelled?: boolean;
  /** Only these rows. */
  keys?: readonly string[];
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

const keysOfModels = (sources: string) =>
  `SELECT key FROM read_parquet(${sqlLiteral(sources)}) WHERE source IN ('auto', 'pseudo')`;

/** FROM and WHERE of a part's rows, as `typed`. */
export function partRows(
  request: Pick<InputsRequest, 'file'> & Partial<InputsRequest>,
  key: string,
  label: string,
): string {
  const { file, split, part, labelled, sources, keys } = request;
  const models =
    sources !== undefined && labelled === true && part === 'holdout'
      ? [`typed.${identifier(key)} NOT IN (${keysOfModels(sources)})`]
      : [];
  const join =
    split === undefined
      ? ''
      : `JOIN read_parquet(${sqlLiteral(split)}) AS split ON typed.${identifier(key)} = split.key`;
  const where = [
    ...(split !== undefined && part ? [`split.part = ${sqlLiteral(part)}`] : []),
    ...(labelled === undefined ? [] : [`typed.${identifier(label)} IS ${labelled ? 'NOT NULL' : 'NULL'}`]),
    ...models,
    ...(keys === undefined ? [] : [`typed.${identifier(key)} IN (${['', ...keys].map(sqlLiteral).join(', ')})`]),
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

/** SELECT of a part: key, label, numbers, then categories, texts and further columns as text. */
function selected(request: InputsRequest, key: string, label: string): string {
  const { signature, columns = [], limit } = request;
  const text = (name: string) => `coalesce(typed.${identifier(name)}::VARCHAR, '')`;
  const cut = (name: string) => `substring(split_part(${text(name)}, chr(0), 1), 1, ${longestText})`;
  const cells = [
    `typed.${identifier(key)}`,
    `typed.${identifier(label)}`,
    ...signature.num.map((input) => `coalesce(${numberInputCell(input)}, 'nan'::FLOAT)`),
    ...signature.cat.map(text),
    ...(signature.text ?? []).map(cut),
    ...columns.map(text),
  ];
  const bound = limit === undefined ? '' : `LIMIT ${Math.max(0, Math.trunc(limit))}`;
  return `SELECT ${cells.join(', ')} ${partRows(request, key, label)} ORDER BY typed.${identifier(key)} ${bound}`;
}

/** The values of some text columns, row-major. */
function textCells(chunk: DuckDBDataChunk, first: number, count: number): string[] {
  const vectors = Array.from({ length: count }, (_, place) => chunk.getColumnVector(first + place));
  const cells: string[] = [];
  for (let row = 0; row < chunk.rowCount; row++) {
    for (const vector of vectors) cells.push(vector.getItem(row) as string);
  }
  return cells;
}

function rowsOf(chunk: DuckDBDataChunk, request: InputsRequest): InputRows {
  const { signature, columns = [] } = request;
  const [n, m, t] = [signature.num.length, signature.cat.length, signature.text?.length ?? 0];
  const count = chunk.rowCount;
  const num = new Float32Array(count * n);
  for (let place = 0; place < n; place++) {
    const values = floats(chunk.getColumnVector(2 + place));
    for (let row = 0, at = place; row < count; row++, at += n) num[at] = values[row] as number;
  }
  const labels = chunk.getColumnVector(1);
  const cat = textCells(chunk, 2 + n, m);
  const further = columns.map((name, place) => [name, textCells(chunk, 2 + n + m + t + place, 1)] as const);
  return {
    keys: textCells(chunk, 0, 1),
    labels: Array.from({ length: count }, (_, row) => labels.getItem(row) as string | null),
    inputs: { rows: count, num, cat, ...(t > 0 && { text: textCells(chunk, 2 + n + m, t) }) },
    extra: Object.fromEntries(further),
  };
}

/** Throws `SchemaMismatch` when the file lacks a column of the request; answers the names of key and label. */
async function keyAndLabel(session: DuckSession, request: InputsRequest): Promise<[string, string]> {
  const { signature, columns = [] } = request;
  const present = await typedColumns(session, request.file);
  const wanted = [
    ...signature.num.map(({ column }) => column),
    ...signature.cat,
    ...(signature.text ?? []),
    ...columns,
  ];
  const absent = wanted.find((name) => !present.includes(name));
  if (absent !== undefined) throw new Failure('SchemaMismatch', `the dataset has no column ${absent}`);
  return [present[0] ?? '', present[1] ?? ''];
}

/**
 * A part's rows in key order, some thousand at a time: nothing else of it is held. One of DuckDB's two places is taken
 * until the last row was read or the loop is left. Throws `SchemaMismatch` when the file lacks a column.
 */
export async function* streamInputs(duck: Duck, request: InputsRequest): AsyncGenerator<InputRows> {
  const session = await duck.open({ signal: request.signal });
  try {
    const result = await session.connection.stream(selected(request, ...(await keyAndLabel(session, request))));
    for (;;) {
      const chunk = await result.fetchChunk();
      if (!chunk || chunk.rowCount === 0) return;
      yield rowsOf(chunk, request);
    }
  } catch (error) {
    throw session.explain(error);
  } finally {
    session.close();
  }
}

export interface TypedRowsRequest extends Pick<InputsRequest, 'file' | 'split' | 'part' | 'labelled' | 'sources'> {
  key: string;
  label: string;
  /** Only rows with one of these labels; empty: any. */
  classes: string[];
}

/** Writes a part's rows as Parquet, all columns as they are typed, in key order. */
export async function writeTypedRows(duck: Duck, request: TypedRowsRequest, to: string): Promise<void> {
  const { key, label } = request;
  const classes = request.classes.map(sqlLiteral).join(', ');
  const known = classes === '' ? '' : `AND typed.${identifier(label)}::VARCHAR IN (${classes})`;
  await duck.session({ exact: true }, async (session) => {
    const select = `SELECT typed.* ${partRows(request, key, label)} ${known} ORDER BY typed.${identifier(key)}`;
    await session.query(`COPY (${select}) TO ${sqlLiteral(to)} (FORMAT parquet)`);
  });
}

/** How many rows a request has. */
export async function countInputs(duck: Duck, request: InputsRequest): Promise<number> {
  return duck.session({ signal: request.signal }, async (session) => {
    const from = partRows(request, ...(await keyAndLabel(session, request)));
    const [counted] = await session.query<{ rows: number }>(`SELECT count(*) AS rows ${from}`);
    return counted?.rows ?? 0;
  });
}

/** All rows at once: for what is bounded by the one who asks. */
export async function readInputs(duck: Duck, request: InputsRequest): Promise<InputRows> {
  const { signature, columns = [] } = request;
  const all: InputRows = {
    keys: [],
    labels: [],
    inputs: { rows: 0, num: new Float32Array(0), cat: [], ...(signature.text && { text: [] }) },
    extra: Object.fromEntries(columns.map((name) => [name, []])),
  };
  const numbers: Float32Array[] = [];
  for await (const rows of streamInputs(duck, request)) {
    numbers.push(rows.inputs.num);
    for (const key of rows.keys) all.keys.push(key);
    for (const label of rows.labels) all.labels.push(label);
    for (const cell of rows.inputs.cat) all.inputs.cat.push(cell);
    for (const cell of rows.inputs.text ?? []) all.inputs.text?.push(cell);
    for (const name of columns) for (const cell of rows.extra[name] ?? []) all.extra[name]?.push(cell);
  }
  all.inputs.rows = all.keys.length;
  all.inputs.num = joinedFloats(numbers);
  return all;
}
