// One child of the supervisor (api, flow, cpu or gpu): forked, watched, restarted with a growing pause.
// Its stderr goes straight to `<home>/log/<name>.log`, so it survives us; errors in it are shown on our terminal.
import type { ChildProcess } from 'node:child_process';
import { fork } from 'node:child_process';
import { closeSync, fstatSync, mkdirSync, openSync, readSync, renameSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { entryArguments } from '../adapters/paths.js';

export const childNames = ['api', 'flow', 'cpu', 'gpu'] as const;
export type ChildName = (typeof childNames)[number];

/** What a child tells its supervisor. */
export type ChildReport =
  { type: 'ready' } | { type: 'child'; kind: 'scorer' | 'trainer'; pid: number; alive: boolean };

export interface ChildHooks {
  onChange: () => void;
  onReport: (name: ChildName, report: ChildReport) => void;
  /** A line for a person: an error of the child, or what happens to it. */
  onTrouble: (line: string) => void;
}

const firstPauseMs = 200;
const longestPauseMs = 10_000;
const healthyAfterMs = 60_000;
const logLimitBytes = 10_000_000;

function openLog(home: string, name: string): { path: string; fd: number } {
  const folder = join(home, 'log');
  mkdirSync(folder, { recursive: true });
  const path = join(folder, `${name}.log`);
  if ((statSync(path, { throwIfNoEntry: false })?.size ?? 0) > logLimitBytes) renameSync(path, `${path}.1`);
  return { path, fd: openSync(path, 'a+', 0o600) };
}

/** A log line as a person wants it, or null when it is no error. What is not JSON is a crash report. */
export function troubleOf(line: string): string | null {
  if (line.trim() === '') return null;
  if (!line.startsWith('{')) return line;
  try {
    const fields = JSON.parse(line) as { level?: string | number; event?: string; err?: { message?: string } };
    if (fields.level !== 'error' && fields.level !== 'fatal') return null;
    return [fields.event, fields.err?.message].filter(Boolean).join(': ');
  } catch {
    return line;
  }
}

export class Child {
  readonly name: ChildName;
  readonly #home: string;
  readonly #env: () => NodeJS.ProcessEnv;
  readonly #hooks: ChildHooks;
  readonly #log: { path: string; fd: number };
  #process: ChildProcess | null = null;
  #wanted = false;
  #pauseMs = firstPauseMs;
  #timer: NodeJS.Timeout | undefined;
  #readUpTo: number;
  #unfinishedLine = '';

  constructor(name: ChildName, home: string, env: () => NodeJS.ProcessEnv, hooks: ChildHooks) {
    this.name = name;
    this.#home = home;
    this.#env = env;
    this.#hooks = hooks;
    this.#log = openLog(this.#home, name);
    this.#readUpTo = fstatSync(this.#log.fd).size;
  }

  get pid(): number | null {
    return this.#process?.pid ?? null;
  }

  start(): void {
    this.#wanted = true;
    clearTimeout(this.#timer);
    const entry = this.name === 'api' ? ['api/main.ts'] : ['workers/worker.ts', this.name];
    const [script, ...arguments_] = [...entryArguments(entry[0] as string), ...entry.slice(1)];
    const began = Date.now();
    const child = fork(script as string, arguments_, {
      cwd: process.cwd(),
      env: this.#env(),
      execArgv: [],
      stdio: ['ignore', this.#log.fd, this.#log.fd, 'ipc'],
    });
    this.#process = child;
    child.on('message', (report) => this.#hooks.onReport(this.name, report as ChildReport));
    child.on('error', (error) => this.#hooks.onTrouble(`${this.name}: ${error.message}`));
    child.on('exit', (code, signal) => this.#exited(child, began, signal ?? `exit code ${code}`));
    this.#hooks.onChange();
  }

  #exited(child: ChildProcess, began: number, how: string): void {
    if (this.#process !== child) return;
    this.#process = null;
    this.showTrouble();
    this.#hooks.onChange();
    if (!this.#wanted) return;
    if (Date.now() - began > healthyAfterMs) this.#pauseMs = firstPauseMs;
    this.#hooks.onTrouble(`${this.name} ended (${how}); starting it again in ${this.#pauseMs} ms`);
    this.#timer = setTimeout(() => this.start(), this.#pauseMs);
    this.#pauseMs = Math.min(this.#pauseMs * 2, longestPauseMs);
  }

  /** SIGTERM, then SIGKILL after the wait; `hasten` (a second signal of the user) cuts the wait short. */
  async stop(waitMs: number, hasten: AbortSignal): Promise<void> {
    this.#wanted = false;
    clearTimeout(this.#timer);
    const child = this.#process;
    if (!child) return;
    const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    const kill = () => child.kill('SIGKILL');
    const timer = setTimeout(kill, waitMs);
    hasten.addEventListener('abort', kill, { once: true });
    child.kill(hasten.aborted ? 'SIGKILL' : 'SIGTERM');
    await gone;
    clearTimeout(timer);
    hasten.removeEventListener('abort', kill);
  }

  /** Shows the errors that were logged since the last call. */
  showTrouble(): void {
    const size = fstatSync(this.#log.fd).size;
    if (size <= this.#readUpTo) return;
    const bytes = Buffer.alloc(Math.min(size - this.#readUpTo, 1_000_000));
    const read = readSync(this.#log.fd, bytes, 0, bytes.length, this.#readUpTo);
    this.#readUpTo = size;
    const lines = (this.#unfinishedLine + bytes.toString('utf8', 0, read)).split('\n');
    this.#unfinishedLine = lines.pop() ?? '';
    for (const line of lines) {
      const trouble = troubleOf(line);
      if (trouble !== null) this.#hooks.onTrouble(`${this.name}: ${trouble}`);
    }
  }

  /** Frees the log file, after `stop`. */
  close(): void {
    closeSync(this.#log.fd);
  }
}
