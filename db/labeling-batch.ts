// A label batch under its lock: what every answer, lease and review looks at first.
import { sql } from 'drizzle-orm';
import type { Task } from '../domain/dataset.js';
import { Failure } from '../domain/failures.js';
import type { LabelKind } from '../domain/label-kind.js';
import { type LabelPolicy, policyOf } from '../domain/label-policy.js';
import type { BatchStatus } from '../domain/labeling.js';
import { mustRow, preparedRows, row, type Tx } from './client.js';
import { wake } from './outbox.js';

export interface LockedBatch {
  id: string;
  workflowId: string;
  status: BatchStatus;
  /** Not open, or past its deadline. */
  closed: boolean;
  round: number;
  task: Task;
  kind: LabelKind;
  policy: LabelPolicy;
  /** Part of what gold places are drawn by. */
  salt: string;
  /** Suggestions do not say how sure the model is. */
  blind: boolean;
  /** Null: any label is taken. */
  classes: string[] | null;
}

/** As its row gives it. */
export type StoredBatch = Omit<LockedBatch, 'policy'> & { policy: Partial<LabelPolicy> };

/**
 * The batch of an answer or a lease, its row shared: people do not wait for each other, and what changes its status or
 * round waits for them.
 */
export const sharedBatch = ({ project, batch }: { project: string; batch: string }) =>
  sql`select ${columns} from label_batch where id = ${batch} and project = ${project} for share`;

const columns = sql`id, workflow_id as "workflowId", status, round, task, kind, policy, salt, blind, classes,
  status <> 'open' or deadline <= clock_timestamp() as closed`;

/** @throws Failure `NotFound` */
export function lockedBatch(batch: string, found: StoredBatch | null): LockedBatch {
  if (found === null) throw new Failure('NotFound', `there is no label batch ${batch}`);
  return { ...found, policy: policyOf(found.policy) };
}

/** Locks a batch alone, to change its status or round, and says whether it takes answers. @throws Failure `NotFound` */
export async function lockBatch(tx: Tx, project: string, batch: string): Promise<LockedBatch> {
  const found = await row<StoredBatch>(
    tx,
    sql`select ${columns} from label_batch where id = ${batch} and project = ${project} for no key update`,
  );
  return lockedBatch(batch, found);
}

/** What a batch that is known to be there asks for. */
export async function batchRules(
  tx: Tx,
  batch: string,
): Promise<Pick<LockedBatch, 'kind' | 'classes' | 'policy' | 'salt'>> {
  const { policy, ...rest } = await mustRow<Pick<StoredBatch, 'kind' | 'classes' | 'policy' | 'salt'>>(
    tx,
    sql`select kind, classes, policy, salt from label_batch where id = ${batch}`,
  );
  return { ...rest, policy: policyOf(policy) };
}

/** Of the item of the task `t`, in the UTF-16 units of browsers: Postgres counts a letter beyond U+FFFF as one. */
export const textLength = sql`length(t.item ->> 'text') + regexp_count(t.item ->> 'text', '[\\U00010000-\\U0010FFFF]')`;

/**
 * Why the task `t` is asked, as people are told: as long as they answer, an item whose automatic label they check is one
 * like others.
 */
export const shownReason = sql`case when t.reason = 'audit'
    and (select o.status from label_batch o where o.id = t.batch) in ('open', 'review') then 'explore' else t.reason end`;

/** Of the task `t`: people still answer, and some items of its batch are tests. */
export const isBlindTask = sql`(select o.blind and o.status in ('open', 'review') from label_batch o where o.id = t.batch)`;

/** What a model guessed of the task `t`, as people are told: where items are tests, how sure it was would tell which. */
export const shownSuggestion = sql`case when ${isBlindTask} then t.suggestion || '{"confidence": null}' else t.suggestion end`;

/** Whether something is left to ask about. In order, so that the index of open tasks is asked and not the whole table. */
export const hasOpenTasks = (batch: string) =>
  sql`((select position from label_task where batch = ${batch} and status = 'open' and gold is null
    order by position limit 1) is not null)`;

/**
 * Goes to `review` when nothing is left to ask. Who shares the batch's row with others cannot change it and leaves it to
 * the one who comes next: the workflow, which is told of every settled task, settles too.
 */
export async function settleBatch(tx: Tx, batch: string): Promise<void> {
  await preparedRows(
    tx,
    sql`update label_batch set status = 'review'
      where id in (select id from label_batch where id = ${batch} and status = 'open' for no key update skip locked)
        and not ${hasOpenTasks(batch)}`,
  );
}

/** After answers and verdicts: the batch settles, and its workflow looks again. */
export async function settleAndWake(tx: Tx, project: string, { id, workflowId }: LockedBatch): Promise<void> {
  await settleBatch(tx, id);
  await wake(tx, { project, workflowId, name: 'annotationsArrived' });
}
