// Label batches (architecture, rule 6): opened and leased. The batch's status is the fence of all answers.
// Lock order: run, batch, tasks in the order of their position.
import { sql } from 'drizzle-orm';
import type { LabelSource, Task } from '../domain/dataset.js';
import { Failure } from '../domain/failures.js';
import { workflowIds } from '../domain/ids.js';
import type { Json } from '../domain/json.js';
import { atomically, iso, json, mustRow, row, rows, type Tx } from './client.js';
import { appendEvent } from './event.js';
import { newId } from './id.js';
import { lockBatch } from './labeling-answer.js';

export { annotate, type AnnotateRequest, type AnnotateResult } from './labeling-answer.js';
export { batchState, batchView, listBatches, type BatchState, type BatchView } from './labeling-view.js';
export { decideBatch, type BatchOutcome, type DecideBatch } from './labeling-decision.js';

export interface NewTask {
  /** Of the row in the dataset. */
  key: string;
  /** What the labeler sees: the key and every feature column. */
  item: Json;
  suggestion: { label: string; confidence: number } | null;
  reason: 'strategy' | 'explore';
  /** With which it was drawn; null where it was chosen. */
  probability: number | null;
  score: number | null;
}

export interface NewBatch {
  run: string;
  node: string;
  project: string;
  dataset: string;
  deadline: Date;
  /** Null: any label is taken. */
  classes: string[] | null;
  task: Task;
  tasks: NewTask[];
}

export interface OpenedBatch {
  id: string;
  workflowId: string;
  deadline: string;
  tasks: number;
}

/** Opens the batch of a node; the same run and node again give the same batch. @throws Failure `NotFound` */
export async function openBatch(tx: Tx, batch: NewBatch): Promise<OpenedBatch> {
  return atomically(tx, async (inner) => {
    const held = await row(inner, sql`select 1 from run where id = ${batch.run} for no key update`);
    if (held === null) throw new Failure('NotFound', `there is no run ${batch.run}`);
    const before = await openedBatch(inner, batch.run, batch.node);
    if (before !== null) return before;
    const id = newId('bat');
    await rows(
      inner,
      sql`insert into label_batch (id, project, dataset, run, node, workflow_id, task, classes, deadline)
        values (${id}, ${batch.project}, ${batch.dataset}, ${batch.run}, ${batch.node},
          ${workflowIds.labels(batch.project, id)}, ${batch.task}, ${json(batch.classes)},
          ${batch.deadline.toISOString()})`,
    );
    const tasks = batch.tasks.map((task, position) => ({ id: newId('task'), position, ...task }));
    await rows(
      inner,
      sql`insert into label_task (id, batch, position, key, item, suggestion, reason, probability, score)
        select id, ${id}, position, key, item, nullif(suggestion, 'null'), reason, probability, score
        from jsonb_to_recordset(${json(tasks)}) as t (id text, position int, key text, item jsonb, suggestion jsonb,
          reason text, probability float8, score float8)`,
    );
    await appendEvent(inner, { run: batch.run, type: 'label.opened', data: { batch: id, tasks: tasks.length } });
    const opened = await openedBatch(inner, batch.run, batch.node);
    return opened!;
  });
}

async function openedBatch(tx: Tx, run: string, node: string): Promise<OpenedBatch | null> {
  const found = await row<OpenedBatch>(
    tx,
    sql`select id, workflow_id as "workflowId", deadline,
        (select count(*)::int from label_task t where t.batch = b.id) as tasks
      from label_batch b where run = ${run} and node = ${node}`,
  );
  return found === null ? null : { ...found, deadline: iso(found.deadline) };
}

export interface LeasedTask {
  taskId: string;
  fence: number;
  expiresAt: string;
  item: Json;
  suggestion: { label: string; confidence: number } | null;
}

export interface LeaseRequest {
  project: string;
  batch: string;
  labeler: string;
  count: number;
  /** How long an answer is awaited. Default 10 minutes. */
  ttlMs?: number;
}

/**
 * Gives tasks to a labeler: first those that this labeler holds already, with the same fence and a new expiry, then free
 * ones. Empty when nothing is left.
 * @throws Failure `NotFound`, `BatchClosed`
 */
