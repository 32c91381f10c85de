// Artifacts in this process's memory: the driver of tests. Same contract as the files (test/contract/store.test.ts).
import { mkdtempSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import type { ArtifactRef, Digest } from '../../domain/artifact.js';
import { corrupt, digestOf, hexOf, type PutHooks, type PutSource, type Store } from './index.js';

async function bytesOf(source: PutSource): Promise<Buffer> {
  if (source instanceof Uint8Array) return Buffer.from(source);
  if ('path' in source) return readFile(source.path);
  const chunks: Uint8Array[] = [];
  for await (const chunk of source) chunks.push(chunk);
  return Buffer.concat(chunks);
}

export function createMemoryStore(): Store {
  const held = new Map<Digest, Buffer>();
  let folder: string | undefined;
  const get = (digest: Digest): Buffer => {
    hexOf(digest);
    const bytes = held.get(digest);
    if (!bytes) throw corrupt(digest, 'is missing');
    return bytes;
  };

  async function put(source: PutSource, mediaType: string, hooks: PutHooks): Promise<ArtifactRef> {
    const bytes = await bytesOf(source);
    const ref = { digest: digestOf(bytes), sizeBytes: bytes.length, mediaType };
    await hooks.touch(ref);
    held.set(ref.digest, bytes);
    await hooks.lock(ref, () => {
      held.set(ref.digest, bytes);
      return Promise.resolve();
    });
    return ref;
  }

  return {
    put,
    read: (digest) => Promise.resolve().then(() => Buffer.from(get(digest))),
    stream: (digest) => {
      if (held.has(digest)) return Readable.from([get(digest)]);
      const failed = new Readable({ read() {} });
      failed.destroy(corrupt(digest, 'is missing'));
      return failed;
    },
    async localPath(digest) {
      const bytes = get(digest);
      folder ??= mkdtempSync(join(tmpdir(), 'perennial-store-'));
      const path = join(folder, hexOf(digest));
      await writeFile(path, bytes, { mode: 0o600 });
      return path;
    },
    has: (digest) => Promise.resolve(held.has(digest)),
    remove(digest) {
      held.delete(digest);
      return Promise.resolve();
    },
    async close() {
      held.clear();
      if (folder) await rm(folder, { recursive: true, force: true });
    },
  };
}
