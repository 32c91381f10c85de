// train: one candidate, in a forked child with a deadline and a memory limit. Each checkpoint is stored and committed
// before the heartbeat names it; another attempt, here or on another worker, goes on from there to the same bytes.
import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runTrainer, type TrainerHandlers, type TrainerRun } from '../../adapters/trainer.js';
import { inScratchFolder } from '../../adapters/scratch.js';
import { inTransaction } from '../../db/client.js';
import { copyMetrics } from '../../db/metric.js';
import { pinRun, runSpecification } from '../../db/run.js';
import { setStepProgress } from '../../db/step.js';
import { type Digest, mediaTypes } from '../../domain/artifact.js';
import { Failure } from '../../domain/failures.js';
import { canonicalJson, type Json } from '../../domain/json.js';
import type { FittedFeatures, Provider, TrainSpec } from '../../domain/model.js';
import type { BuiltInTrainer } from '../../domain/pipeline.js';
import type { StepInput } from '../../domain/run.js';
import type { FeaturizeResult, TrainResult } from '../../domain/steps.js';
import { runtimeVersion } from '../../ml/provider.js';
import { mismatch, readCheckpointHeader } from '../../ml/trainers/checkpoint.js';
import { needsOf, trainers } from '../../ml/trainers/index.js';
import { requireMemory } from '../../ml/trainers/needs.js';
import { following } from '../program.js';
import { type ReuseDeps, reusing, seenBy } from '../reuse.js';
import { currentStep, keeping, type Step } from '../step.js';
import { columnFacts } from './columns.js';
import { matrixPaths } from './matrix.js';
import { type Curve, lossCurve } from './curve.js';
import { type Checkpoint, type Found, fromZero, resumePoint } from './resume.js';
import { championPin, type WarmPin, type WarmStart, warmStart } from './warm.js';

/** Where this worker trains. `note` says why, for the log, the run and the UI. */
export interface Device {
  provider: Provider;
  name: string;
  note: string;
  threads: number;
}

export interface TrainDeps extends ReuseDeps {
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

/** A built-in trainer. */
export async function train(deps: TrainDeps, input: StepInput): Promise<TrainResult> {
  const spec = await makeSpec(deps, input);
  const where = await place(deps, input, spec);
  return reusing(deps, input, {
    step: 'train',
    // the version that it starts warm from stands in the lineage, so it counts even where its state is another's
    facts: () => Promise.resolve({ inputsDigest: spec.inputsDigest, warm: { ...where.warm } }),
    work: () => trainNow(deps, input, spec, where),
    applied: (tx, _result, source) => copyMetrics(tx, source, { run: input.context.run, candidate: input.candidate }),
  });
}

async function trainNow(
  deps: TrainDeps,
  input: StepInput,
  spec: TrainSpec,
  where: Placed & { warm: WarmStart['from'] },
): Promise<TrainResult> {
  requireMemory(spec.trainer, needsOf(spec), deps.memoryLimitMb);
  const startedAt = performance.now();
  const { device, note, from } = await startingPoint(deps, spec, where);
  return inScratchFolder(deps.scratch, 'train', async (folder) => {
    spec.paths.checkpoint = from?.path ?? null;
    spec.paths.out = folder;
    const specPath = join(folder, 'spec.json');
    await writeFile(specPath, JSON.stringify(spec));
    const options = { memoryLimitMb: deps.memoryLimitMb, env: deps.childEnv, onChild: deps.onChild };
    const done = await supervise(deps, input, from, (on) =>
      Promise.resolve(runTrainer(specPath, on, { deadlineMs, ...options })),
    );
    const state = await keeping(deps, 'state').putFile(done.path, mediaTypes.binary);
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
      ...(where.warm && { warm: where.warm }),
    };
  });
}

