// What the cpu and the gpu pool share: every activity that works on data or models, with its tools.
import { join } from 'node:path';
import { createDatasetActivities } from '../activities/dataset/index.js';
import { mergeLabels } from '../activities/dataset/merge.js';
import { pseudoFile, settlePseudo } from '../activities/dataset/pseudo.js';
import { createLabelingSteps } from '../activities/labeling/steps.js';
import { createModelActivities } from '../activities/model/index.js';
import { createTrainingActivities } from '../activities/training/index.js';
import { quickModel } from '../activities/training/quick.js';
import type { Device } from '../activities/training/train.js';
import { createScorer } from '../adapters/scorer.js';
import { codeDigest } from '../adapters/code.js';
import { killLeftPrograms } from '../adapters/command/run.js';
import { readRunFile } from '../adapters/home.js';
import { createDuck } from '../adapters/duckdb.js';
import { scratchPath, sweepScratch } from '../adapters/scratch.js';
import { createArtifacts, createStore } from '../adapters/store/index.js';
import { artifactHooks } from '../db/artifact.js';
import type { Pool, PoolDeps } from './pool.js';

const scorerDeadlineMs = 600_000;
/** Tests kill trainings that take seconds; real ones would mostly write checkpoints. */
const checkpointEveryMs = process.env['NODE_ENV'] === 'test' ? 1_000 : 15_000;

export const cpuDevice: Device = { provider: 'cpu', name: 'cpu', note: '', threads: 1 };

/** Worker options of a pool that computes: `slots` activities at once, training on `device`. */
export async function hostPool(
  deps: PoolDeps,
  host: { slots: number; device: Device; env?: Record<string, string> },
): Promise<Pool> {
  const { db, config, log } = deps;
  const memoryLimitMb = config.memoryMb;
  const store = createStore(config.store);
  const artifacts = createArtifacts(store, artifactHooks(db));
  const scratch = join(config.home, 'scratch');
  const left = await killLeftPrograms(scratch);
  if (left > 0) log.warn({ processes: left }, 'programs.killed');
  const swept = await sweepScratch(scratch);
  if (swept > 0) log.info({ folders: swept }, 'scratch.swept');
  const duck = createDuck({ threads: 2, memoryLimitMb: 2_048, tempFolder: scratchPath(scratch, 'duckdb') });
  const scorer = createScorer({
    ...{ deadlineMs: scorerDeadlineMs, memoryLimitMb, onChild: deps.onChild('scorer') },
    onDrift: (digest, difference) => log.warn({ digest, difference }, 'model.golden-rows-differ'),
  });
  const code = await codeDigest();
  const dataset = { db, duck, artifacts, log, code, config: { sources: config.sources, cwd: process.cwd(), scratch } };
  const training = {
    ...dataset,
    ...{ scorer, scratch, memoryLimitMb, checkpointEveryMs },
    device: host.device,
    onChild: deps.onChild('trainer'),
    childEnv: { ...host.env, ...holdEnv() },
    command: {
      ...config.command,
      secrets: deps.secrets,
      tracking: async () => config.url ?? (await readRunFile(config.home))?.api ?? null,
    },
  };
  return {
    options: {
      activities: {
        ...createDatasetActivities(dataset),
        ...createLabelingSteps({
          ...{ db, artifacts, duck, scorer, scratch },
          quickModel: (input) => quickModel(training, input),
          mergeLabels: (input, answered) => mergeLabels(dataset, input, answered),
          pseudoFile: (input, asked) => pseudoFile(dataset, input, asked),
          settlePseudo: (input, settled) => settlePseudo(dataset, input, settled),
        }),
        ...createTrainingActivities(training),
        ...createModelActivities(training),
      },
      maxConcurrentActivityTaskExecutions: host.slots,
    },
    close: async () => {
      scorer.close();
      duck.close();
      await store.close();
    },
  };
}

/** A test that holds the trainer in the middle reaches into the child. */
function holdEnv(): Record<string, string> {
  const { NODE_ENV, PERENNIAL_HOLD, PERENNIAL_HOME } = process.env;
  if (NODE_ENV !== 'test' || !PERENNIAL_HOLD || !PERENNIAL_HOME) return {};
  return { NODE_ENV, PERENNIAL_HOLD, PERENNIAL_HOME };
}
