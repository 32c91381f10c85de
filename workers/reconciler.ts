// Mends what was lost between Postgres and Temporal (DESIGN §3b.11): every pipeline has its loop, every live run and
// batch an open workflow. What has none is started again (loops) or closed as failed with `WorkflowLost`.
import { WorkflowNotFoundError } from '@temporalio/client';
import { inTransaction } from '../db/client.js';
import { decideBatch } from '../db/labeling.js';
import { enqueue } from '../db/outbox.js';
import { allPipelines } from '../db/pipeline.js';
import { closeRun, liveBatches, liveRuns } from '../db/run.js';
import { failureCode, failures } from '../domain/failures.js';
import type { PoolDeps } from './pool.js';

type Deps = Pick<PoolDeps, 'db' | 'log' | 'temporal' | 'kick'>;

/** `absent`: Temporal knows no such workflow, so it ended long ago, was lost, or has not begun. */
async function stateOf(deps: Deps, workflowId: string): Promise<'open' | 'over' | 'absent'> {
  try {
    const { status } = await deps.temporal.client.workflow.getHandle(workflowId).describe();
    return status.name === 'RUNNING' ? 'open' : 'over';
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return 'absent';
    throw error;
  }
}

async function isOpen(deps: Deps, workflowId: string): Promise<boolean> {
  return (await stateOf(deps, workflowId)) === 'open';
}

/** One pass. Throws when Temporal or Postgres cannot be asked: then nothing was concluded. */
export async function reconcile(deps: Deps): Promise<{ loops: number; runs: number; batches: number }> {
  const mended = { loops: 0, runs: 0, batches: 0 };
  for (const pipeline of await allPipelines(deps.db)) {
    if (await isOpen(deps, pipeline.workflowId)) continue;
    await startLoop(deps, pipeline);
    mended.loops += 1;
  }
  for (const run of await liveRuns(deps.db)) {
    if (await isOpen(deps, run.workflowId)) continue;
    const { title } = failures.WorkflowLost;
    const failure = {
      type: failureCode('WorkflowLost'),
      title,
      detail: `no open workflow ${run.workflowId}`,
      step: null,
    };
    await inTransaction(deps.db, (tx) => closeRun(tx, { run: run.id, status: 'failed', failure }));
    mended.runs += 1;
  }
  for (const batch of await liveBatches(deps.db)) {
    const state = await stateOf(deps, batch.workflowId);
    // The batch is written before its run starts the workflow: a worker that died in between is no loss.
    if (state === 'open' || (state === 'absent' && batch.runLives)) continue;
    await closeBatch(deps, batch.id);
    mended.batches += 1;
  }
  if (mended.loops + mended.runs + mended.batches > 0) {
    deps.log.warn(mended, 'reconciler.mended');
    deps.kick();
  }
  return mended;
}

async function startLoop(deps: Deps, pipeline: { project: string; name: string; workflowId: string }): Promise<void> {
  const { project, name, workflowId } = pipeline;
  await inTransaction(deps.db, (tx) =>
    enqueue(tx, {
      kind: 'start',
      workflowId,
      name: 'pipelineLoop',
      taskQueue: 'flow',
      payload: { project, pipeline: name },
      attributes: { PerennialProject: project, PerennialPipeline: name, PerennialKind: 'loop' },
      summary: `loop of ${name}`,
      project,
      coalesceKey: `${workflowId}/start`,
    }),
  );
}

async function closeBatch(deps: Deps, batch: string): Promise<void> {
  await inTransaction(deps.db, (tx) =>
    decideBatch(tx, {
      batch,
      decisionId: `${batch}/lost`,
      decision: 'cancel',
      by: 'perennial',
      verified: true,
      reason: failures.WorkflowLost.title,
      tasks: null,
    }),
  );
}
