// Reviewers' verdicts on labels (architecture, rule 6): accepted, mended, or sent back to the same or another person.
// Raw answers and all verdicts stay.
import { sql } from 'drizzle-orm';
import { labelFault } from '../domain/label-fault.js';
import { labelText } from '../domain/label-kind.js';
import type { Review, ReviewRefusal, ReviewVerdict, TaskStatus } from '../domain/labeling.js';
import { Failure } from '../domain/failures.js';
import { atomically, json, row, rows, type Tx } from './client.js';
import { newId } from './id.js';
import { hasOpenTasks, lockBatch, type LockedBatch, settleAndWake, textLength } from './labeling-batch.js';

export interface ReviewRequest {
  project: string;
  batch: string;
  reviewer: string;
  reviews: Review[];
}

export interface ReviewResult {
  reviewed: number;
  /** `detail`: what is wrong with the label. */
  refused: Refused[];
}

interface Refused {
  taskId: string;
  reason: ReviewRefusal;
  detail?: string;
}

/**
 * Takes verdicts, in their order. `send-back` opens the task and the batch again.
 * @throws Failure `NotFound`, `BatchClosed` when the batch was decided
 */
export async function reviewTasks(tx: Tx, request: ReviewRequest): Promise<ReviewResult> {
  return atomically(tx, async (inner) => {
    const batch = await lockBatch(inner, request.project, request.batch);
    if (batch.status !== 'open' && batch.status !== 'review') {
      throw new Failure('BatchClosed', `the batch ${batch.id} is ${batch.status}`);
    }
    const result: ReviewResult = { reviewed: 0, refused: [] };
    for (const review of request.reviews) {
      const refused = await reviewTask(inner, { batch, reviewer: request.reviewer, review });
      if (refused === null) result.reviewed += 1;
      else result.refused.push({ taskId: review.taskId, ...refused });
    }
    if (result.reviewed > 0) await afterReviews(inner, request.project, batch);
    return result;
  });
}

interface ReviewedTask {
  status: TaskStatus;
  fence: number;
  review: ReviewVerdict | null;
  /** Of the last verdict but disputes. */
  reviewer: string | null;
  annotators: string[];
  textLength: number | null;
  /** The last verdict of this reviewer on what they were shown; null: none. */
  said: { verdict: ReviewVerdict; label: string | null } | null;
}

interface OneReview {
  batch: LockedBatch;
  reviewer: string;
  review: Review;
}

async function reviewTask(tx: Tx, one: OneReview): Promise<Omit<Refused, 'taskId'> | null> {
  const { batch, reviewer, review } = one;
  const task = await row<ReviewedTask>(
    tx,
    sql`select t.status, t.fence, t.review, t.reviewer, ${textLength} as "textLength",
        (select coalesce(jsonb_agg(distinct a.annotator), '[]') from annotation a
          where a.task = t.id and a.fence > t.floor and a.outcome = 'accepted') as annotators,
        (select jsonb_build_object('verdict', r.verdict, 'label', r.label) from label_review r
          where r.task = t.id and r.reviewer = ${reviewer} and r.fence = ${review.fence}
          order by r.created_at desc, r.id desc limit 1) as said
      from label_task t where t.id = ${review.taskId} and t.batch = ${batch.id} and t.gold is null for update of t`,
  );
  if (task === null) return { reason: 'unknown-task' };
  const space = { kind: batch.kind, classes: batch.classes, textLength: task.textLength };
  const label = review.verdict === 'fix' ? labelText(review.label, space) : null;
  const reason = refusalOf(one, task, label);
  if (reason === 'stale-fence' && isRepeated(one, task, label)) return null;
  if (reason === 'unknown-label') return { reason, detail: labelFault(review.label, space) };
  if (reason !== null) return { reason };
  await rows(
    tx,
    sql`insert into label_review (id, task, reviewer, fence, verdict, label, comment)
      values (${newId('rev')}, ${review.taskId}, ${reviewer}, ${review.fence}, ${review.verdict}, ${label},
        ${review.comment ?? null})`,
  );
  await applyVerdict(tx, one, label);
  return null;
}

/** The same verdict again, whose answer was lost: nobody said anything since. */
function isRepeated({ reviewer, review }: OneReview, task: ReviewedTask, label: string | null): boolean {
  const { verdict } = review;
  if (task.reviewer !== reviewer || task.review !== verdict || task.fence !== review.fence + 1) return false;
  return task.said?.verdict === verdict && task.said.label === label;
}

function refusalOf(
  { batch, reviewer, review }: OneReview,
  task: ReviewedTask,
  label: string | null,
): ReviewRefusal | null {
  const mine = task.annotators.includes(reviewer);
  if (task.status === 'open') return 'no-label';
  if (task.fence !== review.fence) return 'stale-fence';
  if (review.verdict === 'dispute') return mine && task.review === 'fix' ? null : 'not-disputable';
  if (mine && !batch.policy.review.self) return 'self-review';
  // who mended it does not judge the objection
  if (task.review === 'dispute' && task.reviewer === reviewer) return 'self-review';
  return review.verdict === 'fix' && label === null ? 'unknown-label' : null;
}

async function applyVerdict(tx: Tx, { batch, reviewer, review }: OneReview, label: string | null): Promise<void> {
  const { verdict, taskId } = review;
  if (verdict === 'send-back') {
    await reopenTasks(tx, batch, { tasks: [taskId], to: review.to ?? null });
    return;
  }
  const mended = verdict === 'fix' ? sql`, label = ${label}, confidence = null, status = 'labelled'` : sql``;
  // the fence rises with each judgement: two reviewers do not judge over each other unseen. Leases have fences of their own
  const by = verdict === 'dispute' ? sql`` : sql`, reviewer = ${reviewer}, fence = fence + 1`;
  await rows(tx, sql`update label_task set review = ${verdict}${by}${mended} where id = ${taskId}`);
}

/**
 * Opens tasks again, all where none is named; answers before do not count any more. `to`: who is asked, null: anybody.
 * Answers how many. Raw answers stay; the raised fence makes every answer that is under way stale.
 */
export async function reopenTasks(
  tx: Tx,
  { id, policy }: Pick<LockedBatch, 'id' | 'policy'>,
  { tasks, to }: { tasks: string[] | null; to: 'same' | 'other' | null },
): Promise<number> {
  const chosen = tasks === null ? sql`true` : sql`id in (select jsonb_array_elements_text(${json(tasks)}))`;
  const reopened = await rows<{ id: string }>(
    tx,
    sql`update label_task set status = 'open', fence = fence + 1, floor = fence + 1, answered = 0,
        wanted = ${policy.overlap.min}, label = null, confidence = null, annotated_at = null, review = null,
        reviewer = null, again = ${to}
      where batch = ${id} and gold is null and ${chosen} returning id`,
  );
  const ids = json(reopened.map((task) => task.id));
  await rows(tx, sql`delete from lease where task in (select jsonb_array_elements_text(${ids}))`);
  return reopened.length;
}

async function afterReviews(tx: Tx, project: string, batch: LockedBatch): Promise<void> {
  await rows(
    tx,
    sql`update label_batch set status = 'open', round = round + 1 where id = ${batch.id} and status = 'review'
      and ${hasOpenTasks(batch.id)}`,
  );
  await settleAndWake(tx, project, batch);
}
