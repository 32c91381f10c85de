// Mends what was lost between Postgres and Temporal (architecture, rule 11): every pipeline has its loop, every live run and
// batch an open workflow. What has none is started again (loops, campaigns, and batches that no run
// opened) or closed as failed with `WorkflowLost`.
import { isGrpcServiceError, WorkflowNotFoundError } from '@temporalio/client';
import { liveCampaigns, startCampaign } from '../db/campaign.js';
import { inTransaction } from '../db/client.js';
import { decideBatch, startBatch } from '../db/labeling.js';
import { enqueue } from '../db/outbox.js';
import { allPipelines } from '../db/pipeline.js';
import { closeRun, liveBatches, liveRuns, type LiveRow } from '../db/run.js';
import { Failure, failureCode, failures } from '../domain/failures.js';
import type { PoolDeps } from './pool.js';

/** gRPC: DEADLINE_EXCEEDED and UNAVAILABLE. */
const outageCodes = [4, 14];

type Deps = Pick<PoolDeps, 'db' | 'log' | 'temporal' | 'kick'>;

/** Not open: it ended, was lost, or has not begun. */
async function isOpen(deps: Deps, workflowId: string): Promise<boolean> {
  try {
    const { status } = await deps.temporal.client.workflow.getHandle(workflowId).describe();
    return status.name === 'RUNNING';
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return false;
    throw error;
  }
}

/** Temporal or Postgres is away: nothing can be said of the items that follow either. */
function isOutage(error: unknown): boolean {
  if (error instanceof Failure) return error.failure === 'Unavailable';
  return isGrpcServiceError(error) && outageCodes.includes(error.code);
}

/** Mends the items that need it; gives how many. One that cannot be mended is logged and looked at in the next pass. */
async function mendEach<T>(
  deps: Deps,
  what: string,
  items: T[],
  nameOf: (item: T) => string,
  mend: (item: T) => Promise<boolean>,
): Promise<number> {
  let mended = 0;
  for (const item of items) {
    try {
      if (await mend(item)) mended += 1;
    } catch (error) {
      if (isOutage(error)) throw error;
      deps.log.warn({ err: error, [what]: nameOf(item) }, 'reconciler.not-mended');
    }
  }
  return mended;
}

/** One pass. Throws when Temporal or Postgres cannot be asked: then nothing more was concluded. */
export async function reconcile(
  deps: Deps,
): Promise<{ loops: number; runs: number; batches: number; campaigns: number }> {
  const loops = await mendEach(
    deps,
    'pipeline',
    await allPipelines(deps.db),
    ({ name }) => name,
    async (pipeline) => {
      if (await isOpen(deps, pipeline.workflowId)) return false;
      await startLoop(deps, pipeline);
      return true;
    },
  );
  const runs = await mendEach(
    deps,
    'run',
    await liveRuns(deps.db),
    ({ id }) => id,
    async (run) => {
      if (await isOpen(deps, run.workflowId)) return false;
      await closeLost(deps, run);
      return true;
    },
  );
  const batches = await mendEach(
    deps,
    'batch',
    await liveBatches(deps.db),
    ({ id }) => id,
    async (batch) => {
      // Its workflow is its run's child, and may not have begun: while the run lives, the run answers for it.
      if (batch.runLives || (await isOpen(deps, batch.workflowId))) return false;
      // Its row holds all that a batch of its own is: it goes on, whatever became of its workflow.
      if (batch.own) await inTransaction(deps.db, (tx) => startBatch(tx, batch.id));
      else await closeBatch(deps, batch.id);
      return true;
    },
  );
  const campaigns = await mendEach(
    deps,
    'campaign',
    await liveCampaigns(deps.db),
    ({ id }) => id,
    async (campaign) => {
      if (await isOpen(deps, campaign.workflowId)) return false;
      await inTransaction(deps.db, (tx) => startCampaign(tx, campaign));
      return true;
    },
  );
  const mended = { loops, runs, batches, campaigns };
  if (loops + runs + batches + campaigns > 0) {
    deps.log.warn(mended, 'reconciler.mended');
    deps.kick();
  }
  return mended;
}

async function closeLost(deps: Deps, run: LiveRow): Promise<void> {
  const failure = {
    type: failureCode('WorkflowLost'),
    title: failures.WorkflowLost.title,
    detail: `no open workflow ${run.workflowId}`,
    step: null,
  };
  await inTransaction(deps.db, (tx) => closeRun(tx, { run: run.id, status: 'failed', failure }));
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
