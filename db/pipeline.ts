// Pipelines: a document and its versions, the pause, and what the loop may hold.
import { sql } from 'drizzle-orm';
import type { Digest } from '../domain/artifact.js';
import { type StoredDocument, todaysDocument } from '../domain/document-stored.js';
import { Failure, type FieldFault } from '../domain/failures.js';
import { workflowIds } from '../domain/ids.js';
import { canonicalJson, type Json } from '../domain/json.js';
import type { LoopFacts } from '../domain/loop.js';
import type { PipelineDocument } from '../domain/pipeline.js';
import { appendAudit } from './audit.js';
import { atomically, iso, json, mustRow, row, rows, type Tx } from './client.js';
import { newId } from './id.js';
import { enqueue } from './outbox.js';
import { readCursor, toPage, type Page, type PageRequest } from './page.js';

export interface SavePipeline {
  project: string;
  /** Parsed. */
  document: PipelineDocument;
  /** As sent. */
  source: Json;
  digest: Digest;
  by: string;
  verified: boolean;
}

export interface SavedPipeline {
  name: string;
  version: number;
  outcome: 'created' | 'same' | 'changed';
  /** Of the loop. */
  workflowId: string;
}

interface PipelineRow {
  id: string;
  version: number;
  paused: boolean;
  dataset: string;
  model: string;
}

/**
 * Creates a pipeline with its dataset, model and loop, or gives it a new version. Of two at once with one name, one
 * creates.
 * @throws Failure `InvalidPipeline` for what may not change: key, label and task of a dataset, and the split while
 * there is a champion
 */
export async function savePipeline(tx: Tx, save: SavePipeline): Promise<SavedPipeline> {
  return atomically(tx, (inner) => saveOnce(inner, save));
}

async function saveOnce(tx: Tx, save: SavePipeline): Promise<SavedPipeline> {
  const { project, document } = save;
  const { name } = document;
  const workflowId = workflowIds.loop(project, name);
  const dataset = await ensureDataset(tx, project, document);
  const model = await ensureModel(tx, project, name);
  const created = await row<{ id: string }>(
    tx,
    sql`insert into pipeline (id, project, name, dataset, model, version)
      values (${newId('pip')}, ${project}, ${name}, ${dataset}, ${model}, 1)
      on conflict (project, name) do nothing returning id`,
  );
  if (created !== null) {
    await insertVersion(tx, created.id, 1, save);
    await enqueue(tx, loopStart(project, name));
    await auditSpecification(tx, save, 'pipeline.created', 1);
    return { name, version: 1, outcome: 'created', workflowId };
  }
  const before = await lockPipeline(tx, project, name);
  const present = todaysDocument(
    await mustRow<StoredDocument>(
      tx,
      sql`select document, source from pipeline_version where pipeline = ${before.id} and version = ${before.version}`,
    ),
  );
  // not by the digests: older software may have stored one of fewer fields
  const same = canonicalJson(present) === canonicalJson(document);
  if (same) return { name, version: before.version, outcome: 'same', workflowId };
  await refuseNewSplit(tx, before.model, present, document);
  const version = before.version + 1;
  await insertVersion(tx, before.id, version, save);
  await rows(
    tx,
    sql`update pipeline set version = ${version}, updated_at = now(), dataset = ${dataset},
        accepted_rows_at_last_run = case when dataset = ${dataset} then accepted_rows_at_last_run
          else (select accepted_rows from dataset where id = ${dataset}) end
      where id = ${before.id}`,
  );
  await tellLoop(tx, project, name, { version, paused: before.paused });
  await auditSpecification(tx, save, 'pipeline.changed', version);
  return { name, version, outcome: 'changed', workflowId };
}

async function ensureDataset(tx: Tx, project: string, document: PipelineDocument): Promise<string> {
  const { name, key, label, task } = document.dataset;
  await rows(
    tx,
    sql`insert into dataset (id, project, name, key, label, task)
      values (${newId('ds')}, ${project}, ${name}, ${key}, ${label}, ${task}) on conflict (project, name) do nothing`,
  );
  const stands = await mustRow<{ id: string; key: string; label: string; task: string }>(
    tx,
    sql`select id, key, label, task from dataset where project = ${project} and name = ${name}`,
  );
  const faults: FieldFault[] = [];
  for (const [field, wanted] of Object.entries({ key, label, task })) {
    const fixed = stands[field as 'key' | 'label' | 'task'];
    if (fixed !== wanted) {
      faults.push({
        path: `dataset.${field}`,
        message: `the dataset ${name} has ${fixed}; it cannot become ${wanted}`,
      });
    }
  }
  if (faults.length > 0) throw new Failure('InvalidPipeline', 'the dataset exists with another shape', { faults });
  return stands.id;
}

