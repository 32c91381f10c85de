// One pair of the matrix: a run is brought to the held step, one process is killed with SIGKILL, the supervisor brings it
// back, the step goes on, a person does what a person does, and in the end everything must be as if nothing had been.
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { identify, isAlive, type ProcessIdentity, waitForExit } from '../../adapters/embedded/process.js';
import type { TrainerType } from '../../domain/model.js';
import { attendRun } from '../support/person.js';
import { type TestSystem, until } from '../support/system.js';
import { brokenInvariants } from './invariants.js';
import type { Pair, Victim } from './matrix.js';
import { storyOf } from './story.js';
import { letPass, markDone, openRun, type Scene } from './scene.js';

export interface Outcome extends Pair {
  trainer: TrainerType;
  /** Empty: passed. */
  broken: string[];
  /** From the kill until the killed process is back and the held step is recorded. */
  recoverySeconds: number | null;
  /** The whole pair. */
  seconds: number;
  /** From the kill until a trainer child goes on, where `train` was disturbed. */
  resumedSeconds: number | null;
  /** Steps of the training, how many of them its last attempt took over from a checkpoint, and how many were done again. */
  trained: { steps: number; resumedFrom: number; again: number } | null;
}

const holdPatienceMs = 150_000;
const recoveryPatienceMs = 90_000;
const runPatienceMs = 150_000;

export async function killPair(scene: Scene, pair: Pair, reference: string): Promise<Outcome> {
  const startedAt = performance.now();
  const name = `${pair.step}-${pair.process}`;
  const outcome: Outcome = {
    ...pair,
    trainer: scene.trainer,
    broken: [],
    recoverySeconds: null,
    resumedSeconds: null,
    seconds: 0,
    trained: null,
  };
  let run = '';
  try {
    if (scene.hold !== null) await rm(`${scene.hold}.done`, { force: true });
    await letPass(scene);
    run = await openRun(scene, name);
    const { family, done } = await disturb(scene, pair, run, outcome);
    outcome.trained = await trainedOf(scene.system, run, done);
    outcome.broken.push(...(await brokenInvariants(scene.system, run, name, reference)), ...orphans(family));
  } catch (error) {
    outcome.broken.push(error instanceof Error ? error.message : String(error));
    if (scene.hold !== null) await markDone(scene.hold);
    await letPass(scene);
  }
  if (outcome.broken.length > 0) outcome.broken.push(...(await storyOf(scene.system, run, name)));
  outcome.seconds = (performance.now() - startedAt) / 1000;
  return outcome;
}

/** Drives the run to its end with the kill on the way; gives the killed process's children, and the steps trained by then. */
async function disturb(
  scene: Scene,
  pair: Pair,
  run: string,
  outcome: Outcome,
): Promise<{ family: ProcessIdentity[]; done: number }> {
  const { system, truth, hold } = scene;
  if (hold === null) await attendRun(system, run, truth, { stopAt: 'approval' });
  const person = hold === null ? null : attendRun(system, run, truth, { patienceMs: runPatienceMs });
  person?.catch(() => undefined);
  if (hold !== null) await reachHold(hold, person);
  const { victim, family } = await victimOf(system, pair.process);
  if (hold !== null) await markDone(hold);
  const [done, begun] = [await stepsDone(system, run), await trainingsBegun(system)];
  const killedAt = performance.now();
  process.kill(victim.pid, 'SIGKILL');
  await waitForExit(victim, 10_000);
  await letPass(scene);
  const rest = person ?? attendRun(system, run, truth, { patienceMs: runPatienceMs });
  const recovered = Promise.all([goesOn(system, pair, run), isBack(system, pair.process, victim)]);
  const trains = pair.step === 'train' && ['trainer', 'gpu'].includes(pair.process);
  await Promise.all([
    recovered.then(() => (outcome.recoverySeconds = (performance.now() - killedAt) / 1000)),
    trains && resumed(system, begun).then((at) => (outcome.resumedSeconds = (at - killedAt) / 1000)),
    rest,
  ]);
  return { family, done };
}

