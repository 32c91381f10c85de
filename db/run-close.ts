// Closing runs: one function ends them, with everything of them that is open (architecture, rule 2).
import { sql } from 'drizzle-orm';
import { Failure } from '../domain/failures.js';
import { workflowIds } from '../domain/ids.js';
import type { Json } from '../domain/json.js';
import type { RunFailure, RunStatus, Verdict } from '../domain/run.js';
import { releaseArtifacts } from './artifact.js';
import { voidAuto } from './auto.js';
import { atomically, json, row, rows, type Tx } from './client.js';
import { wakeCampaign } from './campaign-wake.js';
import { appendEvent } from './event.js';
import { enqueue } from './outbox.js';

export interface RunEnd {
  run: string;
  status: 'succeeded' | 'rejected' | 'failed' | 'cancelled';
  failure: RunFailure | null;
  verdict?: Verdict;
  /** Who ends it, where that is a workflow: another's run stays as it is. */
  workflowId?: string;
}

/**
 * Ends a run and everything of it that is open, and tells the loop. Again: nothing happens, the first end stands.
 * @throws Failure `NotFound`
 */
export async function closeRun(tx: Tx, end: RunEnd): Promise<void> {
  await atomically(tx, (inner) => closeOnce(inner, end));
}

async function closeOnce(tx: Tx, end: RunEnd): Promise<void> {
  const { run, status, failure } = end;
  const closed = await row<{ project: string; pipeline: string; number: number }>(
    tx,
    sql`update run r set status = ${status}, failure = ${json(failure)}, waiting = null, stage = null,
        verdict = coalesce(${json(end.verdict)}, verdict), finished_at = clock_timestamp()
      from pipeline p where p.id = r.pipeline and r.id = ${run} and r.finished_at is null
        and r.workflow_id = coalesce(${end.workflowId ?? null}, r.workflow_id)
      returning r.project, p.name as pipeline, r.number`,
  );
  if (closed === null) {
    if ((await row(tx, sql`select 1 from run where id = ${run}`)) === null) {
      throw new Failure('NotFound', `there is no run ${run}`);
    }
    return;
  }
  await closeParts(tx, run, status);
  await appendEvent(tx, { run, type: 'run.ended', data: { status, failure: failure as Json } });
  await enqueue(tx, {
    project: closed.project,
    kind: 'signal',
    workflowId: workflowIds.loop(closed.project, closed.pipeline),
    name: 'runEnded',
    payload: { run, number: closed.number, status },
  });
  await wakeCampaign(tx, closed.project, closed.pipeline);
}

// a raised fence: an attempt that still works somewhere can write nothing more
async function closeParts(tx: Tx, run: string, status: RunStatus): Promise<void> {
  const open = sql`run = ${run} and status in ('open', 'review')`;
  await voidAuto(tx, sql`select id from label_batch where ${open}`);
  await rows(tx, sql`update label_batch set status = 'cancelled', closed_at = now() where ${open}`);
  await rows(tx, sql`update approval set status = 'void' where run = ${run} and status = 'open'`);
  await rows(
    tx,
    sql`update step set fence = fence + 1, finished_at = clock_timestamp(),
        status = case when ${status} = 'failed' and failure is not null then 'failed' else 'cancelled' end,
        summary = case when ${status} = 'failed' and failure is not null then failure ->> 'detail' else summary end
      where run = ${run} and status in ('running', 'waiting')`,
  );
  // a run again goes on from there, once the disk has space or the child more memory
  await releaseArtifacts(tx, run, status === 'cancelled' || status === 'failed');
}
