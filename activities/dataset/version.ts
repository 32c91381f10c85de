// Dataset versions: typed rows in one Parquet file (key, label, then the schema's columns, ordered by key), named by content.
import { typedCell } from '../../adapters/cells.js';
import { type DuckSession, identifier, sqlList } from '../../adapters/duckdb.js';
import { digestOf } from '../../adapters/store/index.js';
import { referArtifact } from '../../db/artifact.js';
import type { Tx } from '../../db/client.js';
import { addDatasetVersion } from '../../db/dataset.js';
import type { ResolvedLabel } from '../../db/labeling.js';
import type { Digest } from '../../domain/artifact.js';
import { type LabelSource, labelSources, type Schema } from '../../domain/dataset.js';
import { Failure } from '../../domain/failures.js';
import { canonicalJson } from '../../domain/json.js';
import { type DatasetDeps, putSelect } from './deps.js';
import type { RawWatermark } from './extract.js';

/** Labels in one statement. */
const labelsAtOnce = 10_000;

/** Id of a version's content: sha256 of RFC 8785 `{schema, files: [{sha256, rows}]}` (architecture, rule 9). */
export function versionId(schema: Schema, files: { digest: Digest; rows: number }[]): Digest {
  const content = { schema, files: files.map(({ digest, rows }) => ({ sha256: digest, rows })) };
  return digestOf(Buffer.from(canonicalJson(content), 'utf8'));
}

/** Puts resolved labels into a temporary table `resolved(key, label, source, relabel)` of the session. */
export async function loadLabels(session: DuckSession, labels: readonly ResolvedLabel[]): Promise<void> {
  await session.run(
    'CREATE OR REPLACE TEMP TABLE resolved (key VARCHAR, label VARCHAR, source VARCHAR, relabel BOOLEAN)',
  );
  for (let from = 0; from < labels.length; from += labelsAtOnce) {
    const slice = labels.slice(from, from + labelsAtOnce);
    const columns = [
      slice.map((item) => item.key),
      slice.map((item) => item.label),
      slice.map((item) => item.source),
      slice.map((item) => String(item.relabel)),
    ];
    await session.run(
      `INSERT INTO resolved SELECT ${columns.map((values) => `unnest(${sqlList(values)})`).join(', ')}`,
    );
  }
}

/**
 * The label of a row of `raw` beside `resolved`: what people said when they were asked again, else the row's own, else
 * what else was resolved. The row's own stays in the raw file as it came.
 */
export function labelCell(schema: Schema): string {
  const own = `raw.${identifier(schema.label)}`;
  return `CASE WHEN resolved.relabel THEN resolved.label ELSE coalesce(${own}, resolved.label) END`;
}

/** SELECT of typed rows from raw ones, with the labels of the table `resolved`. */
export function typedSelect(raw: string, schema: Schema): string {
  const key = identifier(schema.key);
  const label = identifier(schema.label);
  const cells = schema.columns.map(
    ({ name, type }) => `${typedCell(`raw.${identifier(name)}`, type)} AS ${identifier(name)}`,
  );
  return `SELECT raw.${key} AS ${key}, ${[`${labelCell(schema)} AS ${label}`, ...cells].join(', ')}
    FROM ${raw} AS raw LEFT JOIN resolved ON raw.${key} = resolved.key ORDER BY raw.${key}`;
}

export interface LabelFacts {
  labelled: number;
  counts: Record<LabelSource, number>;
  /** The most frequent first, at most 50. */
  classes: { label: string; n: number }[];
}

