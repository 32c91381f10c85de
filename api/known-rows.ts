// Rows that somebody names by their keys: those that the dataset does not have are told at once, each with its path.
import { identifier, sqlLiteral } from '../adapters/duckdb.js';
import type { Tx } from '../db/client.js';
import { datasetOf, latestDatasetVersion } from '../db/dataset.js';
import { pipelineView } from '../db/pipeline.js';
import { applyOverrides } from '../domain/document.js';
import { Failure } from '../domain/failures.js';
import type { Json } from '../domain/json.js';
import { keysOf, unknownKeys } from '../domain/label-ask.js';
import type { ApiDeps } from './deps.js';

type RowDeps = Pick<ApiDeps, 'artifacts' | 'duck'>;

interface NamedRows {
  project: string;
  pipeline: string;
  /** What a run does otherwise than the document says; only rows that are named here are looked for. */
  overrides: Record<string, Json>;
  /** Where the keys stand in the request. */
  path: string;
}

/**
 * Looks for `labeling.ask.keys` in the latest version of the pipeline's dataset. Rows that came since are known when a run
 * has read them. @throws Failure `InvalidRequest`, `NotFound`
 */
export async function requireNamedRows(deps: RowDeps, tx: Tx, asked: NamedRows): Promise<void> {
  const { project, overrides, path } = asked;
  if (!Object.keys(overrides).some((name) => name.startsWith('labeling'))) return;
  const made = applyOverrides((await pipelineView(tx, project, asked.pipeline)).document, overrides);
  // what does not fit is told by whoever opens the run
  const labeling = 'document' in made ? made.document.labeling : null;
  const keys = labeling && keysOf(labeling.ask);
  if (!keys || !('document' in made)) return;
  const known = await knownKeys(deps, tx, { project, dataset: made.document.dataset.name, keys });
  const faults = unknownKeys(keys, known, path);
  if (faults.length > 0) throw new Failure('InvalidRequest', 'some rows are not in the dataset', { faults });
}

async function knownKeys(
  deps: RowDeps,
  tx: Tx,
  { project, dataset, keys }: { project: string; dataset: string; keys: string[] },
): Promise<Set<string>> {
  const { id, key } = await datasetOf(tx, project, dataset);
  const version = await latestDatasetVersion(tx, id);
  const known = new Set<string>();
  const cell = identifier(key);
  for (const { digest } of version?.files ?? []) {
    const file = sqlLiteral(await deps.artifacts.localPath(digest));
    const rows = await deps.duck.query<{ key: string }>(
      `SELECT ${cell} AS key FROM read_parquet(${file}) WHERE ${cell} IN (${keys.map(sqlLiteral).join(', ')})`,
    );
    for (const row of rows) known.add(row.key);
  }
  return known;
}
