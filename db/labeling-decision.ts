// What ends a label batch or sends it back: status, labels, decision, event and audit in one transaction.
import { sql } from 'drizzle-orm';
import { Failure } from '../domain/failures.js';
import { batchConsensus, hasClasses } from '../domain/batch-answers.js';
import type { Json } from '../domain/json.js';
import { choicesOf } from '../domain/label-kind.js';
import type { BatchCounts, BatchDecisionKind, BatchStatus } from '../domain/labeling.js';
import { appendAudit, type AuditEntry } from './audit.js';
import { lockRunsOfAuto, settleAuto, voidAuto } from './auto.js';
import { atomically, json, mustRow, row, rows, type Tx } from './client.js';
import { appendEvent } from './event.js';
import { batchAnswers } from './labeling-answers.js';
import { batchRules, hasOpenTasks } from './labeling-batch.js';
import { relabelCounts } from './labeling-relabel.js';
import { reopenTasks } from './labeling-review.js';
import { countsOf, unreviewedTasks } from './labeling-view.js';

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
 * @throws Failure `NotFound`, `AlreadyDecided`, `BatchIncomplete`, `ReviewIncomplete`, `InvalidRequest` (tasks that are not the batch's)
 */
export async function decideBatch(tx: Tx, decision: DecideBatch): Promise<BatchOutcome> {
  return atomically(tx, (inner) => decideOnce(inner, decision));
}

interface HeldBatch {
  status: BatchStatus;
  project: string;
  /** Null: no run waits for it. */
  run: string | null;
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
  const { status, entries } = await apply(tx, decision);
  const { open, ...counts } = await countsOf(tx, batch);
  const answer: BatchOutcome = { status, counts, decisionId, decision: decision.decision };
  await rows(
    tx,
    sql`insert into label_decision (batch, decision_id, decision, by, verified, reason, tasks, answer)
      values (${batch}, ${decisionId}, ${decision.decision}, ${decision.by}, ${decision.verified}, ${decision.reason},
        ${json(decision.tasks)}, ${json(answer)})`,
  );
  const again = await relabelCounts(tx, batch);
  const relabelled = again && { relabelled: { ...again } };
  await record(tx, decision, held, { status, open, counts: { ...counts }, ...relabelled });
  for (const entry of entries) await appendAudit(tx, entry);
  return answer;
}

async function record(tx: Tx, decision: DecideBatch, held: HeldBatch, after: Record<string, Json>): Promise<void> {
  const { batch, by, reason } = decision;
  const data = { batch, decision: decision.decision, by, ...after };
  if (held.run !== null) await appendEvent(tx, { run: held.run, type: 'label.decided', data });
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
  const of = await row<{ run: string | null }>(tx, sql`select run from label_batch where id = ${batch}`);
  if (of === null) throw new Failure('NotFound', `there is no label batch ${batch}`);
  if (of.run !== null) await lockRunsOfAuto(tx, of.run, batch);
  return mustRow<HeldBatch>(
    tx,
    sql`select status, project, run, round from label_batch where id = ${batch} for update`,
  );
}

interface Applied {
  status: BatchStatus;
  /** To be written last. */
  entries: AuditEntry[];
}

async function apply(tx: Tx, decision: DecideBatch): Promise<Applied> {
  const { batch } = decision;
  if (decision.decision === 'send-back') {
    return { status: await sendBack(tx, batch, decision.tasks), entries: [] };
  }
  if (decision.decision === 'cancel') {
    await voidAuto(tx, sql`${batch}`);
    return { status: await close(tx, batch, 'cancelled'), entries: [] };
  }
  const { open } = await countsOf(tx, batch);
  if (decision.decision === 'accept') await requireComplete(tx, batch, open);
  await resolve(tx, batch);
  const entries = await settleAuto(tx, batch);
  return { status: await close(tx, batch, open > 0 ? 'partial' : 'accepted'), entries };
}

/** What `accept` needs; `open`: tasks without an answer. @throws Failure `BatchIncomplete`, `ReviewIncomplete` */
export async function requireComplete(tx: Tx, batch: string, open: number): Promise<void> {
  if (open > 0) {
    const detail = `${open} tasks have no answer; close takes what there is`;
    throw new Failure('BatchIncomplete', detail, { members: { open } });
  }
  const unreviewed = await unreviewedTasks(tx, batch);
  if (unreviewed > 0) {
    const detail = `${unreviewed} labels wait for a reviewer; close takes them as they are`;
    throw new Failure('ReviewIncomplete', detail, { members: { unreviewed } });
  }
}

async function close(tx: Tx, batch: string, status: BatchStatus): Promise<BatchStatus> {
  await rows(tx, sql`update label_batch set status = ${status}, closed_at = clock_timestamp() where id = ${batch}`);
  await rows(tx, sql`delete from lease where batch = ${batch}`);
  return status;
}

async function sendBack(tx: Tx, batch: string, tasks: string[] | null): Promise<BatchStatus> {
  const { policy } = await batchRules(tx, batch);
  const reopened = await reopenTasks(tx, { id: batch, policy }, { tasks, to: null });
  if (tasks !== null && reopened !== new Set(tasks).size) {
    throw new Failure('InvalidRequest', 'some tasks are not of this batch', {
      faults: [{ path: 'tasks', message: 'names a task that is not of this batch' }],
    });
  }
  const { status } = await mustRow<{ status: BatchStatus }>(
    tx,
    sql`update label_batch set round = round + 1, status = case when ${hasOpenTasks(batch)} then 'open' else status end
      where id = ${batch} returning status`,
  );
  return status;
}

/**
 * Where several people answered, their answers are looked at once more, all together: who errs how shows in the whole
 * batch only. What a reviewer has said stands.
 */
async function concludeTogether(tx: Tx, batch: string): Promise<void> {
  const { kind, policy, classes } = await batchRules(tx, batch);
  if (!hasClasses(kind) || policy.overlap.max < 2) return;
  const together = batchConsensus(await batchAnswers(tx, batch), choicesOf(kind, classes));
  const found = [...together].map(([id, one]) => ({ id, ...one }));
  await rows(
    tx,
    sql`update label_task t set label = c.label, confidence = c.confidence
      from jsonb_to_recordset(${json(found)}) as c (id text, label text, confidence float8)
      where t.id = c.id and t.status = 'labelled' and t.gold is null and t.review is null`,
  );
}

/**
 * Whose label the task `t` has, in order: of the last reviewer who mended it above its floor, else of those whose answers count.
 */
const annotatorsOf = sql`coalesce(
  (select jsonb_build_array(r.reviewer) from label_review r
    where r.task = t.id and r.verdict = 'fix' and r.fence >= t.floor order by r.fence desc limit 1),
  (select jsonb_agg(distinct a.annotator) from annotation a
    where a.task = t.id and a.outcome = 'accepted' and a.fence > t.floor and a.label is not null),
  '[]')`;

/**
 * The labels of the batch become those of its dataset, where a dataset can hold them: a column holds one class or one
 * number. Lists, spans, boxes and preferences stay with the batch, to be exported.
 */
async function resolve(tx: Tx, batch: string): Promise<void> {
  await concludeTogether(tx, batch);
  await rows(
    tx,
    sql`insert into label (dataset, key, label, source, annotators, batch, relabel)
      select b.dataset, t.key, t.label, 'human', ${annotatorsOf}, b.id, t.given is not null
      from label_task t join label_batch b on b.id = t.batch
      where b.id = ${batch} and b.kind in ('single', 'number') and t.status = 'labelled' and t.gold is null
      order by t.key
      on conflict (dataset, key) do update set label = excluded.label, source = excluded.source,
        annotators = excluded.annotators, batch = excluded.batch, relabel = label.relabel or excluded.relabel,
        resolved_at = now()`,
  );
}
