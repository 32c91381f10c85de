// Label batches as clients and workflows see them.
import { sql, type SQL } from 'drizzle-orm';
import type { Task } from '../domain/dataset.js';
import { Failure } from '../domain/failures.js';
import type { LabelKind } from '../domain/label-kind.js';
import { type LabelPolicy, needsReview, policyOf } from '../domain/label-policy.js';
import type { BatchCounts, BatchDecided, BatchStatus } from '../domain/labeling.js';
import { iso, mustRow, row, rows, type Tx } from './client.js';
import { batchRules } from './labeling-batch.js';
import { readCursor, toPage, type Page, type PageRequest } from './page.js';

export interface BatchView {
  id: string;
  /** Null: a batch of its own. */
  run: string | null;
  /** Name. */
  dataset: string;
  status: BatchStatus;
  counts: BatchCounts;
  deadline: string;
  round: number;
  /** Null: any label is taken. */
  classes: string[] | null;
  task: Task;
  kind: LabelKind;
  policy: LabelPolicy;
  /** Who answered or holds a task. */
  labelers: string[];
  createdAt: string;
  closedAt: string | null;
  /** What closed it; null: it is not closed, or nobody's word did. */
  decided: BatchDecided | null;
}

/** All answered, whether its row says so yet or not: who gives the last answer may not be able to write it. */
const status = sql`case when b.status = 'open' and not exists (
    select 1 from label_task o where o.batch = b.id and o.status = 'open' and o.gold is null) then 'review'
  else b.status end`;

const stored = sql`select b.id, b.run, d.name as dataset, ${status} as status, b.kind, b.policy, b.deadline, b.round, b.classes, b.task, b.created_at as "createdAt",
    b.closed_at as "closedAt",
    (select jsonb_build_object('decision', e.decision, 'by', e.by, 'reason', e.reason, 'at', e.created_at)
      from label_decision e where e.batch = b.id and b.closed_at is not null and e.decision <> 'send-back'
      order by e.created_at desc limit 1) as decided,
    (select jsonb_build_object('tasks', count(*), 'labelled', count(*) filter (where t.status = 'labelled'),
        'skipped', count(*) filter (where t.status = 'skipped'), 'auto', count(*) filter (where t.status = 'auto'))
      from label_task t where t.batch = b.id and t.gold is null) as counts,
    (select coalesce(jsonb_agg(who order by who), '[]') from (
        select a.annotator as who from annotation a join label_task t on t.id = a.task where t.batch = b.id
        union select l.labeler from lease l where l.batch = b.id) people) as labelers
  from label_batch b join dataset d on d.id = b.dataset`;

/** One batch. @throws Failure `NotFound` */
export async function batchView(tx: Tx, project: string, id: string): Promise<BatchView> {
  const found = await row<BatchView>(tx, sql`${stored} where b.project = ${project} and b.id = ${id}`);
  if (found === null) throw new Failure('NotFound', `there is no label batch ${id}`);
  return toView(found);
}

/** Batches, the latest first. @throws Failure `InvalidRequest` for a foreign cursor */
export async function listBatches(
  tx: Tx,
  request: { project: string; status?: BatchStatus; page: PageRequest },
): Promise<Page<BatchView>> {
  const after = readCursor(request.page, ['moment', 'text']);
  const where: SQL[] = [sql`b.project = ${request.project}`];
  if (request.status !== undefined) where.push(sql`${status} = ${request.status}`);
  if (after !== null) where.push(sql`(b.created_at, b.id) < (${after[0]}::timestamptz, ${after[1]})`);
  const found = await rows<BatchView>(
    tx,
    sql`${stored} where ${sql.join(where, sql` and `)}
      order by b.created_at desc, b.id desc limit ${request.page.limit + 1}`,
  );
  return toPage(found, request.page, (batch) => [batch.createdAt, batch.id], toView);
}

function toView(found: BatchView): BatchView {
  return {
    ...found,
    policy: policyOf(found.policy),
    deadline: iso(found.deadline),
    createdAt: iso(found.createdAt),
    closedAt: iso(found.closedAt),
    decided: found.decided && { ...found.decided, at: iso(found.decided.at) },
  };
}

export interface BatchState {
  status: BatchStatus;
  counts: BatchCounts;
  /** Tasks without an answer. */
  open: number;
  round: number;
  deadline: string;
}

/** What the batch's workflow decides by. @throws Failure `NotFound` */
export async function batchState(tx: Tx, batch: string): Promise<BatchState> {
  const found = await row<BatchState>(
    tx,
    sql`select ${status} as status, b.round, b.deadline,
        (select count(*)::int from label_task t where t.batch = b.id and t.status = 'open' and t.gold is null) as open,
        (select jsonb_build_object('tasks', count(*), 'labelled', count(*) filter (where t.status = 'labelled'),
            'skipped', count(*) filter (where t.status = 'skipped'), 'auto', count(*) filter (where t.status = 'auto'))
          from label_task t where t.batch = b.id and t.gold is null) as counts
      from label_batch b where b.id = ${batch}`,
  );
  if (found === null) throw new Failure('NotFound', `there is no label batch ${batch}`);
  return { ...found, deadline: iso(found.deadline) };
}

/** As `batchState`, of a batch that is known to be there. */
export async function countsOf(tx: Tx, batch: string): Promise<BatchCounts & { open: number }> {
  return mustRow(
    tx,
    sql`select count(*)::int as tasks, count(*) filter (where status = 'labelled')::int as labelled,
        count(*) filter (where status = 'skipped')::int as skipped, count(*) filter (where status = 'auto')::int as auto,
        count(*) filter (where status = 'open')::int as open
      from label_task where batch = ${batch} and gold is null`,
  );
}

/** Labels that a reviewer must look at before the batch is accepted: a share of them, those in doubt, and disputes. */
export async function unreviewedTasks(tx: Tx, batch: string): Promise<number> {
  const { policy, salt } = await batchRules(tx, batch);
  const open = await rows<{ id: string; confidence: number | null; disputed: boolean }>(
    tx,
    sql`select id, confidence, review is not null as disputed from label_task
      where batch = ${batch} and status = 'labelled' and gold is null and (review is null or review = 'dispute')`,
  );
  return open.filter(({ id, confidence, disputed }) => disputed || needsReview(policy, salt + id, confidence)).length;
}
