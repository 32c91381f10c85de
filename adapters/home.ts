// What lies in a home folder and concerns everybody: run.json (what is running), ports.json (chosen once, kept).
// A taken port is an error that names its holder. Files are replaced by rename; run.json holds a password, so 0600.
import { execFileSync } from 'node:child_process';
import { randomInt, randomUUID } from 'node:crypto';
import { linkSync, mkdirSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import type { ProcessIdentity } from './embedded/process.js';
import { commandOf, identify, isAlive } from './embedded/process.js';

export interface RunFile {
  api: string;
  temporal: string;
  temporalUi: string | null;
  database: string;
  pids: {
    supervisor: number | null;
    api: number | null;
    flow: number | null;
    cpu: number | null;
    gpu: number | null;
    temporal: number | null;
    postgres: number | null;
    scorer: number | null;
    trainer: number[];
  };
}

/** Replaces a file as a whole: readers see the old text or the new one. */
export async function replaceFile(path: string, text: string, mode = 0o600): Promise<void> {
  const temporary = `${path}.${randomUUID()}`;
  await writeFile(temporary, text, { mode });
  await rename(temporary, path);
}

async function readJson<T>(path: string): Promise<T | null> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as T;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT' || error instanceof SyntaxError) return null;
    throw error;
  }
}

const runPath = (home: string) => join(home, 'run.json');

/** In the file, start times stand beside the pids: a pid alone may be somebody else's by the time it is read. */
interface KeptRunFile extends RunFile {
  started: Record<string, string>;
}

export async function readRunFile(home: string): Promise<RunFile | null> {
  const kept = await readJson<KeptRunFile>(runPath(home));
  if (!kept) return null;
  const { started: _, ...run } = kept;
  return run;
}

/** Which of the processes in run.json still run: pid and start time as they were when the file was written. */
export async function livingProcesses(home: string): Promise<{ name: string; identity: ProcessIdentity }[]> {
  const kept = await readJson<KeptRunFile>(runPath(home));
  if (!kept?.pids) return [];
  const pids = Object.entries(kept.pids).flatMap(([name, pid]) => [pid].flat().map((one) => ({ name, pid: one })));
  return pids
    .map(({ name, pid }) => ({ name, identity: { pid: pid ?? 0, started: kept.started?.[String(pid)] ?? '' } }))
    .filter(({ identity }) => isAlive(identity));
}

export async function writeRunFile(home: string, run: RunFile): Promise<void> {
  mkdirSync(home, { recursive: true });
  const identities = Object.values(run.pids).flatMap((pid) => [pid].flat().map((one) => identify(one ?? 0)));
  const started = Object.fromEntries(identities.flatMap((one) => (one ? [[one.pid, one.started]] : [])));
  await replaceFile(runPath(home), `${JSON.stringify({ ...run, started }, null, 2)}\n`);
}

export async function removeRunFile(home: string): Promise<void> {
  await rm(runPath(home), { force: true });
}

const portNames = ['api', 'postgres', 'temporal', 'temporalUi', 'temporalHttp', 'temporalMetrics'] as const;
export type Ports = Record<(typeof portNames)[number], number>;

/** Below the range that the kernel takes outgoing ports from, or a restart may find its own port in use. */
const portRange = { from: 20_000, to: 32_000 };

function canListen(port: number, host: string): Promise<NodeJS.ErrnoException | null> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error) => resolve(error));
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(null)));
  });
}

async function pickPorts(): Promise<Ports> {
  const picked = new Set<number>();
  for (let tries = 0; picked.size < portNames.length; tries++) {
    if (tries > 1000) throw new Error(`no free ports between ${portRange.from} and ${portRange.to}`);
    const port = randomInt(portRange.from, portRange.to);
    if (!picked.has(port) && (await canListen(port, '127.0.0.1')) === null) picked.add(port);
  }
  const ports = [...picked];
  return Object.fromEntries(portNames.map((name, index) => [name, ports[index]])) as Ports;
}

/** The ports of a home. Processes that ask at the same time get the same answer: the first link wins. */
export async function homePorts(home: string): Promise<Ports> {
  const path = join(home, 'ports.json');
  const kept = await readJson<Ports>(path);
  if (kept && portNames.every((name) => Number.isInteger(kept[name]))) return kept;
  mkdirSync(home, { recursive: true });
  if (kept) rmSync(path, { force: true });
  const temporary = `${path}.${randomUUID()}`;
  await writeFile(temporary, `${JSON.stringify(await pickPorts(), null, 2)}\n`);
  try {
    linkSync(temporary, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    rmSync(temporary, { force: true });
  }
  const ports = await readJson<Ports>(path);
  if (!ports) throw new Error(`${path} cannot be read`);
  return ports;
}

function listeningInodes(port: number): Set<string> {
  const hex = port.toString(16).toUpperCase().padStart(4, '0');
  const inodes = new Set<string>();
  for (const table of ['/proc/net/tcp', '/proc/net/tcp6']) {
    try {
      for (const line of readFileSync(table, 'utf8').split('\n').slice(1)) {
        const fields = line.trim().split(/\s+/);
        const listening = fields[3] === '0A' && fields[1]?.endsWith(`:${hex}`);
        if (listening && fields[9]) inodes.add(`socket:[${fields[9]}]`);
      }
    } catch {
      // No such table: IPv6 is off.
    }
  }
  return inodes;
}

function linuxHolder(port: number): number | null {
  const inodes = listeningInodes(port);
  if (inodes.size === 0) return null;
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      for (const fd of readdirSync(`/proc/${pid}/fd`)) {
        if (inodes.has(readlinkSync(`/proc/${pid}/fd/${fd}`))) return Number(pid);
      }
    } catch {
      // Gone meanwhile, or not ours to look at.
    }
  }
  return null;
}

/** Who listens on a port, where the system lets us know. */
export function portHolder(port: number): { pid: number; command: string } | null {
  if (process.platform === 'linux') {
    const pid = linuxHolder(port);
    return pid === null ? null : { pid, command: commandOf(pid) };
  }
  try {
    const arguments_ = ['-nP', `-iTCP:${port}`, '-sTCP:LISTEN', '-t'];
    const pid = Number(execFileSync('lsof', arguments_, { encoding: 'utf8' }).trim().split('\n')[0]);
    return pid > 0 ? { pid, command: commandOf(pid) } : null;
  } catch {
    return null;
  }
}

export class PortTaken extends Error {
  constructor(port: number, what: string) {
    const holder = portHolder(port);
    const who = holder ? `pid ${holder.pid} (${holder.command})` : 'a process of another user';
    super(`port ${port} (${what}) is held by ${who}`);
    this.name = 'PortTaken';
  }
}

/** Throws `PortTaken` unless the port can be bound. `what` says whose port it is and how to change it. */
export async function requireFreePort(port: number, what: string, host = '127.0.0.1'): Promise<void> {
  const error = await canListen(port, host);
  if (error?.code === 'EADDRINUSE') throw new PortTaken(port, what);
  if (error) throw new Error(`${host}:${port} (${what}) cannot be bound: ${error.code ?? error.message}`);
}