export async function leaseTasks(tx: Tx, request: LeaseRequest): Promise<LeasedTask[]> {
  return atomically(tx, async (inner) => {
    const batch = await lockBatch(inner, request.project, request.batch, 'share');
    if (batch.closed) throw new Failure('BatchClosed', `the batch ${request.batch} takes no more answers`);
    await renewOwn(inner, request);
    // a claim may lose some of its candidates to a lease that was committed while it looked
    for (let round = 0; round < 5; round += 1) {
      const held = await ownLeases(inner, request);
      if (held.length >= request.count) return held;
      const claimed = await claimFree(inner, request, request.count - held.length);
      if (claimed === 0) return held;
    }
    return ownLeases(inner, request);
  });
}

async function renewOwn(tx: Tx, request: LeaseRequest): Promise<void> {
  await rows(
    tx,
    sql`update lease l set expires_at = clock_timestamp() + ${ttl(request)}
      from label_task t
      where l.task = t.id and l.task in (
          select own.task from lease own join label_task mine on mine.id = own.task
          where own.batch = ${request.batch} and own.labeler = ${request.labeler}
            and own.expires_at > clock_timestamp() and mine.status = 'open' and mine.fence = own.fence
          order by mine.position limit ${request.count} for update of own skip locked)
        and l.labeler = ${request.labeler}`,
  );
}

async function ownLeases(tx: Tx, request: LeaseRequest): Promise<LeasedTask[]> {
  const found = await rows<LeasedTask>(
    tx,
    sql`select t.id as "taskId", t.fence, l.expires_at as "expiresAt", t.item, t.suggestion
      from lease l join label_task t on t.id = l.task
      where l.batch = ${request.batch} and l.labeler = ${request.labeler} and l.expires_at > clock_timestamp()
        and t.status = 'open' and t.fence = l.fence
      order by t.position limit ${request.count}`,
  );
  return found.map((task) => ({ ...task, expiresAt: iso(task.expiresAt) }));
}

// two statements: the first locks candidates, the second looks at their leases with a snapshot taken under those locks
async function claimFree(tx: Tx, request: LeaseRequest, count: number): Promise<number> {
  const free = await rows<{ id: string }>(
    tx,
    sql`select t.id from label_task t
      where t.batch = ${request.batch} and t.status = 'open' and not exists (
        select 1 from lease l where l.task = t.id and l.expires_at > clock_timestamp())
      order by t.position limit ${count} for update of t skip locked`,
  );
  if (free.length === 0) return 0;
  await rows(
    tx,
    sql`with taken as (
        update label_task t set fence = t.fence + 1
        where t.id in (select jsonb_array_elements_text(${json(free.map((task) => task.id))})) and t.status = 'open'
          and not exists (select 1 from lease l where l.task = t.id and l.expires_at > clock_timestamp())
        returning t.id, t.fence
      )
      insert into lease (task, batch, labeler, fence, expires_at)
      select id, ${request.batch}, ${request.labeler}, fence, clock_timestamp() + ${ttl(request)} from taken
      on conflict (task) do update
        set labeler = excluded.labeler, fence = excluded.fence, expires_at = excluded.expires_at`,
  );
  return free.length;
}

function ttl(request: LeaseRequest) {
  return sql`make_interval(secs => ${(request.ttlMs ?? 600_000) / 1000}::float8)`;
}

export interface ResolvedLabel {
  key: string;
  label: string;
  source: LabelSource;
  annotators: string[];
  /** Null: not from a batch. */
  batch: string | null;
}

/** The current labels of a dataset that people and the world gave, by key. */
export async function labelsOf(tx: Tx, dataset: string): Promise<ResolvedLabel[]> {
  return rows(
    tx,
    sql`select key, label, source, annotators, batch from label where dataset = ${dataset} order by key collate "C"`,
  );
}

/** Notes a reminder in the run's events, once per share of the deadline. @throws Failure `NotFound` */
export async function remindBatch(tx: Tx, batch: string, share: 0.5 | 0.9): Promise<void> {
  const percent = Math.round(share * 100);
  await atomically(tx, async (inner) => {
    const found = await row<{ run: string }>(inner, sql`select run from label_batch where id = ${batch}`);
    if (found === null) throw new Failure('NotFound', `there is no label batch ${batch}`);
    await mustRow(inner, sql`select 1 from run where id = ${found.run} for no key update`);
    const first = await row(
      inner,
      sql`update label_batch set reminded = ${percent}
        where id = ${batch} and reminded < ${percent} and status = 'open' returning 1`,
    );
    if (first !== null) await appendEvent(inner, { run: found.run, type: 'label.reminder', data: { batch, share } });
  });
}
