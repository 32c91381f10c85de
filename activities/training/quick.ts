// A model of the visible labels, made in passing: it only says which rows are worth asking people about when there is no
// champion yet. It is neither evaluated nor registered.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runTrainer } from '../../adapters/trainer.js';
import { inScratchFolder } from '../../adapters/scratch.js';
import { runSpecification } from '../../db/run.js';
import { type Digest, mediaTypes } from '../../domain/artifact.js';
import { Failure } from '../../domain/failures.js';
import type { FittedFeatures, Signature, TrainSpec } from '../../domain/model.js';
import type { BuiltInTrainer } from '../../domain/pipeline.js';
import type { StepInput } from '../../domain/run.js';
import { parseTrainerParams } from '../../domain/trainers.js';
import { oneFileModel } from '../../ml/export/one-file.js';
import { currentStep, keeping } from '../step.js';
import { columnFacts } from './columns.js';
import { matrixPaths } from './matrix.js';
import { featurize, type FeaturizeDeps } from './featurize.js';
import type { TrainDeps } from './train.js';

export interface QuickModel {
  path: string;
  digest: Digest;
  signature: Signature;
}

const deadlineMs = 600_000;
/** Or rounds of trees. */
const mostEpochs = 40;

function simple(seed: number): BuiltInTrainer {
  const parsed = parseTrainerParams('linear', {});
  if (!('params' in parsed)) throw new Failure('Internal', 'the defaults of a trainer do not fit it');
  return { type: 'linear', params: parsed.params, seed, pool: 'cpu' };
}

/** Null where there are too few labels to learn anything from: then the draw is random. */
export async function quickModel(deps: TrainDeps & FeaturizeDeps, input: StepInput): Promise<QuickModel | null> {
  const { document } = await runSpecification(deps.db, input.context.run);
  const [first] = document.trainers;
  if (!first) return null;
  // a program may take hours; what to ask about first, a simple model knows as well
  const trainer = first.type === 'command' ? simple(first.seed) : first;
  const featurized = await featurize(deps, input).catch((error: unknown) => {
    if (error instanceof Failure && (error.failure === 'NoLabels' || error.failure === 'OneClass')) return null;
    throw error;
  });
  if (!featurized) return null;
  const features = await deps.artifacts.readJson<FittedFeatures>(featurized.features);
  return inScratchFolder(deps.scratch, 'quick', async (folder) => {
    const { rows, width, x } = featurized.train;
    const { epochs, rounds } = trainer.params;
    const fewer = {
      ...(typeof epochs === 'number' && { epochs: Math.min(mostEpochs, epochs) }),
      ...(typeof rounds === 'number' && { rounds: Math.min(mostEpochs, rounds) }),
    };
    const spec: TrainSpec = {
      ...{ trainer: trainer.type, task: document.dataset.task, seed: trainer.seed, rows, width },
      ...columnFacts(features, trainer),
      params: { ...trainer.params, ...fewer },
      outputs: featurized.outputs,
      ...(featurized.tokens && { tokens: featurized.tokens }),
      validation: null,
      paths: { ...(await matrixPaths(deps.artifacts, featurized.train)), checkpoint: null, out: folder },
      ...{ provider: 'cpu', threads: 1, stepsPerRun: 64, checkpointEveryMs: deadlineMs },
      inputsDigest: x,
    };
    const specPath = join(folder, 'spec.json');
    await writeFile(specPath, JSON.stringify(spec));
    const run = runTrainer(
      specPath,
      { started: () => undefined, progress: () => undefined, checkpoint: () => Promise.resolve() },
      { deadlineMs, memoryLimitMb: deps.memoryLimitMb, onChild: deps.onChild },
    );
    const { signal } = currentStep();
    signal.addEventListener('abort', run.kill, { once: true });
    const { path } = await run.done.finally(() => signal.removeEventListener('abort', run.kill));
    const bytes = oneFileModel(features, await readFile(path), spec);
    const { digest } = await keeping(deps, 'quick').putBytes(bytes, mediaTypes.onnx);
    return { path: await deps.artifacts.localPath(digest), digest, signature: features.signature };
  });
}