async function makeSpec(deps: TrainDeps, whole: StepInput): Promise<TrainSpec> {
  const { document, trainer, input } = await seenBy(deps.db, 'train', whole);
  if (!trainer || trainer.type === 'command')
    throw new Failure('InvalidPipeline', `there is no trainer number ${input.candidate + 1}`);
  const { train: matrix, validation, outputs, tokens } = input.inputs['featurize'] as unknown as FeaturizeResult;
  return {
    trainer: trainer.type,
    task: document.dataset.task,
    ...(await factsOf(deps, trainer, input)),
    params: trainer.params,
    seed: trainer.seed,
    rows: matrix.rows,
    width: matrix.width,
    outputs,
    ...(tokens && { tokens }),
    validation: validation && { rows: validation.rows, ...(await matrixPaths(deps.artifacts, validation)) },
    paths: { ...(await matrixPaths(deps.artifacts, matrix)), checkpoint: null, out: '' },
    provider: 'cpu',
    threads: 1,
    stepsPerRun,
    checkpointEveryMs: deps.checkpointEveryMs,
    inputsDigest: 'sha256:',
  };
}

/** Only `trees` asks for more than numbers: the others need not read how features were fitted. */
async function factsOf(deps: TrainDeps, trainer: BuiltInTrainer, input: StepInput) {
  if (trainer.type !== 'trees') return {};
  const { features } = input.inputs['featurize'] as unknown as FeaturizeResult;
  return columnFacts(await deps.artifacts.readJson<FittedFeatures>(features), trainer);
}

