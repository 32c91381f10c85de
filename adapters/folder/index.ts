// Folders as bytes: a canonical tar, so that equal content has an equal digest, and back. For the code directories of the
// `command` trainer and for its checkpoints. Nothing gets out of the folder that it is unpacked into.
import { createReadStream } from 'node:fs';
import { chmod, lstat, mkdir, open, readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Failure } from '../../domain/failures.js';
import { archiveEnd, fileHeader, filler, readTar, type TarEntry } from './tar.js';

export interface FolderLimits {
  mostFiles: number;
  mostBytes: number;
}

/** Of a code directory. */
export const codeLimits: FolderLimits = { mostFiles: 10_000, mostBytes: 512 * 1024 ** 2 };

/** What tools leave beside code: no part of it. */
export const ignoredNames: readonly string[] = ['.git', '__pycache__', '.venv', '.DS_Store'];

const longestPath = 1_024;

export interface FolderFile {
  path: string;
  sizeBytes: number;
  executable: boolean;
}

export interface Folder {
  /** By path, in the order of their UTF-16 code units. */
  files: FolderFile[];
  sizeBytes: number;
}

const refused = (why: string): Failure => new Failure('CodeRefused', why);

class Tally {
  files = 0;
  bytes = 0;
  readonly limits: FolderLimits;
  constructor(limits: FolderLimits) {
    this.limits = limits;
  }
  add(files: number, bytes: number): void {
    this.files += files;
    this.bytes += bytes;
    const { mostFiles, mostBytes } = this.limits;
    if (this.files > mostFiles) throw refused(`it has more than ${mostFiles} files`);
    if (this.bytes > mostBytes) throw refused(`its files have more than ${mostBytes} bytes`);
  }
}

async function walk(root: string, below: string, tally: Tally, ignored: readonly string[]): Promise<FolderFile[]> {
  const files: FolderFile[] = [];
  for (const name of await readdir(join(root, below))) {
    if (ignored.includes(name)) continue;
    const path = below === '' ? name : `${below}/${name}`;
    const found = await lstat(join(root, path));
    if (found.isDirectory()) files.push(...(await walk(root, path, tally, ignored)));
    else if (!found.isFile()) throw refused(`${path} is no file and no folder; links and devices are not taken`);
    else {
      tally.add(1, found.size);
      files.push({ path, sizeBytes: found.size, executable: (found.mode & 0o111) !== 0 });
    }
  }
  return files;
}

/** What is in a folder, empty folders left out. Throws `CodeRefused` for links, devices and too much of it. */
export async function readFolder(
  root: string,
  limits: FolderLimits,
  ignored: readonly string[] = ignoredNames,
): Promise<Folder> {
  const tally = new Tally(limits);
  const files = await walk(root, '', tally, ignored);
  files.sort((a, b) => (a.path < b.path ? -1 : 1));
  return { files, sizeBytes: tally.bytes };
}

/** The folder as a canonical tar: sorted, without times and owners. `first` goes before its files. */
export async function* packFolder(
  root: string,
  { files }: Folder,
  first: { path: string; bytes: Uint8Array }[] = [],
): AsyncGenerator<Uint8Array> {
  for (const { path, bytes } of first) {
    yield fileHeader(path, bytes.length, false);
    yield bytes;
    yield filler(bytes.length);
  }
  for (const { path, sizeBytes, executable } of files) {
    yield fileHeader(path, sizeBytes, executable);
    let sent = 0;
    for await (const chunk of createReadStream(join(root, path)) as AsyncIterable<Uint8Array>) {
      sent += chunk.length;
      if (sent > sizeBytes) break;
      yield chunk;
    }
    if (sent !== sizeBytes) throw refused(`${path} changed while it was read`);
    yield filler(sizeBytes);
  }
  yield archiveEnd;
}

/** The path without `./` and a slash at its end. Throws `CodeRefused` for one that leads out of the folder. */
function safePath(path: string): string {
  const shown = JSON.stringify(path.slice(0, 200));
  if (path.startsWith('/') || path.includes('\0') || path.length > longestPath)
    throw refused(`${shown} is no path here`);
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.some((part) => part === '..')) throw refused(`${shown} leads out of the directory`);
  if (parts.some((part) => Buffer.byteLength(part) > 255)) throw refused(`${shown} has too long a name`);
  return parts.join('/');
}

async function writeEntry(entry: TarEntry, target: string, tally: Tally): Promise<void> {
  await mkdir(dirname(target), { recursive: true });
  const file = await open(target, 'wx', 0o600);
  try {
    for await (const chunk of entry.body) {
      tally.add(0, chunk.length);
      for (let at = 0; at < chunk.length;) at += (await file.write(chunk, at)).bytesWritten;
    }
  } finally {
    await file.close();
  }
  await chmod(target, entry.executable ? 0o755 : 0o644);
}

const known: Record<string, string> = {
  EEXIST: 'is in the archive twice',
  ENOTDIR: 'lies below a file',
  EISDIR: 'is a file and a folder',
};

/**
 * Writes the files of an archive below `root`, which is made and must be empty. Throws `CodeRefused` for paths that lead out
 * of it, links, devices, names given twice, and too much of it; `StoreFull` when the disk is full.
 */
export async function unpackFolder(
  stream: AsyncIterable<Uint8Array>,
  root: string,
  limits: FolderLimits,
): Promise<{ files: number; sizeBytes: number }> {
  const tally = new Tally(limits);
  let entries = 0;
  await mkdir(root, { recursive: true, mode: 0o700 });
  for await (const entry of readTar(stream)) {
    const path = safePath(entry.path);
    if (entry.kind === 'other') throw refused(`${path} is no file and no folder; links and devices are not taken`);
    if (path === '' && entry.kind === 'directory') continue;
    if (path === '') throw refused('a file without a name');
    entries += 1;
    if (entries > 2 * limits.mostFiles) throw refused(`more than ${2 * limits.mostFiles} files and folders`);
    tally.add(entry.kind === 'file' ? 1 : 0, 0);
    try {
      if (entry.kind === 'directory') await mkdir(join(root, path), { recursive: true });
      else await writeEntry(entry, join(root, path), tally);
    } catch (error) {
      const { code = '' } = error as NodeJS.ErrnoException;
      if (code === 'ENOSPC') throw new Failure('StoreFull', 'the disk is full');
      if (Object.hasOwn(known, code)) throw refused(`${path} ${known[code] ?? ''}`);
      throw error;
    }
  }
  return { files: tally.files, sizeBytes: tally.bytes };
}
