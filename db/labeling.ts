// Label batches (architecture, rule 6): their labels, their reminders, and the one door to what db/ knows of them.
// The batch's status is the fence of all answers. Lock order: run, batch, tasks in the order of their position.
import { sql } from 'drizzle-orm';
import type { LabelSource } from '../domain/dataset.js';
import { Failure } from '../domain/failures.js';
import { appendAudit } from './audit.js';
import { atomically, mustRow, row, rows, type Tx } from './client.js';
import { appendEvent } from './event.js';

export { batchAsked, type BatchAsked } from './labeling-asked.js';
export { escalateBatch } from './labeling-escalate.js';
export { annotate, type AnnotateRequest, type AnnotateResult } from './labeling-answer.js';
export { batchAnswers } from './labeling-answers.js';
export { type CheckedKey, checkedKeys, keysOfModels } from './labeling-checked.js';
export { settleBatch } from './labeling-batch.js';
export { leaseTasks, type LeaseRequest } from './labeling-lease.js';
export { listReviewed } from './labeling-reviewed.js';
export { listTasks, taskFilters, type TaskFilter, type TaskView } from './labeling-tasks.js';
export { reviewTasks, type ReviewRequest, type ReviewResult } from './labeling-review.js';
export { labelerOf, saveLabeler, batchLabelers, type BatchLabeler, type Labeler } from './labeler.js';
export { batchState, batchView, listBatches, type BatchState, type BatchView } from './labeling-view.js';
export { relabelledKeys } from './labeling-relabel.js';
export { takenBatch, takenTasks, unsizedTask } from './labeling-export.js';
export { decideBatch, requireComplete, type BatchOutcome, type DecideBatch } from './labeling-decision.js';
export {
  openBatch,
  openOwnBatch,
  startBatch,
  type GivenAnswer,
  type NewBatch,
  type NewOwnBatch,
  type NewTask,
  type OpenedBatch,
} from './labeling-open.js';

export interface ResolvedLabel {
  key: string;
  label: string;
  source: LabelSource;
  annotators: string[];
  /** Null: not from a batch. */
  batch: string | null;
  /** It goes before the label that came with the data. */
  relabel: boolean;
}

/** The current labels of a dataset that people, the world and models gave, by key. */
export async function labelsOf(tx: Tx, dataset: string): Promise<ResolvedLabel[]> {
  return rows(
    tx,
    sql`select key, label, source, annotators, batch, relabel from label
      where dataset = ${dataset} order by key collate "C"`,
  );
}

const reminding = { actor: 'perennial', verified: true, action: 'labels.reminded' };

/** Notes a reminder, once per share of the deadline: in the run's events, or in the audit. @throws Failure `NotFound` */
export async function remindBatch(tx: Tx, batch: string, share: 0.5 | 0.9): Promise<void> {
  const percent = Math.round(share * 100);
  await atomically(tx, async (inner) => {
    const found = await row<{ run: string | null; project: string }>(
      inner,
      sql`select run, project from label_batch where id = ${batch}`,
    );
    if (found === null) throw new Failure('NotFound', `there is no label batch ${batch}`);
    const { run, project } = found;
    if (run !== null) await mustRow(inner, sql`select 1 from run where id = ${run} for no key update`);
    const first = await row(
      inner,
      sql`update label_batch set reminded = ${percent}
        where id = ${batch} and reminded < ${percent} and status = 'open' returning 1`,
    );
    if (first === null) return;
    if (run !== null) await appendEvent(inner, { run, type: 'label.reminder', data: { batch, share } });
    else await appendAudit(inner, { project, ...reminding, subject: batch, details: { share } });
  });
}
