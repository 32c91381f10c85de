// Steps of a run (architecture, rule 3): each attempt raises the fence, and only the last one may write. One statement each,
// since all of it is overhead; the run's row is locked first, because closeRun locks in that order too.
import { sql, type SQL } from 'drizzle-orm';
import type { Digest } from '../domain/artifact.js';
import { Failure, type FailureName } from '../domain/failures.js';
import type { Json } from '../domain/json.js';
import { digestsIn } from '../domain/reuse.js';
import type { StepStatus } from '../domain/run.js';
import { stepOwner } from './artifact.js';
import { json, preparedRow, row, type Tx } from './client.js';

export interface StepKey {
  workflowId: string;
  workflowRunId: string;
  activityId: string;
}

export type WaitStatus = Extract<StepStatus, 'waiting' | 'succeeded' | 'skipped' | 'failed' | 'cancelled'>;

/** Failed attempts of a step by the name of the failure. */
export type FailedAttempts = Partial<Record<FailureName, number>>;

/**
 * Opens the next attempt of a step. `finished` is the stored result when an earlier attempt got to the end.
 * A step that had failed for good and is asked for anew has all its attempts again.
 * @throws Failure `RunEnded` when the run is over or unknown
 */
export async function beginStep(
  tx: Tx,
  step: StepKey & { run: string; node: string; worker: string; attempt: number },
): Promise<{ fence: number; finished: { result: Json } | null; failed: FailedAttempts }> {
  const begun = await preparedRow<{ fence: number; status: StepStatus; result: Json; failed: FailedAttempts }>(
    tx,
    sql`with held as (
        select id from run where id = ${step.run} and finished_at is null for no key update
      ), begun as (
        insert into step (workflow_id, workflow_run_id, activity_id, run, node, worker, attempt, status, started_at)
        select ${step.workflowId}, ${step.workflowRunId}, ${step.activityId}, id, ${step.node}, ${step.worker},
          ${step.attempt}::int, 'running', clock_timestamp() from held
        on conflict (workflow_id, workflow_run_id, activity_id) do update
          set fence = step.fence + 1, worker = excluded.worker,
            attempt = greatest(step.attempt + 1, excluded.attempt),
            status = case when step.status = 'succeeded' then step.status else 'running' end,
            failed_attempts = case when step.status = 'failed' then '{}' else step.failed_attempts end,
            summary = case when step.status = 'failed' then '' else step.summary end,
            reused = case when step.status = 'succeeded' then step.reused end,
            finished_at = case when step.status = 'succeeded' then step.finished_at end
        returning run, fence, status, result, failed_attempts
      ), bumped as (
        update run set last_event = last_event + 1, stage = ${step.node}
        from begun where run.id = begun.run and begun.fence = 1 returning run.id, run.last_event
      ), noted as (
        insert into event (run, number, type, data, at)
        select id, last_event, 'step.started', jsonb_build_object('node', ${step.node}::text), clock_timestamp()
        from bumped
      )
      select fence, status, result, failed_attempts as failed from begun`,
  );
  if (begun === null) throw new Failure('RunEnded', `the run ${step.run} takes no more steps`);
  const { fence, failed } = begun;
  return { fence, failed, finished: begun.status === 'succeeded' ? { result: begun.result } : null };
}

/**
 * Ends a step with its result; the artifacts that the result names are kept until the run ends. A digest without a row
 * is no artifact of ours (ids of dataset versions are digests too): what a step makes is referred to when it is put.
 * @throws Failure `Superseded` when a later attempt has taken over
 */
export async function finishStep(
  tx: Tx,
  step: StepKey & { run?: string; node?: string; fence: number; result: Json; summary: string },
): Promise<void> {
  const result = JSON.stringify(step.result);
  const digests = digestsIn(step.result);
  const keep = sql`, kept as (
      insert into artifact_reference (owner, role, digest)
      select ${stepOwner(step)}, 'result', a.digest from artifact a, written
      where a.digest in (select jsonb_array_elements_text(${json(digests)})) on conflict do nothing
    )`;
  const written = await writeStep(tx, step, {
    set: sql`status = 'succeeded', result = ${result}::jsonb, summary = ${step.summary}, finished_at = clock_timestamp(),
      failure = null`,
    event: 'step.finished',
    data: { status: 'succeeded', summary: step.summary },
    also: digests.length === 0 ? sql`` : keep,
  });
  if (!written) await superseded(tx, step, 'succeeded');
}

/**
 * Notes a failed attempt. `final`: there will be no other, the step has failed, and its summary says why.
 * @throws Failure `Superseded` when a later attempt has taken over
 */
export async function failStep(
  tx: Tx,
  step: StepKey & {
    run?: string;
    node?: string;
    fence: number;
    failure: { type: string; title: string; detail: string };
    /** With this attempt in it. */
    failed: FailedAttempts;
    final: boolean;
  },
): Promise<void> {
  const ending = sql`, status = 'failed', summary = ${step.failure.detail}, finished_at = clock_timestamp()`;
  const dated = sql`jsonb_set(${json(step.failure)}, '{at}', to_jsonb(clock_timestamp()))`;
  const written = await writeStep(tx, step, {
    set: sql`failure = ${dated}, failed_attempts = ${json(step.failed)}${step.final ? ending : sql``}`,
    event: step.final ? 'step.failed' : 'step.retrying',
    data: step.failure,
  });
  if (!written) await superseded(tx, step, 'failed');
}

