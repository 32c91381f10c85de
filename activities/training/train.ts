// train: one candidate, in a forked child with a deadline and a memory limit. Each checkpoint is stored and committed
// before the heartbeat names it; another attempt, here or on another worker, goes on from there to the same bytes.
import { createHash } from 'node:crypto';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CancelledFailure } from '@temporalio/activity';
import { runTrainer, type TrainerRun } from '../../adapters/child.js';
import type { Artifacts } from '../../adapters/store/index.js';
import type { Log } from '../../adapters/log.js';
import { type Db, inTransaction } from '../../db/client.js';
import { logMetrics } from '../../db/metric.js';
import { pinRun, runSpecification } from '../../db/run.js';
import { setStepProgress, stepCheckpoint } from '../../db/step.js';
import { type Digest, isDigest, mediaTypes } from '../../domain/artifact.js';
import { Failure } from '../../domain/failures.js';
import { canonicalJson } from '../../domain/json.js';
import type { Provider, TrainSpec } from '../../domain/model.js';
import type { StepInput } from '../../domain/run.js';
import type { FeaturizeResult, TrainResult } from '../../domain/steps.js';
import { runtimeVersion } from '../../ml/provider.js';
import { trainers } from '../../ml/trainers/index.js';
import { currentStep, type Step } from '../step.js';

/** Where this worker trains. `note` says why, for the log, the run and the UI. */
export interface Device {
  provider: Provider;
  name: string;
  note: string;
  threads: number;
}

export interface TrainDeps {
  db: Db;
  artifacts: Artifacts;
  log: Log;
  /** Folder for spec.json and checkpoints on their way to the store. */
  scratch: string;
  device: Device;
  memoryLimitMb: number;
  checkpointEveryMs: number;
  onChild: (pid: number, alive: boolean) => void;
  childEnv: Record<string, string>;
}

const stepsPerRun = 64;
const deadlineMs = 24 * 3_600_000;

interface Checkpoint {
  digest: Digest;
  step: number;
}

