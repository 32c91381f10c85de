// How the schema of new data relates to the accepted one: the same, with new columns, or not the same data any more.
import type { Column, Schema } from '../../domain/dataset.js';
import { Failure } from '../../domain/failures.js';
import { canonicalJson } from '../../domain/json.js';
import type { PipelineDocument } from '../../domain/pipeline.js';
import { statedTypes } from './infer.js';

export interface SchemaDecision {
  /** What rows are read by: accepted columns in their order, then new ones. */
  schema: Schema;
  newColumns: string[];
  /** The accepted schema is another one, or there is none yet. */
  changed: boolean;
}

/** Throws `SchemaMismatch` when an accepted column is gone. Types stay as accepted unless the document states others. */
export function decideSchema(accepted: Schema | null, inferred: Schema, document: PipelineDocument): SchemaDecision {
  if (!accepted) return { schema: inferred, newColumns: [], changed: true };
  const found = new Set(inferred.columns.map(({ name }) => name));
  const gone = accepted.columns.filter(({ name }) => !found.has(name)).map(({ name }) => name);
  if (gone.length > 0) {
    throw new Failure('SchemaMismatch', `missing: ${gone.slice(0, 20).join(', ')}`, { members: { missing: gone } });
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
