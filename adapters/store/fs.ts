// Artifacts as files: <folder>/ab/cd/<64 hex digits>, written once, never changed.
// A put fills <folder>/tmp/<host>~<pid>~<uuid>, syncs it, and links it to its name: a file is there as a whole or not at all.
import { createHash, type Hash, randomUUID } from 'node:crypto';
import { createReadStream, mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { chmod, type FileHandle, link, mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ArtifactRef, Digest } from '../../domain/artifact.js';
import { Failure, isDiskFull } from '../../domain/failures.js';
import { corrupt, digestOf, hexOf, type PutHooks, type PutSource, type Store } from './index.js';

/** Left-over temporary files of other hosts are removed when they are older than this. */
const leftoverAgeMs = 24 * 3_600_000;

const codeOf = (error: unknown) => (error as NodeJS.ErrnoException).code;

function full(error: unknown): unknown {
  if (!isDiskFull(error)) return error;
  return new Failure('StoreFull', 'the disk of the artifact store is full', { cause: error });
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return codeOf(error) === 'EPERM';
  }
}

/** Temporary files whose process is gone, and old ones whose process we cannot know. */
function cleanLeftovers(folder: string): void {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    const [host, pid] = name.split('~');
    const dead = host === hostname() && !isAlive(Number(pid));
    const old = Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0) > leftoverAgeMs;
    if (dead || old) rmSync(path, { force: true });
  }
}

async function* chunksOf(source: PutSource): AsyncIterable<Uint8Array> {
  if (source instanceof Uint8Array) yield source;
  else if ('path' in source) yield* createReadStream(source.path, { highWaterMark: 1 << 20 });
  else yield* source;
}

async function fill(file: FileHandle, source: PutSource): Promise<{ digest: Digest; sizeBytes: number }> {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  for await (const chunk of chunksOf(source)) {
    hash.update(chunk);
    for (let at = 0; at < chunk.length;) at += (await file.write(chunk, at)).bytesWritten;
    sizeBytes += chunk.length;
  }
  await file.sync();
  return { digest: `sha256:${hash.digest('hex')}`, sizeBytes };
}

/** Puts the temporary file at its place unless one is there. Where the file system has no hard links, by rename. */
async function place(temporary: string, path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  try {
    await link(temporary, path);
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return;
    if (!['EPERM', 'ENOTSUP', 'ENOSYS', 'EMLINK'].includes(codeOf(error) ?? '')) throw error;
    if (!(await exists(path))) await rename(temporary, path);
  }
  const folder = await open(dirname(path), 'r');
  await folder.sync().finally(() => folder.close());
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isFile(),
    (error: unknown) => {
      if (codeOf(error) === 'ENOENT') return false;
      throw error;
    },
  );
}

async function digestOfFile(path: string): Promise<Digest> {
  const hash: Hash = createHash('sha256');
  await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), hash);
  return `sha256:${hash.digest('hex')}`;
}

/** Passes bytes through and fails at the end when they are not the ones of that digest. */
function checker(digest: Digest): Transform {
  const hash = createHash('sha256');
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      done(null, chunk);
    },
    flush(done) {
      done(`sha256:${hash.digest('hex')}` === digest ? null : corrupt(digest, 'has other bytes'));
    },
  });
}

/** `location`: a folder, made when it is missing (mode 0700). */
export function createFileStore(location: string): Store {
  const root = resolve(location);
  const temporaries = join(root, 'tmp');
  mkdirSync(temporaries, { recursive: true, mode: 0o700 });
  cleanLeftovers(temporaries);
  const checked = new Map<Digest, string>();
  const pathOf = (digest: Digest) => {
    const hex = hexOf(digest);
    return join(root, hex.slice(0, 2), hex.slice(2, 4), hex);
  };
  const missing = (digest: Digest) => (error: unknown) => {
    throw codeOf(error) === 'ENOENT' ? corrupt(digest, 'is missing') : error;
  };

  async function put(source: PutSource, mediaType: string, hooks: PutHooks): Promise<ArtifactRef> {
    const temporary = join(temporaries, `${hostname()}~${process.pid}~${randomUUID()}`);
    try {
      const file = await open(temporary, 'wx', 0o600);
      const content = await fill(file, source).finally(() => file.close());
      await chmod(temporary, 0o400);
      const ref = { ...content, mediaType };
      const path = pathOf(ref.digest);
      await hooks.touch(ref);
      await place(temporary, path);
      await hooks.lock(ref, async () => {
        if (!(await exists(path))) await place(temporary, path);
      });
      return ref;
    } catch (error) {
      throw full(error);
    } finally {
      await rm(temporary, { force: true });
    }
  }

  async function localPath(digest: Digest): Promise<string> {
    const path = pathOf(digest);
    const found = await stat(path).catch(missing(digest));
    const identity = `${found.ino}:${found.size}:${found.mtimeMs}`;
    if (checked.get(digest) !== identity) {
      if ((await digestOfFile(path)) !== digest) throw corrupt(digest, 'has other bytes');
      checked.set(digest, identity);
    }
    return path;
  }

  return {
    put,
    localPath,
    async read(digest) {
      const bytes = await readFile(pathOf(digest)).catch(missing(digest));
      if (digestOf(bytes) !== digest) throw corrupt(digest, 'has other bytes');
      return bytes;
    },
    stream(digest) {
      const check = checker(digest);
      const file = createReadStream(pathOf(digest), { highWaterMark: 1 << 18 });
      file.on('error', (error) => check.destroy(codeOf(error) === 'ENOENT' ? corrupt(digest, 'is missing') : error));
      check.on('close', () => file.destroy());
      return file.pipe(check);
    },
    has: (digest) => exists(pathOf(digest)),
    async remove(digest) {
      checked.delete(digest);
      await rm(pathOf(digest), { force: true });
    },
    close: () => Promise.resolve(),
  };
}