export async function train(deps: TrainDeps, input: StepInput): Promise<TrainResult> {
  const step = currentStep();
  const startedAt = performance.now();
  const { spec, epochs } = await makeSpec(deps, input);
  const { device, note, matches } = await pinDevice(deps, input, spec);
  spec.provider = device.provider;
  spec.threads = device.threads;
  spec.inputsDigest = inputsDigest(spec, input);
  const folder = join(deps.scratch, `train-${input.context.run}-${input.node}-${step.fence}`);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  try {
    const from = matches ? await resumePoint(deps, step) : null;
    spec.paths.checkpoint = from ? await deps.artifacts.localPath(from.digest) : null;
    spec.paths.out = folder;
    const specPath = join(folder, 'spec.json');
    await writeFile(specPath, JSON.stringify(spec));
    const done = await supervise(deps, step, input, specPath, from, epochs);
    const state = await deps.artifacts.putFile(done.path, mediaTypes.binary);
    const seconds = (performance.now() - startedAt) / 1000;
    return {
      summary: `${spec.trainer}: ${done.steps} steps, loss ${done.loss.toPrecision(4)} on ${device.name}${note}`,
      state: state.digest,
      trainer: spec.trainer,
      trainerVersion: trainers[spec.trainer].version,
      steps: done.steps,
      loss: done.loss,
      provider: device.provider,
      device: `${device.name}${note}`,
      threads: device.threads,
      seconds,
      resumedFromStep: from?.step ?? 0,
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function makeSpec(deps: TrainDeps, input: StepInput): Promise<{ spec: TrainSpec; epochs: number }> {
  const { document } = await runSpecification(deps.db, input.context.run);
  const trainer = document.trainers[input.candidate];
  if (!trainer) throw new Failure('InvalidPipeline', `there is no trainer number ${input.candidate + 1}`);
  const { train: matrix, outputs } = input.inputs['featurize'] as unknown as FeaturizeResult;
  const spec: TrainSpec = {
    trainer: trainer.type,
    task: document.dataset.task,
    params: trainer.params,
    seed: trainer.seed,
    rows: matrix.rows,
    width: matrix.width,
    outputs,
    paths: {
      x: await deps.artifacts.localPath(matrix.x),
      y: await deps.artifacts.localPath(matrix.y),
      checkpoint: null,
      out: '',
    },
    provider: 'cpu',
    threads: 1,
    stepsPerRun,
    checkpointEveryMs: deps.checkpointEveryMs,
    inputsDigest: 'sha256:',
  };
  return { spec, epochs: Number(trainer.params['epochs'] ?? 0) };
}

/** Everything that the final bytes depend on (DESIGN §3b.9), and no time, name, number or path. */
function inputsDigest(spec: TrainSpec, input: StepInput): Digest {
  const { train: matrix } = input.inputs['featurize'] as unknown as FeaturizeResult;
  const { trainer, task, params, seed, rows, width, outputs, provider, threads } = spec;
  const facts = {
    ...{ trainer, task, params, seed, rows, width, outputs, provider, threads },
    x: matrix.x,
    y: matrix.y,
    trainerVersion: trainers[trainer].version,
    onnxruntime: runtimeVersion,
  };
  return `sha256:${createHash('sha256').update(canonicalJson(facts)).digest('hex')}`;
}

interface Pins {
  provider: Provider;
  threads: number;
  onnxruntime: string;
  cpu: string;
}

interface PinnedDevice {
  device: Device;
  note: string;
  /** Whether checkpoints of earlier attempts can be gone on from here. */
  matches: boolean;
}

/** The first attempt pins provider, threads and versions; a worker that cannot match them trains from zero, saying so. */
async function pinDevice(deps: TrainDeps, input: StepInput, spec: TrainSpec): Promise<PinnedDevice> {
  const { device } = deps;
  const mine: Pins = {
    provider: device.provider,
    threads: device.threads,
    onnxruntime: runtimeVersion,
    cpu: process.arch,
  };
  const step = currentStep();
  const pins = (await inTransaction(deps.db, async (tx) => {
    await step.guard(tx);
    return pinRun(tx, input.context.run, { ...mine });
  })) as unknown as Pins;
  const note = device.note === '' ? '' : ` (${device.note})`;
  if (canonicalJson(pins) === canonicalJson(mine)) return { device, note, matches: true };
  if (pins.provider === 'cpu' && pins.onnxruntime === mine.onnxruntime && pins.cpu === mine.cpu) {
    const pinned = { ...device, provider: 'cpu' as const, threads: pins.threads };
    return { device: pinned, note: `${note} (as the first attempt)`, matches: true };
  }
  deps.log.warn({ run: input.context.run, pins, mine, trainer: spec.trainer }, 'train.other-machine');
  return {
    device,
    note: `${note} (from zero: the first attempt ran on ${pins.provider} with onnxruntime ${pins.onnxruntime})`,
    matches: false,
  };
}

async function resumePoint(deps: TrainDeps, step: Step): Promise<Checkpoint | null> {
  const stored = await stepCheckpoint(deps.db, step.key);
  const beaten = step.previous as { checkpoint?: Checkpoint } | undefined;
  const newest = [stored, beaten?.checkpoint].filter((point): point is Checkpoint => isDigest(point?.digest));
  newest.sort((a, b) => b.step - a.step);
  for (const point of newest) if (await deps.artifacts.store.has(point.digest)) return point;
  return null;
}

/** Runs the child to its end; drains on the worker's shutdown, stops on cancellation, with a checkpoint either way. */
async function supervise(
  deps: TrainDeps,
  step: Step,
  input: StepInput,
  specPath: string,
  from: Checkpoint | null,
  epochs: number,
): Promise<{ path: string; steps: number; loss: number }> {
  const { run } = input.context;
  let latest = from;
  const metrics = metricWriter(deps, input);
  const trainer: TrainerRun = runTrainer(
    specPath,
    {
      started: (message) =>
        deps.log.info({ run, node: input.node, step: message.step, of: message.totalSteps }, 'train.started'),
      progress: (message) => {
        step.heartbeat({
          step: message.step,
          totalSteps: message.totalSteps,
          epoch: message.epoch,
          epochs,
          checkpoint: latest as never,
        });
        metrics.add(message.step, message.loss, message.epoch, message.totalSteps);
      },
      checkpoint: async (message) => {
        latest = await storeCheckpoint(deps, step, message);
        step.heartbeat({ step: message.step, checkpoint: latest as never });
      },
    },
    { deadlineMs, memoryLimitMb: deps.memoryLimitMb, env: deps.childEnv, onChild: deps.onChild },
  );
  let interrupted = false;
  const interrupt = () => {
    interrupted = true;
    void trainer.stop();
  };
  step.signal.addEventListener('abort', interrupt, { once: true });
  if (step.signal.aborted) interrupt();
  try {
    const done = await trainer.done;
    await metrics.flush();
    return done;
  } catch (error) {
    await metrics.flush().catch(() => undefined);
    if (!interrupted) throw error;
    if (!step.draining()) throw new CancelledFailure('the run was cancelled');
    throw new Failure('WorkerShutdown', `stored a checkpoint at step ${latest?.step ?? 0}`);
  } finally {
    step.signal.removeEventListener('abort', interrupt);
  }
}

async function storeCheckpoint(
  deps: TrainDeps,
  step: Step,
  message: { step: number; path: string },
): Promise<Checkpoint> {
  const { digest } = await deps.artifacts.putFile(message.path, mediaTypes.binary);
  const checkpoint = { digest, step: message.step };
  await inTransaction(deps.db, async (tx) => {
    await step.guard(tx);
    await setStepProgress(tx, { ...step.key, fence: step.fence, progress: { step: message.step }, checkpoint });
  });
  return checkpoint;
}

/** Loss curve and progress events, in batches, without holding the training up. */
function metricWriter(deps: TrainDeps, input: StepInput) {
  const step = currentStep();
  const { run } = input.context;
  let rows: { run: string; name: string; candidate: number; step: number; value: number }[] = [];
  let progress: { step: number; totalSteps: number; epoch: number; loss: number } | null = null;
  let writing: Promise<void> = Promise.resolve();
  const write = async () => {
    const batch = rows;
    const last = progress;
    rows = [];
    if (batch.length === 0) return;
    await inTransaction(deps.db, async (tx) => {
      await step.guard(tx);
      await logMetrics(tx, batch);
      if (last) await setStepProgress(tx, { ...step.key, fence: step.fence, progress: last });
    });
  };
  const flush = () => {
    writing = writing.then(write);
    return writing;
  };
  return {
    add(at: number, loss: number, epoch: number, totalSteps: number): void {
      rows.push({ run, name: 'loss', candidate: input.candidate, step: at, value: loss });
      progress = { step: at, totalSteps, epoch, loss };
      void flush().catch((error: unknown) => deps.log.debug({ err: error, run }, 'train.metrics-lost'));
    },
    flush,
  };
}
