// Rows of artifacts (architecture, rule 8): who may delete bytes, and when. Files are the store's; this is the book about them.
import { sql, type SQL } from 'drizzle-orm';
import type { PutHooks } from '../adapters/store/index.js';
import type { ArtifactRef, Digest } from '../domain/artifact.js';
import { DatabaseFault, inTransaction, json, row, rows, type Db, type Tx } from './client.js';

/** Every column with a foreign key to `artifact`; a test compares this with the catalogue of the database. */
export const referrers = [
  ['artifact_reference', 'digest'],
  ['ingest', 'artifact'],
  ['dataset_version', 'profile'],
  ['dataset_version', 'quarantine'],
  ['run', 'evaluation'],
  ['step', 'checkpoint'],
  ['model_version', 'card'],
  ['model_file', 'digest'],
] as const;

/**
 * Inserts the row or says that it was needed just now. Commit before the file is written: from then on the collector
 * leaves it for its idle time.
 */
export async function touchArtifact(tx: Tx, artifact: ArtifactRef): Promise<void> {
  await rows(
    tx,
    sql`insert into artifact (digest, size_bytes, media_type)
      values (${artifact.digest}, ${artifact.sizeBytes}, ${artifact.mediaType})
      on conflict (digest) do update set touched_at = now()`,
  );
}

/** Holds the row against the collector until the transaction ends. False: it is gone, touch it again. */
export async function lockArtifact(tx: Tx, digest: Digest): Promise<boolean> {
  return (await row(tx, sql`select 1 from artifact where digest = ${digest} for share`)) !== null;
}

/** What the store needs of the database while it puts bytes. */
export function artifactHooks(db: Db): PutHooks {
  return {
    touch: (artifact) => touchArtifact(db, artifact),
    lock: (artifact, look) =>
      inTransaction(db, async (tx) => {
        if (!(await lockArtifact(tx, artifact.digest))) await touchArtifact(tx, artifact);
        await look();
      }),
  };
}

/** The row of an artifact that something of the project refers to, or null: for nobody else are its bytes. */
export async function artifactOf(tx: Tx, project: string, digest: Digest): Promise<ArtifactRef | null> {
  return row<ArtifactRef>(
    tx,
    sql`select digest, size_bytes::float8 as "sizeBytes", media_type as "mediaType"
      from artifact a where digest = ${digest} and (
        exists (select 1 from ingest i join dataset d on d.id = i.dataset
          where i.artifact = a.digest and d.project = ${project})
        or exists (select 1 from dataset_version v join dataset d on d.id = v.dataset
          where (v.profile = a.digest or v.quarantine = a.digest) and d.project = ${project})
        or exists (select 1 from run r where r.evaluation = a.digest and r.project = ${project})
        or exists (select 1 from step s join run r on r.id = s.run
          where s.checkpoint = a.digest and r.project = ${project})
        or exists (select 1 from model_version v join model m on m.id = v.model
          where v.card = a.digest and m.project = ${project})
        or exists (select 1 from model_file f join model m on m.id = f.model
          where f.digest = a.digest and m.project = ${project})
        or exists (select 1 from artifact_reference f where f.digest = a.digest and ${ownedBy(project)}))`,
  );
}

// owners name what they are: a version of a dataset, a step of a workflow, the quarantine of a run, a stored result, code of
// a project
function ownedBy(project: string): SQL {
  const step = sql`regexp_match(f.owner, '^step:(.*)/([^/]*)/([^/]*)$')`;
  return sql`(f.owner = ${`code:${project}`} or starts_with(f.owner, ${`result:${project}/`})
    or exists (select 1 from dataset d where d.project = ${project}
      and d.id = substring(f.owner from '^dataset:([^/]+)/'))
    or exists (select 1 from run r where r.project = ${project}
      and r.id = substring(f.owner from '^(?:quarantine:|step:)(run_[0-9a-z]+)'))
    or exists (select 1 from step s join run r on r.id = s.run where r.project = ${project}
      and s.workflow_id = (${step})[1] and s.workflow_run_id = (${step})[2] and s.activity_id = (${step})[3]))`;
}

/** The owner of what a step needs until its run ends. */
export function stepOwner(step: { workflowId: string; workflowRunId: string; activityId: string }): string {
  return `step:${step.workflowId}/${step.workflowRunId}/${step.activityId}`;
}

/**
 * Keeps an artifact for an owner. Owners `step:…` (made by `stepOwner`, or starting with `step:<run id>`) are dropped
 * when the run ends.
 * @throws DatabaseFault when the artifact has no row
 */
export async function referArtifact(tx: Tx, reference: { digest: Digest; owner: string; role: string }): Promise<void> {
  await referArtifacts(tx, reference.owner, reference.role, [reference.digest]);
}

/** As `referArtifact`, for many. */
export async function referArtifacts(tx: Tx, owner: string, role: string, digests: readonly Digest[]): Promise<void> {
  if (digests.length === 0) return;
  await rows(
    tx,
    sql`insert into artifact_reference (owner, role, digest)
      select ${owner}, ${role}, jsonb_array_elements_text(${json([...new Set(digests)])})
      on conflict do nothing`,
  );
}

/** Drops what the steps of a run needed; a cancelled or failed run keeps its checkpoints until they are forgotten. */
export async function releaseArtifacts(tx: Tx, run: string, keepCheckpoints: boolean): Promise<void> {
  await rows(
    tx,
    sql`delete from artifact_reference where owner in (
        select 'step:' || workflow_id || '/' || workflow_run_id || '/' || activity_id from step where run = ${run}
      ) or (owner >= ${`step:${run}`} collate "C" and owner < ${`step:${run}~`} collate "C")`,
  );
  if (keepCheckpoints) return;
  await rows(
    tx,
    sql`update step set checkpoint = null, checkpoint_step = null where run = ${run} and checkpoint is not null`,
  );
}

/**
 * Deletes what nothing refers to and nobody touched for `idleMs` (default 10 minutes): row and file in one transaction
 * that holds the row. Gives how many went.
 * @throws what `remove` throws; the row stays then
 */
export async function collectArtifacts(
  db: Db,
  remove: (digest: Digest) => Promise<void>,
  options: { idleMs?: number } = {},
): Promise<number> {
  const idle = sql`make_interval(secs => ${(options.idleMs ?? 600_000) / 1000}::float8)`;
  const unreferred = sql.raw(
    referrers
      .map(([table, column]) => `not exists (select 1 from ${table} r where r.${column} = a.digest)`)
      .join(' and '),
  );
  let collected = 0;
  // a digest whose removal was refused by a foreign key is not looked at again
  let after = '';
  for (;;) {
    const digest = await inTransaction(db, (tx) => collectNext(tx, after));
    if (digest === null) return collected;
    if (digest.collected) collected += 1;
    after = digest.digest;
  }

  async function collectNext(tx: Tx, from: string): Promise<{ digest: Digest; collected: boolean } | null> {
    const found = await row<{ digest: Digest }>(
      tx,
      sql`select digest from artifact a
        where digest > ${from} and touched_at < now() - ${idle} and ${unreferred}
        order by digest limit 1 for update skip locked`,
    );
    if (found === null) return null;
    try {
      await tx.transaction(async (inner) => rows(inner, sql`delete from artifact where digest = ${found.digest}`));
    } catch (error) {
      if (error instanceof DatabaseFault && error.code === '23503') return { ...found, collected: false };
      throw error;
    }
    await remove(found.digest);
    return { ...found, collected: true };
  }
}
