// A label batch with everything that was said about it, page by page: what an export takes.
import { sql } from 'drizzle-orm';
import type { TakenBatch, TakenTask } from '../domain/exchange/form.js';
import { Failure } from '../domain/failures.js';
import { iso, row, rows, type Tx } from './client.js';
import { shownReason, shownSuggestion } from './labeling-batch.js';
import { reviewsOfTask } from './labeling-tasks.js';

/** The batch itself. @throws Failure `NotFound` */
export async function takenBatch(tx: Tx, project: string, batch: string): Promise<TakenBatch> {
  const found = await row<TakenBatch>(
    tx,
    sql`select kind, classes, origin from label_batch where id = ${batch} and project = ${project}`,
  );
  if (found === null) throw new Failure('NotFound', `there is no label batch ${batch}`);
  return found;
}

/** The key of the first task whose item has no numbers `width` and `height`; null where all have. */
export async function unsizedTask(tx: Tx, batch: string): Promise<string | null> {
  const found = await row<{ key: string }>(
    tx,
    sql`select key from label_task where batch = ${batch}
        and (jsonb_typeof(item -> 'width') is distinct from 'number'
          or jsonb_typeof(item -> 'height') is distinct from 'number')
      order by position limit 1`,
  );
  return found?.key ?? null;
}

const answers = sql`(select coalesce(jsonb_agg(jsonb_build_object('id', a.id, 'annotator', a.annotator,
    'label', a.label, 'outcome', a.outcome, 'past', a.fence <= t.floor, 'seconds', a.seconds, 'comment', a.comment,
    'at', a.created_at, 'source', a.source) order by a.created_at, a.fence, a.id), '[]')
    from annotation a where a.task = t.id)`;

/** Tasks after a position, gold ones among them, in the order of the batch. */
export async function takenTasks(tx: Tx, batch: string, after: number, limit: number): Promise<TakenTask[]> {
  const found = await rows<TakenTask>(
    tx,
    sql`select t.id as "taskId", t.position, t.key, t.item, t.status, t.gold, t.label, t.confidence, ${shownSuggestion} as suggestion,
        ${shownReason} as reason, t.review, t.reviewer, t.source, ${answers} as answers, ${reviewsOfTask} as reviews
      from label_task t where t.batch = ${batch} and t.position > ${after} order by t.position limit ${limit}`,
  );
  return found.map((task) => ({
    ...task,
    answers: task.answers.map((one) => ({ ...one, at: iso(one.at) })),
    reviews: task.reviews.map((one) => ({ ...one, at: iso(one.at) })),
  }));
}
