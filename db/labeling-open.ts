// Label batches are opened: by a run's node, or by somebody over HTTP, and then with a workflow of their own.
import { randomUUID } from 'node:crypto';
import { sql } from 'drizzle-orm';
import type { Task } from '../domain/dataset.js';
import { Failure } from '../domain/failures.js';
import { workflowIds } from '../domain/ids.js';
import type { Json } from '../domain/json.js';
import type { LabelKind } from '../domain/label-kind.js';
import { type LabelPolicy, policyOf } from '../domain/label-policy.js';
import type { AskReason, Suggestion } from '../domain/labeling.js';
import { appendAudit } from './audit.js';
import { atomically, iso, json, mustRow, row, rows, type Tx } from './client.js';
import { appendEvent } from './event.js';
import { newId } from './id.js';
import { type GivenAnswer, insertAnswers } from './labeling-given.js';
import { enqueue } from './outbox.js';

export type { GivenAnswer };

export interface NewTask {
  /** Of the row in the dataset. */
  key: string;
  /** What the labeler sees: of a run's batch the key and every feature column. */
  item: Json;
  suggestion: Suggestion | null;
  reason: AskReason;
  /** With which it was drawn; null where it was chosen. */
  probability: number | null;
  score: number | null;
  /** The label that the row has: it is asked about again, and the new one will replace it. */
  given?: string | null;
  /** The known answer, as `labelText` made it: a gold item, which tests the labeler and is no row to be labelled. */
  gold?: string;
  /** As an import brought it. */
  source?: Json;
  /** That an import brought with it, in their order. */
  answers?: GivenAnswer[];
}

interface NewBatchFacts {
  project: string;
  dataset: string;
  deadline: Date;
  /** Null: any label is taken. */
  classes: string[] | null;
  task: Task;
  /** Default: `number` for regression, else `single`. */
  kind?: LabelKind;
  policy?: Partial<LabelPolicy>;
  tasks: NewTask[];
}

export interface NewBatch extends NewBatchFacts {
  run: string;
  node: string;
}

export interface NewOwnBatch extends NewBatchFacts {
  /** Who opens it. */
  by: string;
  verified: boolean;
  /** What its import has to know to give it back. */
  origin?: Json;
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
    const before = await row<{ id: string }>(
      inner,
      sql`select id from label_batch where run = ${batch.run} and node = ${batch.node}`,
    );
    if (before !== null) return openedBatch(inner, before.id);
    const id = await insertBatch(inner, batch, { ...batch, origin: null });
    const opened = await openedBatch(inner, id);
    await appendEvent(inner, { run: batch.run, type: 'label.opened', data: { batch: id, tasks: opened.tasks } });
    return opened;
  });
}

/** Opens a batch that no run waits for, and starts its workflow. @throws DatabaseFault for an unknown dataset */
export async function openOwnBatch(tx: Tx, batch: NewOwnBatch): Promise<OpenedBatch> {
  return atomically(tx, async (inner) => {
    const id = await insertBatch(inner, batch, { run: null, node: null, origin: batch.origin ?? null });
    const opened = await openedBatch(inner, id);
    await startBatch(inner, id);
    const { project, by, verified } = batch;
    const details = { dataset: batch.dataset, tasks: opened.tasks, deadline: opened.deadline };
    await appendAudit(inner, { project, actor: by, verified, action: 'labels.opened', subject: id, details });
    return opened;
  });
}

/** Starts the workflow of a batch that no run opened, again where it was lost: all that it is stands in its row. */
export async function startBatch(tx: Tx, batch: string): Promise<void> {
  const found = await mustRow<{
    project: string;
    workflowId: string;
    openedAt: string;
    deadline: string;
    reminded: number;
    policy: Partial<LabelPolicy>;
    dataset: string;
  }>(
    tx,
    sql`select b.project, b.workflow_id as "workflowId", b.created_at as "openedAt", b.deadline, b.reminded, b.policy,
        d.name as dataset from label_batch b join dataset d on d.id = b.dataset where b.id = ${batch}`,
  );
  const { project, workflowId, reminded } = found;
  const clock = { openedAt: iso(found.openedAt), deadline: iso(found.deadline) };
  const { escalate } = policyOf(found.policy);
  const past = [0.5, 0.9].filter((share) => share * 100 <= reminded);
  await enqueue(tx, {
    ...{ project, kind: 'start', workflowId, name: 'labelBatch', taskQueue: 'flow' },
    payload: {
      project,
      batch,
      run: null,
      node: null,
      ...clock,
      ...(escalate && { escalate: true }),
      ...(past.length > 0 ? { reminded: past } : {}),
    },
    attributes: { PerennialProject: project, PerennialKind: 'labels' },
    summary: `labels for the dataset ${found.dataset}`,
    coalesceKey: `${workflowId}/start`,
  });
}

