// The result store: what pure steps gave, by project, activity and inputs digest. A result refers to all that its step had
// put, so the collector leaves it until it is forgotten. Whoever takes a result holds its row (architecture: Results).
import { sql } from 'drizzle-orm';
import type { Digest } from '../domain/artifact.js';
import type { Json } from '../domain/json.js';
import { digestsIn } from '../domain/reuse.js';
import { stepOwner } from './artifact.js';
import { json, row, rows, type Db, type Tx } from './client.js';
import { isStep, type StepKey } from './step.js';

export interface ResultKey {
  project: string;
  activity: string;
  inputsDigest: Digest;
}

/** Who computed it. */
export interface ResultSource {
  run: string;
  number: number;
  candidate: number;
}

export interface StoredResult extends ResultSource {
  result: Json;
  artifacts: Digest[];
}

/** Role of a checkpoint that a step goes on from; its result does not need it. */
const keptRole = 'kept-checkpoint';

function resultOwner({ project, activity, inputsDigest }: ResultKey): string {
  return `result:${project}/${activity}/${inputsDigest}`;
}

/** Notes on a step's row what it works on. */
export async function noteInputs(tx: Tx, step: StepKey, inputsDigest: Digest): Promise<void> {
  await rows(tx, sql`update step set inputs_digest = ${inputsDigest} where ${isStep(step)}`);
}

/** The stored result, held to the end of the transaction, or null. */
export async function findResult(tx: Tx, key: ResultKey): Promise<StoredResult | null> {
  return row<StoredResult>(
    tx,
    sql`select s.result, s.run, s.candidate, r.number,
        (select coalesce(jsonb_agg(distinct digest), '[]') from artifact_reference where owner = ${resultOwner(key)}) as artifacts
      from step_result s join run r on r.id = s.run
      where s.project = ${key.project} and s.activity = ${key.activity} and s.inputs_digest = ${key.inputsDigest}
      for update of s`,
  );
}

/** Says that a result was used, and keeps its artifacts for the owner that uses it. Part of `findResult`'s transaction. */
export async function useResult(tx: Tx, key: ResultKey, owner: string): Promise<void> {
  await rows(
    tx,
    sql`update step_result set used_at = now()
      where project = ${key.project} and activity = ${key.activity} and inputs_digest = ${key.inputsDigest}`,
  );
  await rows(
    tx,
    sql`insert into artifact_reference (owner, role, digest)
      select ${owner}, 'reused', digest from artifact_reference where owner = ${resultOwner(key)} on conflict do nothing`,
  );
}

/** Says on a step's row which run its result was taken from. */
export async function noteReuse(tx: Tx, step: StepKey, run: string): Promise<void> {
  await rows(tx, sql`update step set reused = ${run} where ${isStep(step)}`);
}

/** Stores what a step gave, in the place of what equal inputs gave before; with all that the step has put. */
export async function keepResult(
  tx: Tx,
  key: ResultKey,
  made: { step: StepKey; run: string; candidate: number; result: Json },
): Promise<void> {
  const owner = resultOwner(key);
  // the row first: whoever looks for this result waits for its references
  await rows(
    tx,
    sql`insert into step_result (project, activity, inputs_digest, result, run, candidate, size_bytes)
      values (${key.project}, ${key.activity}, ${key.inputsDigest}, ${JSON.stringify(made.result)}::jsonb, ${made.run},
        ${made.candidate}, 0)
      on conflict (project, activity, inputs_digest) do update set result = excluded.result, run = excluded.run,
        candidate = excluded.candidate, created_at = now(), used_at = now()`,
  );
  await rows(tx, sql`delete from artifact_reference where owner = ${owner}`);
  await rows(
    tx,
    sql`insert into artifact_reference (owner, role, digest)
      select ${owner}, 'result', digest from artifact_reference where owner = ${stepOwner(made.step)} and role <> ${keptRole}
      union select ${owner}, 'result', digest from artifact
        where digest in (select jsonb_array_elements_text(${json(digestsIn(made.result))}))
      on conflict do nothing`,
  );
  await rows(
    tx,
    sql`update step_result set size_bytes = (select coalesce(sum(a.size_bytes), 0) from artifact a
        where a.digest in (select digest from artifact_reference where owner = ${owner}))
      where project = ${key.project} and activity = ${key.activity} and inputs_digest = ${key.inputsDigest}`,
  );
}

export interface Retention {
  /** Results that nobody used, and checkpoints of ended runs, for so long. */
  days: number;
  /** Together; the least recently used results go first. */
  bytes: number;
}

/** Lets go of old results and of checkpoints that ended runs had left; the collector takes their bytes. Gives how many results went. */
export async function forgetResults(db: Db, keep: Retention): Promise<number> {
  const gone = await rows(
    db,
    sql`with sized as (
        select project, activity, inputs_digest, used_at,
          sum(size_bytes) over (order by used_at desc, inputs_digest, activity, project) as together from step_result
      ), gone as (
        delete from step_result s using sized z
        where s.project = z.project and s.activity = z.activity and s.inputs_digest = z.inputs_digest
          and s.used_at = z.used_at
          and (z.used_at < now() - ${keep.days}::float8 * interval '1 day' or z.together > ${keep.bytes}::float8)
        returning s.project, s.activity, s.inputs_digest
      ), freed as (
        delete from artifact_reference f using gone g
        where f.owner = 'result:' || g.project || '/' || g.activity || '/' || g.inputs_digest
      )
      select 1 from gone`,
  );
  await rows(
    db,
    sql`update step s set checkpoint = null, checkpoint_step = null from run r
      where r.id = s.run and s.checkpoint is not null and r.finished_at < now() - ${keep.days}::float8 * interval '1 day'`,
  );
  return gone.length;
}

/**
 * The furthest checkpoint that other steps with the inputs of `step` have stored, kept for it as well; null: none.
 * @throws DatabaseFault when it is collected at this moment
 */
export async function keptCheckpoint(
  tx: Tx,
  { project, step }: { project: string; step: StepKey },
): Promise<{ digest: Digest; step: number } | null> {
  const found = await row<{ digest: Digest; step: number }>(
    tx,
    sql`select s.checkpoint as digest, s.checkpoint_step as step from step s join run r on r.id = s.run
      where s.inputs_digest = (select inputs_digest from step where ${isStep(step)}) and s.checkpoint is not null
        and r.project = ${project} and not (${isStep(step, 's.')})
      order by s.checkpoint_step desc, s.started_at desc limit 1`,
  );
  if (found === null) return null;
  await rows(
    tx,
    sql`insert into artifact_reference (owner, role, digest) values (${stepOwner(step)}, ${keptRole}, ${found.digest})
      on conflict do nothing`,
  );
  return found;
}
