// All answers of a batch that say something, surplus ones among them: what stands behind consensus and agreement.
import { sql } from 'drizzle-orm';
import type { BatchAnswer } from '../domain/batch-answers.js';
import { json, rows, type Tx } from './client.js';

/** Sent back ones and skips are left out; in a fixed order. */
export function batchAnswers(tx: Tx, batch: string): Promise<BatchAnswer[]> {
  return answersOf(tx, [batch]);
}

/** As `batchAnswers`, of several batches. */
export async function answersOf(tx: Tx, batches: readonly string[]): Promise<BatchAnswer[]> {
  return rows(
    tx,
    sql`select a.task, a.annotator, a.label, t.gold from annotation a join label_task t on t.id = a.task
      where t.batch in (select jsonb_array_elements_text(${json(batches)})) and a.label is not null and a.fence > t.floor
      order by t.batch, t.position, a.fence`,
  );
}
