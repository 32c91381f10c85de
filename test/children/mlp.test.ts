import { existsSync, readFileSync } from 'node:fs';
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { runTrainer } from '../../adapters/trainer.js';
import type { TrainSpec } from '../../domain/model.js';
import { decodeCheckpoint } from '../../ml/trainers/checkpoint.js';
import { toyData, trainSpec } from '../ml/spec.js';
import { folder, quiet, removeFolder, sentences, sha256Of, specFile, talk, write } from './trainings.js';

afterAll(removeFolder);

const options = { deadlineMs: 120_000, memoryLimitMb: 600 };

type Sizes = Pick<TrainSpec, 'rows' | 'width' | 'outputs' | 'task'>;

let kept = 0;
/** Killed with SIGKILL after its `after`-th checkpoint; the checkpoint, or null when it ended before. */
async function killed(spec: TrainSpec, from: string | null, after: number): Promise<string | null> {
  const copy = join(folder, `kept-${kept++}.state`);
  let seen = 0;
  const run = runTrainer(
    specFile(spec, from),
    {
      ...quiet,
      checkpoint: async ({ path }) => {
        if (++seen !== after) return;
        await copyFile(path, copy);
        process.kill(run.pid, 'SIGKILL');
      },
    },
    options,
  );
  return run.done.then(
    () => null,
    () => copy,
  );
}

async function expectSameBytesUnderKills(spec: TrainSpec, kills: number): Promise<void> {
  const whole = await runTrainer(specFile({ ...spec, checkpointEveryMs: 1e9 }, null), quiet, options).done;
  let from: string | null = null;
  for (let kill = 1; kill <= kills; kill++) {
    from = await killed(spec, from, kill);
    expect(from).not.toBeNull();
  }
  const last = await runTrainer(specFile(spec, from), quiet, options).done;
  expect(last).toMatchObject({ steps: whole.steps, loss: whole.loss });
  expect(sha256Of(last.path)).toBe(sha256Of(whole.path));
}

describe('killed again and again, and resumed: the same bytes', { timeout: 120_000 }, () => {
  test('with dropout and early stopping', async () => {
    const sizes: Sizes = { rows: 2_000, width: 20, outputs: 3, task: 'classification' };
    const validation = { rows: 300, ...write('look', toyData(300, 20, 3)) };
    const params = { hidden: [64, 32], dropout: 0.3, patience: 5, epochs: 60, batch: 32, learningRate: 0.01 };
    const spec = trainSpec({ ...sizes, trainer: 'mlp', params, validation, stepsPerRun: 10, checkpointEveryMs: 30 });
    spec.paths = { ...spec.paths, ...write('small', toyData(2_000, 20, 3)) };
    await expectSameBytesUnderKills(spec, 3);
  });

  test('bags of n-grams beside numbers, calibrated at the end', async () => {
    const sizes: Sizes = { rows: 2_000, width: talk.width, outputs: 3, task: 'classification' };
    const validation = { rows: 300, ...write('heard', sentences(300)) };
    const params = { dims: 8, hidden: 8, dropout: 0.2, epochs: 20, batch: 32 };
    const more = { params, tokens: talk.tokens, validation, stepsPerRun: 10, checkpointEveryMs: 30 };
    const spec = trainSpec({ ...sizes, trainer: 'text', ...more });
    spec.paths = { ...spec.paths, ...write('said', sentences(2_000)) };
    await expectSameBytesUnderKills(spec, 3);
  });

  test('a network of convolutions', async () => {
    const sizes: Sizes = { rows: 1_000, width: 36, outputs: 3, task: 'classification' };
    const params = { height: 6, width: 6, filters: [4, 8], hidden: [16], epochs: 20, batch: 50, dropout: 0.2 };
    const spec = trainSpec({ ...sizes, trainer: 'cnn', params, stepsPerRun: 5, checkpointEveryMs: 20 });
    spec.paths = { ...spec.paths, ...write('images', toyData(1_000, 36, 3)) };
    await expectSameBytesUnderKills(spec, 3);
  });

  test('with more rows than a buffer holds, in the memory of a buffer', async () => {
    const sizes: Sizes = { rows: 40_000, width: 512, outputs: 3, task: 'classification' };
    const y = Float32Array.from({ length: sizes.rows }, (_, row) => row % 3);
    const x = Float32Array.from({ length: sizes.rows * sizes.width }, (_, i) => ((i * 7919) % 1000) / 1000 - 0.5);
    const params = { hidden: [8], epochs: 2, batch: 256 };
    const spec = trainSpec({ ...sizes, trainer: 'mlp', params, stepsPerRun: 16, checkpointEveryMs: 20 });
    spec.paths = { ...spec.paths, ...write('large', { x, y }) };
    await expectSameBytesUnderKills(spec, 2);
  });
});

test(
  'a training that diverges is TrainingDiverged, and its last checkpoint is whole',
  { timeout: 60_000 },
  async () => {
    const sizes: Sizes = { rows: 500, width: 10, outputs: 1, task: 'regression' };
    const params = {
      hidden: [],
      optimiser: 'sgd',
      schedule: 'constant',
      learningRate: 8,
      epochs: 5_000,
      batch: 50,
    };
    const spec = trainSpec({ ...sizes, trainer: 'mlp', params, stepsPerRun: 1, checkpointEveryMs: 0 });
    spec.paths = { ...spec.paths, ...write('wild', toyData(500, 10, 0)) };
    const copies: string[] = [];
    const checkpoint = async ({ path, step }: { path: string; step: number }): Promise<void> => {
      const copy = join(folder, `wild-${step}.state`);
      await copyFile(path, copy);
      copies.push(copy);
    };
    const run = runTrainer(specFile(spec, null), { ...quiet, checkpoint }, options);
    await expect(run.done).rejects.toMatchObject({ failure: 'TrainingDiverged' });
    const last = copies.at(-1)!;
    expect(existsSync(last)).toBe(true);
    const { snapshot } = decodeCheckpoint(readFileSync(last));
    expect([...(snapshot.arrays['p'] as Float32Array)].every(Number.isFinite)).toBe(true);
  },
);
