// That a trainer learns from five times its memory limit: once undisturbed, once killed in the middle of an interval between
// two checkpoints and resumed, to equal bytes; each time in a child that is killed over its limit, and whose peak is read.
import { createHash } from 'node:crypto';
import { closeSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TokenFacts, TrainSpec } from '../domain/model.js';
import type { TrainerParams } from '../domain/trainers.js';
import { type Bed, testBed } from './child.support.js';
import { classificationSpec, randomVector } from './epochs.support.js';

export const limitMb = 384;
const mib = 2 ** 20;

interface Case {
  width: number;
  params: TrainerParams;
  tokens?: TokenFacts;
}

/** Sizes with which each takes a minute or two. */
export const proven = {
  linear: { width: 784, params: { epochs: 2, batch: 256 } },
  mlp: { width: 784, params: { hidden: [64], epochs: 1, batch: 256 } },
  text: {
    width: 256,
    tokens: { columns: [32, 32], ids: 10_000 },
    params: { dims: 8, hidden: 16, dropout: 0.1, epochs: 1, batch: 256 },
  },
  trees: { width: 256, params: { rounds: 6, leaves: 8 } },
} satisfies Record<string, Case>;
export type Proven = keyof typeof proven;

const classes = 2;
const chunkRows = 4_096;

/**
 * Numbers in [0, 1), then ids of n-grams. The first column is a row's own, so that no two rows are alike wherever they lie;
 * it gives the label together with the second.
 */
function writeTable(
  bed: Bed,
  name: string,
  rows: number,
  { width, tokens }: Case,
): { rows: number; x: string; y: string } {
  const paths = { x: join(bed.folder, `${name}-x.f32`), y: join(bed.folder, `${name}-y.f32`) };
  const chunk = randomVector(chunkRows * width, 1);
  const dense = width - (tokens?.columns.reduce((sum, count) => sum + count, 0) ?? 0);
  for (let at = 0; at < chunk.length; at++) {
    if (tokens && at % width >= dense) chunk[at] = Math.floor(chunk[at]! * (tokens.ids + 1));
  }
  const y = new Float32Array(rows);
  const file = openSync(paths.x, 'w');
  for (let from = 0; from < rows; from += chunkRows) {
    const count = Math.min(chunkRows, rows - from);
    for (let row = 0; row < count; row++) {
      const own = Math.imul(from + row + 1, 0x9e3779b1) >>> 8;
      chunk[row * width] = own / 2 ** 24;
      y[from + row] = chunk[row * width]! + chunk[row * width + 1]! > 1 ? 1 : 0;
    }
    writeSync(file, new Uint8Array(chunk.buffer, 0, count * width * 4));
  }
  closeSync(file);
  writeFileSync(paths.y, new Uint8Array(y.buffer));
  return { rows, ...paths };
}

/** Highest resident memory of a process so far, by the kernel's own count; 0 when it is gone. */
function peakMb(pid: number): number {
  try {
    return Number(/^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0) / 1024;
  } catch {
    return 0;
  }
}

interface Ended {
  /** sha256 of the last state; null where it was killed. */
  sha256: string | null;
  steps: number;
  from: number;
  peak: number;
  seconds: number;
}

/** A child from `checkpoint`, or from zero, to its end, or to `killAt` (steps) and past the checkpoint stored last. */
async function train(
  bed: Bed,
  spec: TrainSpec,
  checkpoint: string | null,
  killAt = Infinity,
): Promise<Ended & { kept: string | null }> {
  const kept = join(bed.folder, 'kept.state');
  const began = performance.now();
  let [stored, from, steps, peak] = [-1, 0, 0, 0];
  const run = bed.start(
    { ...spec, paths: { ...spec.paths, checkpoint } },
    {
      started: ({ step }) => (from = step),
      progress: ({ step }) => {
        steps = step;
        if (step >= killAt && stored >= 0 && step > stored) process.kill(run.pid, 'SIGKILL');
      },
      checkpoint: async ({ path, step }) => {
        if (killAt === Infinity) return;
        await copyFile(path, kept);
        stored = step;
      },
    },
    limitMb,
  );
  const watch = setInterval(() => (peak = Math.max(peak, peakMb(run.pid))), 20);
  const end: unknown = await run.done.catch((error: unknown) => error).finally(() => clearInterval(watch));
  const seconds = (performance.now() - began) / 1000;
  if (!(end instanceof Error)) {
    const { path } = end as { path: string };
    const sha256 = createHash('sha256').update(readFileSync(path)).digest('hex');
    return { sha256, steps: (end as { steps: number }).steps, from, peak, seconds, kept: null };
  }
  if (steps < killAt || stored < 0) throw end;
  return { sha256: null, steps, from, peak, seconds, kept };
}

/** Throws where a child needs more than its limit or the bytes differ. `ours`: the peak; `peer`: the data. */
export async function proof(trainer: Proven) {
  const bed = testBed();
  try {
    const { width, params, tokens }: Case = proven[trainer];
    const rows = Math.ceil((5 * limitMb * mib) / (4 * width));
    const sizes = { rows, width, outputs: classes };
    const { x, y } = writeTable(bed, 'train', rows, proven[trainer]);
    const spec: TrainSpec = {
      ...classificationSpec(trainer, sizes, params),
      ...(tokens && { tokens }),
      validation: writeTable(bed, 'validation', Math.ceil(rows / 10), proven[trainer]),
      ...{ checkpointEveryMs: 1_000, paths: { x, y, checkpoint: null, out: bed.folder } },
    };
    const whole = await train(bed, spec, null);
    const killed = await train(bed, spec, null, Math.floor(whole.steps * 0.55));
    const resumed = await train(bed, spec, killed.kept);
    const peak = Math.max(whole.peak, killed.peak, resumed.peak);
    const seconds = [whole, killed, resumed].map((one) => one.seconds.toFixed(0)).join(' + ');
    console.error(
      `${trainer}: ${rows} rows of ${width}, ${seconds} s; killed after step ${killed.steps} of ${whole.steps}, ` +
        `resumed from ${resumed.from}; sha256 ${whole.sha256?.slice(0, 16)} and ${resumed.sha256?.slice(0, 16)}`,
    );
    if (whole.sha256 !== resumed.sha256 || resumed.from === 0) throw new Error('the bytes differ, or it began anew');
    if (peak > limitMb) throw new Error(`${peak} MiB of ${limitMb} MiB were used between two looks`);
    const data = (rows * width * 4) / mib;
    return { ours: Math.round(peak), peer: Math.round(data), ratio: data / limitMb, unit: 'MiB' as const, runs: 3 };
  } finally {
    bed.remove();
  }
}
