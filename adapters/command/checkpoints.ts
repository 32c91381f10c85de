// Checkpoints of a program (docs/command-trainer.md): `checkpoint/<step>`, a file or a folder, published by one rename. The
// newest is packed as a canonical tar whose first entry says what it belongs to; older ones are removed.
import { createReadStream, createWriteStream } from 'node:fs';
import { lstat, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Digest } from '../../domain/artifact.js';
import { Failure } from '../../domain/failures.js';
import { type Folder, packFolder, readFolder, unpackFolder } from '../folder/index.js';
import { readTar } from '../folder/tar.js';

const headerName = 'perennial.json';
const headerLimit = 4_096;
const publishedName = /^\d{1,15}$/;
/** As the database keeps steps. */
const lastStep = 2 ** 31 - 1;

export interface CommandCheckpoint {
  version: 1;
  step: number;
  /** Of what the result depends on: another one is another training. */
  inputsDigest: Digest;
}

/** Names in the folder that stand for a step; none where it is not there. Throws `CommandFailed` where it is no folder. */
async function publishedNames(folder: string): Promise<string[]> {
  const found = await lstat(folder).catch(() => null);
  if (found === null) return [];
  // behind a link may lie anybody's files, and older checkpoints are removed
  if (!found.isDirectory()) throw new Failure('CommandFailed', 'checkpoint is no folder but a link or a file');
  return (await readdir(folder)).filter((name) => publishedName.test(name));
}

/** Steps whose checkpoints are published, in order. Throws `CommandFailed` for one past 2147483647. */
export async function publishedSteps(folder: string): Promise<number[]> {
  const steps = (await publishedNames(folder)).map(Number).sort((a, b) => a - b);
  const newest = steps.at(-1) ?? 0;
  if (newest > lastStep) throw new Failure('CommandFailed', `checkpoint/${newest} is no step up to ${lastStep}`);
  return steps;
}

/** The name as the program wrote it: leading zeros are its own affair. */
async function nameOf(folder: string, step: number): Promise<string> {
  const names = await publishedNames(folder);
  return names.find((name) => Number(name) === step) ?? String(step);
}

async function contentOf(folder: string, name: string, mostBytes: number): Promise<Folder> {
  const found = await lstat(join(folder, name));
  if (found.isFile()) {
    return { files: [{ path: name, sizeBytes: found.size, executable: false }], sizeBytes: found.size };
  }
  if (!found.isDirectory()) throw new Failure('CodeRefused', `the checkpoint ${name} is a link`);
  const inside = await readFolder(join(folder, name), { mostFiles: 100_000, mostBytes }, []);
  return { ...inside, files: inside.files.map((file) => ({ ...file, path: `${name}/${file.path}` })) };
}

/** Packs `folder/<step>` into the file `out`. Throws `CodeRefused` for links, and where it changes meanwhile. */
export async function packCheckpoint(
  folder: string,
  header: CommandCheckpoint,
  to: { out: string; mostBytes: number },
): Promise<void> {
  const content = await contentOf(folder, await nameOf(folder, header.step), to.mostBytes);
  const first = [{ path: headerName, bytes: Buffer.from(JSON.stringify(header)) }];
  await pipeline(Readable.from(packFolder(folder, content, first)), createWriteStream(`${to.out}.tmp`));
  await rename(`${to.out}.tmp`, to.out);
}

/** Removes those before `step`. */
export async function dropOlder(folder: string, step: number): Promise<void> {
  for (const name of await publishedNames(folder)) {
    if (Number(name) < step) await rm(join(folder, name), { recursive: true, force: true });
  }
}

/** What a stored checkpoint belongs to. Throws `ArtifactCorrupt` where the file is none. */
export async function checkpointHeader(path: string): Promise<CommandCheckpoint> {
  const stream = createReadStream(path, { end: 64 * 1024 });
  try {
    for await (const entry of readTar(stream)) {
      if (entry.path !== headerName || entry.sizeBytes > headerLimit) break;
      const chunks: Uint8Array[] = [];
      for await (const chunk of entry.body) chunks.push(chunk);
      return JSON.parse(Buffer.concat(chunks).toString('utf8')) as CommandCheckpoint;
    }
  } catch {
    // told below
  } finally {
    stream.destroy();
  }
  throw new Failure('ArtifactCorrupt', 'the checkpoint of the program cannot be read');
}

/** Puts a stored checkpoint in place. */
export async function restoreCheckpoint(path: string, folder: string, mostBytes: number): Promise<void> {
  await mkdir(folder, { recursive: true });
  await unpackFolder(createReadStream(path), folder, { mostFiles: 100_001, mostBytes: mostBytes + headerLimit });
  await rm(join(folder, headerName), { force: true });
}

/** Bytes of a file that were written since the last call, in whole lines; for files that another process appends to. */
export function lineFollower(path: string, longestLine = 64 * 1024): () => Promise<string[]> {
  let taken = 0;
  let rest = Buffer.alloc(0);
  return async () => {
    const found = await lstat(path).catch(() => null);
    const size = found?.isFile() ? found.size : 0;
    if (size < taken) [taken, rest] = [0, Buffer.alloc(0)];
    if (size === taken) return [];
    const until = Math.min(size, taken + (1 << 20));
    const chunks: Buffer[] = [rest];
    for await (const chunk of createReadStream(path, { start: taken, end: until - 1 })) chunks.push(chunk as Buffer);
    taken = until;
    const bytes = Buffer.concat(chunks);
    const last = bytes.lastIndexOf(10);
    rest = bytes.subarray(last + 1);
    if (rest.length > longestLine) rest = Buffer.alloc(0);
    return last < 0 ? [] : bytes.subarray(0, last).toString('utf8').split('\n');
  };
}
