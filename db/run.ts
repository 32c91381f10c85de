// Runs: opened by one function, closed by one function (architecture, rule 2). Lock order: pipeline, run, batch, audit.
import { sql } from 'drizzle-orm';
import { createHash } from 'node:crypto';
import type { Digest } from '../domain/artifact.js';
import { applyOverrides } from '../domain/document.js';
import { Failure } from '../domain/failures.js';
import { workflowIds } from '../domain/ids.js';
import { canonicalJson, type Json } from '../domain/json.js';
import type { PipelineDocument } from '../domain/pipeline.js';
import type { RunContext, RunFailure, RunStatus, TriggerKind, Verdict, Waiting } from '../domain/run.js';
import { releaseArtifacts } from './artifact.js';
import { atomically, json, mustRow, row, rows, type Tx } from './client.js';
import { appendEvent } from './event.js';
import { newId } from './id.js';
import { enqueue } from './outbox.js';

export { listRuns, liveBatches, liveRuns, runView, type LiveRow, type RunStep, type RunView } from './run-view.js';

export interface OpenRun {
  project: string;
  pipeline: string;
  /** The caller's idempotency key, `loop/<cycle>`, or what names a workflow started by hand. */
  startKey: string;
  trigger: TriggerKind;
  overrides: Record<string, Json>;
  startedBy: string;
  verified: boolean;
  /** The caller is that workflow: it is not started again. */
  workflowId?: string;
}

export interface OpenedRun {
  id: string;
  number: number;
  workflowId: string;
  /** Of the pipeline. */
  version: number;
  /** False: the start key had opened it before. */
  opened: boolean;
}

export interface RunEnd {
  run: string;
  status: 'succeeded' | 'rejected' | 'failed' | 'cancelled';
  failure: RunFailure | null;
  verdict?: Verdict;
  /** Who ends it, where that is a workflow: another's run stays as it is. */
  workflowId?: string;
}

interface PipelineRow {
  id: string;
  version: number;
  dataset: string;
  source: Json;
  acceptedRows: number;
}

/**
 * Opens a run; nothing else creates one. The same start key gives the same run.
 * @throws Failure `NotFound`, `InvalidRequest` (an override that does not fit), `RunLive` with the live run's id
 */
export async function openRun(tx: Tx, request: OpenRun): Promise<OpenedRun> {
  return atomically(tx, (inner) => openOnce(inner, request));
}

async function openOnce(tx: Tx, request: OpenRun): Promise<OpenedRun> {
  const pipeline = await lockPipeline(tx, request.project, request.pipeline);
  const before = await row<OpenedRun>(
    tx,
    sql`select id, number, workflow_id as "workflowId", pipeline_version as version, false as opened
      from run where pipeline = ${pipeline.id} and start_key = ${request.startKey}`,
  );
  if (before !== null) return before;
  await refuseSecond(tx, pipeline.id, request.pipeline);
  const document = specify(pipeline.source, request.overrides);
  return insertRun(tx, request, pipeline, document);
}

async function lockPipeline(tx: Tx, project: string, name: string): Promise<PipelineRow> {
  const held = await row<{ id: string }>(
    tx,
    sql`select id from pipeline where project = ${project} and name = ${name} for no key update`,
  );
  if (held === null) throw new Failure('NotFound', `there is no pipeline ${name}`);
  // a statement of its own: the lock may have waited for a new version
  return mustRow<PipelineRow>(
    tx,
    sql`select p.id, p.version, p.dataset, v.source, d.accepted_rows::float8 as "acceptedRows"
      from pipeline p join pipeline_version v on v.pipeline = p.id and v.version = p.version
        join dataset d on d.id = p.dataset
      where p.id = ${held.id}`,
  );
}

async function refuseSecond(tx: Tx, pipeline: string, name: string): Promise<void> {
  const live = await row<{ id: string; number: number }>(
    tx,
    sql`select id, number from run where pipeline = ${pipeline} and status in ('running', 'waiting')`,
  );
  if (live === null) return;
  throw new Failure('RunLive', `run ${live.number} of ${name} is alive`, { members: { run: live.id } });
}

function specify(source: Json, overrides: Record<string, Json>): PipelineDocument {
  const made = applyOverrides(source, overrides);
  if ('document' in made) return made.document;
  throw new Failure('InvalidRequest', 'the overrides do not fit the pipeline', { faults: made.faults });
}

