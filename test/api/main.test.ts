// The API as a process: serves while Temporal is away, ends in order, refuses to start in the open, and a cut upload.
import { sql } from 'drizzle-orm';
import { fork, type ChildProcess } from 'node:child_process';
import { createServer } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { existsSync, mkdtempSync, readdirSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { entryArguments } from '../../adapters/paths.js';
import { testDatabase, type TestDatabase } from '../support/database.js';
import { digits } from './support.js';

interface Started {
  process: ChildProcess;
  messages: unknown[];
  stderr: () => string;
  exit: Promise<number | null>;
}

const home = mkdtempSync(join(tmpdir(), 'perennial-main-'));
const running: ChildProcess[] = [];
let database: TestDatabase;
let port: number;

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port: free } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return free;
}

function start(env: Record<string, string>): Started {
  const [script, ...rest] = entryArguments('api/main.ts');
  const { PATH = '', HOME = '' } = process.env;
  const settings = { PERENNIAL_HOME: home, PERENNIAL_PORT: String(port), DATABASE_URL: database.url };
  const child = fork(script!, rest, {
    env: { PATH, HOME, ...settings, TEMPORAL_ADDRESS: '127.0.0.1:1', PERENNIAL_SUPERVISED: '1', ...env },
    execArgv: [],
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  running.push(child);
  let stderr = '';
  const messages: unknown[] = [];
  child.stderr?.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  child.on('message', (message) => messages.push(message));
  const exit = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
  return { process: child, messages, stderr: () => stderr, exit };
}

async function until(condition: () => boolean | Promise<boolean>, withinMs = 15_000): Promise<void> {
  for (const end = Date.now() + withinMs; Date.now() < end; await sleep(50)) if (await condition()) return;
  throw new Error('it did not come true in time');
}

beforeAll(async () => {
  database = await testDatabase();
  port = await freePort();
});
afterAll(async () => {
  for (const child of running) child.kill('SIGKILL');
  await database.close();
  await rm(home, { recursive: true, force: true });
});

describe('the process', () => {
  it('serves without Temporal, keeps what it was told, and ends in order', async () => {
    const api = start({});
    await until(() => api.messages.length > 0);
    expect(api.messages[0]).toEqual({ type: 'ready' });
    const url = `http://127.0.0.1:${port}`;
    const ready = await fetch(`${url}/readyz`);
    expect([ready.status, await ready.json()]).toMatchObject([
      503,
      { ok: false, checks: { postgres: 'ok', temporal: 'does not answer' } },
    ]);
    const made = await fetch(`${url}/api/v1/pipelines`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(digits),
    });
    expect(made.status).toBe(201);
    const unsent = await database.db.execute(sql`select name from outbox where sent_at is null`);
    expect(unsent.rows).toEqual([{ name: 'pipelineLoop' }]);
    api.process.kill('SIGTERM');
    expect(await api.exit).toBe(0);
  });

  it('leaves nothing of an upload whose sender is gone', async () => {
    const api = start({});
    await until(() => api.messages.length > 0);
    const socket = connect(port, '127.0.0.1');
    const head = `POST /api/v1/datasets/digits/files?format=csv HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nContent-Length: 1000000\r\n\r\n`;
    socket.write(`${head}id,a,label\n1,2,no\n2,3,yes\n`);
    const uploads = () =>
      readdirSync(join(home, 'tmp'), { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('body'));
    await until(() => existsSync(join(home, 'tmp')) && uploads().length > 0);
    socket.destroy();
    await until(() => uploads().length === 0);
    const kept = await database.db.execute(sql`select 1 from ingest`);
    expect(kept.rows).toEqual([]);
    expect((await fetch(`http://127.0.0.1:${port}/healthz`)).status).toBe(200);
    api.process.disconnect();
    expect(await api.exit).toBe(0);
  });

  it('refuses to start in the open without a token', async () => {
    const api = start({ PERENNIAL_HOST: '0.0.0.0' });
    expect(await api.exit).toBe(1);
    expect(
      api
        .stderr()
        .trim()
        .split('\n')
        .filter((line) => !line.startsWith('{')),
    ).toEqual(['PERENNIAL_HOST=0.0.0.0 can be reached from other machines and there is no token: set PERENNIAL_TOKEN']);
  });

  it('names who holds its port', async () => {
    const holder = createServer();
    await new Promise<void>((resolve) => holder.listen(port, '127.0.0.1', resolve));
    const api = start({});
    expect(await api.exit).toBe(1);
    expect(api.stderr()).toContain(String(port));
    await new Promise((resolve) => holder.close(resolve));
  });

  it('keeps the token of its environment as an admin of default', async () => {
    const secret = 'secret-of-the-environment';
    const api = start({ PERENNIAL_TOKEN: secret });
    await until(() => api.messages.length > 0);
    const ask = async (headers: Record<string, string>) =>
      (await fetch(`http://127.0.0.1:${port}/api/v1/audit`, { headers })).status;
    await until(async () => (await ask({ authorization: `Bearer ${secret}` })) === 200);
    expect(await ask({})).toBe(401);
    expect(api.stderr()).not.toContain(secret);
    api.process.kill('SIGTERM');
    expect(await api.exit).toBe(0);
  });
});
