// Featurised rows for a trainer: in memory, or in files that are read as they are needed.
import { open, stat } from 'node:fs/promises';
import { Failure } from '../../domain/failures.js';
import type { Rows } from './trainer.js';

const sizeFault = (found: number, rows: number, width: number): Failure =>
  new Failure('ArtifactCorrupt', `the matrix has ${found} numbers, expected ${rows} x ${width}`);

/** Throws ArtifactCorrupt when `x`, `y` or `weights` have another size. */
export function memoryRows(x: Float32Array, y: Float32Array, width: number, weights?: Float32Array): Rows {
  const rows = y.length;
  if (x.length !== rows * width) throw sizeFault(x.length, rows, width);
  if (weights && weights.length !== rows) throw new Failure('ArtifactCorrupt', `there are not ${rows} weights`);
  return {
    ...{ rows, width, y, ...(weights && { weights }) },
    read: (from, count, into) => {
      into.set(x.subarray(from * width, (from + count) * width));
      return Promise.resolve();
    },
  };
}

/** Longest single read. */
const mostBytes = 1 << 30;

/** Fills `into` from byte `at` of the file. Throws ArtifactCorrupt when it ends before. */
async function readFloats(path: string, at: number, into: Float32Array): Promise<void> {
  const file = await open(path, 'r');
  try {
    const bytes = new Uint8Array(into.buffer, into.byteOffset, into.byteLength);
    for (let done = 0; done < bytes.length;) {
      const { bytesRead } = await file.read(bytes, done, Math.min(bytes.length - done, mostBytes), at + done);
      if (bytesRead === 0) throw new Failure('ArtifactCorrupt', 'a matrix became shorter while it was read');
      done += bytesRead;
    }
  } finally {
    await file.close();
  }
}

async function vectorOf(path: string, rows: number, what: string): Promise<Float32Array> {
  if ((await stat(path)).size !== rows * 4) throw new Failure('ArtifactCorrupt', `there are not ${rows} ${what}`);
  const vector = new Float32Array(rows);
  await readFloats(path, 0, vector);
  return vector;
}

/** Local paths of a part. */
export interface RowFiles {
  rows: number;
  x: string;
  y: string;
  weights?: string | undefined;
}

/**
 * Little-endian float32 files: `x` row-major rows x width, `y` and `weights` rows. Throws ArtifactCorrupt when they have
 * another size.
 */
export async function fileRows(part: RowFiles, width: number): Promise<Rows> {
  const { rows } = part;
  const bytes = (await stat(part.x)).size;
  if (bytes !== rows * width * 4) throw sizeFault(bytes / 4, rows, width);
  const y = await vectorOf(part.y, rows, 'targets');
  const weights = part.weights === undefined ? null : await vectorOf(part.weights, rows, 'weights');
  return {
    ...{ rows, width, y, ...(weights && { weights }) },
    read: (from, count, into) => readFloats(part.x, from * width * 4, into.subarray(0, count * width)),
  };
}
