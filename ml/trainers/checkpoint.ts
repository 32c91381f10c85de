// The state of a training as one file, for every trainer: 8 bytes "PRNNSTA2", header length (uint32 LE), JSON header
// padded with spaces, then the arrays one after another, little-endian, each at a multiple of 8 bytes.
// The bytes are a function of the spec and the snapshot: no time, no path. Written by temporary file, fsync and rename.
import { createHash } from 'node:crypto';
import { open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Digest } from '../../domain/artifact.js';
import { Failure } from '../../domain/failures.js';
import type { Json } from '../../domain/json.js';
import type { Progress, Provider, Snapshot, SnapshotArray, TrainerType, TrainSpec } from '../../domain/model.js';
import { runtimeVersion } from '../provider.js';
import { trainers } from './index.js';

const magic = 'PRNNSTA2';
const prefixBytes = magic.length + 4;
/** No header is longer. */
const headerLimit = 1 << 20;

const arrayTypes = { float32: Float32Array, float64: Float64Array, int32: Int32Array, uint8: Uint8Array };
type ArrayType = keyof typeof arrayTypes;

export interface CheckpointHeader {
  version: 2;
  trainer: TrainerType;
  trainerVersion: string;
  inputsDigest: Digest;
  step: number;
  epoch: number;
  facts: { [key: string]: Json };
  arrays: { name: string; type: ArrayType; length: number }[];
  onnxruntime: string;
  provider: Provider;
  threads: number;
  /** sha256 of everything behind the header. */
  sha256: string;
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const padded = (length: number): number => Math.ceil(length / 8) * 8;

function typeOf(array: SnapshotArray): ArrayType {
  const found = Object.entries(arrayTypes).find(([, kind]) => array instanceof kind);
  if (!found) throw new TypeError('an array of a type that checkpoints do not have');
  return found[0] as ArrayType;
}

function bodyOf(arrays: SnapshotArray[]): Uint8Array {
  const body = new Uint8Array(arrays.reduce((sum, array) => sum + padded(array.byteLength), 0));
  let at = 0;
  for (const array of arrays) {
    body.set(new Uint8Array(array.buffer, array.byteOffset, array.byteLength), at);
    at += padded(array.byteLength);
  }
  return body;
}

export function encodeCheckpoint(spec: TrainSpec, { epoch }: Pick<Progress, 'epoch'>, snapshot: Snapshot): Uint8Array {
  const body = bodyOf(Object.values(snapshot.arrays));
  const header: CheckpointHeader = {
    version: 2,
    trainer: spec.trainer,
    trainerVersion: trainers[spec.trainer].version,
    inputsDigest: spec.inputsDigest,
    step: snapshot.step,
    epoch,
    facts: snapshot.facts,
    arrays: Object.entries(snapshot.arrays).map(([name, array]) => ({
      ...{ name, type: typeOf(array), length: array.length },
    })),
    onnxruntime: runtimeVersion,
    provider: spec.provider,
    threads: spec.threads,
    sha256: sha256(body),
  };
  const text = Buffer.from(JSON.stringify(header));
  const start = padded(prefixBytes + text.length);
  if (start > headerLimit) throw new RangeError(`a checkpoint header of ${start} bytes`);
  const out = new Uint8Array(start + body.length).fill(0x20, 0, start);
  out.set(Buffer.from(magic, 'latin1'));
  new DataView(out.buffer).setUint32(magic.length, start - prefixBytes, true);
  out.set(text, prefixBytes);
  out.set(body, start);
  return out;
}

const broken = (what: string): Failure => new Failure('ArtifactCorrupt', `training state: ${what}`);

/** `bodyAt`: where the arrays begin. */
function decodeHeader(bytes: Uint8Array): { header: CheckpointHeader; bodyAt: number } {
  if (bytes.length < prefixBytes || Buffer.from(bytes.subarray(0, magic.length)).toString('latin1') !== magic)
    throw broken('not such a file');
  const bodyAt = prefixBytes + new DataView(bytes.buffer, bytes.byteOffset).getUint32(magic.length, true);
  try {
    const header = JSON.parse(Buffer.from(bytes.subarray(prefixBytes, bodyAt)).toString('utf8')) as CheckpointHeader;
    return { header, bodyAt };
  } catch {
    throw broken('its header cannot be read');
  }
}

/** Throws ArtifactCorrupt unless the bytes are a whole checkpoint. */
export function decodeCheckpoint(bytes: Uint8Array): { header: CheckpointHeader; snapshot: Snapshot } {
  const { header, bodyAt } = decodeHeader(bytes);
  // a copy, so that the arrays lie at multiples of their size wherever the bytes came from
  const body = new Uint8Array(bytes.subarray(bodyAt));
  if (sha256(body) !== header.sha256) throw broken(`its sha256 differs, ${body.length} bytes`);
  const arrays: Snapshot['arrays'] = {};
  let at = 0;
  for (const { name, type, length } of header.arrays) {
    const array = new arrayTypes[type](body.buffer, at, length);
    arrays[name] = array;
    at += padded(array.byteLength);
  }
  return { header, snapshot: { step: header.step, facts: header.facts, arrays } };
}

/** The header of a checkpoint file, without its arrays. Throws ArtifactCorrupt where there is none. */
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
    version: 2,
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
export function resumeFrom(spec: TrainSpec, bytes: Uint8Array): Snapshot {
  const { header, snapshot } = decodeCheckpoint(bytes);
  const differs = mismatch(spec, header);
  if (differs !== null) throw new Failure('CheckpointMismatch', differs);
  return snapshot;
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
