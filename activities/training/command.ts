// train, by a user's program: its code in a folder of its own, in the environment that it declares, supervised by a forked
// child. Its checkpoints are stored as any trainer's; its model is looked at by the scorer alone.
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { CancelledFailure } from '@temporalio/activity';
import type { Scorer } from '../../adapters/scorer.js';
import { checkpointHeader, restoreCheckpoint } from '../../adapters/command/checkpoints.js';
import { containerCommand, containerJob, findRuntime } from '../../adapters/command/container.js';
import {
  type DeclaredEnvironment,
  declaredEnvironment,
  type Environment,
  prepareEnvironment,
} from '../../adapters/command/environment.js';
import { runProgram } from '../../adapters/command/run.js';
import { inScratchFolder } from '../../adapters/scratch.js';
import { hasCode } from '../../db/code.js';
import { datasetOf, getDatasetVersion } from '../../db/dataset.js';
import { copyMetrics } from '../../db/metric.js';
import { runSpecification } from '../../db/run.js';
import { type Digest, isDigest, mediaTypes } from '../../domain/artifact.js';
import { type CommandSpec, commandVersion } from '../../domain/command.js';
import { Failure } from '../../domain/failures.js';
import { canonicalJson } from '../../domain/json.js';
import type { FittedFeatures } from '../../domain/model.js';
import type { CommandTrainer } from '../../domain/pipeline.js';
import type { StepInput } from '../../domain/run.js';
import { type FeaturizeResult, labelledVersion, type SplitResult, type TrainResult } from '../../domain/steps.js';
import { reusing } from '../reuse.js';
import { currentStep, keeping } from '../step.js';
import { checkProgramModel } from './answers.js';
import { type JobData, type JobDeps, jobPaths, unpackCode, writeJob } from './job.js';
import { type Found, fromZero, resumePoint } from './resume.js';
import { pinDevice, supervise, type TrainDeps } from './train.js';

export interface CommandDeps extends TrainDeps, JobDeps {
  scorer: Scorer;
  command: {
    python: string;
    /** Folder of the environments that were made. */
    environments: string;
    /** Names of our own variables that programs are given. */
    variables: readonly string[];
    /** Of containers. */
    network: string;
    /** Values that programs must not print, beside those of the variables. */
    secrets: readonly string[];
    /** Base URL of the API, or null where none is known. */
    tracking(): Promise<string | null>;
  };
}

const drainMs = 10_000;
const bytesPerMb = 1024 * 1024;
const gpuVariable = 'CUDA_VISIBLE_DEVICES';

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

async function codeOf(deps: CommandDeps, input: StepInput, { params }: CommandTrainer): Promise<Digest> {
  const { project } = input.context;
  if (isDigest(params.code) && (await hasCode(deps.db, project, params.code))) return params.code;
  throw new Failure('InvalidPipeline', `no directory was uploaded as ${params.code ?? 'the code of this run'}`);
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

async function declaredBy(deps: CommandDeps, trainer: CommandTrainer, folder: string): Promise<DeclaredEnvironment> {
  const { image, program } = trainer.params;
  if (image === null)
    return declaredEnvironment(join(folder, jobPaths.code), { python: deps.command.python, program: program[0] ?? '' });
  return { digest: image.slice(image.indexOf('@') + 1) as Digest, note: image, requirements: null };
}

async function environmentOf(deps: CommandDeps, declared: DeclaredEnvironment): Promise<Environment> {
  const step = currentStep();
  const { python, environments: cache, secrets } = deps.command;
  let told = false;
  const onProgress = (line: string): void => {
    told = true;
    step.heartbeat({ environment: line.slice(0, 200) });
  };
  try {
    const made = await prepareEnvironment(declared, { cache, python, secrets, signal: step.signal, onProgress });
    const { digest, note } = declared;
    if (told) deps.log.info({ run: step.run, environment: digest, note }, 'environment.made');
    return made;
  } catch (error) {
    if (!step.signal.aborted) throw error;
    if (!step.draining()) throw new CancelledFailure('the run was cancelled');
    throw new Failure('WorkerShutdown', 'its environment was not made yet');
  }
}

/** Values of the variables that the operator lets programs have. */
function passedVariables(names: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = process.env[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
}

/** How the program is started: on the host or in a container, with a short list of variables. */
async function startOf(deps: CommandDeps, trainer: CommandTrainer, folder: string, environment: Environment) {
  const { program, image, memoryMb } = trainer.params;
  const inContainer = image !== null;
  const job = inContainer ? containerJob : join(folder, jobPaths.job);
  const devices = deps.childEnv[gpuVariable] ?? '';
  const tracking = await deps.command.tracking();
  const own = {
    ...{ HOME: job, TMPDIR: `${job}/tmp`, LANG: 'C.UTF-8', PERENNIAL_JOB: job },
    ...{ PYTHONUNBUFFERED: '1', PYTHONDONTWRITEBYTECODE: '1', [gpuVariable]: devices },
    ...(tracking !== null && { MLFLOW_TRACKING_URI: tracking }),
  };
  const passed = passedVariables(deps.command.variables);
  const path = [environment.bin, process.env['PATH']].filter((part) => part).join(':');
  if (image === null) {
    return { command: program, cleanUp: null, env: { ...passed, PATH: path, ...environment.variables, ...own } };
  }
  const run = containerCommand({
    ...{ runtime: await findRuntime(), image, folder, program, memoryMb, env: own, passed: Object.keys(passed) },
    name: `perennial-${createHash('sha256').update(folder).digest('hex').slice(0, 16)}`,
    devices: devices === '' ? [] : devices.split(','),
    network: deps.command.network,
    user: { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 },
  });
  const outside = { PATH: path, HOME: process.env['HOME'] ?? folder, PERENNIAL_JOB: join(folder, jobPaths.job) };
  return { ...run, env: { ...passed, ...outside } };
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
  const code = await codeOf(deps, input, trainer);
  return inScratchFolder(deps.scratch, 'program', async (folder) => {
    await unpackCode(deps, code, folder);
    const declared = await declaredBy(deps, trainer, folder);
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
  const { deadlineMs, memoryMb, diskMb } = trainer.params;
  const resumedFromStep = from?.step ?? 0;
  await writeJob(deps, data, { trainer, folder, resumedFromStep });
  if (from) await restoreCheckpoint(from.path, join(folder, jobPaths.checkpoint), diskMb * bytesPerMb);
  const spec: CommandSpec = {
    ...{ folder, cwd: join(folder, jobPaths.code), deadlineMs, memoryMb, diskMb, drainMs, resumedFromStep },
    ...(await startOf(deps, trainer, folder, environment)),
    ...{ checkpointEveryMs: deps.checkpointEveryMs, inputsDigest: digest },
  };
  const secrets = [...deps.command.secrets, ...Object.values(passedVariables(deps.command.variables))];
  const { onChild } = deps;
  return supervise(deps, input, from, (on) => runProgram(spec, on, { secrets, onChild }));
}
