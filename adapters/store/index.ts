// The artifact store: bytes by their sha256 (architecture, rule 8). Drivers hold bytes, Postgres holds the row of each artifact;
// a put touches the row first, places the file, and looks at the file again under the row's lock.
import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { type ArtifactRef, type Digest, isDigest, mediaTypes } from '../../domain/artifact.js';
import { Failure } from '../../domain/failures.js';
import { canonicalJson } from '../../domain/json.js';
import { createFileStore } from './fs.js';
import { createMemoryStore } from './memory.js';

/** What may be put: bytes in memory, a file that is copied, or a stream of chunks. */
export type PutSource = Uint8Array | { path: string } | AsyncIterable<Uint8Array>;

/** The database's half of a put. */
export interface PutHooks {
  /** Inserts or touches the artifact's row, and commits: from now on the collector leaves the digest alone for 10 minutes. */
  touch(ref: ArtifactRef): Promise<void>;
  /** Locks the row (touching it again when a collector took it), runs `look` while the lock is held, then commits. */
  lock(ref: ArtifactRef, look: () => Promise<void>): Promise<void>;
}

export interface Store {
  /** Throws `StoreFull`. The same bytes again are the same artifact. */
  put(source: PutSource, mediaType: string, hooks: PutHooks): Promise<ArtifactRef>;
  /** All bytes, checked against the digest: `ArtifactCorrupt` when they differ or are missing. */
  read(digest: Digest): Promise<Buffer>;
  /** The bytes as a stream, checked on the way: it ends with the error `ArtifactCorrupt` when they differ. */
  stream(digest: Digest): Readable;
  /** Path of a local file, to be read only. Checked once per process and file: `ArtifactCorrupt`. */
  localPath(digest: Digest): Promise<string>;
  has(digest: Digest): Promise<boolean>;
  /** For the collector alone. Removing what is not there is no error. */
  remove(digest: Digest): Promise<void>;
  /** Lets go of what the driver holds outside the store (temporary files of the memory driver). */
  close(): Promise<void>;
}

export function digestOf(bytes: Uint8Array): Digest {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

/** The 64 hex digits of a digest. Throws `NotFound` for anything else, so that no digest can leave the store's folder. */
export function hexOf(digest: Digest): string {
  if (!isDigest(digest)) throw new Failure('NotFound', 'an artifact is named sha256: and 64 hex digits');
  return digest.slice('sha256:'.length);
}

export function corrupt(digest: Digest, what: string): Failure {
  return new Failure('ArtifactCorrupt', `${digest} ${what}`, { members: { digest } });
}

/** `memory:` keeps bytes in this process; a path or `file:` address is a folder. */
export function createStore(location: string): Store {
  if (location === 'memory:') return createMemoryStore();
  if (location.startsWith('s3:')) throw new Error('PERENNIAL_STORE: s3 is not built yet; give a folder');
  return createFileStore(location.startsWith('file:') ? fileURLToPath(location) : location);
}

export interface Artifacts {
  store: Store;
  putBytes(bytes: Uint8Array | AsyncIterable<Uint8Array>, mediaType: string): Promise<ArtifactRef>;
  /** Canonical JSON (RFC 8785): equal values are equal bytes. Refuses NaN and Infinity. */
  putJson(value: unknown): Promise<ArtifactRef>;
  putFile(path: string, mediaType: string): Promise<ArtifactRef>;
  readBytes(digest: Digest): Promise<Buffer>;
  /** The type is the caller's word: only what perennial itself has put is read this way. */
  readJson<T>(digest: Digest): Promise<T>;
  localPath(digest: Digest): Promise<string>;
}

/** The store as activities and the API use it: `hooks` are made of db/artifact.ts by the entry point. */
export function createArtifacts(store: Store, hooks: PutHooks): Artifacts {
  return {
    store,
    putBytes: (bytes, mediaType) => store.put(bytes, mediaType, hooks),
    putJson: (value) => store.put(Buffer.from(canonicalJson(value), 'utf8'), mediaTypes.json, hooks),
    putFile: (path, mediaType) => store.put({ path }, mediaType, hooks),
    readBytes: (digest) => store.read(digest),
    readJson: async <T>(digest: Digest) => JSON.parse((await store.read(digest)).toString('utf8')) as T,
    localPath: (digest) => store.localPath(digest),
  };
}
