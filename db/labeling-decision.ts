// What ends a label batch or sends it back: status, labels, decision, event and audit in one transaction.
import { sql } from 'drizzle-orm';
import { Failure } from '../domain/failures.js';
import type { Json } from '../domain/json.js';
import type { BatchCounts, BatchDecisionKind, BatchStatus } from '../domain/labeling.js';
import { appendAudit } from './audit.js';
import { atomically, json, mustRow, row, rows, type Tx } from './client.js';
import { appendEvent } from './event.js';
import { countsOf } from './labeling-view.js';

export interface DecideBatch {
  batch: string;
  decisionId: string;
  decision: BatchDecisionKind | 'deadline' | 'cancel';
  by: string;
  verified: boolean;
  reason: string | null;
  /** `send-back`: which tasks; null: all. */
  tasks: string[] | null;
}

export interface BatchOutcome {
  status: BatchStatus;
  counts: BatchCounts;
  decisionId: string;
  decision: DecideBatch['decision'];
}

/**
 * Decides about a batch; the same decision id gets the first answer. `close` and `deadline` take what there is:
 * `partial` when tasks are open, else `accepted`.
 * @throws Failure `NotFound`, `AlreadyDecided`, `BatchIncomplete`, `InvalidRequest` (tasks that are not the batch's)
 */
export async function decideBatch(tx: Tx, decision: DecideBatch): Promise<BatchOutcome> {
  return atomically(tx, (inner) => decideOnce(inner, decision));
}

interface HeldBatch {
  status: BatchStatus;
  project: string;
  run: string;
  round: number;
}

async function decideOnce(tx: Tx, decision: DecideBatch): Promise<BatchOutcome> {
  const { batch, decisionId } = decision;
  const held = await lockRunAndBatch(tx, batch);
  const before = await row<{ answer: BatchOutcome }>(
    tx,
    sql`select answer from label_decision where batch = ${batch} and decision_id = ${decisionId}`,
  );
  if (before !== null) return before.answer;
  if (held.status !== 'open' && held.status !== 'review') {
    throw new Failure('AlreadyDecided', `the batch ${batch} is ${held.status}`, { members: { status: held.status } });
  }
  const status = await apply(tx, decision);
  const { open, ...counts } = await countsOf(tx, batch);
  const answer: BatchOutcome = { status, counts, decisionId, decision: decision.decision };
  await rows(
    tx,
    sql`insert into label_decision (batch, decision_id, decision, by, verified, reason, tasks, answer)
      values (${batch}, ${decisionId}, ${decision.decision}, ${decision.by}, ${decision.verified}, ${decision.reason},
        ${json(decision.tasks)}, ${json(answer)})`,
  );
  await record(tx, decision, held, { status, open, counts: { ...counts } });
  return answer;
}

async function record(tx: Tx, decision: DecideBatch, held: HeldBatch, after: Record<string, Json>): Promise<void> {
  const { batch, by, reason } = decision;
  const data = { batch, decision: decision.decision, by, ...after };
  await appendEvent(tx, { run: held.run, type: 'label.decided', data });
  await appendAudit(tx, {
    project: held.project,
    actor: by,
    verified: decision.verified,
    action: 'labels.decided',
    subject: batch,
    details: { decision: decision.decision, decisionId: decision.decisionId, reason, tasks: decision.tasks, ...after },
  });
}

async function lockRunAndBatch(tx: Tx, batch: string): Promise<HeldBatch> {
  const of = await row<{ run: string }>(tx, sql`select run from label_batch where id = ${batch}`);
  if (of === null) throw new Failure('NotFound', `there is no label batch ${batch}`);
  await mustRow(tx, sql`select 1 from run where id = ${of.run} for no key update`);
  return mustRow<HeldBatch>(
    tx,
    sql`select status, project, run, round from label_batch where id = ${batch} for update`,
  );
}

async function apply(tx: Tx, decision: DecideBatch): Promise<BatchStatus> {
  const { batch } = decision;
  if (decision.decision === 'send-back') return sendBack(tx, batch, decision.tasks);
  if (decision.decision === 'cancel') return close(tx, batch, 'cancelled');
  const { open } = await countsOf(tx, batch);
  if (decision.decision === 'accept' && open > 0) {
    throw new Failure('BatchIncomplete', `${open} tasks of the batch ${batch} have no answer`, { members: { open } });
  }
  await resolve(tx, batch);
  return close(tx, batch, open > 0 ? 'partial' : 'accepted');
}

async function close(tx: Tx, batch: string, status: BatchStatus): Promise<BatchStatus> {
  await rows(tx, sql`update label_batch set status = ${status}, closed_at = clock_timestamp() where id = ${batch}`);
  await rows(tx, sql`delete from lease where batch = ${batch}`);
  return status;
}

// raw annotations stay; the raised fence makes every answer that is under way stale
async function sendBack(tx: Tx, batch: string, tasks: string[] | null): Promise<BatchStatus> {
  const chosen = tasks === null ? sql`true` : sql`id in (select jsonb_array_elements_text(${json(tasks)}))`;
  const reopened = await rows<{ id: string }>(
    tx,
    sql`update label_task set status = 'open', fence = fence + 1, label = null, annotator = null, annotated_at = null
      where batch = ${batch} and ${chosen} returning id`,
  );
  if (tasks !== null && reopened.length !== new Set(tasks).size) {
    throw new Failure('InvalidRequest', 'some tasks are not of this batch', {
      faults: [{ path: 'tasks', message: 'names a task that is not of this batch' }],
    });
  }
  await rows(
    tx,
    sql`delete from lease where task in (select jsonb_array_elements_text(${json(reopened.map((task) => task.id))}))`,
  );
  await rows(
    tx,
    sql`update label_batch set round = round + 1,
        status = case when exists (select 1 from label_task where batch = ${batch} and status = 'open')
          then 'open' else status end
      where id = ${batch}`,
  );
  return (await mustRow<{ status: BatchStatus }>(tx, sql`select status from label_batch where id = ${batch}`)).status;
}

async function resolve(tx: Tx, batch: string): Promise<void> {
  await rows(
    tx,
    sql`insert into label (dataset, key, label, source, annotators, batch)
      select b.dataset, t.key, t.label, 'human', jsonb_build_array(t.annotator), b.id
      from label_task t join label_batch b on b.id = t.batch
      where b.id = ${batch} and t.status = 'labelled' order by t.key
      on conflict (dataset, key) do update set label = excluded.label, source = excluded.source,
        annotators = excluded.annotators, batch = excluded.batch, resolved_at = now()`,
  );
}
