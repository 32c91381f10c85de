// A whole perennial in a home of its own, started as a user starts it (the supervisor as a process), for tests that kill
// parts of it or follow a run from rows to champion. Its SQL is for assertions only.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { appendFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import pg from 'pg';
import { readRunFile, type RunFile } from '../../adapters/home.js';
import { entryArguments, projectRoot } from '../../adapters/paths.js';
import { createHome } from './services.js';

export interface TestSystem {
  home: string;
  url: string;
  temporal: string;
  /** What runs now, as run.json has it. */
  running(): Promise<RunFile>;
  sql<T>(text: string, values?: unknown[]): Promise<T[]>;
  /** JSON in and out; tries again for `patienceMs` while nobody answers. Problems are returned, not thrown. */
  call<T>(method: string, path: string, body?: unknown, options?: CallOptions): Promise<Answer<T>>;
  /** A file in the home, for sources. */
  write(name: string, content: string | Uint8Array): Promise<string>;
  stop(): Promise<void>;
}

export interface CallOptions {
  headers?: Record<string, string>;
  contentType?: string;
  patienceMs?: number;
}

export interface Answer<T> {
  status: number;
  body: T;
  headers: Headers;
}

/** Polls until `look` gives something; the error says what was waited for. */
export async function until<T>(
  what: string,
  look: () => Promise<T | null | undefined | false>,
  patienceMs = 60_000,
): Promise<T> {
  const end = Date.now() + patienceMs;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > end) throw new Error(`waited ${patienceMs} ms for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Starts one; `env` may set PERENNIAL_HOLD and the like. */
export async function startTestSystem(env: Record<string, string> = {}, home?: string): Promise<TestSystem> {
  const place = home ?? (await createHome());
  const supervisor = spawn(process.execPath, entryArguments('workers/supervisor.ts'), {
    cwd: projectRoot,
    env: { ...process.env, NODE_ENV: 'test', PERENNIAL_HOME: place, PERENNIAL_PORT: '0', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const said: string[] = [];
  supervisor.stderr.on('data', (chunk: Buffer) => said.push(chunk.toString()));
  const ready = await readyLine(supervisor, said);
  const [, url = ''] = /ready: (\S+)/.exec(ready) ?? [];
  const running = async () => {
    const file = await readRunFile(place);
    if (!file) throw new Error(`nothing runs in ${place}`);
    return file;
  };
  const { temporal } = await running();
  return {
    home: place,
    url,
    temporal,
    running,
    sql: async <T>(text: string, values?: unknown[]) => query<T>((await running()).database, text, values),
    call: (method, path, body, options) => call(url, method, path, body, options),
    write: async (name, content) => {
      const path = join(place, name);
      await writeFile(path, content);
      return path;
    },
    stop: () => stop(supervisor, place, home === undefined),
  };
}

function readyLine(supervisor: ChildProcess, said: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    supervisor.once('exit', (code) =>
      reject(new Error(`perennial ended with ${code ?? 'a signal'}: ${said.join('')}`)),
    );
    if (!supervisor.stdout) return;
    createInterface({ input: supervisor.stdout }).on('line', (line) => {
      if (line.startsWith('perennial is ready')) resolve(line);
    });
  });
}

async function stop(supervisor: ChildProcess, home: string, remove: boolean): Promise<void> {
  const gone = new Promise<void>((resolve) => {
    if (supervisor.exitCode !== null || supervisor.signalCode !== null) resolve();
    else supervisor.once('exit', () => resolve());
  });
  supervisor.kill('SIGTERM');
  await gone;
  const cleanup = spawn(process.execPath, entryArguments('workers/stop.ts'), {
    cwd: projectRoot,
    env: { ...process.env, PERENNIAL_HOME: home },
    stdio: 'ignore',
  });
  await new Promise<void>((resolve) => cleanup.once('exit', () => resolve()));
  if (process.env['PERENNIAL_TEST_KEEP']) await keepLogs(home);
  if (remove) await rm(home, { recursive: true, force: true, maxRetries: 5 });
}

/** PERENNIAL_TEST_KEEP=<folder>: logs of stopped systems are kept there, to look at a failure. */
async function keepLogs(home: string): Promise<void> {
  const folder = process.env['PERENNIAL_TEST_KEEP'] ?? '';
  await mkdir(folder, { recursive: true });
  for (const name of ['api', 'flow', 'cpu', 'gpu']) {
    const path = join(home, 'log', `${name}.log`);
    if (existsSync(path)) await appendFile(join(folder, `${name}.log`), await readFile(path));
  }
}

async function query<T>(database: string, text: string, values: unknown[] = []): Promise<T[]> {
  const client = new pg.Client({ connectionString: database });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return (await client.query(text, values)).rows as T[];
  } finally {
    await client.end();
  }
}

async function call<T>(
  base: string,
  method: string,
  path: string,
  body: unknown,
  options: CallOptions = {},
): Promise<Answer<T>> {
  const raw = typeof body === 'string' || body instanceof Uint8Array;
  const contentType = options.contentType ?? (raw ? 'application/octet-stream' : 'application/json');
  const init: RequestInit = {
    method,
    headers: { ...(body === undefined ? {} : { 'content-type': contentType }), ...options.headers },
    ...(body === undefined ? {} : { body: raw ? (body as string) : JSON.stringify(body) }),
  };
  const end = Date.now() + (options.patienceMs ?? 0);
  for (;;) {
    try {
      const response = await fetch(base + path, init);
      const text = await response.text();
      if (response.status >= 500 && Date.now() < end) throw new Error(`${response.status} ${text}`);
      const parsed = (response.headers.get('content-type') ?? '').includes('json')
        ? (JSON.parse(text) as T)
        : (text as T);
      return { status: response.status, body: parsed, headers: response.headers };
    } catch (error) {
      if (Date.now() >= end) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}
