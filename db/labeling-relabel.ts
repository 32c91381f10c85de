// Rows with a label that people were asked about again: what became of them, and which need no further look.
import { sql } from 'drizzle-orm';
import { mustRow, rows, type Tx } from './client.js';

export interface RelabelCounts {
  /** Rows of the batch that had a label. */
  asked: number;
  /** People gave the same label. */
  confirmed: number;
  /** People gave another one. */
  changed: number;
}

/** Null where no row of the batch had a label before. */
export async function relabelCounts(tx: Tx, batch: string): Promise<RelabelCounts | null> {
  const counts = await mustRow<RelabelCounts>(
    tx,
    sql`select count(*)::int as asked,
        count(*) filter (where status = 'labelled' and label = given)::int as confirmed,
        count(*) filter (where status = 'labelled' and label <> given)::int as changed
      from label_task where batch = ${batch} and given is not null and gold is null`,
  );
  return counts.asked === 0 ? null : counts;
}

/** Keys whose label people have confirmed, changed or passed over in a relabelling that was closed. */
export async function relabelledKeys(tx: Tx, dataset: string): Promise<Set<string>> {
  const found = await rows<{ key: string }>(
    tx,
    sql`select distinct t.key from label_batch b join label_task t on t.batch = b.id
      where b.dataset = ${dataset} and b.status in ('accepted', 'partial')
        and t.given is not null and t.gold is null and t.status in ('labelled', 'skipped')`,
  );
  return new Set(found.map(({ key }) => key));
}
