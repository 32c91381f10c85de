// Label batches (architecture, rule 6): opened, reminded of. The batch's status is the fence of all answers.
// Lock order: run, batch, tasks in the order of their position.
import { sql } from 'drizzle-orm';
import type { LabelSource, Task } from '../domain/dataset.js';
import { Failure } from '../domain/failures.js';
import { workflowIds } from '../domain/ids.js';
import type { Json } from '../domain/json.js';
import type { LabelKind } from '../domain/label-kind.js';
import { type LabelPolicy, policyOf } from '../domain/label-policy.js';
import { atomically, iso, json, mustRow, row, rows, type Tx } from './client.js';
import { appendEvent } from './event.js';
import { newId } from './id.js';

export { annotate, type AnnotateRequest, type AnnotateResult } from './labeling-answer.js';
export { batchAnswers } from './labeling-answers.js';
export { settleBatch } from './labeling-batch.js';
export { leaseTasks, type LeasedTask, type LeaseRequest } from './labeling-lease.js';
export { listTasks, taskFilters, type TaskFilter, type TaskView } from './labeling-tasks.js';
export { reviewTasks, type ReviewRequest, type ReviewResult } from './labeling-review.js';
export { labelerOf, saveLabeler, batchLabelers, type BatchLabeler, type Labeler } from './labeler.js';
export {
  batchState,
  batchView,
  listBatches,
  unreviewedTasks,
  type BatchState,
  type BatchView,
} from './labeling-view.js';
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
  /** The known answer, as `labelText` made it: a gold item, which tests the labeler and is no row to be labelled. */
  gold?: string;
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
  /** Default: `number` for regression, else `single`. */
  kind?: LabelKind;
  policy?: Partial<LabelPolicy>;
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
      sql`insert into label_batch (id, project, dataset, run, node, workflow_id, task, kind, policy, classes, deadline)
        values (${id}, ${batch.project}, ${batch.dataset}, ${batch.run}, ${batch.node},
          ${workflowIds.labels(batch.project, id)}, ${batch.task},
          ${batch.kind ?? (batch.task === 'regression' ? 'number' : 'single')}, ${json(batch.policy ?? {})},
          ${json(batch.classes)}, ${batch.deadline.toISOString()})`,
    );
    const { min } = policyOf(batch.policy ?? {}).overlap;
    const tasks = batch.tasks.map((task, position) => ({ id: newId('task'), position, wanted: min, ...task }));
    for (let from = 0; from < tasks.length; from += insertedAtOnce) {
      await insertTasks(inner, id, tasks.slice(from, from + insertedAtOnce));
    }
    const asked = batch.tasks.filter(({ gold }) => gold === undefined).length;
    await appendEvent(inner, { run: batch.run, type: 'label.opened', data: { batch: id, tasks: asked } });
    const opened = await openedBatch(inner, batch.run, batch.node);
    return opened!;
  });
}

/** Tasks of one statement; a batch may have a hundred thousand. */
const insertedAtOnce = 5_000;

async function insertTasks(
  tx: Tx,
  batch: string,
  tasks: (NewTask & { id: string; position: number })[],
): Promise<void> {
  await rows(
    tx,
    sql`insert into label_task (id, batch, position, key, item, suggestion, reason, probability, score, wanted, gold)
      select id, ${batch}, position, key, item, nullif(suggestion, 'null'), reason, probability, score, wanted, gold
      from jsonb_to_recordset(${json(tasks)}) as t (id text, position int, key text, item jsonb, suggestion jsonb,
        reason text, probability float8, score float8, wanted int, gold text)`,
  );
}

async function openedBatch(tx: Tx, run: string, node: string): Promise<OpenedBatch | null> {
  const found = await row<OpenedBatch>(
    tx,
    sql`select id, workflow_id as "workflowId", deadline,
        (select count(*)::int from label_task t where t.batch = b.id and t.gold is null) as tasks
      from label_batch b where run = ${run} and node = ${node}`,
  );
  return found === null ? null : { ...found, deadline: iso(found.deadline) };
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
