// For tests of trainer children: matrices and specifications as files in a folder of the test file.
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TrainerHandlers } from '../../adapters/trainer.js';
import type { TrainSpec } from '../../domain/model.js';
import { type Toy, toyData } from '../ml/spec.js';

export const folder = mkdtempSync(join(tmpdir(), 'perennial-trainings-'));
export const removeFolder = (): void => rmSync(folder, { recursive: true, force: true });

export const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
export const sha256Of = (path: string): string => sha256(readFileSync(path));

/** Handlers that keep nothing. */
export const quiet: TrainerHandlers = {
  started: () => undefined,
  progress: () => undefined,
  checkpoint: () => Promise.resolve(),
};

export function write(name: string, { x, y }: Toy): { x: string; y: string } {
  const paths = { x: join(folder, `${name}-x.f32`), y: join(folder, `${name}-y.f32`) };
  writeFileSync(paths.x, new Uint8Array(x.buffer));
  writeFileSync(paths.y, new Uint8Array(y.buffer));
  return paths;
}

let next = 0;
/** The specification with a folder of its own for what the child writes. */
export function specFile(spec: TrainSpec, checkpoint: string | null): string {
  const out = mkdtempSync(join(folder, `run-${next++}-`));
  const file = join(out, 'spec.json');
  writeFileSync(file, JSON.stringify({ ...spec, paths: { ...spec.paths, checkpoint, out } }));
  return file;
}

const dense = 4;
/** Two texts of ids beside four numbers. */
export const talk = { tokens: { columns: [24, 24], ids: 300 }, width: dense + 48 };

export function sentences(rows: number): Toy {
  const { x: values, y } = toyData(rows, dense, 3);
  const x = new Float32Array(rows * talk.width);
  for (let row = 0; row < rows; row++) {
    x.set(values.subarray(row * dense, (row + 1) * dense), row * talk.width);
    // half of a row is padding; the ids lean on the label
    for (let i = dense; i < talk.width; i++)
      x[row * talk.width + i] = i % 2 ? 0 : 1 + ((row * 31 + i * 7 + y[row]! * 50) % talk.tokens.ids);
  }
  return { x, y };
}
