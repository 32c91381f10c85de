// Answers of the champion: the version is read per request, its files are checked and loaded once per digest.
import { championByName } from '../db/model.js';
import type { Digest } from '../domain/artifact.js';
import { Failure } from '../domain/failures.js';
import {
  type FittedFeatures,
  type GoldenRows,
  type ModelInputs,
  type ModelOutputs,
  servedTolerance,
  type Signature,
} from '../domain/model.js';
import type { ApiDeps } from './deps.js';
import type { Metrics } from './middleware/metrics.js';

/** Rows of one request at most. */
export const rowsAtOnce = 10_000;
const loadedAtOnce = 50;

export interface ServedModel {
  version: number;
  path: string;
  digest: Digest;
  golden: GoldenRows;
  signature: Signature;
}

export interface Predictor {
  /** @throws Failure `NotFound`, `NoChampion`, `ArtifactCorrupt` */
  served(deps: ApiDeps, project: string, name: string): Promise<ServedModel>;
  /** @throws Failure `TooLarge`, `ModelInvalid` when an answer is not a number, and what the scorer throws */
  answer(deps: ApiDeps, name: string, model: ServedModel, inputs: ModelInputs): Promise<ModelOutputs>;
}

function requireNumbers(outputs: ModelOutputs): void {
  const { probabilities, value } = outputs;
  for (const numbers of [probabilities, value]) {
    if (numbers?.some((number) => !Number.isFinite(number))) {
      throw new Failure('ModelInvalid', 'the model answered something that is not a number');
    }
  }
}

async function load(deps: ApiDeps, found: { modelFile: Digest; golden: Digest; features: Digest }) {
  const [path, golden, features] = await Promise.all([
    deps.artifacts.localPath(found.modelFile),
    deps.artifacts.readJson<GoldenRows>(found.golden),
    deps.artifacts.readJson<FittedFeatures>(found.features),
  ]);
  return { path, digest: found.modelFile, golden, signature: features.signature };
}

export function createPredictor(metrics: Metrics): Predictor {
  const loaded = new Map<Digest, ReturnType<typeof load>>();
  return {
    async served(deps, project, name) {
      const found = await championByName(deps.db, project, name);
      if (found === null) throw new Failure('NoChampion', `the model ${name} has no champion yet`);
      let model = loaded.get(found.digest);
      if (!model) {
        model = load(deps, found);
        loaded.set(found.digest, model);
        model.catch(() => loaded.delete(found.digest));
        const [oldest] = loaded.keys();
        if (loaded.size > loadedAtOnce && oldest !== undefined) loaded.delete(oldest);
      }
      return { version: found.version, ...(await model) };
    },
    async answer(deps, name, model, inputs) {
      if (inputs.rows > rowsAtOnce) throw new Failure('TooLarge', `a request may have at most ${rowsAtOnce} rows`);
      const stop = metrics.inferenceSeconds.startTimer({ model: name });
      try {
        const { path, digest, golden, signature } = model;
        const asked = { path, digest, golden, signature, goldenTolerance: servedTolerance };
        const outputs = inputs.rows === 0 ? {} : await deps.scorer.score(asked, inputs);
        requireNumbers(outputs);
        metrics.predictions.inc({ model: name, version: String(model.version) }, inputs.rows);
        metrics.inferenceRequests.inc({ model: name, code: '200' });
        return outputs;
      } catch (error) {
        metrics.inferenceRequests.inc({ model: name, code: error instanceof Failure ? error.failure : 'Internal' });
        throw error;
      } finally {
        stop();
      }
    },
  };
}
