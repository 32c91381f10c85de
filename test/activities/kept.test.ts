// A training that fails for want of disk or memory, or diverges: a named failure, its last checkpoint kept. Run again with
// what it lacked, it goes on from there and ends in the bytes of a training that nobody disturbed.
import { execFileSync } from 'node:child_process';
import { appendFileSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { asFailure } from '../../activities/fail.js';
import { createFileStore } from '../../adapters/store/fs.js';
import { collectArtifacts } from '../../db/artifact.js';
import type { Digest } from '../../domain/artifact.js';
import { isDiskFull } from '../../domain/failures.js';
import type { RunContext } from '../../domain/run.js';
import { writeDurably } from '../../ml/trainers/checkpoint.js';
import { ask, failureOf } from '../db/facts.js';
import { until } from '../support/system.js';
import { openModelWorld, type Options } from './model-run.js';

let models: Awaited<ReturnType<typeof openModelWorld>>;
let world: typeof models.world;
beforeAll(async () => {
  models = await openModelWorld();
  ({ world } = models);
}, 60_000);
afterAll(() => models.close());

/** A file system of so many bytes, gone after the test; or why there is none. */
function smallDisk(bytes: number): { path: string } | { why: string } {
  const path = mkdtempSync(join(tmpdir(), 'perennial-disk-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'tmpfs', path], { stdio: 'pipe' });
  } catch (error) {
    return { why: `no small file system can be mounted here: ${(error as Error).message.split('\n').pop()}` };
  }
  onTestFinished(() => void execFileSync('umount', ['-l', path]));
  return { path };
}

/** Long enough to be disturbed: some ten thousand steps, a checkpoint each few milliseconds. */
const long = { trainer: { type: 'linear', params: { epochs: 200, batch: 4 }, seed: 7 } };
const often: Options = { checkpointEveryMs: 20 };

const trained = `select checkpoint as digest, checkpoint_step as step, status, failure ->> 'type' as failure from step
  where node = 'train'`;
interface Trained {
  digest: Digest | null;
  step: number | null;
  status: string;
  failure: string | null;
}
const trainingOf = async ({ run }: RunContext): Promise<Trained | undefined> =>
  (await ask<Trained>(world.db, sql`${sql.raw(trained)} and run = ${run}`))[0];

/** Runs `disturb` once a checkpoint is stored; gives how the run failed. */
async function disturbed(context: RunContext, options: Options, disturb: () => void): Promise<string | null> {
  const done = failureOf(models.execute(context, options));
  await until('a stored checkpoint', async () => ((await trainingOf(context))?.step ?? 0) > 0, 30_000);
  disturb();
  return done;
}

/** The run failed as named; run again with enough of everything it goes on from its checkpoint, to the same bytes. */
async function goesOn(context: RunContext, failure: string): Promise<void> {
  const left = await trainingOf(context);
  expect(left).toMatchObject({ status: 'failed', failure });
  expect(left?.step).toBeGreaterThan(0);
  await collectArtifacts(world.db, (digest) => world.artifacts.store.remove(digest), { idleMs: 0 });
  expect(await world.artifacts.store.has(left!.digest!)).toBe(true);
  const again = await models.execute(await models.openAgain(context));
  expect(again.results.train['resumedFromStep']).toBe(left!.step);
  const fresh = await models.execute(await models.openAgain(context, { fresh: true }));
  expect(fresh.results.train['resumedFromStep']).toBe(0);
  expect(again.results.train['state']).toBe(fresh.results.train['state']);
  expect(again.results.package['variants']).toEqual(fresh.results.package['variants']);
}

describe('a training that ends early', () => {
  it('for want of disk', async ({ skip }) => {
    const disk = smallDisk(256 * 1024);
    if ('why' in disk) return skip(disk.why);
    const context = await models.open(await models.pipeline(long));
    // what the child removes is taken as well, so that there is never room for the next checkpoint
    const fill = () => {
      const filler = join(disk.path, 'filler');
      const more = () => {
        try {
          for (;;) appendFileSync(filler, Buffer.alloc(4096));
        } catch (error) {
          expect(isDiskFull(error)).toBe(true);
        }
      };
      more();
      const filling = setInterval(more, 2);
      onTestFinished(() => clearInterval(filling));
    };
    expect(await disturbed(context, { ...often, scratch: disk.path }, fill)).toBe('DiskFull');
    await goesOn(context, 'disk-full');
  }, 120_000);

  it('for want of memory', async ({ skip }) => {
    try {
      execFileSync('prlimit', ['--pid', String(process.pid), '--data'], { stdio: 'pipe' });
    } catch {
      return skip('there is no prlimit here, which takes memory from a running process');
    }
    const context = await models.open(await models.pipeline(long));
    // from now on the kernel refuses the child any more memory of its own than it has
    const starve = () => execFileSync('prlimit', ['--pid', String(models.children.at(-1)), '--data=1000000:1000000']);
    expect(await disturbed(context, often, starve)).toBe('OutOfMemory');
    await goesOn(context, 'out-of-memory');
  }, 120_000);

  it('for a loss that is no number, which no retry changes; with another step size it begins anew', async () => {
    const params = { optimiser: 'sgd', learningRate: 3, schedule: 'constant', epochs: 50, batch: 4 };
    const regression = { dataset: { label: 'x', task: 'regression' }, gate: { metric: 'rmse', max: 100 } };
    const name = await models.pipeline({ ...regression, trainer: { type: 'linear', params, seed: 7 } });
    const context = await models.open(name);
    expect(await failureOf(models.execute(context, { checkpointEveryMs: 0 }))).toBe('TrainingDiverged');
    const left = await trainingOf(context);
    expect(left).toMatchObject({ status: 'failed', failure: 'training-diverged' });
    expect(left?.step).toBeGreaterThan(0);
    expect(await failureOf(models.execute(await models.openAgain(context)))).toBe('TrainingDiverged');
    const overrides = { 'trainer.params.learningRate': 0.01 };
    const again = await models.execute(await models.openAgain(context, { overrides }));
    expect(again.results.train['resumedFromStep']).toBe(0);
  }, 60_000);

  it('far too large for its memory limit is refused before anything is forked', async () => {
    const trainer = { type: 'mlp', params: { hidden: [8192, 8192, 8192], epochs: 1 }, seed: 7 };
    const context = await models.open(await models.pipeline({ trainer }));
    const forked = models.children.length;
    expect(await failureOf(models.execute(context))).toBe('ModelTooLarge');
    expect(models.children).toHaveLength(forked);
  }, 60_000);

  it('above its memory limit', async () => {
    const name = await models.pipeline(long);
    const context = await models.open(name);
    expect(await failureOf(models.execute(context, { memoryLimitMb: 40 }))).toBe('OutOfMemory');
    expect(await trainingOf(context)).toMatchObject({ status: 'failed', failure: 'out-of-memory', step: null });
    expect((await models.execute(await models.openAgain(context))).results.train['resumedFromStep']).toBe(0);
  }, 120_000);
});

describe('a full disk', () => {
  it('is DiskFull where a worker writes, whoever says so', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'perennial-full-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const path = join(folder, 'checkpoint');
    symlinkSync('/dev/full', `${path}.${process.pid}.tmp`);
    const error = await writeDurably(path, new Uint8Array(10)).catch((thrown: unknown) => thrown);
    expect(asFailure(error).failure).toBe('DiskFull');
    const duck = world.duck.query(`COPY (SELECT * FROM range(1000000)) TO '/dev/full' (FORMAT csv)`);
    const refused = await duck.catch((thrown: unknown) => thrown);
    expect(asFailure(refused).failure).toBe('DiskFull');
    expect(asFailure(new Error('another')).failure).toBe('Internal');
  });

  it('is StoreFull where the store puts, and leaves nothing', async ({ skip }) => {
    const disk = smallDisk(64 * 1024);
    if ('why' in disk) return skip(disk.why);
    const store = createFileStore(disk.path);
    const hooks = { touch: () => Promise.resolve(), lock: (_: unknown, look: () => Promise<void>) => look() };
    const put = (bytes: number) => store.put(new Uint8Array(bytes), 'application/octet-stream', hooks);
    expect(await failureOf(put(100_000))).toBe('StoreFull');
    expect(await put(10_000)).toMatchObject({ sizeBytes: 10_000 });
  });
});
