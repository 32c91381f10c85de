// Trainer child: `node bin/run.mjs workers/trainer.ts <spec.json>`, forked by adapters/child.ts. It sees local files and
// its parent, nothing else. Exits: 0 after `done` or a drain, 1 after `failed` or when the parent is gone.
import { existsSync } from 'node:fs';
import { mkdir, open, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { dieWithParent } from '../adapters/fork.js';
import { Failure } from '../domain/failures.js';
import type { TrainerMessage, TrainSpec } from '../domain/model.js';
import type { TrainerControl } from '../domain/trainers.js';
import type { Plan } from '../ml/trainers/batches.js';
import { planOf } from '../ml/trainers/batches.js';
import type { FitState } from '../ml/trainers/checkpoint.js';
import { encodeCheckpoint, resumeFrom, writeDurably } from '../ml/trainers/checkpoint.js';
import type { TrainData } from '../ml/trainers/fit.js';
import { epochOf, fit, requireFinite, shownLoss } from '../ml/trainers/fit.js';
import { trainers } from '../ml/trainers/index.js';
import { parameterCount, shapeOf } from '../ml/trainers/trainer.js';

const progressEveryMs = 250;
const holdPollMs = 50;

/** Resolves when the message has left this process. */
function send(message: TrainerMessage): Promise<void> {
  return new Promise((resolve) => {
    if (!process.send) resolve();
    else process.send(message, () => resolve());
  });
}

async function readFloats(path: string): Promise<Float32Array> {
  const file = await open(path, 'r');
  try {
    const { size } = await file.stat();
    if (size % 4 !== 0) throw new Failure('ArtifactCorrupt', `a matrix of ${size} bytes is not float32`);
    const bytes = new Uint8Array(size);
    for (let at = 0; at < size;) {
      const { bytesRead } = await file.read(bytes, at, Math.min(size - at, 1 << 30), at);
      if (bytesRead === 0) throw new Failure('ArtifactCorrupt', 'a matrix became shorter while it was read');
      at += bytesRead;
    }
    return new Float32Array(bytes.buffer);
  } finally {
    await file.close();
  }
}

/** What the parent has said so far. */
const control = { stopping: false, storedStep: -1 };

function listen(): void {
  dieWithParent(1);
  process.on('message', (message: TrainerControl) => {
    if (message.type === 'stop') control.stopping = true;
    else control.storedStep = Math.max(control.storedStep, message.step);
  });
  process.on('SIGTERM', () => (control.stopping = true));
}

/** Tests only: wait in the middle of training until the hold file is removed (architecture: Faults). */
function holdFile(spec: TrainSpec): string | null {
  const wanted = process.env['NODE_ENV'] === 'test' && process.env['PERENNIAL_HOLD'] === 'train:middle';
  const home = process.env['PERENNIAL_HOME'];
  if (!wanted || !home) return null;
  const file = join(home, 'hold', 'train.middle');
  // What was resumed has had its first checkpoint in an earlier life; `.done` says that the test has had its turn.
  return spec.paths.checkpoint === null && !existsSync(`${file}.done`) ? file : null;
}

async function hold(file: string): Promise<void> {
  await mkdir(join(file, '..'), { recursive: true });
  await writeFile(file, `${process.pid}\n`);
  while (existsSync(file) && !control.stopping) await sleep(holdPollMs);
}

/** Decides after each run of K steps: report, store, hold, stop or go on. */
function createWatch(spec: TrainSpec, holdAt: string | null): (state: FitState, plan: Plan) => Promise<boolean> {
  let [lastProgress, lastCheckpoint] = [0, performance.now()];
  let written: { step: number; path: string } | null = null;
  let held = holdAt === null;
  const checkpoint = async (state: FitState, plan: Plan): Promise<void> => {
    requireFinite(state);
    const path = join(spec.paths.out, `checkpoint-${state.step}.state`);
    await writeDurably(path, encodeCheckpoint(spec, state, epochOf(state.step, plan)));
    await send({ type: 'checkpoint', step: state.step, path });
    if (written && written.step <= control.storedStep && written.path !== path) await rm(written.path, { force: true });
    written = { step: state.step, path };
    lastCheckpoint = performance.now();
  };
  return async (state, plan) => {
    const now = performance.now();
    if (now - lastProgress >= progressEveryMs || state.step === plan.totalSteps) {
      lastProgress = now;
      const { totalSteps, epochs } = plan;
      const epoch = epochOf(state.step, plan);
      void send({ type: 'progress', step: state.step, totalSteps, epoch, epochs, loss: shownLoss(state) });
    }
    const due = now - lastCheckpoint >= spec.checkpointEveryMs;
    // At most one checkpoint is on its way to the store, so a slow store cannot fill the disk.
    const free = written === null || written.step <= control.storedStep;
    if (control.stopping || !held || (due && free && state.step < plan.totalSteps)) await checkpoint(state, plan);
    if (!held && holdAt !== null) {
      while (control.storedStep < state.step && !control.stopping) await sleep(5);
      await hold(holdAt);
      held = true;
    }
    return !control.stopping;
  };
}

async function train(specPath: string): Promise<void> {
  const spec = JSON.parse(await readFile(specPath, 'utf8')) as TrainSpec;
  const data: TrainData = { x: await readFloats(spec.paths.x), y: await readFloats(spec.paths.y) };
  const plan = planOf(spec.rows, spec.params);
  const parameters = parameterCount(trainers[spec.trainer].layout(shapeOf(spec)));
  const resume = spec.paths.checkpoint
    ? resumeFrom(spec, await readFile(spec.paths.checkpoint), parameters)
    : undefined;
  await mkdir(spec.paths.out, { recursive: true });
  const holdAt = holdFile(spec);
  // K changes no byte of the result; a hold needs a middle.
  if (holdAt !== null) spec.stepsPerRun = Math.max(1, Math.min(spec.stepsPerRun, Math.floor(plan.totalSteps / 4)));
  const state = await fit(spec, data, {
    ...(resume && { resume }),
    started: ({ step }, { totalSteps }) => void send({ type: 'started', step, totalSteps, provider: spec.provider }),
    after: createWatch(spec, holdAt),
  });
  if (state.step < plan.totalSteps) return;
  const path = join(spec.paths.out, 'final.state');
  await writeDurably(path, encodeCheckpoint(spec, state, plan.epochs));
  await send({ type: 'done', path, steps: state.step, loss: shownLoss(state) });
}

function failureOf(error: unknown): { failure: string; detail: string } {
  if (error instanceof Failure) return { failure: error.failure, detail: error.message };
  const detail = error instanceof Error ? error.message : String(error);
  const memory = /allocation failed|bad_alloc|failed to allocate|out of memory/i.test(detail);
  return { failure: memory ? 'OutOfMemory' : 'Internal', detail };
}

async function main(): Promise<void> {
  const specPath = process.argv[2];
  if (specPath === undefined) throw new Error('usage: workers/trainer.ts <spec.json>');
  listen();
  let code = 0;
  try {
    await train(specPath);
  } catch (error) {
    code = 1;
    await send({ type: 'failed', ...failureOf(error) });
  }
  process.exit(code);
}

await main();