/**
 * Holds the fence until the transaction ends: the first statement of any transaction in which an activity writes facts.
 * @throws Failure `Superseded`
 */
export async function fenceHolds(tx: Tx, step: StepKey & { fence: number }): Promise<void> {
  // the run first, and as strongly as later statements of the transaction may need it
  await row(tx, sql`select 1 from run where id = (select run from step where ${isStep(step)}) for no key update`);
  const held = await row(tx, sql`select 1 from step where ${isStep(step)} and fence = ${step.fence} for share`);
  if (held === null) throw new Failure('Superseded', 'a newer attempt has taken over this step');
}

/**
 * Shows how far a step is, and keeps its last stored checkpoint (whose artifact the row then refers to).
 * @throws Failure `Superseded`
 */
export async function setStepProgress(
  tx: Tx,
  step: StepKey & {
    run?: string;
    node?: string;
    fence: number;
    progress: Json;
    checkpoint?: { digest: Digest; step: number };
  },
): Promise<void> {
  const kept =
    step.checkpoint === undefined
      ? sql``
      : sql`, checkpoint = ${step.checkpoint.digest}, checkpoint_step = ${step.checkpoint.step}`;
  const written = await writeStep(tx, step, {
    set: sql`progress = ${json(step.progress)}${kept}`,
    event: 'step.progress',
    data: { progress: step.progress },
  });
  if (!written) throw new Failure('Superseded', 'a newer attempt has taken over this step');
}

/** The last stored checkpoint of a step, or null. */
export async function stepCheckpoint(tx: Tx, step: StepKey): Promise<{ digest: Digest; step: number } | null> {
  return row<{ digest: Digest; step: number }>(
    tx,
    sql`select checkpoint as digest, checkpoint_step as step from step where ${isStep(step)} and checkpoint is not null`,
  );
}

/**
 * Writes the row of a wait for people, one per node of a run; the same again changes nothing.
 * @throws Failure `RunEnded` when the run is over or unknown
 */
export async function recordWaitStep(
  tx: Tx,
  wait: { run: string; node: string; status: WaitStatus; summary: string },
): Promise<void> {
  const event = wait.status === 'waiting' ? 'step.waiting' : 'step.finished';
  const data = { node: wait.node, status: wait.status, summary: wait.summary };
  const held = await row(
    tx,
    sql`with held as (
        select id, workflow_id from run where id = ${wait.run} and finished_at is null for no key update
      ), noted as (
        insert into step (workflow_id, workflow_run_id, activity_id, run, node, wait, worker, attempt, status, summary,
          started_at, finished_at)
        select workflow_id, id, ${`wait/${wait.node}`}, id, ${wait.node}, true, '', 1, ${wait.status}, ${wait.summary},
          clock_timestamp(), case when ${wait.status} <> 'waiting' then clock_timestamp() end from held
        on conflict (workflow_id, workflow_run_id, activity_id) do update
          set status = excluded.status, summary = excluded.summary, finished_at = excluded.finished_at,
            started_at = case when step.finished_at is not null and excluded.status = 'waiting'
              then excluded.started_at else step.started_at end
          where step.status <> excluded.status or step.summary <> excluded.summary
        returning run
      ), bumped as (
        update run set last_event = last_event + 1,
          stage = case when ${wait.status} = 'waiting' then ${wait.node} else stage end
        from noted where run.id = noted.run returning run.id, run.last_event
      ), told as (
        insert into event (run, number, type, data, at)
        select id, last_event, ${event}, ${json(data)}, clock_timestamp() from bumped
      )
      select id from held`,
  );
  if (held === null) throw new Failure('RunEnded', `the run ${wait.run} takes no more steps`);
}

interface StepWrite {
  set: SQL;
  event: string;
  data: Json;
  also?: SQL;
}

async function writeStep(
  tx: Tx,
  step: StepKey & { fence: number },
  { set, event, data, also = sql`` }: StepWrite,
): Promise<boolean> {
  const written = await preparedRow(
    tx,
    sql`with held as (
        select id from run where id = (select run from step where ${isStep(step)}) for no key update
      ), written as (
        update step set ${set} from held
        where ${isStep(step, 'step.')} and step.run = held.id and fence = ${step.fence} and step.status = 'running'
        returning step.run, step.node
      ), bumped as (
        update run set last_event = last_event + 1 from written where run.id = written.run
        returning run.id, run.last_event, written.node
      ), noted as (
        insert into event (run, number, type, data, at)
        select id, last_event, ${event}, jsonb_build_object('node', node) || ${json(data)}, clock_timestamp() from bumped
      )${also}
      select 1 from written`,
  );
  return written !== null;
}

// the same attempt may ask twice, when the answer to its first call was lost
async function superseded(tx: Tx, step: StepKey & { fence: number }, done: StepStatus): Promise<void> {
  const mine = await row(
    tx,
    sql`select 1 from step where ${isStep(step)} and fence = ${step.fence} and status = ${done}`,
  );
  if (mine === null) throw new Failure('Superseded', 'a newer attempt has taken over this step');
}

export function isStep(step: StepKey, table: '' | 'step.' | 's.' = ''): SQL {
  const of = sql.raw(table);
  return sql`${of}workflow_id = ${step.workflowId} and ${of}workflow_run_id = ${step.workflowRunId}
    and ${of}activity_id = ${step.activityId}`;
}
