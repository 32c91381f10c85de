// The embedded Postgres on real processes: races, kills, stale files, as root and as an ordinary user.
import { execFile, execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import pg from 'pg';
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { ensurePostgres, stopPostgres } from '../../adapters/embedded/postgres.js';
import { identify } from '../../adapters/embedded/process.js';
import { projectRoot } from '../../adapters/paths.js';

const fast = { fsync: false };
const isRoot = process.getuid?.() === 0;
let home: string;

beforeAll(() => {
  // The racing processes below load the transpiled module.
  execFileSync(process.execPath, [join(projectRoot, 'bin/run.mjs'), 'adapters/embedded/postgres.ts']);
});
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'perennial-pg-'));
  chmodSync(home, 0o755);
});
afterEach(async () => {
  await stopPostgres(home);
  rmSync(home, { recursive: true, force: true });
});

async function query(url: string, text: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  return (await client.query(text).finally(() => client.end())).rows;
}

/** `ensurePostgres` in a process of its own, as another user if asked. */
async function elsewhere(folder: string, command = 'ensurePostgres', user: { uid?: number; gid?: number } = {}) {
  const module = pathToFileURL(join(projectRoot, 'dist/adapters/embedded/postgres.js')).href;
  const code = `const m = await import(${JSON.stringify(module)});
    console.log(JSON.stringify(await m.${command}(${JSON.stringify(folder)}, { fsync: false })));`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', code], {
    cwd: '/',
    ...user,
  });
  return JSON.parse(stdout) as { url: string; pid: number; started: boolean };
}

test('five racing processes start one server', { timeout: 60_000 }, async () => {
  const answers = await Promise.all(Array.from({ length: 5 }, () => elsewhere(home)));
  expect(new Set(answers.map(({ pid }) => pid)).size).toBe(1);
  expect(new Set(answers.map(({ url }) => url)).size).toBe(1);
  expect(answers.filter(({ started }) => started)).toHaveLength(1);
  const url = answers[0]?.url ?? '';
  expect(await query(url, 'select 1 as one')).toEqual([{ one: 1 }]);
  expect(statSync(join(home, 'database-url')).mode & 0o777).toBe(0o600);
  const settings = await query(
    url,
    `select current_setting('max_connections') as connections, current_setting('synchronous_commit') as commit`,
  );
  expect(settings).toEqual([{ connections: '200', commit: 'on' }]);
  await expect(query(url.replace(/:[^:@]+@/, ':wrong@'), 'select 1')).rejects.toMatchObject({ code: '28P01' });
});

test('a lock left by a dead process does not keep it from starting', { timeout: 60_000 }, async () => {
  writeFileSync(join(home, 'postgres.lock'), JSON.stringify({ pid: 999_999, started: 'long ago', nonce: 'x' }));
  expect((await ensurePostgres(home, fast)).started).toBe(true);
  expect((await ensurePostgres(home, fast)).started).toBe(false);
});

test('after kill -9 it comes back with its data, in the same place', { timeout: 60_000 }, async () => {
  const first = await ensurePostgres(home);
  await query(first.url, 'create table kept (n int); insert into kept values (1), (2)');
  process.kill(first.pid, 'SIGKILL');
  const second = await ensurePostgres(home);
  expect(second).toMatchObject({ url: first.url, started: true });
  expect(second.pid).not.toBe(first.pid);
  expect(await query(second.url, 'select n from kept order by n')).toEqual([{ n: 1 }, { n: 2 }]);
});

test('a postmaster.pid that names a stranger is no obstacle', { timeout: 60_000 }, async () => {
  const first = await ensurePostgres(home, fast);
  const file = join(home, 'postgres/data/postmaster.pid');
  const lines = readFileSync(file, 'utf8').split('\n');
  expect(await stopPostgres(home)).toBe(true);
  expect(identify(first.pid)).toBeNull();
  writeFileSync(file, [process.pid, ...lines.slice(1)].join('\n'));
  expect((await ensurePostgres(home, fast)).started).toBe(true);
  expect(await stopPostgres(home)).toBe(true);
  expect(await stopPostgres(home)).toBe(false);
});

test.runIf(isRoot)(
  'root: the server runs as an unprivileged user, also under a closed folder',
  { timeout: 60_000 },
  async () => {
    chmodSync(home, 0o700);
    const closed = join(home, 'closed');
    mkdirSync(closed, { mode: 0o700 });
    const server = await ensurePostgres(closed, fast);
    try {
      expect(statSync(`/proc/${server.pid}`).uid).not.toBe(0);
      const root = readFileSync(join(closed, 'postgres.path'), 'utf8').trim();
      expect(root.startsWith(home)).toBe(false);
      await stopPostgres(closed);
      // Data of a home that is gone goes when the next one is placed there.
      rmSync(closed, { recursive: true });
      mkdirSync(closed, { mode: 0o700 });
      await ensurePostgres(closed, fast);
      expect(existsSync(root)).toBe(false);
      await stopPostgres(closed);
      rmSync(readFileSync(join(closed, 'postgres.path'), 'utf8').trim(), { recursive: true });
    } finally {
      await stopPostgres(closed);
    }
  },
);

test.runIf(isRoot)('an ordinary user starts and stops it too', { timeout: 60_000 }, async () => {
  const nobody = { uid: 65_534, gid: 65_534 };
  chownSync(home, nobody.uid, nobody.gid);
  const server = await elsewhere(home, 'ensurePostgres', nobody);
  expect(statSync(`/proc/${server.pid}`).uid).toBe(nobody.uid);
  expect(await query(server.url, 'select 1 as one')).toEqual([{ one: 1 }]);
  expect(await elsewhere(home, 'stopPostgres', nobody)).toBe(true);
});
