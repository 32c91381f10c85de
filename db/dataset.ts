// Datasets: arrivals of rows and frozen versions, both numbered under the dataset's row lock (architecture, rule 4).
import { sql } from 'drizzle-orm';
import type { Digest } from '../domain/artifact.js';
import type { Format, LabelSource, Schema, Superseded, Task, Watermark } from '../domain/dataset.js';
import { Failure } from '../domain/failures.js';
import { workflowIds } from '../domain/ids.js';
import { referArtifacts } from './artifact.js';
import type { AutoBatchView } from './auto.js';
import { atomically, iso, json, mustRow, row, rows, type Tx } from './client.js';
import { appendEvent } from './event.js';
import { enqueue } from './outbox.js';
import { readCursor, toPage, type Page, type PageRequest } from './page.js';

export interface DatasetRow {
  id: string;
  project: string;
  name: string;
  key: string;
  label: string;
  task: Task;
  lastIngest: number;
  acceptedRows: number;
  /** Null: none accepted yet. */
  schema: Schema | null;
  schemaDigest: Digest | null;
}

/** One dataset by name. @throws Failure `NotFound` */
export async function datasetOf(tx: Tx, project: string, name: string): Promise<DatasetRow> {
  const found = await row<DatasetRow>(
    tx,
    sql`select id, project, name, key, label, task, last_ingest as "lastIngest",
        accepted_rows::float8 as "acceptedRows", schema, schema_digest as "schemaDigest"
      from dataset where project = ${project} and name = ${name}`,
  );
  if (found === null) throw new Failure('NotFound', `there is no dataset ${name}`);
  return found;
}

export interface NewIngest {
  /** Id. */
  dataset: string;
  artifact: Digest;
  /** Accepted ones. */
  rows: number;
  /** Those that could not be parsed. */
  quarantined: number;
  format: Format;
  columns: string[];
  by: string;
}

/**
 * Records an arrival of rows and tells the loops of the dataset. Numbers are in the order of the commits.
 * @throws Failure `NotFound`
 */
export async function addIngest(tx: Tx, ingest: NewIngest): Promise<{ number: number; acceptedRows: number }> {
  return atomically(tx, async (inner) => {
    const numbered = await row<{ number: number; acceptedRows: number; project: string }>(
      inner,
      sql`update dataset set last_ingest = last_ingest + 1, accepted_rows = accepted_rows + ${ingest.rows}
        where id = ${ingest.dataset}
        returning last_ingest as number, accepted_rows::float8 as "acceptedRows", project`,
    );
    if (numbered === null) throw new Failure('NotFound', `there is no dataset ${ingest.dataset}`);
    const { number, acceptedRows, project } = numbered;
    await rows(
      inner,
      sql`insert into ingest (dataset, number, artifact, rows, quarantined, format, columns, created_by)
        values (${ingest.dataset}, ${number}, ${ingest.artifact}, ${ingest.rows}, ${ingest.quarantined},
          ${ingest.format}, ${json(ingest.columns)}, ${ingest.by})`,
    );
    const loops = await rows<{ name: string }>(
      inner,
      sql`select name from pipeline where dataset = ${ingest.dataset} order by name`,
    );
    for (const { name } of loops) {
      await enqueue(inner, {
        project,
        kind: 'signal',
        workflowId: workflowIds.loop(project, name),
        name: 'rowsArrived',
        payload: { ingest: number, acceptedRows },
        coalesceKey: `rowsArrived/${project}/${name}`,
      });
    }
    return { number, acceptedRows };
  });
}

/** Arrivals with a greater number than `after`, in order. */
export async function ingestsAfter(
  tx: Tx,
  dataset: string,
  after: number,
): Promise<{ number: number; artifact: Digest; rows: number; format: Format; columns: string[] }[]> {
  return rows(
    tx,
    sql`select number, artifact, rows, format, columns from ingest
      where dataset = ${dataset} and number > ${after} order by number`,
  );
}

export interface NewDatasetVersion {
  /** Id. */
  dataset: string;
  digest: Digest;
  rows: number;
  files: { digest: Digest; rows: number }[];
  schema: Schema;
  watermark: Watermark;
  parents: Digest[];
  profile: Digest | null;
  quarantine: Digest | null;
  quarantined: number;
  /** The run that made it. */
  run: string;
  annotators: string[];
  labelCounts: Record<LabelSource, number>;
  /** Label batches whose automatic labels it may hold. */
  autoBatches: string[];
}

export interface DatasetVersionRow extends NewDatasetVersion {
  version: number;
  /** The profile as an HTML page. */
  report: Digest | null;
  /** It holds labels that were withdrawn since; null: as good as ever. */
  superseded: Superseded | null;
  /** Parquet: where labels come from that are neither given nor by people; null: there are none. */
  sources: Digest | null;
  createdAt: string;
}

/**
 * Freezes a version. The same content again is the same version; only its watermark, its profile and what is known of its
 * automatic labels follow.
 * @throws Failure `NotFound`; DatabaseFault when a file has no artifact row
 */