async function insertRun(
  tx: Tx,
  request: OpenRun,
  pipeline: PipelineRow,
  document: PipelineDocument,
): Promise<OpenedRun> {
  const id = newId('run');
  const { number } = await mustRow<{ number: number }>(
    tx,
    sql`update pipeline set last_run = last_run + 1, accepted_rows_at_last_run = ${pipeline.acceptedRows}::bigint
      where id = ${pipeline.id} returning last_run as number`,
  );
  const { project, pipeline: name, trigger } = request;
  const workflowId = request.workflowId ?? workflowIds.run(project, name, number);
  await rows(
    tx,
    sql`insert into run (id, project, pipeline, pipeline_version, dataset, number, start_key, trigger, started_by, verified,
        workflow_id, overrides, specification, specification_digest, accepted_rows_at_open)
      values (${id}, ${project}, ${pipeline.id}, ${pipeline.version}, ${pipeline.dataset}, ${number}, ${request.startKey}, ${trigger},
        ${request.startedBy}, ${request.verified}, ${workflowId}, ${json(request.overrides)}, ${json(document)},
        ${digestOf(document)}, ${pipeline.acceptedRows}::bigint)`,
  );
  await appendEvent(tx, { run: id, type: 'run.opened', data: { number, trigger, startedBy: request.startedBy } });
  if (request.workflowId === undefined) {
    await enqueue(tx, {
      project,
      kind: 'start',
      workflowId,
      name: 'trainingRun',
      taskQueue: 'flow',
      payload: { run: id, project, pipeline: name, number },
      attributes: {
        PerennialProject: project,
        PerennialPipeline: name,
        PerennialKind: 'run',
        PerennialModel: name,
        PerennialTrigger: trigger,
      },
      summary: `${name} run ${number}, ${trigger}`,
    });
  }
  return { id, number, workflowId, version: pipeline.version, opened: true };
}

/** What a run executes, and where it belongs. @throws Failure `NotFound` */
export async function runSpecification(
  tx: Tx,
  run: string,
): Promise<{
  context: RunContext;
  document: PipelineDocument;
  documentDigest: Digest;
  dataset: string;
  model: string;
  status: RunStatus;
  trigger: TriggerKind;
  workflowId: string;
  pipelineVersion: number;
  pinned: Json;
}> {
  const found = await row<{
    name: string;
    project: string;
    number: number;
    document: PipelineDocument;
    documentDigest: Digest;
    dataset: string;
    model: string;
    status: RunStatus;
    trigger: TriggerKind;
    workflowId: string;
    pipelineVersion: number;
    pinned: Json;
  }>(
    tx,
    sql`select p.name, r.project, r.number, r.specification as document, r.specification_digest as "documentDigest",
        r.dataset, p.model, r.status, r.trigger, r.workflow_id as "workflowId",
        r.pipeline_version as "pipelineVersion", r.pinned
      from run r join pipeline p on p.id = r.pipeline where r.id = ${run}`,
  );
  if (found === null) throw new Failure('NotFound', `there is no run ${run}`);
  const { name, project, number, ...rest } = found;
  return { context: { run, project, pipeline: name, number }, ...rest };
}

/**
 * Whether this workflow may execute this run: it is the run's own, and the run lives.
 * @throws Failure `NotFound`, `RunEnded`
 */
export async function requireOwnRun(tx: Tx, run: string, workflowId: string): Promise<void> {
  const { workflowId: owner } = await lockLive(tx, run);
  if (owner !== workflowId) throw new Failure('NotFound', `there is no run ${run} of the workflow ${workflowId}`);
}

/** Pins provider, threads and versions; the first writer wins. Gives what stands. @throws Failure `NotFound` */
export async function pinRun(tx: Tx, run: string, pins: Json): Promise<Json> {
  const stands = await row<{ pinned: Json }>(
    tx,
    sql`update run set pinned = coalesce(pinned, ${json(pins)}) where id = ${run} returning pinned`,
  );
  if (stands === null) throw new Failure('NotFound', `there is no run ${run}`);
  return stands.pinned;
}

/** Stores the names of the plan's nodes in order, for the view. */
export async function setRunPlan(
  tx: Tx,
  run: string,
  nodes: { name: string; skipReason: string | null }[],
): Promise<void> {
  await rows(tx, sql`update run set plan = ${json(nodes)} where id = ${run}`);
}

/**
 * Says what a run waits for, or that it goes on. `stage` null leaves the stage as it is.
 * @throws Failure `RunEnded`, `NotFound`
 */
export async function setRunWaiting(tx: Tx, run: string, waiting: Waiting | null, stage: string | null): Promise<void> {
  await atomically(tx, (inner) => writeWaiting(inner, run, waiting, stage));
}

async function writeWaiting(tx: Tx, run: string, waiting: Waiting | null, stage: string | null): Promise<void> {
  const { waiting: before } = await lockLive(tx, run);
  await rows(
    tx,
    sql`update run set status = ${waiting === null ? 'running' : 'waiting'}, waiting = ${json(waiting)},
        stage = coalesce(${stage}, stage) where id = ${run}`,
  );
  if (canonicalJson(before) === canonicalJson(waiting)) return;
  if (waiting === null) await appendEvent(tx, { run, type: 'run.resumed', data: {} });
  else await appendEvent(tx, { run, type: 'run.waiting', data: { ...waiting } });
}

