// Runs as clients and the reconciler see them.
import { sql, type SQL } from 'drizzle-orm';
import type { Digest } from '../domain/artifact.js';
import { Failure } from '../domain/failures.js';
import type { RunFailure, RunStatus, StepFailure, StepStatus, TriggerKind, Verdict, Waiting } from '../domain/run.js';
import { iso, row, rows, type Tx } from './client.js';
import { readCursor, toPage, type Page, type PageRequest } from './page.js';

export interface RunStep {
  name: string;
  status: StepStatus;
  startedAt: string | null;
  finishedAt: string | null;
  summary: string | null;
  /** How often it was begun: more than once where an attempt failed or its worker died. 0: never. */
  attempts: number;
  /** Of the last attempt that failed, until the step succeeds. A worker that died could say nothing. */
  lastFailure: StepFailure | null;
  /** The run that its result was taken from; null: computed here. */
  reused: { run: string; number: number } | null;
}

export interface RunView {
  id: string;
  pipeline: string;
  number: number;
  status: RunStatus;
  stage: string | null;
  waitingFor: Waiting | null;
  /** In the order of the plan, one entry per node, those to come included. */
  steps: RunStep[];
  metrics: Record<string, number>;
  verdict: Verdict | null;
  modelVersion: number | null;
  failure: RunFailure | null;
  trigger: TriggerKind;
  /** The run that it runs again, and from which step. */
  rerunOf: { run: string; number: number; from: string | null } | null;
  /** Step that it ends with. */
  until: string | null;
  /** Nothing was taken from the result store. */
  fresh: boolean;
  startedAt: string;
  finishedAt: string | null;
  /** Workflow id. */
  temporal: string;
  /** Digest of the JSON evaluation. */
  evaluation: Digest | null;
}

interface StoredRun extends Omit<RunView, 'steps' | 'metrics'> {
  metrics: Record<string, number> | null;
  plan: { name: string; skipReason: string | null }[];
  /** Latest begun row of each node, in the order of begin. */
  begun: RunStep[];
}

// a node may be executed again: the latest begun of its rows speaks
const stored = sql`select r.id, p.name as pipeline, r.number, r.status, r.stage, r.waiting as "waitingFor", r.metrics,
    r.verdict, r.model_version as "modelVersion", r.failure, r.trigger, r.opened_at as "startedAt",
    r.finished_at as "finishedAt", r.workflow_id as temporal, r.evaluation, r.plan, r.until, r.fresh,
    (select jsonb_build_object('run', o.id, 'number', o.number, 'from', r.rerun_from) from run o where o.id = r.rerun_of)
      as "rerunOf",
    (select coalesce(jsonb_agg(jsonb_build_object('name', s.node, 'status', s.status, 'startedAt', s.started_at,
        'finishedAt', s.finished_at, 'summary', s.summary, 'attempts', s.attempt, 'lastFailure', s.failure, 'reused',
        (select jsonb_build_object('run', o.id, 'number', o.number) from run o where o.id = s.reused))
        order by s.started_at), '[]')
      from (select distinct on (node) node, status, started_at, finished_at, summary, attempt, failure, reused from step
        where run = r.id order by node, started_at desc) s) as begun
  from run r join pipeline p on p.id = r.pipeline`;

/** One run. @throws Failure `NotFound` */
export async function runView(tx: Tx, project: string, id: string): Promise<RunView> {
  const found = await row<StoredRun>(tx, sql`${stored} where r.project = ${project} and r.id = ${id}`);
  if (found === null) throw new Failure('NotFound', `there is no run ${id}`);
  return toView(found);
}

/** Runs, the latest first. @throws Failure `InvalidRequest` for a foreign cursor, `NotFound` for an unknown pipeline */
export async function listRuns(
  tx: Tx,
  request: { project: string; pipeline?: string; status?: RunStatus; page: PageRequest },
): Promise<Page<RunView>> {
  const after = readCursor(request.page, ['moment', 'text']);
  const where: SQL[] = [sql`r.project = ${request.project}`];
  if (request.pipeline !== undefined) where.push(sql`p.name = ${request.pipeline}`);
  if (request.status !== undefined) where.push(sql`r.status = ${request.status}`);
  if (after !== null) where.push(sql`(r.opened_at, r.id) < (${after[0]}::timestamptz, ${after[1]})`);
  const found = await rows<StoredRun>(
    tx,
    sql`${stored} where ${sql.join(where, sql` and `)}
      order by r.opened_at desc, r.id desc limit ${request.page.limit + 1}`,
  );
  if (found.length === 0 && request.pipeline !== undefined)
    await requirePipeline(tx, request.project, request.pipeline);
  return toPage(found, request.page, (run) => [run.startedAt, run.id], toView);
}

