// register: the chosen candidate becomes a version of the model, once per run, with everything needed to make it again.
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { projectRoot } from '../../adapters/paths.js';
import { inTransaction } from '../../db/client.js';
import { registerVersion } from '../../db/model.js';
import { runSpecification, setRunResult } from '../../db/run.js';
import { type Digest, mediaTypes } from '../../domain/artifact.js';
import type { Evaluation } from '../../domain/evaluation.js';
import { canonicalJson, type Json } from '../../domain/json.js';
import { modelCard } from '../../domain/model-card.js';
import type { StepInput } from '../../domain/run.js';
import {
  labelledVersion,
  type EvaluateResult,
  type FeaturizeResult,
  type ProfileResult,
  type RegisterResult,
  type SplitResult,
  type TrainResult,
} from '../../domain/steps.js';
import { servingFile, variantFiles } from '../../domain/variant.js';
import { runtimeVersion } from '../../ml/provider.js';
import { currentStep, keeping } from '../step.js';
import type { ModelDeps } from './package.js';

/** The most important columns that a version tells; all of them are in its evaluation. */
const toldColumns = 50;

interface VersionFile {
  path: string;
  digest: Digest;
  sizeBytes: number;
  mediaType: string;
}

/** Digest of a version: sha256 of the RFC 8785 list of what may be served (architecture: Data and learning). */
export function versionDigest(files: VersionFile[]): Digest {
  const list = files
    .map(({ path, digest, sizeBytes }) => ({ path, digest, sizeBytes }))
    .sort((a, b) => (a.path < b.path ? -1 : 1));
  return `sha256:${createHash('sha256').update(canonicalJson(list)).digest('hex')}`;
}

export async function register(deps: ModelDeps, input: StepInput): Promise<RegisterResult> {
  const step = currentStep();
  const specification = await runSpecification(deps.db, input.context.run);
  const evaluated = input.inputs['evaluate'] as unknown as EvaluateResult;
  const trained = trainResultOf(input, evaluated.best);
  const files = await versionFiles(deps, input, evaluated, trained);
  const digest = versionDigest(files);
  const evaluation = await deps.artifacts.readJson<Evaluation>(evaluated.evaluation);
  const details = await eightKinds(input, specification, { trained, evaluation });
  const card = await keeping(deps, 'card').putBytes(
    Buffer.from(modelCard({ context: input.context, digest, details, evaluation, verdict: evaluated.verdict })),
    mediaTypes.markdown,
  );
  const registered = await inTransaction(deps.db, async (tx) => {
    await step.guard(tx);
    const version = await registerVersion(tx, {
      model: specification.model,
      run: input.context.run,
      digest,
      files,
      metrics: evaluated.metrics,
      datasetVersion: labelledVersion(input).dataset,
      details,
      card: card.digest,
      variants: evaluated.variants,
      served: evaluated.served,
    });
    await setRunResult(tx, input.context.run, { modelVersion: version.version });
    return version;
  });
  return { summary: `version ${registered.version}`, version: registered.version, digest: registered.digest };
}

function trainResultOf(input: StepInput, candidate: number): TrainResult {
  const several = `train-${candidate + 1}`;
  return (input.inputs[several] ?? input.inputs['train']) as unknown as TrainResult;
}

async function versionFiles(
  deps: ModelDeps,
  input: StepInput,
  evaluated: EvaluateResult,
  trained: TrainResult,
): Promise<VersionFile[]> {
  const featurized = input.inputs['featurize'] as unknown as FeaturizeResult;
  const { served } = evaluated;
  const serving = await keeping(deps, 'serving').putJson({ variant: served, ...variantFiles[served] });
  const named: [string, Digest, string][] = [
    ...evaluated.variants.flatMap(({ variant, model, golden }): [string, Digest, string][] => [
      [variantFiles[variant].model, model, mediaTypes.onnx],
      [variantFiles[variant].golden, golden, mediaTypes.json],
    ]),
    [servingFile, serving.digest, mediaTypes.json],
    ['signature.json', evaluated.signature, mediaTypes.json],
    ['features.json', featurized.features, mediaTypes.json],
    ['checkpoint.state', trained.state, mediaTypes.binary],
  ];
  return Promise.all(
    named.map(async ([path, digest, mediaType]) => ({
      path,
      digest,
      mediaType,
      sizeBytes: (await deps.artifacts.readBytes(digest)).length,
    })),
  );
}

async function gitCommit(): Promise<string | null> {
  try {
    const { stdout } = await promisify(execFile)('git', ['rev-parse', 'HEAD'], { cwd: projectRoot });
    return stdout.trim();
  } catch {
    return null;
  }
}

/** What a version holds besides its files: architecture: Data and learning, "the eight kinds". */
async function eightKinds(
  input: StepInput,
  specification: Awaited<ReturnType<typeof runSpecification>>,
  { trained, evaluation }: { trained: TrainResult; evaluation: Evaluation },
): Promise<{ [key: string]: Json }> {
  const { document, documentDigest } = specification;
  const evaluated = input.inputs['evaluate'] as unknown as EvaluateResult;
  const trainer = document.trainers[evaluated.best] ?? document.trainers[0];
  const serving = variantFiles[evaluated.served];
  const profile = input.inputs['profile'] as unknown as ProfileResult;
  const { dataset } = labelledVersion(input);
  return {
    model: { type: trained.trainer, trainerVersion: trained.trainerVersion, task: document.dataset.task },
    parameters: { serving: serving.model, checkpoint: 'checkpoint.state', steps: trained.steps, loss: trained.loss },
    functions: { features: `inside ${serving.model}`, signature: 'signature.json', golden: serving.golden },
    dependencies: {
      onnxruntime: runtimeVersion,
      provider: trained.provider,
      device: trained.device,
      threads: trained.threads,
      node: process.version,
      ...(trained.environment && { environment: trained.environment }),
    },
    data: { datasetVersion: dataset, referenceProfile: profile.profile, report: profile.report },
    code: {
      commit: await gitCommit(),
      pipeline: document.name,
      documentDigest,
      run: input.context.run,
      seed: trainer?.seed ?? null,
      parameters: (trainer?.params ?? {}) as unknown as Json,
      warmStart: trained.warm ?? null,
      split: {
        ...document.split,
        by: document.split.by as unknown as Json,
        counts: (input.inputs['split'] as unknown as SplitResult).counts as unknown as Json,
      },
      searchSpace: null,
      trials: document.trainers.length,
    },
    experiment: {
      evaluation: evaluated.evaluation,
      calibration: evaluation.calibration as unknown as Json,
      importance: { ...evaluation.importance, columns: evaluation.importance.columns.slice(0, toldColumns) },
    },
    tags: { pipeline: document.name, metric: document.gate.metric },
  };
}
