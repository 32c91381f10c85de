// One Postgres per home, detached: any process may ensure it, the first one starts it, all get the same URL.
// The server is found through its postmaster.pid and its working directory, never by name. `<home>/postgres/` holds data/,
// the password and the log, or `<home>/postgres.path` names the folder that does (root, with a home others cannot enter).
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { homePorts, replaceFile, requireFreePort } from '../home.js';
import type { Binaries } from './postgres-binaries.js';
import { findBinaries, sharedRoot } from './postgres-binaries.js';
import type { PostgresOptions } from './postgres-server.js';
import { checkVersion, initialise, lastLines, launch, readText, superuser } from './postgres-server.js';
import type { ProcessIdentity } from './process.js';
import { commandOf, identify, stopProcess, withLock } from './process.js';

const databaseName = 'perennial';

export interface Postgres {
  url: string;
  pid: number;
  /** False: it ran already. */
  started: boolean;
}

const lockPath = (home: string) => join(home, 'postgres.lock');
const urlPath = (home: string) => join(home, 'database-url');

/** The folder of data, password and log; null: this home has none yet. */
function findRoot(home: string): string | null {
  const elsewhere = readText(join(home, 'postgres.path'))?.trim();
  const root = elsewhere ?? join(home, 'postgres');
  return existsSync(root) ? realpathSync(root) : null;
}

function canEnter(folder: string, user: Binaries['user']): boolean {
  return (
    user === undefined || spawnSync('/bin/sh', ['-c', 'cd "$1"', 'sh', folder], { cwd: '/', ...user }).status === 0
  );
}

function makeRoot(home: string, user: Binaries['user']): string {
  const inside = join(home, 'postgres');
  mkdirSync(inside, { recursive: true, mode: 0o700 });
  if (user) chownSync(inside, user.uid, user.gid);
  if (canEnter(inside, user)) return realpathSync(inside);
  // Root, and a folder above the home is closed to others: the data lives beside.
  rmSync(inside, { recursive: true, force: true });
  mkdirSync(sharedRoot, { recursive: true, mode: 0o755 });
  sweepShared();
  const root = join(sharedRoot, `data-${randomBytes(6).toString('hex')}`);
  writeFileSync(join(home, 'postgres.path'), `${root}\n`);
  mkdirSync(root, { mode: 0o700 });
  writeFileSync(join(root, 'home'), `${realpathSync(home)}\n`);
  if (user) chownSync(root, user.uid, user.gid);
  return root;
}

/** Removes the data of homes that are gone, which nothing can start or find any more. */
function sweepShared(): void {
  for (const name of readdirSync(sharedRoot).filter((entry) => entry.startsWith('data-'))) {
    const root = join(sharedRoot, name);
    const home = readText(join(root, 'home'))?.trim();
    // Without a name it is being made at this moment.
    if (!home || readText(join(home, 'postgres.path'))?.trim() === root) continue;
    if (livePostmaster(root) === null) rmSync(root, { recursive: true, force: true });
  }
}

function worksIn(pid: number, data: string): boolean {
  if (process.platform !== 'linux') return commandOf(pid).includes(data);
  try {
    return readlinkSync(`/proc/${pid}/cwd`) === data;
  } catch {
    return false;
  }
}

/** The running server of a data folder: the pid of postmaster.pid, if that process works in this folder. */
function livePostmaster(root: string): ProcessIdentity | null {
  const data = join(root, 'data');
  const pid = Number(readText(join(data, 'postmaster.pid'))?.split('\n')[0]);
  const identity = identify(pid);
  return identity && worksIn(pid, data) ? identity : null;
}

/**
 * After a kill -9, postmaster.pid may name a zombie (which Postgres takes for alive) or a stranger with the same pid, and
 * orphaned backends may still end. The file goes only when no process works in the data folder any more.
 */
async function clearStalePid(root: string): Promise<void> {
  const data = join(root, 'data');
  const file = join(data, 'postmaster.pid');
  const end = Date.now() + 10_000;
  const pids = () =>
    process.platform === 'linux'
      ? readdirSync('/proc')
          .filter((name) => /^\d+$/.test(name))
          .map(Number)
      : [];
  while (existsSync(file)) {
    const orphans = pids().filter((pid) => identify(pid) !== null && worksIn(pid, data));
    if (orphans.length === 0) {
      rmSync(file, { force: true });
    } else if (Date.now() >= end) {
      throw new Error(`processes of a former Postgres still work in ${data}: ${orphans.join(', ')}`);
    } else {
      await sleep(50);
    }
  }
}

