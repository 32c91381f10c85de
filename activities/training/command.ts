// train, by a user's program: its code in a folder of its own, in the environment that it declares, supervised by a forked
// child. Its checkpoints are stored as any trainer's; its model is looked at by the scorer alone.
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { Scorer } from '../../adapters/scorer.js';
import { checkpointHeader, restoreCheckpoint } from '../../adapters/command/checkpoints.js';
import type { DeclaredEnvironment, Environment } from '../../adapters/command/environment.js';
import { runProgram } from '../../adapters/command/run.js';
import { inScratchFolder } from '../../adapters/scratch.js';
import { datasetOf, getDatasetVersion } from '../../db/dataset.js';
import { copyMetrics } from '../../db/metric.js';
import { runSpecification } from '../../db/run.js';
import { type Digest, mediaTypes } from '../../domain/artifact.js';
import { type CommandSpec, commandVersion } from '../../domain/command.js';
import { canonicalJson } from '../../domain/json.js';
import type { FittedFeatures } from '../../domain/model.js';
import type { CommandTrainer } from '../../domain/pipeline.js';
import type { StepInput } from '../../domain/run.js';
import { type FeaturizeResult, labelledVersion, type SplitResult, type TrainResult } from '../../domain/steps.js';
import { codeOf, declaredBy, environmentOf, type ProgramDeps, programSpec, secretsOf, unpackCode } from '../program.js';
import { reusing } from '../reuse.js';
import { keeping } from '../step.js';
import { checkProgramModel } from './answers.js';
import { type JobData, type JobDeps, jobPaths, writeJob } from './job.js';
import { type Found, fromZero, resumePoint } from './resume.js';
import { pinDevice, supervise, type TrainDeps } from './train.js';

export interface CommandDeps extends TrainDeps, JobDeps, ProgramDeps {
  scorer: Scorer;
}

const drainMs = 10_000;
const bytesPerMb = 1024 * 1024;

async function jobData(deps: CommandDeps, input: StepInput): Promise<JobData> {
  const { document, context } = await runSpecification(deps.db, input.context.run);
  const labelled = labelledVersion(input);
  const dataset = await datasetOf(deps.db, context.project, document.dataset.name);
  const { schema } = await getDatasetVersion(deps.db, dataset.id, labelled.dataset);
  const featurized = input.inputs['featurize'] as unknown as FeaturizeResult;
  return {
    file: await deps.artifacts.localPath(labelled.file),
    split: await deps.artifacts.localPath((input.inputs['split'] as unknown as SplitResult).split),
    schema,
    features: await deps.artifacts.readJson<FittedFeatures>(featurized.features),
    featurized,
  };
}

/** Everything that the model may depend on, as far as it is ours to know; limits are not among it. */
function inputsDigest(input: StepInput, trainer: CommandTrainer, given: { code: Digest; environment: Digest }): Digest {
  const { train, validation, features } = input.inputs['featurize'] as unknown as FeaturizeResult;
  const { program, inputs, params } = trainer.params;
  const facts = {
    ...{ trainer: trainer.type, version: commandVersion, program, inputs, params, seed: trainer.seed, ...given },
    ...{ train: { ...train }, validation: validation && { ...validation }, features },
    rows: labelledVersion(input).file,
    split: (input.inputs['split'] as unknown as SplitResult).split,
    cpu: process.arch,
  };
  return `sha256:${createHash('sha256').update(canonicalJson(facts)).digest('hex')}`;
}

/** An attempt on its way. */
interface Attempt {
  input: StepInput;
  trainer: CommandTrainer;
  folder: string;
  declared: DeclaredEnvironment;
  inputsDigest: Digest;
}

export async function trainCommand(deps: CommandDeps, input: StepInput, trainer: CommandTrainer): Promise<TrainResult> {
  const code = await codeOf(deps, input.context.project, trainer.params);
  return inScratchFolder(deps.scratch, 'program', async (folder) => {
    await unpackCode(deps, code, folder);
    const declared = await declaredBy(deps, trainer.params, folder);
    const digest = inputsDigest(input, trainer, { code, environment: declared.digest });
    return reusing(deps, input, {
      step: 'train',
      facts: () => Promise.resolve({ inputsDigest: digest }),
      work: () => trainNow(deps, { input, trainer, folder, declared, inputsDigest: digest }),
      applied: (tx, _result, source) => copyMetrics(tx, source, { run: input.context.run, candidate: input.candidate }),
    });
  });
}

async function trainNow(deps: CommandDeps, attempt: Attempt): Promise<TrainResult> {
  const startedAt = performance.now();
  const { input, trainer, folder, declared } = attempt;
  const { device, note, others } = await pinDevice(deps, input, trainer.type);
  const environment = await environmentOf(deps, declared);
  const { from, zero } = await resumePoint(deps, async (path) => {
    const found = (await checkpointHeader(path)).inputsDigest;
    return found === attempt.inputsDigest ? null : `inputsDigest is ${found}, expected ${attempt.inputsDigest}`;
  });
  const data = await jobData(deps, input);
  const done = await runJob(deps, attempt, { data, environment, from });
  await checkProgramModel(deps, data, { path: done.path, form: trainer.params.inputs, folder });
  const state = await keeping(deps, 'state').putFile(done.path, mediaTypes.onnx);
  const loss = Number.isFinite(done.loss) ? done.loss : null;
  const words = `${done.steps} steps${loss === null ? '' : `, loss ${loss.toPrecision(4)}`}`;
  const where = `${device.name}${note}${from ? '' : fromZero(others ?? zero)}`;
  return {
    summary: `command: ${words} on ${where} (${declared.note})`,
    ...{ state: state.digest, trainer: trainer.type, trainerVersion: commandVersion, steps: done.steps, loss },
    ...{ provider: device.provider, device: where, threads: device.threads, resumedFromStep: from?.step ?? 0 },
    seconds: (performance.now() - startedAt) / 1000,
    environment: { digest: declared.digest, note: declared.note },
  };
}

/** Writes what the program finds, and runs it to its end. */
async function runJob(
  deps: CommandDeps,
  { input, trainer, folder, inputsDigest: digest }: Attempt,
  { data, environment, from }: { data: JobData; environment: Environment; from: Found | null },
): Promise<{ path: string; steps: number; loss: number }> {
  const resumedFromStep = from?.step ?? 0;
  await writeJob(deps, data, { trainer, folder, resumedFromStep });
  if (from) await restoreCheckpoint(from.path, join(folder, jobPaths.checkpoint), trainer.params.diskMb * bytesPerMb);
  const spec: CommandSpec = {
    ...(await programSpec(deps, trainer.params, { folder, environment })),
    drainMs,
    training: { checkpointEveryMs: deps.checkpointEveryMs, inputsDigest: digest, resumedFromStep },
  };
  const options = { secrets: secretsOf(deps), onChild: deps.onChild };
  return supervise(deps, input, from, (on) => runProgram(spec, on, options));
}
