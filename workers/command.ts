// Command child, forked by adapters/trainer.ts: runs a user's program, passes on its metrics and checkpoints where it trains,
// ends it with all that it started. It loads no model. When its parent is gone it kills the program and exits.
import { lstat, mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { dropOlder, lineFollower, packCheckpoint, publishedSteps } from '../adapters/command/checkpoints.js';
import { type Program, type ProgramEnd, startProgram } from '../adapters/command/program.js';
import { verdictTooLarge } from '../adapters/command/verdict.js';
import { type CommandSpec, type MetricLine, parseMetricLine } from '../domain/command.js';
import { Failure } from '../domain/failures.js';
import type { TrainerMessage } from '../domain/model.js';
import { mostVerdictBytes } from '../domain/program.js';
import type { TrainerControl } from '../domain/trainers.js';

const lookEveryMs = 100;
const largestModelBytes = 2 ** 31 - 1;
const mib = 1024 * 1024;

/** What the parent has said so far. */
const control = { stopping: false, storedStep: -1, gone: false };
let drainMs = 0;
let program: Program | null = null;

function send(message: TrainerMessage): Promise<void> {
  return new Promise((resolve) => {
    if (process.connected) process.send?.(message, () => resolve());
    else resolve();
  });
}

const shutDown = new Failure('WorkerShutdown', 'the program did not end in time');

function stop(): void {
  if (control.stopping) return;
  control.stopping = true;
  if (program) terminate();
}

function terminate(): void {
  program?.terminate();
  setTimeout(() => program?.end(shutDown), drainMs).unref();
}

/** Resolves with the values that the program must not print. */
function listen(): Promise<string[]> {
  // Ctrl-C reaches the whole group; the parent decides what becomes of its children.
  process.on('SIGINT', () => undefined);
  process.on('SIGTERM', stop);
  process.on('disconnect', () => {
    control.gone = true;
    if (program) program.end(shutDown);
    else process.exit(1);
  });
  return new Promise((resolve) => {
    process.on('message', (message: TrainerControl) => {
      if (message.type === 'stop') stop();
      else if (message.type === 'stored') control.storedStep = Math.max(control.storedStep, message.step);
      else resolve(message.values);
    });
  });
}

type Training = NonNullable<CommandSpec['training']>;

class Reporter {
  readonly #spec: CommandSpec;
  readonly #training: Training;
  readonly #job: string;
  readonly #lines: () => Promise<string[]>;
  #lastCheckpoint = performance.now();
  #taken: number;
  #packed: { step: number; path: string } | null = null;
  /** Of the last line that had one. */
  loss: number | null = null;
  step: number;

  constructor(spec: CommandSpec, training: Training) {
    this.#spec = spec;
    this.#training = training;
    this.#job = join(spec.folder, 'job');
    this.#lines = lineFollower(join(this.#job, 'metrics.jsonl'));
    this.#taken = training.resumedFromStep;
    this.step = training.resumedFromStep;
  }

  async metrics(): Promise<void> {
    for (let more = await this.#lines(); more.length > 0; more = await this.#lines()) {
      const lines = more.map(parseMetricLine).filter((line): line is MetricLine => line !== null);
      for (const { step, values } of lines) {
        this.step = Math.max(this.step, step);
        this.loss = values['loss'] ?? this.loss;
      }
      if (lines.length > 0) await send({ type: 'metrics', lines });
    }
  }

  /** `last`: takes what there is, however lately another was taken. */
  async checkpoint(last: boolean): Promise<void> {
    const folder = join(this.#job, 'checkpoint');
    const newest = (await publishedSteps(folder)).at(-1);
    if (newest === undefined || newest <= this.#taken) return;
    // at most one is on its way to the store, so a slow store cannot fill the disk
    const waits = this.#packed !== null && this.#packed.step > control.storedStep;
    const soon = performance.now() - this.#lastCheckpoint < this.#training.checkpointEveryMs;
    if (!last && (waits || soon)) return dropOlder(folder, newest);
    const path = join(this.#spec.folder, 'out', `checkpoint-${newest}.tar`);
    const header = { version: 1 as const, step: newest, inputsDigest: this.#training.inputsDigest };
    try {
      await packCheckpoint(folder, header, { out: path, mostBytes: this.#spec.diskMb * mib });
    } catch (error) {
      // the program published a newer one and removed this one meanwhile
      if (((await publishedSteps(folder)).at(-1) ?? -1) !== newest) return;
      const why = error instanceof Error ? error.message : String(error);
      throw new Failure('CommandFailed', `the program's checkpoint ${newest} cannot be kept: ${why}`);
    }
    await send({ type: 'checkpoint', step: newest, path });
    if (this.#packed) await rm(this.#packed.path, { force: true });
    this.#packed = { step: newest, path };
    this.#taken = newest;
    this.#lastCheckpoint = performance.now();
    await dropOlder(folder, newest);
  }
}

const said = (tail: string): string => (tail === '' ? '; it printed nothing' : `; its last lines:\n${tail}`);

/** By these others end a program; by any other signal it has ended itself. */
const othersSignals: readonly (NodeJS.Signals | null)[] = ['SIGKILL', 'SIGTERM', 'SIGINT', 'SIGHUP'];

/** What the end of the program means; null: it has left something. */
function failureOf({ code, signal, why, left, tail }: ProgramEnd, training: Training | null): Failure | null {
  if (why) return why.failure === 'CommandTimedOut' ? new Failure(why.failure, why.message + said(tail)) : why;
  if (signal !== null) {
    // a training that crashed goes on from its checkpoint; a check would crash again
    const failure = training || othersSignals.includes(signal) ? 'ChildDied' : 'CommandFailed';
    return new Failure(failure, `the program was ended by ${signal}${said(tail)}`);
  }
  // a shell or a container runtime tells of a signal to what it ran by 128 and the signal's number
  if (!training && (code === 137 || code === 143)) {
    return new Failure('ChildDied', `the program ended with code ${code}: it was killed${said(tail)}`);
  }
  if (code !== 0) return new Failure('CommandFailed', `the program ended with code ${code}${said(tail)}`);
  if (left.length === 0) return null;
  const names = [...new Set(left)].slice(0, 5).join(', ');
  return new Failure(
    'CommandLeftProcesses',
    `the program ended, but ${left.length} of its processes did not: ${names}`,
  );
}

/** What it has left, which is a file of a size that can be read. */
async function leftBy({ folder, training }: CommandSpec, tail: string): Promise<string> {
  const [name, mostBytes] = training
    ? (['model.onnx', largestModelBytes] as const)
    : (['verdict.json', mostVerdictBytes] as const);
  const path = join(folder, 'job', name);
  const found = await lstat(path).catch(() => null);
  if (!found?.isFile()) {
    const failure = training ? 'CommandNoModel' : 'CommandNoVerdict';
    throw new Failure(failure, `the program ended with code 0 and left no file ${name}${said(tail)}`);
  }
  if (found.size <= mostBytes) return path;
  if (!training) throw verdictTooLarge(found.size);
  throw new Failure('CommandModelBroken', `the program's model.onnx has ${found.size} bytes, more than ONNX can hold`);
}

async function follow(spec: CommandSpec, secrets: string[]): Promise<void> {
  const { training } = spec;
  await mkdir(join(spec.folder, 'out'), { recursive: true });
  const report = training && new Reporter(spec, training);
  drainMs = spec.drainMs;
  program = await startProgram(spec, secrets);
  const running = { now: true };
  void program.exited.then(() => (running.now = false));
  await send({ type: 'started', step: training?.resumedFromStep ?? 0, totalSteps: 0, provider: 'cpu' });
  if (control.stopping) terminate();
  while (report && running.now) {
    await report.metrics();
    await report.checkpoint(false);
    await Promise.race([sleep(lookEveryMs), program.exited]);
  }
  await program.exited;
  const stopped = control.stopping;
  const end = await program.ended;
  if (control.gone) return;
  await report?.metrics();
  const failure = stopped ? null : failureOf(end, training);
  // a program that has failed may be mended: what it got to is kept
  if (stopped || failure) await report?.checkpoint(true);
  if (failure) throw failure;
  if (stopped) return;
  const path = await leftBy(spec, end.tail);
  await send({ type: 'done', path, steps: report?.step ?? 0, loss: report?.loss ?? Number.NaN });
}

async function main(): Promise<void> {
  const specPath = process.argv[2];
  if (specPath === undefined) throw new Error('usage: workers/command.ts <spec.json>');
  const secrets = await listen();
  let code = 0;
  try {
    await follow(JSON.parse(await readFile(specPath, 'utf8')) as CommandSpec, secrets);
  } catch (error) {
    code = 1;
    program?.end(shutDown);
    await program?.ended;
    const failure = error instanceof Failure ? error.failure : 'Internal';
    await send({ type: 'failed', failure, detail: error instanceof Error ? error.message : String(error) });
  }
  process.exit(code);
}

await main();