async function ensureModel(tx: Tx, project: string, name: string): Promise<string> {
  await rows(
    tx,
    sql`insert into model (id, project, name) values (${newId('mod')}, ${project}, ${name})
      on conflict (project, name) do nothing`,
  );
  return (await mustRow<{ id: string }>(tx, sql`select id from model where project = ${project} and name = ${name}`))
    .id;
}

// evaluation compares champions on the same holdout rows: another split would put rows of their training into it
async function refuseNewSplit(tx: Tx, model: string, before: PipelineDocument, after: PipelineDocument): Promise<void> {
  const fields = Object.keys({ ...before.split, ...after.split }) as (keyof PipelineDocument['split'])[];
  const changed = fields.filter((field) => canonicalJson(before.split[field]) !== canonicalJson(after.split[field]));
  if (changed.length === 0) return;
  const champion = await row(tx, sql`select 1 from alias where model = ${model} and name = 'champion'`);
  if (champion === null) return;
  const faults = changed.map((field): FieldFault => {
    const message = `is ${canonicalJson(before.split[field])} and cannot change while there is a champion`;
    return { path: `split.${field}`, message };
  });
  throw new Failure('InvalidPipeline', 'the split is fixed', { faults });
}

async function insertVersion(tx: Tx, pipeline: string, version: number, save: SavePipeline): Promise<void> {
  await rows(
    tx,
    sql`insert into pipeline_version (pipeline, version, source, document, digest, created_by)
      values (${pipeline}, ${version}, ${JSON.stringify(save.source)}::jsonb, ${json(save.document)}, ${save.digest},
        ${save.by})`,
  );
}

function loopStart(project: string, name: string) {
  return {
    project,
    kind: 'start' as const,
    workflowId: workflowIds.loop(project, name),
    name: 'pipelineLoop',
    taskQueue: 'flow',
    payload: { project, pipeline: name },
    attributes: { PerennialProject: project, PerennialPipeline: name, PerennialKind: 'loop', PerennialModel: name },
    summary: `loop of ${name}`,
  };
}

async function tellLoop(
  tx: Tx,
  project: string,
  name: string,
  payload: { version: number; paused: boolean },
): Promise<void> {
  await enqueue(tx, {
    project,
    kind: 'signal',
    workflowId: workflowIds.loop(project, name),
    name: 'pipelineChanged',
    payload,
    coalesceKey: `pipelineChanged/${project}/${name}`,
  });
}

async function auditSpecification(tx: Tx, save: SavePipeline, action: string, version: number): Promise<void> {
  await appendAudit(tx, {
    project: save.project,
    actor: save.by,
    verified: save.verified,
    action,
    subject: save.document.name,
    details: { version, digest: save.digest },
  });
}

async function lockPipeline(tx: Tx, project: string, name: string): Promise<PipelineRow> {
  const found = await row<PipelineRow>(
    tx,
    sql`select id, version, paused, dataset, model from pipeline where project = ${project} and name = ${name}
      for no key update`,
  );
  if (found === null) throw new Failure('NotFound', `there is no pipeline ${name}`);
  return found;
}

/** Pauses or resumes; the same again changes nothing. @throws Failure `NotFound` */
export async function setPaused(
  tx: Tx,
  request: { project: string; name: string; paused: boolean; by: string; verified: boolean },
): Promise<{ name: string; paused: boolean }> {
  const { project, name, paused } = request;
  return atomically(tx, async (inner) => {
    const before = await lockPipeline(inner, project, name);
    if (before.paused === paused) return { name, paused };
    await rows(inner, sql`update pipeline set paused = ${paused}, updated_at = now() where id = ${before.id}`);
    await tellLoop(inner, project, name, { version: before.version, paused });
    await appendAudit(inner, {
      project,
      actor: request.by,
      verified: request.verified,
      action: paused ? 'pipeline.paused' : 'pipeline.resumed',
      subject: name,
      details: {},
    });
    return { name, paused };
  });
}

export interface PipelineView {
  name: string;
  version: number;
  paused: boolean;
  /** As sent. */
  document: Json;
  createdAt: string;
  updatedAt: string;
  liveRun: string | null;
  champion: number | null;
  loop: { workflowId: string };
  rowsSinceLastRun: number;
}

