// One Temporal dev server per home, detached, with a database file: any process may ensure it, the first one starts it.
// Found through `<home>/temporal.json` (pid and start time). Everything it opens binds 127.0.0.1 on the home's own ports.
import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { searchAttributes } from '../../domain/ids.js';
import { homePorts, replaceFile, requireFreePort } from '../home.js';
import type { Ports } from '../home.js';
import type { ProcessIdentity } from './process.js';
import { identify, isAlive, stopProcess, withLock } from './process.js';
import { findTemporalCli } from './temporal-cli.js';

export { findTemporalCli } from './temporal-cli.js';

/** The two rates lift the dev server's 20 polls a second, which cost a sequential workflow 0.1 s per activity. */
const dynamicConfig: Record<string, unknown> = {
  'history.transferProcessorMaxPollRPS': 2000,
  'history.timerProcessorMaxPollRPS': 2000,
  'matching.enableFairness': true,
};

const retention = `${30 * 86_400}s`;

export interface TemporalOptions {
  namespace: string;
  cli?: string | undefined;
  onProgress?: ((line: string) => void) | undefined;
}

export interface Temporal {
  address: string;
  uiUrl: string;
  pid: number;
  /** False: it ran already. */
  started: boolean;
}

interface Kept extends ProcessIdentity {
  address: string;
  uiUrl: string;
  httpUrl: string;
}

const keptPath = (home: string) => join(home, 'temporal.json');
const lockPath = (home: string) => join(home, 'temporal.lock');
const logPath = (home: string) => join(home, 'log', 'temporal.log');

function readKept(home: string): Kept | null {
  try {
    return JSON.parse(readFileSync(keptPath(home), 'utf8')) as Kept;
  } catch {
    return null;
  }
}

function serverArguments(home: string, ports: Ports, namespace: string): string[] {
  return [
    ...['server', 'start-dev', '--ip', '127.0.0.1', '--ui-ip', '127.0.0.1'],
    ...['--port', ports.temporal, '--ui-port', ports.temporalUi],
    ...['--http-port', ports.temporalHttp, '--metrics-port', ports.temporalMetrics],
    ...['--db-filename', join(home, 'temporal', 'temporal.db'), '--sqlite-pragma', 'journal_mode=WAL'],
    ...['--namespace', namespace, '--ui-disable-news-fetch', '--log-level', 'warn', '--log-format', 'json'],
    // Nothing of the user's own CLI configuration: profiles and variables there may point at another cluster.
    ...['--disable-config-file', '--disable-config-env'],
    ...searchAttributes.flatMap((name) => ['--search-attribute', `${name}=Keyword`]),
    ...Object.entries(dynamicConfig).flatMap(([key, value]) => [
      '--dynamic-config-value',
      `${key}=${JSON.stringify(value)}`,
    ]),
  ].map(String);
}

function launch(cli: string, home: string, ports: Ports, namespace: string): number {
  mkdirSync(join(home, 'temporal'), { recursive: true });
  mkdirSync(join(home, 'log'), { recursive: true });
  const log = openSync(logPath(home), 'a', 0o600);
  const child = spawn(cli, serverArguments(home, ports, namespace), {
    cwd: home,
    detached: true,
    stdio: ['ignore', log, log],
    env: { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? home, TZ: 'UTC' },
  });
  child.on('error', () => undefined);
  child.unref();
  closeSync(log);
  if (child.pid === undefined) throw new Error(`${cli} could not be started`);
  return child.pid;
}

/** The dev server's own HTTP door: says whether the namespace is there, with no client and no second program. */
async function describeNamespace(httpUrl: string, namespace: string): Promise<boolean> {
  try {
    const response = await fetch(`${httpUrl}/api/v1/namespaces/${encodeURIComponent(namespace)}`, {
      signal: AbortSignal.timeout(1_000),
    });
    await response.arrayBuffer();
    return response.ok;
  } catch {
    return false;
  }
}

async function post(url: string, body: unknown): Promise<void> {
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(5_000),
    });
    await response.arrayBuffer();
  } catch {
    // The flow worker ensures the namespace again.
  }
}

/** A server that was started for another namespace gets this one too; if it has it, nothing changes. */
async function addNamespace(httpUrl: string, namespace: string): Promise<void> {
  await post(`${httpUrl}/api/v1/namespaces`, { namespace, workflowExecutionRetentionPeriod: retention });
}