export interface LiveRow {
  id: string;
  project: string;
  workflowId: string;
  openedAt: string;
}

// a list that is empty for a misspelt name would say that all is well
async function requirePipeline(tx: Tx, project: string, name: string): Promise<void> {
  const known = await row(tx, sql`select 1 from pipeline where project = ${project} and name = ${name}`);
  if (known === null) throw new Failure('NotFound', `there is no pipeline ${name}`);
}

/** Runs that must have an open workflow. One whose start is still in the outbox is left out. */
export async function liveRuns(tx: Tx): Promise<LiveRow[]> {
  const found = await rows<LiveRow>(
    tx,
    sql`select id, project, workflow_id as "workflowId", opened_at as "openedAt" from run r
      where status in ('running', 'waiting') and not exists (
        select 1 from outbox o where o.workflow_id = r.workflow_id and o.kind = 'start' and o.sent_at is null)
      order by opened_at`,
  );
  return found.map((live) => ({ ...live, openedAt: iso(live.openedAt) }));
}

export interface LiveBatch extends LiveRow {
  /** Its run lives, and may be about to start the batch's workflow. */
  runLives: boolean;
  /** No run opened it. */
  own: boolean;
}

/** Label batches that must have an open workflow. */
export async function liveBatches(tx: Tx): Promise<LiveBatch[]> {
  const found = await rows<LiveBatch>(
    tx,
    sql`select id, project, workflow_id as "workflowId", created_at as "openedAt",
        exists (select 1 from run r where r.id = b.run and r.status in ('running', 'waiting')) as "runLives",
        b.run is null as own
      from label_batch b
      where status in ('open', 'review') and not exists (
        select 1 from outbox o where o.workflow_id = b.workflow_id and o.kind = 'start' and o.sent_at is null)
      order by created_at`,
  );
  return found.map((live) => ({ ...live, openedAt: iso(live.openedAt) }));
}

function toView(found: StoredRun): RunView {
  const { plan: _plan, begun: _begun, metrics, startedAt, finishedAt, ...rest } = found;
  return {
    ...rest,
    metrics: metrics ?? {},
    startedAt: iso(startedAt),
    finishedAt: iso(finishedAt),
    steps: stepsInOrder(found),
  };
}

function stepsInOrder({ plan, begun, status, finishedAt }: StoredRun): RunStep[] {
  const seen = new Map(begun.map((step) => [step.name, step]));
  const planned = plan.map(({ name, skipReason }): RunStep => {
    const step = seen.get(name);
    seen.delete(name);
    if (step !== undefined) return begunStep(step);
    const never = { name, startedAt: null, finishedAt: null, attempts: 0, lastFailure: null, reused: null };
    if (skipReason !== null) return { ...never, status: 'skipped', summary: skipReason };
    if (finishedAt === null) return { ...never, status: 'pending', summary: null };
    const summary = lostCandidate(name, begun) ?? 'the run ended before it';
    return { ...never, status: status === 'cancelled' ? 'cancelled' : 'skipped', summary };
  });
  return [...planned, ...[...seen.values()].map(begunStep)];
}

/** Of `package-2` whose training failed while others went on; null for every other step. */
function lostCandidate(name: string, begun: RunStep[]): string | null {
  const [, number] = /^package-(\d+)$/.exec(name) ?? [];
  const training = begun.find((step) => step.name === `train-${number}`);
  return training?.status === 'failed' ? `train-${number} failed` : null;
}

function begunStep(step: RunStep): RunStep {
  const { lastFailure } = step;
  return {
    ...step,
    startedAt: iso(step.startedAt),
    finishedAt: iso(step.finishedAt),
    // rows of older software have no time
    lastFailure: lastFailure && { ...lastFailure, at: iso(lastFailure.at ?? null) },
  };
}
