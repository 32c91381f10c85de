// A trainer child on synthetic rows in files, as the activity forks it, for benches that look at it from outside.
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runTrainer, type TrainerHandlers, type TrainerRun } from '../adapters/trainer.js';
import type { TrainSpec } from '../domain/model.js';
import type { TrainerParams } from '../domain/trainers.js';
import { classificationSpec, randomVector } from './epochs.support.js';

export interface Bed {
  /** Everything of the bed lies in it. */
  folder: string;
  /** A spec for `rows` rows of `width`, whose files hold random numbers. */
  spec(sizes: { rows: number; width: number; outputs: number }, params: TrainerParams): TrainSpec;
  start(spec: TrainSpec, on: Partial<TrainerHandlers>, memoryLimitMb: number): TrainerRun;
  remove(): void;
}

/** Rows that are written at once; a file repeats them. */
const chunkRows = 4_096;

function writeMatrix(path: string, rows: number, width: number): void {
  const chunk = randomVector(chunkRows * width, 1);
  const file = openSync(path, 'w');
  for (let from = 0; from < rows; from += chunkRows) {
    const count = Math.min(chunkRows, rows - from);
    writeSync(file, new Uint8Array(chunk.buffer, 0, count * width * 4));
  }
  closeSync(file);
}

export function testBed(): Bed {
  const folder = mkdtempSync(join(tmpdir(), 'perennial-bench-'));
  let next = 0;
  return {
    folder,
    spec(sizes, params) {
      const spec = classificationSpec('mlp', sizes, params);
      const name = join(folder, String(next++));
      writeMatrix(`${name}-x.f32`, sizes.rows, sizes.width);
      const y = Float32Array.from({ length: sizes.rows }, (_, row) => (row * 7919) % sizes.outputs);
      writeFileSync(`${name}-y.f32`, new Uint8Array(y.buffer));
      return { ...spec, paths: { x: `${name}-x.f32`, y: `${name}-y.f32`, checkpoint: null, out: folder } };
    },
    start(spec, on, memoryLimitMb) {
      const file = join(folder, `spec-${next++}.json`);
      writeFileSync(file, JSON.stringify(spec));
      const nothing = { started: () => undefined, progress: () => undefined, checkpoint: () => Promise.resolve() };
      const handlers = { ...nothing, ...on };
      return runTrainer(file, handlers, { deadlineMs: 600_000, memoryLimitMb });
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
