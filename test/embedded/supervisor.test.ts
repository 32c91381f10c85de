// The supervisor on real services, over stand-ins for the API, the workers and the migrations: what is tested here is
// who runs, who is started again, who is adopted, and that a stop leaves nothing.
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { identify } from '../../adapters/embedded/process.js';
import type { RunFile } from '../../adapters/home.js';
import { projectRoot } from '../../adapters/paths.js';
import { troubleOf } from '../../workers/child.js';

const api = `
import { createServer } from 'node:http';
const port = Number(process.env.PERENNIAL_PORT);
const answer = { status: 200 };
createServer((request, response) => response.writeHead(request.url === '/readyz' ? answer.status : 404).end()).listen(port, process.env.PERENNIAL_HOST);
process.send?.({ type: 'child', kind: 'scorer', pid: process.pid, alive: true });
for (const event of ['disconnect', 'SIGTERM']) process.on(event, () => process.exit(0));
`;
const worker = `
if (!process.env.DATABASE_URL || !process.env.TEMPORAL_ADDRESS) throw new Error('no services');
setInterval(() => undefined, 1000);
for (const event of ['disconnect', 'SIGTERM']) process.on(event, () => process.exit(0));
`;
const migrate = `
import pg from 'pg';
export async function migrate(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query('create table if not exists token (id text, revoked_at timestamptz)');
  // one that opens nothing any more
  await client.query("insert into token values ('tok_old', now())");
  await client.end();
}
`;

let root: string;
let home: string;

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'perennial-supervisor-'));
  chmodSync(root, 0o755);
  home = join(root, 'home');
  for (const path of ['bin', 'adapters', 'db', 'domain', 'package.json']) {
    cpSync(join(projectRoot, path), join(root, path), { recursive: true });
  }
  for (const folder of ['api', 'workers']) mkdirSync(join(root, folder));
  for (const name of ['supervisor', 'system', 'services', 'child', 'stop']) {
    cpSync(join(projectRoot, `workers/${name}.ts`), join(root, `workers/${name}.ts`));
  }
  symlinkSync(join(projectRoot, 'node_modules'), join(root, 'node_modules'));
  writeFileSync(join(root, 'api/main.ts'), api);
  writeFileSync(join(root, 'workers/worker.ts'), worker);
  writeFileSync(join(root, 'db/migrate.ts'), migrate);
});

afterAll(async () => {
  await run('workers/stop.ts').ended;
  rmSync(root, { recursive: true, force: true });
});

interface Run {
  child: ChildProcess;
  output: () => string;
  errors: () => string;
  ended: Promise<number | null>;
}

function run(entry: string, env: NodeJS.ProcessEnv = {}): Run {
  const inherited = { PATH: process.env['PATH'], HOME: process.env['HOME'], TEMPORAL_CLI: process.env['TEMPORAL_CLI'] };
  const child = spawn(process.execPath, ['bin/run.mjs', entry], {
    cwd: root,
    env: { ...inherited, PERENNIAL_HOME: home, PERENNIAL_PORT: '0', ...env },
  });
  let output = '';
  let errors = '';
  child.stdout.on('data', (text) => (output += String(text)));
  child.stderr.on('data', (text) => (errors += String(text)));
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
  return { child, output: () => output, errors: () => errors, ended };
}

const runFile = () => JSON.parse(readFileSync(join(home, 'run.json'), 'utf8')) as RunFile;

async function until(what: string, holds: () => boolean, timeoutMs = 20_000): Promise<void> {
  const end = Date.now() + timeoutMs;
  while (!holds()) {
    if (Date.now() > end) throw new Error(`never came: ${what}`);
    await sleep(25);
  }
}

async function start(): Promise<Run> {
  const started = run('workers/supervisor.ts');
  await until('the ready line', () => started.output().includes('\n') || started.child.exitCode !== null, 60_000);
  expect(started.output(), started.errors()).toMatch(
    /^perennial is ready: http:\/\/127\.0\.0\.1:\d+ · Temporal UI: http:\/\/127\.0\.0\.1:\d+\n$/,
  );
  return started;
}

