// Where labels come from, row by row: a Parquet file (key, source, confidence, weight) of the rows whose label is neither
// given with the data nor by people, ordered by key. A version without such rows has no file.
import { type DuckSession, identifier } from '../../adapters/duckdb.js';
import type { Digest } from '../../domain/artifact.js';
import type { Schema } from '../../domain/dataset.js';
import { type DatasetDeps, parquet, putSelect } from './deps.js';

/** SELECT of the rows of `raw` that get their label from the table `resolved`, and not from people. */
function resolvedSources(raw: string, schema: Schema): string {
  const [key, label] = [identifier(schema.key), identifier(schema.label)];
  return `SELECT raw.${key} AS key, resolved.source AS source, NULL::DOUBLE AS confidence, 1::FLOAT AS weight
    FROM ${raw} AS raw JOIN resolved ON raw.${key} = resolved.key
    WHERE raw.${label} IS NULL AND resolved.source NOT IN ('given', 'human')`;
}

export interface SourcesRequest {
  /** Gives the columns of `LabelProvenance`. */
  select: string;
  /** The file of the version before, whose rows stay as they are. */
  before: Digest | undefined;
  folder: string;
}

type Deps = Pick<DatasetDeps, 'artifacts' | 'db'>;

/** Undefined: no row. */
export async function putSources(
  deps: Deps,
  session: DuckSession,
  { select, before, folder }: SourcesRequest,
): Promise<Digest | undefined> {
  const earlier = before && `UNION ALL SELECT * FROM ${parquet(await deps.artifacts.localPath(before))}`;
  const all = `(${select} ${earlier ?? ''})`;
  const [counted] = await session.query<{ n: number }>(`SELECT count(*) AS n FROM ${all}`);
  if (!counted?.n) return undefined;
  return (await putSelect(deps, session, `SELECT * FROM ${all} ORDER BY key`, folder)).digest;
}

/** The sources of a version that is made of `raw` and of the resolved labels of the session. */
export function putResolvedSources(
  deps: Deps,
  session: DuckSession,
  from: { raw: string; schema: Schema; folder: string; before?: Digest | undefined },
): Promise<Digest | undefined> {
  const { raw, schema, folder, before } = from;
  return putSources(deps, session, { select: resolvedSources(raw, schema), before, folder });
}