async function insertBatch(
  tx: Tx,
  batch: NewBatchFacts,
  asker: { run: string | null; node: string | null; origin: Json | null },
): Promise<string> {
  const id = newId('bat');
  const kind = batch.kind ?? (batch.task === 'regression' ? 'number' : 'single');
  await rows(
    tx,
    sql`insert into label_batch (id, project, dataset, run, node, workflow_id, task, kind, policy, classes, origin,
        salt, blind, deadline)
      values (${id}, ${batch.project}, ${batch.dataset}, ${asker.run}, ${asker.node},
        ${workflowIds.labels(batch.project, id)}, ${batch.task}, ${kind}, ${json(batch.policy ?? {})},
        ${json(batch.classes)}, ${json(asker.origin)},
        ${randomUUID()}, ${isBlind(batch, asker)}, ${batch.deadline.toISOString()})`,
  );
  const { min } = policyOf(batch.policy ?? {}).overlap;
  const ids = taskIds(batch.tasks.length);
  const tasks = batch.tasks.map(({ answers, ...task }, position) => ({
    ...{ id: ids[position]!, position, wanted: min, ...task },
    brought: answers ?? [],
  }));
  for (let from = 0; from < tasks.length; from += insertedAtOnce) {
    await insertTasks(tx, id, tasks.slice(from, from + insertedAtOnce));
  }
  // Postgres knows nothing yet of rows that have just come, and would sort them all for each lease: 200 ms instead of 2
  if (tasks.length >= insertedAtOnce / 10) await rows(tx, sql`analyze label_task`);
  await insertAnswers(
    tx,
    { id, project: batch.project },
    tasks.map((task) => ({ id: task.id, answers: task.brought })),
  );
  return id;
}

/** Ids in no order: those made last, of gold items, would sort last. */
const taskIds = (count: number) =>
  Array.from({ length: count }, () => newId('task')).sort((a, b) => (a.slice(-10) < b.slice(-10) ? -1 : 1));

/** Of a run's batch: some items test labelers or the model. Who opens a batch of their own says what people see. */
const isBlind = ({ tasks }: NewBatchFacts, { run }: { run: string | null }) =>
  run !== null && tasks.some(({ gold, reason }) => gold !== undefined || reason === 'audit');

/** Tasks of one statement; a batch may have a hundred thousand. */
const insertedAtOnce = 5_000;

async function insertTasks(
  tx: Tx,
  batch: string,
  tasks: (Omit<NewTask, 'answers'> & { id: string; position: number })[],
): Promise<void> {
  await rows(
    tx,
    sql`insert into label_task (id, batch, position, key, item, suggestion, reason, probability, score, wanted, given,
        gold, source)
      select id, ${batch}, position, key, item, nullif(suggestion, 'null'), reason, probability, score, wanted, given,
        gold, nullif(source, 'null')
      from jsonb_to_recordset(${json(tasks)}) as t (id text, position int, key text, item jsonb, suggestion jsonb,
        reason text, probability float8, score float8, wanted int, given text, gold text,
        source jsonb)`,
  );
}

async function openedBatch(tx: Tx, id: string): Promise<OpenedBatch> {
  const found = await mustRow<OpenedBatch>(
    tx,
    sql`select id, workflow_id as "workflowId", deadline,
        (select count(*)::int from label_task t where t.batch = b.id and t.gold is null) as tasks
      from label_batch b where id = ${id}`,
  );
  return { ...found, deadline: iso(found.deadline) };
}