test('starts, repairs, survives its own kill, and stops without a trace', { timeout: 900_000 }, async () => {
  const first = await start();
  const before = runFile();
  expect(before.pids.supervisor).toBe(first.child.pid);
  expect(before.pids.scorer).toBe(before.pids.api);
  for (const pid of Object.values(before.pids).flat()) expect(identify(pid ?? 0), String(pid)).not.toBeNull();

  const second = run('workers/supervisor.ts');
  expect(await second.ended).not.toBe(0);
  expect(second.errors().trim()).toBe(
    `perennial already runs in ${home} (pid ${first.child.pid}); npm run stop stops it`,
  );

  for (const name of ['cpu', 'postgres', 'temporal'] as const) process.kill(before.pids[name] ?? 0, 'SIGKILL');
  const repaired = (name: 'cpu' | 'postgres' | 'temporal') => {
    const pid = runFile().pids[name];
    return pid !== null && pid !== before.pids[name] && identify(pid) !== null;
  };
  await until('the repair', () => repaired('cpu') && repaired('postgres') && repaired('temporal'));
  expect(runFile().pids.flow).toBe(before.pids.flow);

  const orphaned = runFile();
  first.child.kill('SIGKILL');
  await first.ended;
  const third = await start();
  const adopted = runFile();
  expect(adopted.pids).toMatchObject({ temporal: orphaned.pids.temporal, postgres: orphaned.pids.postgres });
  expect(adopted.api).toBe(before.api);
  for (const name of ['api', 'flow', 'cpu', 'gpu'] as const) expect(identify(orphaned.pids[name] ?? 0)).toBeNull();

  third.child.kill('SIGTERM');
  expect(await third.ended).toBe(0);
  expect(existsSync(join(home, 'run.json'))).toBe(false);
  for (const pid of Object.values(adopted.pids).flat()) expect(identify(pid ?? 0)).toBeNull();
});

test('npm run stop stops a running supervisor and what a killed one left', { timeout: 120_000 }, async () => {
  const running = await start();
  const stop = run('workers/stop.ts');
  expect(await stop.ended).toBe(0);
  expect(stop.output()).toContain(`pid ${running.child.pid}`);
  expect(await running.ended).toBe(0);
  const killed = await start();
  killed.child.kill('SIGKILL');
  await killed.ended;
  const again = run('workers/stop.ts');
  expect(await again.ended).toBe(0);
  expect(again.output()).toMatch(/Temporal, Postgres\n$/);
  const nothing = run('workers/stop.ts');
  expect(await nothing.ended).toBe(0);
  expect(nothing.output()).toBe(`nothing runs in ${home}\n`);
});

test(
  'refuses a host that others can reach without a token, and leaves nothing running',
  { timeout: 60_000 },
  async () => {
    const refused = run('workers/supervisor.ts', { PERENNIAL_HOST: '0.0.0.0' });
    expect(await refused.ended).not.toBe(0);
    expect(refused.output()).toBe('');
    expect(refused.errors().trim().split('\n').at(-1)).toContain('there is no token: set PERENNIAL_TOKEN');
    expect(existsSync(join(home, 'temporal.json'))).toBe(false);
  },
);

test('reports every bad setting before anything is started', async () => {
  const refused = run('workers/supervisor.ts', { PERENNIAL_PORT: 'x', PERENNIAL_LOG: 'y' });
  expect(await refused.ended).not.toBe(0);
  expect(refused.errors().trim().split('\n')).toHaveLength(2);
});

test('shows a person only what went wrong', () => {
  expect(troubleOf('{"level":"info","event":"a"}')).toBeNull();
  expect(troubleOf('{"level":"error","event":"a","err":{"message":"b"}}')).toBe('a: b');
  expect(troubleOf('Error: boom')).toBe('Error: boom');
  expect(troubleOf('')).toBeNull();
});