/** Best effort: a day, the dev server's default, would forget a finished run before anybody looked at it. */
async function keepThirtyDays(httpUrl: string, namespace: string): Promise<void> {
  const config = { workflowExecutionRetentionTtl: retention };
  await post(`${httpUrl}/api/v1/namespaces/${encodeURIComponent(namespace)}/update`, { config });
}

function lastLines(home: string): string {
  try {
    return readFileSync(logPath(home), 'utf8').trim().split('\n').slice(-5).join('\n');
  } catch {
    return '';
  }
}

async function waitUntilReady(home: string, kept: Kept, namespace: string): Promise<void> {
  const end = Date.now() + 60_000;
  while (!(await describeNamespace(kept.httpUrl, namespace))) {
    if (!isAlive(kept)) throw new Error(`the Temporal server ended while starting:\n${lastLines(home)}`);
    if (Date.now() > end) throw new Error(`the Temporal server does not answer; see ${logPath(home)}`);
    await sleep(25);
  }
}

async function startLocked(home: string, options: TemporalOptions): Promise<Temporal> {
  const cli = await findTemporalCli({ cli: options.cli, onProgress: options.onProgress });
  const ports = await homePorts(home);
  const whose = `the embedded Temporal of ${home}; remove ports.json there to choose others`;
  for (const name of ['temporal', 'temporalUi', 'temporalHttp', 'temporalMetrics'] as const) {
    await requireFreePort(ports[name], whose);
  }
  options.onProgress?.('starting Temporal');
  const identity = identify(launch(cli, home, ports, options.namespace));
  if (!identity) throw new Error(`the Temporal server ended at once:\n${lastLines(home)}`);
  const kept: Kept = {
    ...identity,
    address: `127.0.0.1:${ports.temporal}`,
    uiUrl: `http://127.0.0.1:${ports.temporalUi}`,
    httpUrl: `http://127.0.0.1:${ports.temporalHttp}`,
  };
  await replaceFile(keptPath(home), `${JSON.stringify(kept, null, 2)}\n`);
  await waitUntilReady(home, kept, options.namespace);
  await keepThirtyDays(kept.httpUrl, options.namespace);
  return { address: kept.address, uiUrl: kept.uiUrl, pid: kept.pid, started: true };
}

async function findRunning(home: string, namespace: string): Promise<Temporal | null> {
  const kept = readKept(home);
  if (!kept || !isAlive(kept)) return null;
  // Alive but not answering yet: somebody is starting it, and holds the lock while that lasts.
  if (!(await describeNamespace(kept.httpUrl, namespace))) return null;
  return { address: kept.address, uiUrl: kept.uiUrl, pid: kept.pid, started: false };
}

/** The home's Temporal server, started if it does not run. Safe to call from several processes at once. */
export async function ensureTemporal(home: string, options: TemporalOptions): Promise<Temporal> {
  mkdirSync(home, { recursive: true });
  const running = await findRunning(home, options.namespace);
  if (running) return running;
  const lock = { timeoutMs: 3_600_000, what: 'the start of Temporal' };
  return withLock(lockPath(home), lock, async () => {
    const kept = readKept(home);
    if (kept && isAlive(kept)) {
      await addNamespace(kept.httpUrl, options.namespace);
      await waitUntilReady(home, kept, options.namespace);
      return { address: kept.address, uiUrl: kept.uiUrl, pid: kept.pid, started: false };
    }
    return startLocked(home, options);
  });
}

/** Stops the home's server; what is in flight goes on at the next start. */
export async function stopTemporal(home: string): Promise<boolean> {
  const first = readKept(home);
  if (!first || !isAlive(first)) {
    rmSync(keptPath(home), { force: true });
    return false;
  }
  return withLock(lockPath(home), { timeoutMs: 60_000, what: 'the start of Temporal' }, async () => {
    const kept = readKept(home);
    if (!kept || !isAlive(kept)) return false;
    const steps = [
      { signal: 'SIGTERM', waitMs: 10_000 },
      { signal: 'SIGKILL', waitMs: 5_000 },
    ] as const;
    if (!(await stopProcess(kept, steps))) throw new Error(`Temporal (pid ${kept.pid}) does not stop`);
    rmSync(keptPath(home), { force: true });
    return true;
  });
}