type StoredPipeline = Omit<PipelineView, 'loop'> & { project: string };

const stored = sql`select p.project, p.name, p.version, p.paused, v.source as document, p.created_at as "createdAt",
    p.updated_at as "updatedAt", r.id as "liveRun", a.version as champion,
    (d.accepted_rows - p.accepted_rows_at_last_run)::float8 as "rowsSinceLastRun"
  from pipeline p join pipeline_version v on v.pipeline = p.id and v.version = p.version
    join dataset d on d.id = p.dataset
    left join run r on r.pipeline = p.id and r.status in ('running', 'waiting')
    left join alias a on a.model = p.model and a.name = 'champion'`;

/** One pipeline. @throws Failure `NotFound` */
export async function pipelineView(tx: Tx, project: string, name: string): Promise<PipelineView> {
  const found = await row<StoredPipeline>(tx, sql`${stored} where p.project = ${project} and p.name = ${name}`);
  if (found === null) throw new Failure('NotFound', `there is no pipeline ${name}`);
  return toView(found);
}

/** Pipelines by name. @throws Failure `InvalidRequest` for a foreign cursor */
export async function listPipelines(tx: Tx, project: string, page: PageRequest): Promise<Page<PipelineView>> {
  const [after] = readCursor(page, ['text']) ?? [''];
  const found = await rows<StoredPipeline>(
    tx,
    sql`${stored} where p.project = ${project} and p.name > ${after} order by p.name limit ${page.limit + 1}`,
  );
  return toPage(found, page, (pipeline) => [pipeline.name], toView);
}

function toView({ project, ...found }: StoredPipeline): PipelineView {
  return {
    ...found,
    createdAt: iso(found.createdAt),
    updatedAt: iso(found.updatedAt),
    loop: { workflowId: workflowIds.loop(project, found.name) },
  };
}

/** Pipelines that must have an open loop. One whose start is still in the outbox is left out. */
export async function allPipelines(tx: Tx): Promise<{ project: string; name: string; workflowId: string }[]> {
  const found = await rows<{ project: string; name: string; workflowId: string }>(
    tx,
    sql`select project, name, 'loop/' || project || '/' || name as "workflowId" from pipeline
      where not exists (select 1 from outbox o where o.kind = 'start' and o.sent_at is null
        and o.workflow_id = 'loop/' || pipeline.project || '/' || pipeline.name)
      order by project, name`,
  );
  return found;
}

/** Keeps the newest time that the schedule named: the signal about it is lost with a lost loop. Unknown pipelines: nothing. */
export async function noteDue(tx: Tx, project: string, name: string, due: string): Promise<void> {
  await rows(
    tx,
    sql`update pipeline set due_at = greatest(due_at, ${due}::timestamptz)
      where project = ${project} and name = ${name}`,
  );
}

/** What the loop of a pipeline starts from. @throws Failure `NotFound` */
export async function loopFacts(tx: Tx, project: string, name: string): Promise<LoopFacts> {
  const found = await row<Omit<LoopFacts, 'triggers'> & StoredDocument & { live: string | null }>(
    tx,
    sql`select p.project, p.name as pipeline, p.version, p.paused, v.document, v.source,
        p.last_run as "lastNumber", p.due_at as "dueAt", d.accepted_rows::float8 as "acceptedRows",
        p.accepted_rows_at_last_run::float8 as "acceptedRowsAtLastRun",
        (select id from run r where r.pipeline = p.id and r.status in ('running', 'waiting')) as live,
        (select max(opened_at) from run r where r.pipeline = p.id) as "lastOpenedAt",
        (select coalesce(jsonb_agg(opened_at order by opened_at), '[]') from run r
          where r.pipeline = p.id and opened_at > now() - interval '24 hours') as "openedLast24h"
      from pipeline p join pipeline_version v on v.pipeline = p.id and v.version = p.version
        join dataset d on d.id = p.dataset
      where p.project = ${project} and p.name = ${name}`,
  );
  if (found === null) throw new Failure('NotFound', `there is no pipeline ${name}`);
  const { live, document, source, ...facts } = found;
  return {
    ...facts,
    triggers: todaysDocument({ document, source }).triggers,
    liveRun: live === null ? null : { id: live },
    dueAt: iso(facts.dueAt),
    lastOpenedAt: iso(facts.lastOpenedAt),
    openedLast24h: facts.openedLast24h.map((moment) => iso(moment)),
  };
}
