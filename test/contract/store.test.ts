import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync, chmodSync, statSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { createArtifacts, createStore, digestOf, type PutHooks, type Store } from '../../adapters/store/index.js';
import type { Digest } from '../../domain/artifact.js';

const folder = mkdtempSync(join(tmpdir(), 'perennial-test-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const free: PutHooks = { touch: () => Promise.resolve(), lock: (_ref, look) => look() };
const bytes = Buffer.from('one artifact');
const absent: Digest = `sha256:${'0'.repeat(64)}`;

async function textOf(store: Store, digest: Digest): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of store.stream(digest)) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

async function* parts() {
  yield await Promise.resolve(Buffer.from('one '));
  yield Buffer.from('artifact');
}

const drivers = { fs: () => createStore(mkdtempSync(join(folder, 'fs-'))), memory: () => createStore('memory:') };

describe.each(Object.entries(drivers))('the %s store', (_name, create) => {
  const opened: Store[] = [];
  afterEach(async () => {
    for (const store of opened.splice(0)) await store.close();
  });
  const open = () => {
    const store = create();
    opened.push(store);
    return store;
  };

  it('names bytes by their sha256, however they come', async () => {
    const store = open();
    const path = join(folder, 'source');
    writeFileSync(path, bytes);
    const expected = { digest: digestOf(bytes), sizeBytes: bytes.length, mediaType: 'text/plain' };
    for (const source of [bytes, { path }, parts()]) {
      expect(await store.put(source, 'text/plain', free)).toEqual(expected);
    }
    expect(await store.read(expected.digest)).toEqual(bytes);
    expect(await textOf(store, expected.digest)).toBe('one artifact');
    expect(readFileSync(await store.localPath(expected.digest))).toEqual(bytes);
    expect(await store.has(expected.digest)).toBe(true);
  });

  it('takes no bytes at all', async () => {
    const store = open();
    const ref = await store.put(new Uint8Array(0), 'text/plain', free);
    expect(ref.sizeBytes).toBe(0);
    expect(await textOf(store, ref.digest)).toBe('');
  });

  it('says ArtifactCorrupt for what is not there, and NotFound for what is no digest', async () => {
    const store = open();
    expect(await store.has(absent)).toBe(false);
    await expect(store.read(absent)).rejects.toMatchObject({ failure: 'ArtifactCorrupt' });
    await expect(store.localPath(absent)).rejects.toMatchObject({ failure: 'ArtifactCorrupt' });
    await expect(textOf(store, absent)).rejects.toMatchObject({ failure: 'ArtifactCorrupt' });
    await expect(store.read('sha256:../../etc/passwd' as Digest)).rejects.toMatchObject({ failure: 'NotFound' });
  });

  it('removes, twice if asked', async () => {
    const store = open();
    const { digest } = await store.put(bytes, 'text/plain', free);
    await store.remove(digest);
    await store.remove(digest);
    expect(await store.has(digest)).toBe(false);
  });

  it('touches the row before the file is there, and puts the file again when the collector was faster', async () => {
    const store = open();
    const digest = digestOf(bytes);
    const seen: string[] = [];
    await store.put(bytes, 'text/plain', {
      touch: async () => void seen.push(`touch ${await store.has(digest)}`),
      lock: async (_ref, look) => {
        await store.remove(digest);
        seen.push(`lock ${await store.has(digest)}`);
        await look();
      },
    });
    expect(seen).toEqual(['touch false', 'lock false']);
    expect(await store.has(digest)).toBe(true);
  });

  it('leaves nothing when the row cannot be written', async () => {
    const store = open();
    const failing = { ...free, touch: () => Promise.reject(new Error('no database')) };
    await expect(store.put(bytes, 'text/plain', failing)).rejects.toThrow('no database');
    expect(await store.has(digestOf(bytes))).toBe(false);
  });

  it('takes the same bytes from several writers at once', async () => {
    const store = open();
    const refs = await Promise.all(Array.from({ length: 20 }, () => store.put(bytes, 'text/plain', free)));
    expect(new Set(refs.map((ref) => ref.digest)).size).toBe(1);
    expect(await store.read(digestOf(bytes))).toEqual(bytes);
  });

  it('gives JSON back, canonical', async () => {
    const artifacts = createArtifacts(open(), free);
    const one = await artifacts.putJson({ b: 1, a: ['가', null] });
    expect(await artifacts.putJson({ a: ['가', null], b: 1 })).toEqual(one);
    expect(await artifacts.readJson(one.digest)).toEqual({ a: ['가', null], b: 1 });
  });
});

describe('the fs store', () => {
  it('finds any edit', async () => {
    const location = mkdtempSync(join(folder, 'fs-'));
    const { digest } = await createStore(location).put(bytes, 'text/plain', free);
    const store = createStore(location);
    const path = await store.localPath(digest);
    expect(statSync(path).mode & 0o777).toBe(0o400);
    chmodSync(path, 0o600);
    writeFileSync(path, 'one artifacT');
    await expect(store.read(digest)).rejects.toMatchObject({ failure: 'ArtifactCorrupt' });
    await expect(store.localPath(digest)).rejects.toMatchObject({ failure: 'ArtifactCorrupt' });
    await expect(textOf(store, digest)).rejects.toMatchObject({ failure: 'ArtifactCorrupt' });
  });

  it('cleans up after dead processes and nobody else', () => {
    const location = mkdtempSync(join(folder, 'fs-'));
    createStore(location);
    const temporaries = join(location, 'tmp');
    writeFileSync(join(temporaries, `${hostname()}~999999999~a`), 'left');
    writeFileSync(join(temporaries, `${hostname()}~${process.pid}~b`), 'mine');
    writeFileSync(join(temporaries, `elsewhere~1~c`), 'of another host');
    createStore(location);
    expect(readdirSync(temporaries).sort()).toEqual([`${hostname()}~${process.pid}~b`, 'elsewhere~1~c'].sort());
  });
});