/** How far the training is, as the run's row shows it. */
async function stepsDone(system: TestSystem, run: string): Promise<number> {
  const shown = `select (progress->>'step')::int as step from step where run = $1 and node = 'train' and not wait`;
  const [found] = await system.sql<{ step: number | null }>(shown, [run]);
  return found?.step ?? 0;
}

/** How often a trainer child has begun to train, as the workers' logs tell. */
async function trainingsBegun({ home }: TestSystem): Promise<number> {
  const logs = ['cpu', 'gpu'].map((pool) => readFile(join(home, 'log', `${pool}.log`), 'utf8').catch(() => ''));
  return (await Promise.all(logs)).join('').split('train.started').length - 1;
}

/** When another child has begun to train. */
async function resumed(system: TestSystem, begun: number): Promise<number> {
  await until('another training', async () => (await trainingsBegun(system)) > begun, recoveryPatienceMs);
  return performance.now();
}

async function reachHold(hold: string, person: Promise<unknown> | null): Promise<void> {
  let ended: unknown;
  void person?.then(
    (done) => (ended = done),
    (error: unknown) => (ended = error),
  );
  await until(
    `the hold file ${hold}`,
    () => {
      if (ended instanceof Error) throw ended;
      if (ended !== undefined) throw new Error(`the run ended before it was held: ${JSON.stringify(ended)}`);
      return Promise.resolve(existsSync(hold));
    },
    holdPatienceMs,
  );
}

async function victimOf(
  system: TestSystem,
  name: Victim,
): Promise<{ victim: ProcessIdentity; family: ProcessIdentity[] }> {
  return until(`a living ${name}`, async () => {
    const { pids } = await system.running();
    const pid = name === 'trainer' ? pids.trainer.at(-1) : pids[name];
    const victim = identify(pid ?? 0);
    return victim && { victim, family: childrenOf(victim.pid) };
  });
}

function childrenOf(pid: number): ProcessIdentity[] {
  const lines = execFileSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' }).trim().split('\n');
  const family = lines.map((line) => line.trim().split(/\s+/).map(Number));
  const own = family.flatMap(([child = 0, parent]) => (parent === pid ? [child] : []));
  return own.flatMap((child) => [...[identify(child)].filter((one) => one !== null), ...childrenOf(child)]);
}

function orphans(family: ProcessIdentity[]): string[] {
  return family.filter(isAlive).map(({ pid }) => `process ${pid} outlived its killed parent`);
}

const passed = `select 1 from step where run = $1 and node = $2 and not wait and status = 'succeeded'`;
const decided = `select 1 from approval where run = $1 and status <> 'open'`;

/** The held step is recorded; for `approve`: the decision is. */
function goesOn(system: TestSystem, { step }: Pair, run: string): Promise<boolean> {
  const look = async () => {
    const found = step === 'approve' ? system.sql(decided, [run]) : system.sql(passed, [run, step]);
    return (await found.catch(() => [])).length > 0;
  };
  return until(`${step} to be recorded`, look, recoveryPatienceMs);
}

function isBack(system: TestSystem, name: Victim, victim: ProcessIdentity): Promise<boolean> {
  // A trainer's successor may be done before anybody looks: the recorded step says that there was one.
  if (name === 'trainer') return Promise.resolve(true);
  const look = async () => {
    const { pids } = await system.running();
    const pid = pids[name];
    if (pid === null || pid === victim.pid || identify(pid) === null) return false;
    const answer = name === 'api' ? await fetch(`${system.url}/healthz`).catch(() => null) : null;
    return name !== 'api' || answer?.ok === true;
  };
  return until(`${name} to be back`, look, recoveryPatienceMs);
}

async function trainedOf(system: TestSystem, run: string, done: number): Promise<Outcome['trained']> {
  const [found] = await system.sql<{ steps: number; resumedFrom: number }>(
    `select (result->>'steps')::int as steps, (result->>'resumedFromStep')::int as "resumedFrom"
      from step where run = $1 and node = 'train' and status = 'succeeded'`,
    [run],
  );
  return found ? { ...found, again: Math.max(0, done - found.resumedFrom) } : null;
}
