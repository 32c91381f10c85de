// A user's program in a folder of its own, for whoever runs one: its code, the environment that it declares, how it is
// started and within which limits, and how its child is followed to the end. What it finds and leaves is the caller's.
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { CancelledFailure } from '@temporalio/activity';
import { containerCommand, containerJob, findRuntime } from '../adapters/command/container.js';
import {
  type DeclaredEnvironment,
  declaredEnvironment,
  type Environment,
  prepareEnvironment,
} from '../adapters/command/environment.js';
import { codeLimits, unpackFolder } from '../adapters/folder/index.js';
import type { Log } from '../adapters/log.js';
import type { Artifacts } from '../adapters/store/index.js';
import type { TrainerRun } from '../adapters/trainer.js';
import type { Db } from '../db/client.js';
import { hasCode } from '../db/code.js';
import { type Digest, isDigest } from '../domain/artifact.js';
import type { CommandSpec } from '../domain/command.js';
import { Failure } from '../domain/failures.js';
import type { ProgramParams } from '../domain/program.js';
import { currentStep, type Step } from './step.js';

export interface ProgramDeps {
  db: Db;
  artifacts: Artifacts;
  log: Log;
  /** Folder for programs' folders. */
  scratch: string;
  /** Of forked children; names the devices that they may use. */
  childEnv: Record<string, string>;
  onChild: (pid: number, alive: boolean) => void;
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

/** Below the folder of the attempt. */
export const programPaths = { code: 'code', job: 'job', temporary: 'job/tmp' } as const;

const gpuVariable = 'CUDA_VISIBLE_DEVICES';

/** The directory of a program. @throws Failure `InvalidPipeline` where its project has not uploaded it */
export async function codeOf(deps: ProgramDeps, project: string, { code }: ProgramParams): Promise<Digest> {
  if (isDigest(code) && (await hasCode(deps.db, project, code))) return code;
  throw new Failure('InvalidPipeline', `no directory was uploaded as ${code ?? 'the code of this run'}`);
}

export async function unpackCode({ artifacts }: ProgramDeps, code: Digest, folder: string): Promise<void> {
  await unpackFolder(artifacts.store.stream(code), join(folder, programPaths.code), codeLimits);
}

/** What the unpacked directory, or the image, declares. @throws Failure `EnvironmentInvalid`, `EnvironmentFailed` */
export async function declaredBy(
  deps: ProgramDeps,
  { image, program }: ProgramParams,
  folder: string,
): Promise<DeclaredEnvironment> {
  if (image !== null) return { digest: image.slice(image.indexOf('@') + 1) as Digest, note: image, requirements: null };
  const { python } = deps.command;
  return declaredEnvironment(join(folder, programPaths.code), { python, program: program[0] ?? '' });
}

/** That environment, made where nobody has made it yet. */
export async function environmentOf(deps: ProgramDeps, declared: DeclaredEnvironment): Promise<Environment> {
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
    throw interruption(step, 'its environment was not made yet');
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

/** What no program may print. */
export function secretsOf({ command }: ProgramDeps): string[] {
  return [...command.secrets, ...Object.values(passedVariables(command.variables))];
}

/** How the program is started: on the host or in a container, with a short list of variables. */
async function startOf(deps: ProgramDeps, params: ProgramParams, folder: string, environment: Environment) {
  const { program, image, memoryMb } = params;
  const inContainer = image !== null;
  const job = inContainer ? containerJob : join(folder, programPaths.job);
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
  const outside = { PATH: path, HOME: process.env['HOME'] ?? folder, PERENNIAL_JOB: join(folder, programPaths.job) };
  return { ...run, env: { ...passed, ...outside } };
}

/** What our child is told of a program whose folder is complete. */
export async function programSpec(
  deps: ProgramDeps,
  params: ProgramParams,
  place: { folder: string; environment: Environment },
): Promise<Omit<CommandSpec, 'drainMs' | 'training'>> {
  const { deadlineMs, memoryMb, diskMb } = params;
  const { folder, environment } = place;
  const limits = { deadlineMs, memoryMb, diskMb };
  return {
    folder,
    cwd: join(folder, programPaths.code),
    ...limits,
    ...(await startOf(deps, params, folder, environment)),
  };
}

/** What a step throws that was interrupted: another attempt goes on where its worker drains, else the run was cancelled. */
function interruption(step: Step, left: string): Error {
  return step.draining() ? new Failure('WorkerShutdown', left) : new CancelledFailure('the run was cancelled');
}

/** A child to its end; cancellation and the worker's shutdown stop it. `left`: what the attempt leaves for the next one. */
export async function following(run: TrainerRun, left: () => string): Promise<Awaited<TrainerRun['done']>> {
  const step = currentStep();
  let interrupted = false;
  const interrupt = () => {
    interrupted = true;
    void run.stop();
  };
  step.signal.addEventListener('abort', interrupt, { once: true });
  if (step.signal.aborted) interrupt();
  try {
    return await run.done;
  } catch (error) {
    if (!interrupted) throw error;
    throw interruption(step, left());
  } finally {
    step.signal.removeEventListener('abort', interrupt);
  }
}
