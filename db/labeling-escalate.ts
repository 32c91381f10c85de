// A batch whose deadline passed while tasks are open: more people may answer, and there is more time, once.
import { sql } from 'drizzle-orm';
import { Failure } from '../domain/failures.js';
import { type LabelPolicy, policyOf } from '../domain/label-policy.js';
import type { BatchStatus } from '../domain/labeling.js';
import { appendAudit } from './audit.js';
import { atomically, iso, mustRow, row, rows, type Tx } from './client.js';
import { appendEvent } from './event.js';
import { hasOpenTasks } from './labeling-batch.js';

/**
 * Does what the batch's policy says of a passed deadline, once, and gives the deadline that holds now: the same where
 * there is nothing to do, and never one after the end of its campaign. Again: nothing more happens. @throws Failure `NotFound`
 */
export async function escalateBatch(tx: Tx, batch: string): Promise<string> {
  return atomically(tx, async (inner) => {
    const of = await row<{ run: string | null }>(inner, sql`select run from label_batch where id = ${batch}`);
    if (of === null) throw new Failure('NotFound', `there is no label batch ${batch}`);
    if (of.run !== null) await mustRow(inner, sql`select 1 from run where id = ${of.run} for no key update`);
    const held = await mustRow<{
      project: string;
      status: BatchStatus;
      policy: Partial<LabelPolicy>;
      deadline: string;
    }>(inner, sql`select project, status, policy, deadline from label_batch where id = ${batch} for no key update`);
    const { escalate, requires } = policyOf(held.policy);
    const { open } = await mustRow<{ open: boolean }>(inner, sql`select ${hasOpenTasks(batch)} as open`);
    const end = of.run === null ? null : await campaignEnd(inner, of.run);
    const past = end !== null && Date.parse(end) <= Date.now();
    if (held.status !== 'open' || !escalate || !open || past) return iso(held.deadline);
    const moved = await mustRow<{ deadline: string }>(
      inner,
      sql`update label_batch set policy = (policy - 'requires') || '{"escalate": null}',
          deadline = least(greatest(deadline, clock_timestamp()) + ${escalate.extend}::float8 * (deadline - created_at),
            greatest(deadline, coalesce(${end}::timestamptz, 'infinity')))
        where id = ${batch} returning deadline`,
    );
    const deadline = iso(moved.deadline);
    const data = { batch, deadline, extend: escalate.extend, dropped: requires };
    if (of.run === null) {
      const reminding = { actor: 'perennial', verified: true, action: 'labels.escalated' };
      await appendAudit(inner, { project: held.project, ...reminding, subject: batch, details: data });
      return deadline;
    }
    await rows(
      inner,
      sql`update run set waiting = jsonb_set(waiting, '{deadline}', to_jsonb(${deadline}::text))
        where id = ${of.run} and waiting ->> 'id' = ${batch}`,
    );
    await appendEvent(inner, { run: of.run, type: 'label.escalated', data });
    return deadline;
  });
}

/** When the campaign stops whose round the run is; null: never, or it is of none. */
async function campaignEnd(tx: Tx, run: string): Promise<string | null> {
  const found = await row<{ deadline: string | null }>(
    tx,
    sql`select c.settings -> 'stop' ->> 'deadline' as deadline
      from campaign c join campaign_round o on o.campaign = c.id where o.run = ${run}`,
  );
  return found?.deadline ?? null;
}
