// What reviewers said, for the people whose answers they looked at: why a task came back, and which of one's answers were
// accepted, mended or sent back.
import { sql } from 'drizzle-orm';
import type { ReviewedAnswer } from '../domain/label-task.js';
import { Failure } from '../domain/failures.js';
import { iso, row, rows, type Tx } from './client.js';
import { reviewsOfTask } from './labeling-tasks.js';
import { readCursor, toPage, type Page, type PageRequest } from './page.js';

/**
 * Who sent the task `t` back and what they said, as `SentBack`: the verdict that raised its floor, else the last decision that
 * sent the batch back. Null where it was never sent back.
 */
export const sentBack = sql`case when t.floor > 0 then coalesce(
    (select jsonb_build_object('by', r.reviewer, 'comment', r.comment) from label_review r
      where r.task = t.id and r.verdict = 'send-back' and r.fence = t.floor - 1 limit 1),
    (select jsonb_build_object('by', d.by, 'comment', d.reason) from label_decision d
      where d.batch = t.batch and d.decision = 'send-back' order by d.created_at desc limit 1)) end`;

/**
 * A labeler's own answers that a reviewer looked at, in the order of the batch; gold items are left out.
 * @throws Failure `NotFound`, `InvalidRequest` for a foreign cursor
 */
export async function listReviewed(
  tx: Tx,
  request: { project: string; batch: string; labeler: string; page: PageRequest },
): Promise<Page<ReviewedAnswer>> {
  const { project, batch, labeler, page } = request;
  const known = await row(tx, sql`select 1 from label_batch where id = ${batch} and project = ${project}`);
  if (known === null) throw new Failure('NotFound', `there is no label batch ${batch}`);
  const after = readCursor(page, ['number']);
  const found = await rows<ReviewedAnswer & { position: number }>(
    tx,
    sql`select t.id as "taskId", t.position, t.key, t.item, t.fence, t.label, t.review, mine.label as own,
        ${reviewsOfTask} as reviews, coalesce(t.review = 'fix' and mine.counts, false) as disputable
      from label_task t cross join lateral (
        select a.label, a.outcome = 'accepted' and a.fence > t.floor as counts from annotation a
        where a.task = t.id and a.annotator = ${labeler} order by a.fence desc limit 1) mine
      where t.batch = ${batch} and t.gold is null and t.position > ${after === null ? -1 : after[0]}
        and exists (select 1 from label_review r where r.task = t.id)
      order by t.position limit ${page.limit + 1}`,
  );
  return toPage(
    found,
    page,
    ({ position }) => [position],
    ({ position: _, reviews, ...one }) => ({ ...one, reviews: reviews.map((said) => ({ ...said, at: iso(said.at) })) }),
  );
}
