// The classes that a dataset has, as its latest version holds them.
import { identifier, sqlLiteral } from '../adapters/duckdb.js';
import type { Db } from '../db/client.js';
import { type DatasetRow, latestDatasetVersion } from '../db/dataset.js';
import type { LabelKind } from '../domain/label-kind.js';
import type { ApiDeps } from './deps.js';

/** More different labels than these are no classes that anybody chooses from. */
const mostClasses = 10_000;

/** In a fixed order; null where no version says any, or where labels of this kind are not the dataset's. */
export async function knownClasses(
  { db, artifacts, duck }: Pick<ApiDeps, 'artifacts' | 'duck'> & { db: Db },
  dataset: DatasetRow,
  kind: LabelKind,
): Promise<string[] | null> {
  if (kind !== 'single' || dataset.task !== 'classification') return null;
  const version = await latestDatasetVersion(db, dataset.id);
  const known = new Set<string>();
  const cell = identifier(dataset.label);
  for (const { digest } of version?.files ?? []) {
    const file = sqlLiteral(await artifacts.localPath(digest));
    const rows = await duck.query<{ label: string }>(
      `SELECT DISTINCT CAST(${cell} AS VARCHAR) AS label FROM read_parquet(${file}) WHERE ${cell} IS NOT NULL LIMIT ${mostClasses + 1}`,
    );
    for (const { label } of rows) known.add(label);
  }
  return known.size === 0 || known.size > mostClasses ? null : [...known].sort();
}