/** Null when the server answers and knows our password; else why not. */
async function probe(url: string): Promise<(Error & { code?: string }) | null> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 1_000 });
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.query('select 1');
    return null;
  } catch (error) {
    return error as Error;
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** Waits for the answer; recovery after a crash may take a while, and is no failure while the server lives. */
async function waitUntilReady(root: string, url: string, identity: ProcessIdentity | null): Promise<void> {
  const end = Date.now() + 120_000;
  for (;;) {
    const error = await probe(url);
    if (error === null) return;
    if (error.code === '28P01') throw new Error(`the Postgres in ${root} does not accept this home's password`);
    if (!identity || identify(identity.pid)?.started !== identity.started) {
      throw new Error(`Postgres ended while starting:\n${lastLines(root)}`);
    }
    if (Date.now() > end) throw new Error(`Postgres does not answer: ${error.message}\n${lastLines(root)}`);
    await sleep(20);
  }
}

async function createDatabase(adminUrl: string): Promise<void> {
  const client = new pg.Client({ connectionString: adminUrl });
  client.on('error', () => undefined);
  await client.connect();
  try {
    const found = await client.query('select 1 from pg_database where datname = $1', [databaseName]);
    if (found.rowCount === 0) await client.query(`create database ${databaseName}`);
  } finally {
    await client.end();
  }
}

async function startLocked(home: string, options: PostgresOptions): Promise<Postgres> {
  const binaries = findBinaries();
  const root = findRoot(home) ?? makeRoot(home, binaries.user);
  if (!existsSync(join(root, 'data'))) await initialise(binaries, root, options);
  checkVersion(root, binaries);
  const password = readText(join(root, 'password'))?.trim();
  if (!password) throw new Error(`${root}/password is gone; without it nobody can log in to ${root}/data`);
  const { postgres: port } = await homePorts(home);
  const base = `postgres://${superuser}:${password}@127.0.0.1:${port}`;
  let identity = livePostmaster(root);
  const started = identity === null;
  if (!identity) {
    await clearStalePid(root);
    await requireFreePort(port, `the embedded Postgres of ${home}; remove ports.json there to choose others`);
    options.onProgress?.('starting Postgres');
    identity = identify(launch(binaries, root, port, options));
  }
  await waitUntilReady(root, `${base}/postgres`, identity);
  await createDatabase(`${base}/postgres`);
  const url = `${base}/${databaseName}`;
  await replaceFile(urlPath(home), `${url}\n`);
  return { url, pid: identity?.pid ?? 0, started };
}

async function findRunning(home: string): Promise<Postgres | null> {
  const root = findRoot(home);
  const url = readText(urlPath(home))?.trim();
  const identity = root && livePostmaster(root);
  if (!identity || !url || (await probe(url)) !== null) return null;
  return { url, pid: identity.pid, started: false };
}

/** The home's Postgres, started if it does not run. Safe to call from several processes at once. */
export async function ensurePostgres(home: string, options: PostgresOptions = {}): Promise<Postgres> {
  mkdirSync(home, { recursive: true });
  const running = await findRunning(home);
  if (running) return running;
  return withLock(lockPath(home), { timeoutMs: 120_000, what: 'the start of Postgres' }, async () => {
    return (await findRunning(home)) ?? (await startLocked(home, options));
  });
}

/** Stops it without losing anything (fast shutdown; then immediate, which recovers at the next start). */
export async function stopPostgres(home: string): Promise<boolean> {
  const root = findRoot(home);
  if (!root || livePostmaster(root) === null) return false;
  return withLock(lockPath(home), { timeoutMs: 120_000, what: 'the start of Postgres' }, async () => {
    const identity = livePostmaster(root);
    if (!identity) return false;
    const steps = [
      { signal: 'SIGINT', waitMs: 20_000 },
      { signal: 'SIGQUIT', waitMs: 10_000 },
    ] as const;
    if (!(await stopProcess(identity, steps))) throw new Error(`Postgres (pid ${identity.pid}) does not stop`);
    return true;
  });
}
