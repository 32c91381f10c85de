// The tasks of a batch as a reviewer sees them: the item, every answer and every verdict.
import { sql, type SQL } from 'drizzle-orm';
import { Failure } from '../domain/failures.js';
import type { Json } from '../domain/json.js';
import { type LabelPolicy, needsReview, policyOf } from '../domain/label-policy.js';
import type { TaskAnswer, TaskReview } from '../domain/label-task.js';
import type { AskReason, ReviewVerdict, Suggestion, TaskStatus } from '../domain/labeling.js';
import { iso, row, rows, type Tx } from './client.js';
import { shownReason, shownSuggestion } from './labeling-batch.js';
import { readCursor, toPage, type Page, type PageRequest } from './page.js';

export interface TaskView {
  taskId: string;
  /** Of the row in the dataset. */
  key: string;
  item: Json;
  status: TaskStatus;
  /** To be named in a review. */
  fence: number;
  label: string | null;
  confidence: number | null;
  suggestion: Suggestion | null;
  /** The label that the row had before; null: none. */
  given: string | null;
  reason: AskReason;
  review: ReviewVerdict | null;
  reviewer: string | null;
  /** A reviewer must look before the batch is accepted. */
  needsReview: boolean;
  answers: TaskAnswer[];
  reviews: TaskReview[];
}

export const taskFilters = ['open', 'labelled', 'skipped', 'unreviewed'] as const;
export type TaskFilter = (typeof taskFilters)[number];

function condition(filter: TaskFilter | undefined): SQL {
  if (filter === undefined) return sql`true`;
  if (filter !== 'unreviewed') return sql`t.status = ${filter}`;
  return sql`t.status = 'labelled' and (t.review is null or t.review = 'dispute')`;
}

const answers = sql`(select coalesce(jsonb_agg(jsonb_build_object('annotator', a.annotator, 'label', a.label,
    'outcome', a.outcome, 'past', a.fence <= t.floor, 'seconds', a.seconds, 'comment', a.comment, 'at', a.created_at)
    order by a.created_at, a.fence, a.id), '[]') from annotation a where a.task = t.id)`;
/** All verdicts on the task `t`, as `TaskReview[]`. */
export const reviewsOfTask = sql`(select coalesce(jsonb_agg(jsonb_build_object('reviewer', r.reviewer, 'verdict', r.verdict,
    'label', r.label, 'comment', r.comment, 'at', r.created_at) order by r.created_at, r.id), '[]')
    from label_review r where r.task = t.id)`;

/**
 * Tasks in the order of the batch, gold items left out.
 * @throws Failure `NotFound`, `InvalidRequest` for a foreign cursor
 */
export async function listTasks(
  tx: Tx,
  request: { project: string; batch: string; filter?: TaskFilter; page: PageRequest },
): Promise<Page<TaskView>> {
  const batch = await row<{ policy: Partial<LabelPolicy>; salt: string }>(
    tx,
    sql`select policy, salt from label_batch where id = ${request.batch} and project = ${request.project}`,
  );
  if (batch === null) throw new Failure('NotFound', `there is no label batch ${request.batch}`);
  const after = readCursor(request.page, ['number']);
  const found = await rows<Omit<TaskView, 'needsReview'> & { position: number }>(
    tx,
    sql`select t.id as "taskId", t.position, t.key, t.item, t.status, t.fence, t.label, t.confidence,
        ${shownSuggestion} as suggestion, t.given, ${shownReason} as reason, t.review, t.reviewer, ${answers} as answers,
        ${reviewsOfTask} as reviews
      from label_task t
      where t.batch = ${request.batch} and t.gold is null and ${condition(request.filter)}
        and t.position > ${after === null ? -1 : after[0]}
      order by t.position limit ${request.page.limit + 1}`,
  );
  const rules = { policy: policyOf(batch.policy), salt: batch.salt };
  return toPage(
    found,
    request.page,
    ({ position }) => [position],
    ({ position: _, ...task }) => ({ ...task, needsReview: isWaiting(rules, task), ...moments(task) }),
  );
}

function isWaiting(
  { policy, salt }: { policy: LabelPolicy; salt: string },
  task: Omit<TaskView, 'needsReview'>,
): boolean {
  if (task.status !== 'labelled') return false;
  if (task.review === 'dispute') return true;
  return task.review === null && needsReview(policy, salt + task.taskId, task.confidence);
}

function moments({ answers, reviews }: Pick<TaskView, 'answers' | 'reviews'>): Pick<TaskView, 'answers' | 'reviews'> {
  return {
    answers: answers.map((one) => ({ ...one, at: iso(one.at) })),
    reviews: reviews.map((one) => ({ ...one, at: iso(one.at) })),
  };
}
