// The state of a training run as one file: 8 bytes "PRNNSTA1", header length (uint32 LE), JSON header padded with
// spaces to a multiple of 4, then float32 LE: parameters p, moments m and v (P each), target mean and scale.
// The bytes are a function of the spec and the step: no time, no path. Written by temporary file, fsync and rename.
import { createHash } from 'node:crypto';
import { open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Digest } from '../../domain/artifact.js';
import { Failure } from '../../domain/failures.js';
import type { Provider, TrainerType, TrainSpec } from '../../domain/model.js';
import { runtimeVersion } from '../provider.js';
import { trainers } from './index.js';

const magic = 'PRNNSTA1';
/** Longer than any header is. */
const headerLimit = 16_384;

/** Everything between two steps. */
export interface FitState {
  /** Steps done. */
  step: number;
  /** Mean loss of the epoch so far is lossSum / lossRows; both start at 0 with each epoch. */
  lossSum: number;
  lossRows: number;
  /** Mean loss of the last whole epoch; null before its end. */
  epochLoss: number | null;
  p: Float32Array;
  m: Float32Array;
  v: Float32Array;
  /** Regression: value = output · scale + mean. Classification: 0 and 1. */
  target: { mean: number; scale: number };
}

export interface CheckpointHeader {
  version: 1;
  trainer: TrainerType;
  trainerVersion: string;
  inputsDigest: Digest;
  step: number;
  epoch: number;
  lossSum: number;
  lossRows: number;
  epochLoss: number | null;
  parameters: number;
  onnxruntime: string;
  provider: Provider;
  threads: number;
  /** sha256 of the float32 part. */
  sha256: string;
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

export function encodeCheckpoint(spec: TrainSpec, state: FitState, epoch: number): Uint8Array {
  const count = state.p.length;
  const numbers = new Float32Array(3 * count + 2);
  numbers.set(state.p, 0);
  numbers.set(state.m, count);
  numbers.set(state.v, 2 * count);
  numbers.set([state.target.mean, state.target.scale], 3 * count);
  const body = new Uint8Array(numbers.buffer);
  const header: CheckpointHeader = {
    version: 1,
    trainer: spec.trainer,
    trainerVersion: trainers[spec.trainer].version,
    inputsDigest: spec.inputsDigest,
    step: state.step,
    epoch,
    lossSum: state.lossSum,
    lossRows: state.lossRows,
    epochLoss: state.epochLoss,
    parameters: count,
    onnxruntime: runtimeVersion,
    provider: spec.provider,
    threads: spec.threads,
    sha256: sha256(body),
  };
  let text = JSON.stringify(header);
  text = text.padEnd(Math.ceil(text.length / 4) * 4);
  const out = new Uint8Array(12 + text.length + body.length);
  out.set(Buffer.from(magic, 'latin1'));
  new DataView(out.buffer).setUint32(8, text.length, true);
  out.set(Buffer.from(text, 'latin1'), 12);
  out.set(body, 12 + text.length);
  return out;
}

const broken = (what: string): Failure => new Failure('ArtifactCorrupt', `training state: ${what}`);

/** `length`: of the text, after 12 bytes. */
function decodeHeader(bytes: Uint8Array): { header: CheckpointHeader; length: number } {
  if (bytes.length < 12 || Buffer.from(bytes.subarray(0, 8)).toString('latin1') !== magic)
    throw broken('not such a file');
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(8, true);
  try {
    const header = JSON.parse(Buffer.from(bytes.subarray(12, 12 + length)).toString('utf8')) as CheckpointHeader;
    return { header, length };
  } catch {
    throw broken('its header cannot be read');
  }
}

/** Throws ArtifactCorrupt unless the bytes are a whole checkpoint. */
export function decodeCheckpoint(bytes: Uint8Array): { header: CheckpointHeader; state: FitState } {
  const { header, length } = decodeHeader(bytes);
  const body = bytes.slice(12 + length);
  const count = header.parameters;
  if (body.length !== 4 * (3 * count + 2)) throw broken(`${body.length} bytes for ${count} parameters`);
  if (sha256(body) !== header.sha256) throw broken('its sha256 differs');
  const numbers = new Float32Array(body.buffer, body.byteOffset, 3 * count + 2);
  const part = (i: number): Float32Array => numbers.slice(i * count, (i + 1) * count);
  const target = { mean: numbers[3 * count]!, scale: numbers[3 * count + 1]! };
  const { step, lossSum, lossRows, epochLoss } = header;
  return { header, state: { step, lossSum, lossRows, epochLoss, p: part(0), m: part(1), v: part(2), target } };
}

/** The header of a checkpoint file, without its numbers. Throws ArtifactCorrupt where there is none. */
export async function readCheckpointHeader(path: string): Promise<CheckpointHeader> {
  const file = await open(path, 'r');
  try {
    const { buffer, bytesRead } = await file.read(new Uint8Array(headerLimit), 0, headerLimit, 0);
    return decodeHeader(buffer.subarray(0, bytesRead)).header;
  } finally {
    await file.close();
  }
}

/** What of the header differs from what this training needs, in words; null where it can go on from there. */
export function mismatch(spec: TrainSpec, header: CheckpointHeader): string | null {
  const expected: Partial<CheckpointHeader> = {
    version: 1,
    trainer: spec.trainer,
    trainerVersion: trainers[spec.trainer].version,
    inputsDigest: spec.inputsDigest,
    onnxruntime: runtimeVersion,
    provider: spec.provider,
    threads: spec.threads,
  };
  for (const [name, value] of Object.entries(expected)) {
    const found = header[name as keyof CheckpointHeader];
    if (found !== value) return `${name} is ${String(found)}, expected ${String(value)}`;
  }
  return null;
}

/** The state to go on from. Throws CheckpointMismatch when it belongs to other inputs, versions, provider or threads. */
export function resumeFrom(spec: TrainSpec, bytes: Uint8Array, parameters: number): FitState {
  const { header, state } = decodeCheckpoint(bytes);
  const sizes =
    header.parameters === parameters ? null : `parameters is ${header.parameters}, expected ${String(parameters)}`;
  const differs = mismatch(spec, header) ?? sizes;
  if (differs !== null) throw new Failure('CheckpointMismatch', differs);
  return state;
}

/** Readers of `path` see the old bytes, the new ones, or no file; never a part. The folder is synced too. */
export async function writeDurably(path: string, bytes: Uint8Array): Promise<void> {
  const temporary = `${path}.${process.pid}.tmp`;
  const file = await open(temporary, 'w', 0o600);
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
  const folder = await open(dirname(path), 'r');
  await folder.sync().catch(() => undefined);
  await folder.close();
}