/** Everything that the final bytes depend on (architecture, rule 9), and no time, name, number or path. */
function inputsDigest(spec: TrainSpec, input: StepInput, warm: WarmStart['from']): Digest {
  const { train: matrix, validation } = input.inputs['featurize'] as unknown as FeaturizeResult;
  const { trainer, task, params, seed, rows, width, outputs, provider, threads, columns, tokens } = spec;
  const facts = {
    ...{ trainer, task, params, seed, rows, width, outputs, provider, threads },
    ...(columns && { columns }),
    ...(tokens && { tokens }),
    x: matrix.x,
    y: matrix.y,
    ...(matrix.weights && { weights: matrix.weights }),
    ...(warm && { warm: warm.state }),
    validation: validation && { x: validation.x, y: validation.y },
    // one provider computes other bits on another kind of machine
    cpu: process.arch,
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
  /** Where a trainer of the document starts warm: the champion, or null. */
  champion?: WarmPin | null;
}

interface Placed {
  device: Device;
  /** For the summary; '' or in parentheses. */
  note: string;
  /** Why the first attempt's checkpoints are of no use here; null: they are. */
  others: string | null;
}

/** Fills in what the device and a warm start decide of the spec. */
async function place(
  deps: TrainDeps,
  input: StepInput,
  spec: TrainSpec,
): Promise<Placed & { warm: WarmStart['from'] }> {
  const pins = await pinned(deps, input);
  const placed = placeOn(deps, input, spec.trainer, pins);
  spec.provider = placed.device.provider;
  spec.threads = placed.device.threads;
  const { trainer } = await seenBy(deps.db, 'train', input);
  const { features } = input.inputs['featurize'] as unknown as FeaturizeResult;
  const warm = trainer?.warmStart ? await warmStart(deps, spec, pins.champion ?? null, features) : null;
  if (warm?.path != null) spec.paths.warm = warm.path;
  spec.inputsDigest = inputsDigest(spec, input, warm?.from ?? null);
  return { ...placed, note: `${placed.note}${warm?.note ?? ''}`, warm: warm?.from ?? null };
}

interface Start {
  device: Device;
  note: string;
  from: Found | null;
}

/** Finds the checkpoint to go on from. */
async function startingPoint(deps: TrainDeps, spec: TrainSpec, { device, note, others }: Placed): Promise<Start> {
  const { from, zero } = await resumePoint(deps, async (path) => mismatch(spec, await readCheckpointHeader(path)));
  return { device, from, note: from ? note : `${note}${fromZero(others ?? zero)}` };
}

const machine = ({ device }: TrainDeps): Omit<Pins, 'champion'> => ({
  provider: device.provider,
  threads: device.threads,
  onnxruntime: runtimeVersion,
  cpu: process.arch,
});

/** The first attempt pins provider, threads and versions, and the champion where some trainer starts warm. */
async function pinned(deps: TrainDeps, input: StepInput): Promise<Pins> {
  const step = currentStep();
  return inTransaction(deps.db, async (tx) => {
    await step.guard(tx);
    const { document, model } = await runSpecification(tx, input.context.run);
    const warm = document.trainers.some((trainer) => trainer.warmStart === 'champion');
    const mine = { ...machine(deps), ...(warm && { champion: await championPin(tx, model) }) };
    return (await pinRun(tx, input.context.run, mine as unknown as Json)) as unknown as Pins;
  });
}

/** A worker that cannot match what was pinned says so in `others`. */
function placeOn(deps: TrainDeps, input: StepInput, trainer: string, { champion: _, ...pins }: Pins): Placed {
  const { device } = deps;
  const mine = machine(deps);
  const note = device.note === '' ? '' : ` (${device.note})`;
  if (canonicalJson({ ...pins }) === canonicalJson({ ...mine })) return { device, note, others: null };
  if (pins.provider === 'cpu' && pins.onnxruntime === mine.onnxruntime && pins.cpu === mine.cpu) {
    const same = { ...device, provider: 'cpu' as const, threads: pins.threads };
    return { device: same, note: `${note} (as the first attempt)`, others: null };
  }
  deps.log.warn({ run: input.context.run, pins, mine, trainer }, 'train.other-machine');
  const others = `the first attempt ran on ${pins.provider} with onnxruntime ${pins.onnxruntime}`;
  return { device, note, others };
}

/** Where this attempt trains, as the first one pinned it. */
export async function pinDevice(deps: TrainDeps, input: StepInput, trainer: string): Promise<Placed> {
  return placeOn(deps, input, trainer, await pinned(deps, input));
}

/** Runs the child to its end; drains on the worker's shutdown, stops on cancellation, with a checkpoint either way. */
export async function supervise(
  deps: TrainDeps,
  input: StepInput,
  from: Checkpoint | null,
  start: (on: TrainerHandlers) => Promise<TrainerRun>,
): Promise<{ path: string; steps: number; loss: number }> {
  const step = currentStep();
  const { run } = input.context;
  let latest = from;
  const curve = lossCurve(deps, input);
  const trainer = await start({
    started: (message) =>
      deps.log.info({ run, node: input.node, step: message.step, of: message.totalSteps }, 'train.started'),
    progress: ({ type: _, ...progress }) => {
      const { step: at, totalSteps, epoch, epochs } = progress;
      step.heartbeat({ step: at, totalSteps, epoch, epochs, checkpoint: latest as never });
      curve.add(progress);
    },
    metrics: (lines) => {
      for (const line of lines) curve.note(line);
      step.heartbeat({ ...curve.progress(), checkpoint: latest as never });
    },
    checkpoint: async (message) => {
      latest = await storeCheckpoint(deps, step, message, curve);
      step.heartbeat({ step: message.step, checkpoint: latest as never });
    },
  });
  try {
    return await following(trainer, () => `stored a checkpoint at step ${latest?.step ?? 0}`);
  } finally {
    await curve.flush();
  }
}

/** The step's row refers to its last checkpoint alone: the collector takes the one before. */
async function storeCheckpoint(
  deps: TrainDeps,
  step: Step,
  message: { step: number; path: string },
  curve: Curve,
): Promise<Checkpoint> {
  const { digest } = await deps.artifacts.putFile(message.path, mediaTypes.binary);
  const checkpoint = { digest, step: message.step };
  await inTransaction(deps.db, async (tx) => {
    await step.guard(tx);
    const progress = { ...curve.progress(), step: message.step };
    await setStepProgress(tx, { ...step.key, fence: step.fence, progress, checkpoint });
  });
  return checkpoint;
}
