// What is left in each open batch for one labeler, and what waits there for a reviewer: the pages where people begin.
import { sql } from 'drizzle-orm';
import { type LabelPolicy, policyOf, unfitness } from '../domain/label-policy.js';
import { rows, type Tx } from './client.js';
import { labelerOf } from './labeler.js';

export interface BatchLeft {
  batch: string;
  /** Items that this labeler would get now, those that they hold among them; `mostCounted` where there are more. */
  left: number;
  /** What the batch asks for and the labeler does not have, in words; null: nothing. */
  lacks: string | null;
  paused: boolean;
  /** Answers of this labeler that a reviewer has mended. */
  mended: number;
}

/** Nobody needs to know more exactly how much is left. */
export const mostCounted = 1_000;

/** Of every open batch, by its id. What is left is what a lease would give (db/labeling-lease.ts); gold items are not counted. */
export async function leftFor(tx: Tx, project: string, labeler: string): Promise<Map<string, BatchLeft>> {
  const mine = sql`select 1 from annotation a where a.task = t.id and a.annotator = ${labeler}`;
  const live = sql`l.fence > t.floor and l.expires_at > clock_timestamp()`;
  const held = sql`exists (select 1 from lease l where l.task = t.id and l.labeler = ${labeler} and ${live})`;
  const given = sql`t.answered + (select count(*) from lease l where l.task = t.id and ${live}) < t.wanted
    and not exists (${mine} and a.fence > t.floor
      and (a.outcome <> 'skipped' or b.policy #>> '{skip,to}' is distinct from 'self'))
    and (t.again is null or (t.again = 'same') = exists (${mine} and a.outcome <> 'skipped' and a.fence <= t.floor))`;
  const found = await rows<Omit<BatchLeft, 'lacks'> & { policy: Partial<LabelPolicy> }>(
    tx,
    sql`select b.id as batch, b.policy, coalesce(w.paused_at is not null, false) as paused,
        (select count(*)::int from (
          select 1 from label_task t where t.batch = b.id and t.status = 'open' and t.gold is null
            and (${held} or (${given})) limit ${mostCounted}) counted) as left,
        (select count(*)::int from label_task t
          where t.batch = b.id and t.review = 'fix' and exists (${mine} and a.fence > t.floor)) as mended
      from label_batch b left join batch_labeler w on w.batch = b.id and w.labeler = ${labeler}
      where b.project = ${project} and b.status in ('open', 'review')`,
  );
  const has = await labelerOf(tx, project, labeler);
  return new Map(
    found.map(({ policy, ...one }) => [one.batch, { ...one, lacks: unfitness(policyOf(policy), has) }] as const),
  );
}

/** Disputes that wait for a reviewer, by batch. */
export async function disputesOf(tx: Tx, project: string): Promise<Map<string, number>> {
  const found = await rows<{ batch: string; disputes: number }>(
    tx,
    sql`select t.batch, count(*)::int as disputes from label_task t join label_batch b on b.id = t.batch
      where b.project = ${project} and b.status in ('open', 'review') and t.review = 'dispute' group by t.batch`,
  );
  return new Map(found.map(({ batch, disputes }) => [batch, disputes]));
}
