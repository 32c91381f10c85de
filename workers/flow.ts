// The flow pool: workflows, millisecond writes, the outbox's sweeper, the reconciler and the collector.
import { createApprovalActivities } from '../activities/approval.js';
import { createCampaignActivities } from '../activities/campaign.js';
import { createLabelingDecisions } from '../activities/labeling/decisions.js';
import { createReleaseActivities } from '../activities/model/release.js';
import { createPipelineActivities } from '../activities/pipeline.js';
import { createRunActivities } from '../activities/run.js';
import { ensureNamespace } from '../adapters/temporal-namespace.js';
import { createArtifacts, createStore } from '../adapters/store/index.js';
import { artifactHooks, collectArtifacts } from '../db/artifact.js';
import { forgetOld } from '../db/outbox.js';
import { forgetResults } from '../db/result.js';
import { workflowBundle } from './bundle.js';
import { type Pool, type PoolDeps, runPool } from './pool.js';
import { reconcile } from './reconciler.js';

const sweepEveryMs = 1_000;
const reconcileEveryMs = 60_000;
const collectEveryMs = 300_000;
const forgetEveryMs = 3_600_000;
/** Sent messages are kept to look at; keys as long as anyone may repeat a request. */
const keptDays = { messages: 7, keys: 30 };

async function build(deps: PoolDeps): Promise<Pool> {
  const { config, db, temporal, kick } = deps;
  await ensureNamespace(temporal.client.connection as Parameters<typeof ensureNamespace>[0], config.temporal.namespace);
  const artifacts = createArtifacts(createStore(config.store), artifactHooks(db));
  return {
    options: {
      workflowBundle: { codePath: await workflowBundle() },
      activities: {
        ...createRunActivities({ db, kick }),
        ...createPipelineActivities({ db, client: temporal.client, kick }),
        ...createApprovalActivities({ db, kick }),
        ...createLabelingDecisions({ db, kick }),
        ...createReleaseActivities({ db, kick }),
        ...createCampaignActivities({ db, artifacts, kick }),
      },
      maxCachedWorkflows: 200,
      workflowThreadPoolSize: 1,
      maxConcurrentActivityTaskExecutions: 40,
    },
    background: () => startChores(deps),
  };
}

function startChores(deps: PoolDeps): () => void {
  const store = createStore(deps.config.store);
  /** One pass at a time: what is due while one goes on is left to the next. */
  const attempt = (name: string, work: () => Promise<unknown>) => {
    let going = false;
    return () => {
      if (going) return;
      going = true;
      work()
        .catch((error: unknown) => deps.log.warn({ err: error }, `${name}.failed`))
        .finally(() => {
          going = false;
        });
    };
  };
  const repair = attempt('reconciler', () => reconcile(deps));
  repair();
  const timers = [
    setInterval(deps.kick, sweepEveryMs),
    setInterval(repair, reconcileEveryMs),
    setInterval(
      attempt('forget', async () => {
        await forgetOld(deps.db, keptDays);
        await forgetResults(deps.db, deps.config.results);
      }),
      forgetEveryMs,
    ),
    setInterval(
      attempt('collector', () => collectArtifacts(deps.db, (digest) => store.remove(digest))),
      collectEveryMs,
    ),
  ];
  return () => timers.forEach((timer) => clearInterval(timer));
}

await runPool('flow', build);
