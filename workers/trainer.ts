// Trainer child: `node bin/run.mjs workers/trainer.ts <spec.json>`, forked by adapters/trainer.ts. It sees local files and
// its parent, nothing else. Exits: 0 after `done` or a drain, 1 after `failed` or when the parent is gone.
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { dieWithParent } from '../adapters/fork.js';
import { Failure, isDiskFull } from '../domain/failures.js';
import type { Progress, Snapshot, TrainerMessage, TrainSpec } from '../domain/model.js';
import type { TrainerControl } from '../domain/trainers.js';
import { decodeCheckpoint, encodeCheckpoint, resumeFrom, writeDurably } from '../ml/trainers/checkpoint.js';
import { fit } from '../ml/trainers/index.js';
import { fileRows } from '../ml/trainers/rows.js';
import type { FitHooks, Start } from '../ml/trainers/trainer.js';

const progressEveryMs = 250;
const holdPollMs = 50;

/** Resolves when the message has left this process. */
function send(message: TrainerMessage): Promise<void> {
  return new Promise((resolve) => {
    if (!process.send) resolve();
    else process.send(message, () => resolve());
  });
}

/** What the parent has said so far. */
const control = { stopping: false, storedStep: -1 };

function listen(): void {
  dieWithParent(1);
  process.on('message', (message: TrainerControl) => {
    if (message.type === 'stop') control.stopping = true;
    else if (message.type === 'stored') control.storedStep = Math.max(control.storedStep, message.step);
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

/** Decides between two steps: report, store, hold, stop or go on. */
function createWatch(spec: TrainSpec, holdAt: string | null): FitHooks['after'] {
  let [lastProgress, lastCheckpoint] = [0, performance.now()];
  let written: { step: number; path: string } | null = null;
  let held = holdAt === null;
  const checkpoint = async (progress: Progress, snapshot: Snapshot): Promise<void> => {
    const { step } = snapshot;
    const path = join(spec.paths.out, `checkpoint-${step}.state`);
    await writeDurably(path, encodeCheckpoint(spec, progress, snapshot));
    await send({ type: 'checkpoint', step, path });
    if (written && written.step <= control.storedStep && written.path !== path) await rm(written.path, { force: true });
    written = { step, path };
    lastCheckpoint = performance.now();
  };
  return async (progress, snapshot) => {
    const now = performance.now();
    const { step, totalSteps } = progress;
    if (now - lastProgress >= progressEveryMs || step === totalSteps) {
      lastProgress = now;
      void send({ type: 'progress', ...progress });
    }
    const due = now - lastCheckpoint >= spec.checkpointEveryMs;
    // At most one checkpoint is on its way to the store, so a slow store cannot fill the disk.
    const free = written === null || written.step <= control.storedStep;
    if (control.stopping || !held || (due && free && step < totalSteps)) await checkpoint(progress, snapshot());
    if (!held && holdAt !== null) {
      while (control.storedStep < step && !control.stopping) await sleep(5);
      await hold(holdAt);
      held = true;
    }
    return !control.stopping;
  };
}

async function startOf(spec: TrainSpec): Promise<Start> {
  const { checkpoint, warm } = spec.paths;
  if (checkpoint !== null) return { resume: resumeFrom(spec, await readFile(checkpoint)) };
  return warm === undefined ? {} : { warm: decodeCheckpoint(await readFile(warm)).snapshot };
}

async function train(specPath: string): Promise<void> {
  const spec = JSON.parse(await readFile(specPath, 'utf8')) as TrainSpec;
  const { x, y, weights, out } = spec.paths;
  const data = {
    train: await fileRows({ rows: spec.rows, x, y, weights }, spec.width),
    validation: spec.validation && (await fileRows(spec.validation, spec.width)),
  };
  await mkdir(out, { recursive: true });
  const holdAt = holdFile(spec);
  // K changes no byte of the result; a hold needs a middle.
  if (holdAt !== null) spec.stepsPerRun = 1;
  const { progress, snapshot, finished } = await fit(spec, data, await startOf(spec), {
    started: ({ step, totalSteps }) => void send({ type: 'started', step, totalSteps, provider: spec.provider }),
    after: createWatch(spec, holdAt),
  });
  if (!finished) return;
  const path = join(out, 'final.state');
  await writeDurably(path, encodeCheckpoint(spec, progress, snapshot));
  await send({ type: 'done', path, steps: progress.step, loss: progress.loss });
}

function failureOf(error: unknown): { failure: string; detail: string } {
  if (error instanceof Failure) return { failure: error.failure, detail: error.message };
  const detail = error instanceof Error ? error.message : String(error);
  if (isDiskFull(error)) return { failure: 'DiskFull', detail: 'a checkpoint could not be written' };
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
