// What a run knows of itself and says while it lives (architecture, rule 2). Lock order: pipeline, run, batch, audit.
import { sql } from 'drizzle-orm';
import type { Digest } from '../domain/artifact.js';
import { todaysDocument } from '../domain/document-stored.js';
import { Failure } from '../domain/failures.js';
import { canonicalJson, type Json } from '../domain/json.js';
import type { PipelineDocument } from '../domain/pipeline.js';
import type { RunContext, RunStatus, TriggerKind, Verdict, Waiting } from '../domain/run.js';
import { atomically, json, row, rows, type Tx } from './client.js';
import { appendEvent } from './event.js';

export { closeRun } from './run-close.js';
export { openRun, type OpenedRun, type OpenRun } from './run-open.js';
export { openRerun, type OpenRerun, takenSteps } from './run-rerun.js';
export { listRuns, liveBatches, liveRuns, runView, type LiveRow, type RunStep, type RunView } from './run-view.js';

interface RunSpecification {
  /** In today's shape, whichever software opened the run. */
  document: PipelineDocument;
  /** Of the document as it was stored. */
  documentDigest: Digest;
  /** Ids. */
  dataset: string;
  model: string;
  status: RunStatus;
  trigger: TriggerKind;
  workflowId: string;
  pipelineVersion: number;
  pinned: Json;
  /** Takes nothing from the result store. */
  fresh: boolean;
  /** Step that it ends with; null: the whole plan. */
  until: string | null;
}

interface StoredSpecification extends RunSpecification {
  name: string;
  project: string;
  number: number;
  /** As sent by a person, without the run's overrides. */
  source: Json;
  overrides: Record<string, Json>;
}

/** What a run executes, and where it belongs. @throws Failure `NotFound` */
export async function runSpecification(tx: Tx, run: string): Promise<RunSpecification & { context: RunContext }> {
  const found = await row<StoredSpecification>(
    tx,
    sql`select p.name, r.project, r.number, r.specification as document, r.specification_digest as "documentDigest",
        r.dataset, p.model, r.status, r.trigger, r.workflow_id as "workflowId",
        r.pipeline_version as "pipelineVersion", r.pinned, r.fresh, r.until, r.overrides, v.source
      from run r join pipeline p on p.id = r.pipeline
        join pipeline_version v on v.pipeline = r.pipeline and v.version = r.pipeline_version
      where r.id = ${run}`,
  );
  if (found === null) throw new Failure('NotFound', `there is no run ${run}`);
  const { name, project, number, document, source, overrides, ...rest } = found;
  const context = { run, project, pipeline: name, number };
  return { context, ...rest, document: todaysDocument({ document, source, overrides }) };
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