export async function addDatasetVersion(tx: Tx, made: NewDatasetVersion): Promise<{ version: number; digest: Digest }> {
  const { dataset, digest } = made;
  return atomically(tx, async (inner) => {
    const held = await row(inner, sql`select 1 from dataset where id = ${dataset} for no key update`);
    if (held === null) throw new Failure('NotFound', `there is no dataset ${dataset}`);
    const superseded = await withdrawnIn(inner, made);
    const before = await row<{ version: number }>(
      inner,
      sql`update dataset_version set watermark = ${json(made.watermark)}, profile = coalesce(${made.profile}, profile),
          auto_batches = ${json(made.autoBatches)}, superseded = ${json(superseded)}
        where dataset = ${dataset} and digest = ${digest} returning version`,
    );
    if (before !== null) return { ...before, digest };
    const { version } = await mustRow<{ version: number }>(
      inner,
      sql`update dataset set last_version = last_version + 1 where id = ${dataset} returning last_version as version`,
    );
    await rows(
      inner,
      sql`insert into dataset_version (dataset, version, digest, rows, files, schema, watermark, parents, profile,
          quarantine, quarantined, run, annotators, label_counts, auto_batches, superseded)
        values (${dataset}, ${version}, ${digest}, ${made.rows}, ${json(made.files)}, ${json(made.schema)},
          ${json(made.watermark)}, ${json(made.parents)}, ${made.profile}, ${made.quarantine}, ${made.quarantined},
          ${made.run}, ${json(made.annotators)}, ${json(made.labelCounts)}, ${json(made.autoBatches)},
          ${json(superseded)})`,
    );
    const files = made.files.map((file) => file.digest);
    await referArtifacts(inner, `dataset:${dataset}/${version}`, 'file', files);
    return { version, digest };
  });
}

/**
 * Labels may be withdrawn between their reading and this writing: the automatic batches are held, so that either we see
 * that, or who withdraws sees this version. Its run is told here, where nobody else could.
 */
async function withdrawnIn(tx: Tx, { autoBatches, run }: NewDatasetVersion): Promise<Superseded | null> {
  if (autoBatches.length === 0) return null;
  const held = await rows<Pick<AutoBatchView, 'id' | 'status' | 'why' | 'round' | 'decidedAt'> & { campaign: string }>(
    tx,
    sql`select id, status, why, round, campaign, decided_at as "decidedAt" from auto_batch
      where batch in (select jsonb_array_elements_text(${json(autoBatches)})) order by id for share`,
  );
  const gone = held.find(({ status }) => status === 'revoked');
  if (!gone) return null;
  const { id: autoBatch, campaign, round, why: reason, decidedAt } = gone;
  await appendEvent(tx, { run, type: 'labels.revoked', data: { autoBatch, campaign, round, reason } });
  return { at: iso(decidedAt) ?? '', reason, autoBatch, campaign };
}

const keptAs = (role: 'report' | 'sources') => sql`(select r.digest from artifact_reference r
    where r.owner = 'dataset:' || dataset_version.dataset || '/' || version and r.role = ${role}
    order by r.digest limit 1)`;

const stored = sql`select dataset, version, digest, rows, files, schema, watermark, parents, profile, quarantine,
    quarantined, run, annotators, label_counts as "labelCounts", auto_batches as "autoBatches", superseded, created_at as "createdAt",
    ${keptAs('report')} as report, ${keptAs('sources')} as sources
  from dataset_version`;

/** The version with the greatest number, or null. */
export async function latestDatasetVersion(tx: Tx, dataset: string): Promise<DatasetVersionRow | null> {
  const found = await row<DatasetVersionRow>(
    tx,
    sql`${stored} where dataset = ${dataset} order by version desc limit 1`,
  );
  return found === null ? null : toView(found);
}

/** One version by its content. @throws Failure `NotFound` */
export async function getDatasetVersion(tx: Tx, dataset: string, digest: Digest): Promise<DatasetVersionRow> {
  const found = await row<DatasetVersionRow>(tx, sql`${stored} where dataset = ${dataset} and digest = ${digest}`);
  if (found === null) throw new Failure('NotFound', `there is no version ${digest}`);
  return toView(found);
}

/** Versions, the latest first. @throws Failure `NotFound`, `InvalidRequest` for a foreign cursor */
export async function listDatasetVersions(
  tx: Tx,
  project: string,
  name: string,
  page: PageRequest,
): Promise<Page<DatasetVersionRow>> {
  const dataset = await datasetOf(tx, project, name);
  const [before] = readCursor(page, ['number']) ?? [2_147_483_647];
  const found = await rows<DatasetVersionRow>(
    tx,
    sql`${stored} where dataset = ${dataset.id} and version < ${before} order by version desc limit ${page.limit + 1}`,
  );
  return toPage(found, page, (version) => [version.version], toView);
}

function toView(found: DatasetVersionRow): DatasetVersionRow {
  return { ...found, createdAt: iso(found.createdAt) };
}

/** Makes a schema the one that later versions are validated against. @throws Failure `NotFound` */
export async function acceptSchema(
  tx: Tx,
  accepted: { dataset: string; schema: Schema; digest: Digest; by: string },
): Promise<void> {
  const written = await row(
    tx,
    sql`update dataset set schema = ${json(accepted.schema)}, schema_digest = ${accepted.digest}
      where id = ${accepted.dataset} returning 1`,
  );
  if (written === null) throw new Failure('NotFound', `there is no dataset ${accepted.dataset}`);
}