/** Labels of `raw` by source, the resolved ones of the session included. */
export async function labelFacts(session: DuckSession, raw: string, schema: Schema): Promise<LabelFacts> {
  const own = `raw.${identifier(schema.label)}`;
  const label = labelCell(schema);
  const joined = `${raw} AS raw LEFT JOIN resolved ON raw.${identifier(schema.key)} = resolved.key`;
  const sources = await session.query<{ source: LabelSource; n: number }>(
    `SELECT CASE WHEN ${own} IS NULL OR resolved.relabel THEN resolved.source ELSE 'given' END AS source, count(*) AS n
     FROM ${joined} WHERE ${label} IS NOT NULL GROUP BY 1`,
  );
  const counts = Object.fromEntries(labelSources.map((source) => [source, 0])) as Record<LabelSource, number>;
  for (const { source, n } of sources) counts[source] = n;
  const classes = await session.query<{ label: string; n: number }>(
    `SELECT ${label} AS label, count(*) AS n FROM ${joined}
     WHERE ${label} IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 50`,
  );
  return { labelled: Object.values(counts).reduce((sum, n) => sum + n, 0), counts, classes };
}

/** Throws `OneClass` and `NoLabels`; where people will be asked, no label at all is fine. */
export function requireClasses(facts: LabelFacts, schema: Schema, asksPeople: boolean): void {
  if (facts.labelled === 0) {
    if (asksPeople) return;
    throw new Failure('NoLabels', `no row has a label in the column ${schema.label}`);
  }
  if (schema.task === 'classification' && facts.classes.length < 2) {
    const [only] = facts.classes;
    throw new Failure('OneClass', `all ${facts.labelled} labelled rows have the label ${JSON.stringify(only?.label)}`);
  }
}

export interface TypedFile {
  file: Digest;
  rows: number;
}

/** Writes and stores the typed file. `raw` is a FROM item of rows that passed. */
export async function writeTyped(
  deps: Pick<DatasetDeps, 'artifacts' | 'db'>,
  session: DuckSession,
  from: { raw: string; schema: Schema; folder: string },
): Promise<TypedFile> {
  const { digest } = await putSelect(deps, session, typedSelect(from.raw, from.schema), from.folder);
  const [counted] = await session.query<{ rows: number }>(`SELECT count(*) AS rows FROM ${from.raw}`);
  return { file: digest, rows: counted?.rows ?? 0 };
}

export interface VersionFacts extends TypedFile {
  /** Id of the dataset. */
  dataset: string;
  run: string;
  schema: Schema;
  watermark: RawWatermark;
  parents: (Digest | null)[];
  profile: Digest | null;
  /** HTML page of the profile, kept as long as the version. */
  report: Digest | null;
  /** Parquet `LabelProvenance`; none where all labels are given or by people. */
  sources: Digest | null;
  quarantine: Digest | null;
  quarantined: number;
  annotators: string[];
  labelCounts: Record<LabelSource, number>;
  autoBatches: string[];
}

/** Records a version, and keeps its report, the sources of its labels and the raw file that the next `extract` goes on from. Part of the caller's transaction. */
export async function writeVersion(tx: Tx, facts: VersionFacts): Promise<{ version: number; digest: Digest }> {
  const { file, rows, parents, report, sources, ...rest } = facts;
  const files = [{ digest: file, rows }];
  const digest = versionId(facts.schema, files);
  const known = parents.filter((parent): parent is Digest => parent !== null && parent !== digest);
  const made = await addDatasetVersion(tx, { ...rest, digest, rows, files, parents: known });
  const { raw } = facts.watermark;
  const owner = `dataset:${facts.dataset}/${made.version}`;
  for (const [role, kept] of Object.entries({ raw, report, sources })) {
    if (kept) await referArtifact(tx, { digest: kept, owner, role });
  }
  return made;
}

/** Label batches whose automatic labels are in use. */
export function autoBatchesOf(labels: readonly ResolvedLabel[]): string[] {
  const batches = labels.flatMap(({ source, batch }) => (source === 'auto' && batch !== null ? [batch] : []));
  return [...new Set(batches)].sort();
}

/** Who gave labels that are in use. */
export function annotatorsOf(labels: readonly ResolvedLabel[]): string[] {
  return [...new Set(labels.flatMap((label) => label.annotators))].sort();
}
