// kill -9 in the middle of an interval between two checkpoints, at a moment drawn by a seed: the next attempt goes on from
// the last stored one, no more than an interval's steps are done again, and the bytes are those of an undisturbed training.
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { runTrainer } from '../../adapters/trainer.js';
import type { TrainerType, TrainSpec } from '../../domain/model.js';
import { createRandom } from '../../stats/prng.js';
import { learnt, type Toy, toyData, trainSpec } from '../ml/spec.js';
import { folder, quiet, removeFolder, sentences, sha256, sha256Of, specFile, talk, write } from './trainings.js';

afterAll(removeFolder);

const options = { deadlineMs: 60_000, memoryLimitMb: 1_000 };
/** A little longer than the time between two reports, so that these fall anywhere in an interval. */
const checkpointEveryMs = 300;
const [rows, outputs] = [2_000, 3];

interface Case {
  width: number;
  data: Toy;
  params: Record<string, number | number[]>;
  /** The parameter that says how long it takes, here a second or two with one step at a time. */
  length: 'epochs' | 'rounds';
  more?: Partial<TrainSpec>;
}

const cases: Record<TrainerType, Case> = {
  linear: { width: 20, data: toyData(rows, 20, outputs), params: { epochs: 50, batch: 32 }, length: 'epochs' },
  mlp: {
    ...{ width: 20, data: toyData(rows, 20, outputs), length: 'epochs' },
    params: { hidden: [32], dropout: 0.2, epochs: 25, batch: 32 },
  },
  trees: { width: 20, data: toyData(rows, 20, outputs), params: { rounds: 50, subsample: 0.7 }, length: 'rounds' },
  text: {
    ...{ width: talk.width, data: sentences(rows), length: 'epochs', more: { tokens: talk.tokens } },
    params: { dims: 8, hidden: 8, epochs: 25, batch: 32 },
  },
  cnn: {
    ...{ width: 36, data: toyData(rows, 36, outputs), length: 'epochs' },
    params: { height: 6, width: 6, filters: [4, 8], hidden: [16], epochs: 20, batch: 50 },
  },
};

/** `times` as long as the case says. */
function specOf(trainer: TrainerType, times: number): TrainSpec {
  const { width, params, length, more, data } = cases[trainer];
  const longer = { ...params, [length]: Number(params[length]) * times };
  const spec = trainSpec({ trainer, rows, width, outputs, params: longer, stepsPerRun: 1, checkpointEveryMs, ...more });
  return { ...spec, paths: { ...spec.paths, ...write(trainer, data) } };
}

interface Killed {
  /** Copy of the checkpoint that was stored last. */
  kept: string;
  /** Steps of the stored checkpoints. */
  stored: number[];
  /** Steps that were surely done. */
  done: number;
  /** From one checkpoint's coming to the next, the first from the fork. */
  gapsMs: number[];
  /** Between the last checkpoint's coming and the kill. */
  afterMs: number;
}

/** Killed at the first report past so many checkpoints and behind the last; null where it ended before. */
async function killed(spec: TrainSpec, checkpoints: number): Promise<Killed | null> {
  const seen: Killed = { kept: join(folder, `${spec.trainer}.state`), stored: [], gapsMs: [], done: 0, afterMs: 0 };
  let storedAt = performance.now();
  const run = runTrainer(
    specFile(spec, null),
    {
      ...quiet,
      checkpoint: async ({ step, path }) => {
        await copyFile(path, seen.kept);
        seen.stored.push(step);
        seen.gapsMs.push(performance.now() - storedAt);
        storedAt = performance.now();
      },
      progress: ({ step, totalSteps }) => {
        if (seen.done > 0 || step === totalSteps) return;
        if (seen.stored.length < checkpoints || step <= seen.stored.at(-1)!) return;
        seen.done = step;
        seen.afterMs = performance.now() - storedAt;
        process.kill(run.pid, 'SIGKILL');
      },
    },
    options,
  );
  const failure: unknown = await run.done.catch((error: unknown) => error);
  if (seen.done === 0) return null;
  expect(failure).toMatchObject({ failure: 'ChildDied' });
  return seen;
}

/** A machine may be faster than these trainings are long. */
async function killedOnce(trainer: TrainerType, checkpoints: number): Promise<Killed & { spec: TrainSpec }> {
  for (const times of [1, 3, 9]) {
    const spec = specOf(trainer, times);
    const found = await killed(spec, checkpoints);
    if (found) return { ...found, spec };
  }
  throw new Error(`${trainer} ended before it had stored ${checkpoints} checkpoints`);
}

describe('kill -9 loses at most one interval', { timeout: 120_000 }, () => {
  const random = createRandom(2026);
  const all = (Object.keys(cases) as TrainerType[]).map((trainer) => [trainer, 2 + random.below(3)] as const);

  test.each(all)('%s, behind checkpoint %i', async (trainer, checkpoints) => {
    const { spec, kept, stored, gapsMs, done, afterMs } = await killedOnce(trainer, checkpoints);
    // the first waits for the process to start; a shared machine may be late with any, but not with all
    expect(Math.min(...gapsMs.slice(1))).toBeLessThan(4 * spec.checkpointEveryMs);
    const steps: number[] = [];
    let from = -1;
    const run = runTrainer(
      specFile(spec, kept),
      {
        ...quiet,
        started: ({ step }) => (from = step),
        checkpoint: async ({ step }) => void steps.push(step),
      },
      options,
    );
    const { path } = await run.done;
    expect(from).toBe(stored.at(-1));
    const gaps = [...stored, ...steps].map((step, i, whole) => step - (whole[i - 1] ?? 0));
    // an interval is a time, and a machine that is shared is not equally fast all the time
    expect(done - from).toBeLessThanOrEqual(2 * Math.max(...gaps));
    const when = `at step ${done}, ${afterMs.toFixed(0)} ms after a checkpoint was stored`;
    console.log(`${trainer}: killed ${when}, resumed from ${from}; up to ${Math.max(...gaps)} steps an interval`);
    expect(sha256Of(path)).toBe(sha256(await learnt({ ...spec, stepsPerRun: 64 }, cases[trainer].data)));
  });
});
