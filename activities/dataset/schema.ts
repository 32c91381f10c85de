// How the schema of new data relates to the accepted one: the same, with new columns, or not the same data any more.
import { identifier } from '../../adapters/duckdb.js';
import type { Column, Schema } from '../../domain/dataset.js';
import { Failure } from '../../domain/failures.js';
import { canonicalJson } from '../../domain/json.js';
import type { PipelineDocument } from '../../domain/pipeline.js';
import { type DatasetDeps, parquet } from './deps.js';
import { statedTypes } from './infer.js';

export interface SchemaDecision {
  /** What rows are read by: accepted columns in their order, then new ones. */
  schema: Schema;
  newColumns: string[];
  /** The accepted schema is another one, or there is none yet. */
  changed: boolean;
}

/**
 * Throws `SchemaMismatch` when an accepted column is gone, be it from one file or push (`missing`). Types stay as accepted
 * unless the document states others.
 */
export function decideSchema(
  accepted: Schema | null,
  inferred: Schema,
  document: PipelineDocument,
  missing: readonly string[] = [],
  rows: readonly string[] = [],
): SchemaDecision {
  if (!accepted) return { schema: inferred, newColumns: [], changed: true };
  const found = new Set(inferred.columns.map(({ name }) => name));
  const gone = accepted.columns
    .filter(({ name }) => !found.has(name) || missing.includes(name))
    .map(({ name }) => name);
  if (gone.length > 0) {
    const where = rows.length === 0 ? '' : ` in rows such as ${rows.join(', ')}; send them again with every column`;
    const detail = `missing: ${gone.slice(0, 20).join(', ')}${where}`;
    throw new Failure('SchemaMismatch', detail, { members: { missing: gone } });
  }
  const known = new Set(accepted.columns.map(({ name }) => name));
  const stated = statedTypes(document);
  const kept = accepted.columns.map(({ name, type }): Column => ({ name, type: stated.get(name) ?? type }));
  const added = inferred.columns.filter(({ name }) => !known.has(name));
  const schema = { ...accepted, columns: [...kept, ...added] };
  return {
    schema,
    newColumns: added.map(({ name }) => name),
    changed: canonicalJson(schema) !== canonicalJson(accepted),
  };
}

/** A file or push that came since the latest version: its place among all parts that are merged, and its columns. */
export interface Arrived {
  place: number;
  columns: string[];
}

export interface Missing {
  columns: string[];
  /** Keys of some rows that lack them. */
  rows: string[];
}

/** Accepted columns that arrived rows do not have; rows that a later part replaces do not count. */
export async function missingColumns(
  deps: Pick<DatasetDeps, 'duck'>,
  parts: { paths: string[]; arrived: Arrived[] },
  accepted: Schema,
): Promise<Missing> {
  const missing = new Set<string>();
  const rows: string[] = [];
  const key = identifier(accepted.key);
  for (const { place, columns } of parts.arrived) {
    const absent = accepted.columns.map(({ name }) => name).filter((name) => !columns.includes(name));
    if (absent.length === 0) continue;
    const later = parts.paths.slice(place + 1).map((path) => ` EXCEPT SELECT ${key} FROM ${parquet(path)}`);
    const own = `SELECT ${key} AS key FROM ${parquet(parts.paths[place] ?? '')}${later.join('')}`;
    const found = await deps.duck.query<{ key: string }>(`SELECT key FROM (${own}) ORDER BY key LIMIT 3`);
    if (found.length === 0) continue;
    for (const name of absent) missing.add(name);
    rows.push(...found.map((row) => row.key));
  }
  return { columns: [...missing], rows: rows.slice(0, 5) };
}