/** Stores results as they come; what is absent stays. @throws Failure `RunEnded` */
export async function setRunResult(
  tx: Tx,
  run: string,
  result: { metrics?: Record<string, number>; verdict?: Verdict; modelVersion?: number; evaluation?: Digest },
): Promise<void> {
  const written = await row(
    tx,
    sql`update run set metrics = coalesce(${json(result.metrics)}, metrics),
        verdict = coalesce(${json(result.verdict)}, verdict),
        model_version = coalesce(${result.modelVersion ?? null}::int, model_version),
        evaluation = coalesce(${result.evaluation ?? null}, evaluation)
      where id = ${run} and finished_at is null returning 1`,
  );
  if (written === null) throw new Failure('RunEnded', `the run ${run} takes no more results`);
}

/**
 * Ends a run and everything of it that is open, and tells the loop. Again: nothing happens, the first end stands.
 * @throws Failure `NotFound`
 */
export async function closeRun(tx: Tx, end: RunEnd): Promise<void> {
  await atomically(tx, (inner) => closeOnce(inner, end));
}

async function closeOnce(tx: Tx, end: RunEnd): Promise<void> {
  const { run, status, failure } = end;
  const closed = await row<{ project: string; pipeline: string; number: number }>(
    tx,
    sql`update run r set status = ${status}, failure = ${json(failure)}, waiting = null, stage = null,
        verdict = coalesce(${json(end.verdict)}, verdict), finished_at = clock_timestamp()
      from pipeline p where p.id = r.pipeline and r.id = ${run} and r.finished_at is null
        and r.workflow_id = coalesce(${end.workflowId ?? null}, r.workflow_id)
      returning r.project, p.name as pipeline, r.number`,
  );
  if (closed === null) {
    if ((await row(tx, sql`select 1 from run where id = ${run}`)) === null) {
      throw new Failure('NotFound', `there is no run ${run}`);
    }
    return;
  }
  await closeParts(tx, run, status);
  await appendEvent(tx, { run, type: 'run.ended', data: { status, failure: failure as Json } });
  await enqueue(tx, {
    project: closed.project,
    kind: 'signal',
    workflowId: workflowIds.loop(closed.project, closed.pipeline),
    name: 'runEnded',
    payload: { run, number: closed.number, status },
  });
}

// a raised fence: an attempt that still works somewhere can write nothing more
async function closeParts(tx: Tx, run: string, status: RunStatus): Promise<void> {
  await rows(
    tx,
    sql`update label_batch set status = 'cancelled', closed_at = now() where run = ${run} and status in ('open', 'review')`,
  );
  await rows(tx, sql`update approval set status = 'void' where run = ${run} and status = 'open'`);
  await rows(
    tx,
    sql`update step set fence = fence + 1, finished_at = clock_timestamp(),
        status = case when ${status} = 'failed' and failure is not null then 'failed' else 'cancelled' end
      where run = ${run} and status in ('running', 'waiting')`,
  );
  await releaseArtifacts(tx, run, status === 'cancelled');
}

/**
 * Notes that someone wants the run to end; the caller then cancels the workflow.
 * @throws Failure `NotFound`, `RunEnded`
 */
export async function requestCancel(
  tx: Tx,
  request: { project: string; run: string; by: string },
): Promise<{ workflowId: string }> {
  return atomically(tx, (inner) => noteCancel(inner, request));
}

async function noteCancel(
  tx: Tx,
  request: { project: string; run: string; by: string },
): Promise<{ workflowId: string }> {
  const { run, by } = request;
  const known = await row(tx, sql`select 1 from run where id = ${run} and project = ${request.project}`);
  if (known === null) throw new Failure('NotFound', `there is no run ${run}`);
  const live = await lockLive(tx, run);
  if (live.cancelledBy === null) {
    await rows(tx, sql`update run set cancelled_by = ${by} where id = ${run}`);
    await appendEvent(tx, { run, type: 'run.cancelling', data: { by } });
  }
  return { workflowId: live.workflowId };
}

/** sha256 over what a model's bytes depend on, of all that a document says (architecture, rule 9). */
export function contentDigest(document: PipelineDocument): Digest {
  const { dataset, features, split, trainers } = document;
  const { key, label, task } = dataset;
  return digestOf({ dataset: { key, label, task }, features, split, trainers });
}

/** Locks a run to the end of the transaction; false: it has ended. */
export async function lockIfLive(tx: Tx, run: string): Promise<boolean> {
  const live = sql`select 1 from run where id = ${run} and finished_at is null for no key update`;
  return (await row(tx, live)) !== null;
}

async function lockLive(
  tx: Tx,
  run: string,
): Promise<{ waiting: Waiting | null; workflowId: string; cancelledBy: string | null }> {
  const found = await row<{ waiting: Waiting | null; workflowId: string; cancelledBy: string | null; ended: boolean }>(
    tx,
    sql`select waiting, workflow_id as "workflowId", cancelled_by as "cancelledBy", finished_at is not null as ended
      from run where id = ${run} for no key update`,
  );
  if (found === null) throw new Failure('NotFound', `there is no run ${run}`);
  if (found.ended) throw new Failure('RunEnded', `the run ${run} has ended`);
  return found;
}

function digestOf(value: unknown): Digest {
  return `sha256:${createHash('sha256').update(canonicalJson(value)).digest('hex')}`;
}
