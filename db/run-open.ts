// Opening runs: one function creates them (architecture, rule 2). Lock order: pipeline, run, batch, audit.
import { sql } from 'drizzle-orm';
import { createHash } from 'node:crypto';
import type { Digest } from '../domain/artifact.js';
import { applyOverrides } from '../domain/document.js';
import { described } from '../domain/fields.js';
import { programsOf } from '../domain/program.js';
import { hasCode } from './code.js';
import { Failure, type FieldFault } from '../domain/failures.js';
import { workflowIds } from '../domain/ids.js';
import { canonicalJson, type Json } from '../domain/json.js';
import type { PipelineDocument } from '../domain/pipeline.js';
import type { Plan } from '../domain/plan.js';
import { planRun } from '../domain/plan-run.js';
import { untilFault } from '../domain/rerun.js';
import type { TriggerKind } from '../domain/run.js';
import { atomically, json, mustRow, row, rows, type Tx } from './client.js';
import { appendEvent } from './event.js';
import { newId } from './id.js';
import { enqueue } from './outbox.js';

export interface OpenRun {
  project: string;
  pipeline: string;
  /** The caller's idempotency key, `loop/<cycle>`, or what names a workflow started by hand. */
  startKey: string;
  trigger: TriggerKind;
  overrides: Record<string, Json>;
  startedBy: string;
  verified: boolean;
  /** Take nothing from the result store. Default false. */
  fresh?: boolean;
  /** End with this step. Default: the whole plan. */
  until?: string | null;
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

export interface PipelineRow {
  id: string;
  version: number;
  dataset: string;
  source: Json;
  acceptedRows: number;
}

/** Which run it runs again, and from which step. */
export interface RerunOf {
  run: string;
  from: string | null;
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
  const before = await openedBefore(tx, pipeline.id, request.startKey);
  if (before !== null) return before;
  await refuseSecond(tx, pipeline.id, request.pipeline);
  const document = specify(pipeline.source, request.overrides);
  refuseFaults(optionFaults(planRun(document), request));
  if (Object.keys(request.overrides).length > 0) await requireCode(tx, request.project, document);
  return insertRun(tx, request, pipeline, document);
}

/** Programs that overrides name must have been uploaded: nobody packs a folder for one run. @throws Failure `InvalidRequest` */
async function requireCode(tx: Tx, project: string, document: PipelineDocument): Promise<void> {
  const allowed = 'allowed: code, with what POST /api/v1/code has answered';
  for (const { path, params } of programsOf(document, document.trainers.length > 1)) {
    const { directory, code } = params;
    if (directory !== null) {
      refuseFaults([{ path: `${path}.directory`, message: `found ${described(directory)} for one run; ${allowed}` }]);
    }
    if (code !== null && !(await hasCode(tx, project, code))) {
      refuseFaults([{ path: `${path}.code`, message: `found ${described(code)}, which was not uploaded; ${allowed}` }]);
    }
  }
}

/** The run that the same start key has opened. */
export function openedBefore(tx: Tx, pipeline: string, startKey: string): Promise<OpenedRun | null> {
  return row<OpenedRun>(
    tx,
    sql`select id, number, workflow_id as "workflowId", pipeline_version as version, false as opened
      from run where pipeline = ${pipeline} and start_key = ${startKey}`,
  );
}

/** What is wrong with how a run is to be executed: somebody may have typed it in Temporal's CLI. */
export function optionFaults(
  plan: Plan,
  { fresh = false, until = null }: Pick<OpenRun, 'fresh' | 'until'>,
): FieldFault[] {
  const faults = until === null ? [] : [untilFault(plan, until)];
  if (typeof fresh !== 'boolean') faults.push({ path: 'fresh', message: 'must be true or false' });
  return faults.filter((fault) => fault !== null);
}

/** @throws Failure `InvalidRequest` */
export function refuseFaults(faults: FieldFault[]): void {
  if (faults.length > 0) throw new Failure('InvalidRequest', 'the run cannot be executed like that', { faults });
}

export async function lockPipeline(tx: Tx, project: string, name: string): Promise<PipelineRow> {
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

export async function refuseSecond(tx: Tx, pipeline: string, name: string): Promise<void> {
  const live = await row<{ id: string; number: number }>(
    tx,
    sql`select id, number from run where pipeline = ${pipeline} and status in ('running', 'waiting')`,
  );
  if (live === null) return;
  throw new Failure('RunLive', `run ${live.number} of ${name} is alive`, { members: { run: live.id } });
}

export function specify(source: Json, overrides: Record<string, Json>): PipelineDocument {
  const made = applyOverrides(source, overrides);
  if ('document' in made) return made.document;
  throw new Failure('InvalidRequest', 'the overrides do not fit the pipeline', { faults: made.faults });
}

export async function insertRun(
  tx: Tx,
  request: OpenRun,
  pipeline: PipelineRow,
  document: PipelineDocument,
  rerun: RerunOf | null = null,
): Promise<OpenedRun> {
  const id = newId('run');
  const { number } = await mustRow<{ number: number }>(
    tx,
    // a run again reads no rows: those that came since still count as new
    sql`update pipeline set last_run = last_run + 1, accepted_rows_at_last_run =
        case when ${rerun !== null} then accepted_rows_at_last_run else ${pipeline.acceptedRows}::bigint end
      where id = ${pipeline.id} returning last_run as number`,
  );
  const { project, pipeline: name, trigger } = request;
  const workflowId = request.workflowId ?? workflowIds.run(project, name, number);
  await rows(
    tx,
    sql`insert into run (id, project, pipeline, pipeline_version, dataset, number, start_key, trigger, started_by, verified,
        workflow_id, overrides, specification, specification_digest, accepted_rows_at_open, rerun_of, rerun_from, until,
        fresh)
      values (${id}, ${project}, ${pipeline.id}, ${pipeline.version}, ${pipeline.dataset}, ${number}, ${request.startKey}, ${trigger},
        ${request.startedBy}, ${request.verified}, ${workflowId}, ${json(request.overrides)}, ${json(document)},
        ${digestOf(document)}, ${pipeline.acceptedRows}::bigint, ${rerun?.run ?? null}, ${rerun?.from ?? null},
        ${request.until ?? null}, ${request.fresh ?? false})`,
  );
  await appendEvent(tx, { run: id, type: 'run.opened', data: openedFacts(number, request, rerun) });
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

function openedFacts(number: number, { trigger, startedBy }: OpenRun, rerun: RerunOf | null): { [key: string]: Json } {
  return { number, trigger, startedBy, ...(rerun === null ? {} : { rerunOf: rerun.run }) };
}

function digestOf(value: unknown): Digest {
  return `sha256:${createHash('sha256').update(canonicalJson(value)).digest('hex')}`;
}
