// One forked child process: a short environment, a memory limit, SIGKILL, and an end that is one failure of the catalogue.
import type { ChildProcess } from 'node:child_process';
import { fork } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { Failure } from '../domain/failures.js';
import { entryArguments } from './paths.js';

const memoryPollMs = 200;
const stderrKept = 2000;
const inherited = ['PATH', 'HOME', 'TMPDIR', 'TZ', 'LD_LIBRARY_PATH', 'CUDA_VISIBLE_DEVICES', 'PERENNIAL_PREBUILT'];

export interface ChildOptions {
  /** Resident memory, in MiB; above it the child is killed (watched where /proc exists). */
  memoryLimitMb: number;
  /** Added to the short list that a child gets of our own environment. */
  env?: Record<string, string>;
  /** Called with the child's pid when it starts and when it has ended. */
  onChild?: (pid: number, alive: boolean) => void;
}

export interface Child {
  process: ChildProcess;
  pid: number;
  /** SIGKILL; `why` becomes the failure. */
  kill(why: Failure): void;
  /** When the process has ended and its last message was delivered. */
  ended: Promise<Failure>;
}

function environment(extra: Record<string, string> = {}): NodeJS.ProcessEnv {
  const entries = inherited.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]]));
  // A parent that runs from dist/ was built; its children run the same code and need not look for changes.
  const built = import.meta.url.includes('/dist/') ? { PERENNIAL_PREBUILT: '1' } : {};
  return { ...Object.fromEntries(entries), LANG: 'C.UTF-8', ...built, ...extra };
}

function residentMb(pid: number): number {
  try {
    return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0) / 1024;
  } catch {
    return 0;
  }
}

/** Where the kernel counts the processes of our group that it killed for want of memory: cgroup 2, then 1. */
const oomCounters = ['/sys/fs/cgroup/memory.events', '/sys/fs/cgroup/memory/memory.oom_control'];

/** The count in the first of the files that is there; 0 where none is. */
export function oomKills(files: readonly string[] = oomCounters): number {
  for (const file of files) {
    try {
      return Number(/^oom_kill (\d+)$/m.exec(readFileSync(file, 'latin1'))?.[1] ?? 0);
    } catch {
      // the other kind of cgroup, or no Linux
    }
  }
  return 0;
}

const saysStarved = /out of memory|bad_alloc|allocation failed|cannot allocate memory/i;

interface Death {
  code: number | null;
  signal: string | null;
  stderr: string;
  /** It said so, or the kernel has killed for want of memory meanwhile. */
  starved: boolean;
}

function deathOf({ code, signal, stderr, starved }: Death): Failure {
  const how = signal === null ? `ended with code ${code}` : `was ended by ${signal}`;
  const said = stderr.trim().split('\n').slice(-3).join(' ');
  return new Failure(starved ? 'OutOfMemory' : 'ChildDied', `the child process ${how}${said ? `: ${said}` : ''}`);
}

/** Forks one of our entries (`workers/trainer.ts`) with an IPC channel; messages go by structured clone. */
export function startChild(entry: string, args: string[], options: ChildOptions): Child {
  const [runner, ...rest] = entryArguments(entry);
  const child = fork(runner!, [...rest, ...args], {
    env: environment(options.env),
    execArgv: [`--max-old-space-size=${Math.max(64, Math.floor(options.memoryLimitMb))}`],
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  const pid = child.pid ?? 0;
  const killsBefore = oomKills();
  let why: Failure | null = null;
  let stderr = '';
  let starved = false;
  const kill = (reason: Failure): void => {
    why ??= reason;
    child.kill('SIGKILL');
  };
  child.stderr?.on('data', (chunk: Buffer) => {
    const said = stderr + chunk.toString();
    // a stack may follow that is longer than what is kept
    starved ||= saysStarved.test(said);
    stderr = said.slice(-stderrKept);
  });
  const watch = setInterval(() => {
    const used = residentMb(pid);
    if (used <= options.memoryLimitMb) return;
    kill(new Failure('OutOfMemory', `the child process used ${Math.round(used)} MiB of ${options.memoryLimitMb} MiB`));
  }, memoryPollMs).unref();
  const ended = new Promise<Failure>((resolve) => {
    const end = (failure: Failure): void => {
      clearInterval(watch);
      if (pid > 0) options.onChild?.(pid, false);
      resolve(why ?? failure);
    };
    child.once('error', (error) => {
      if (child.pid === undefined) end(new Failure('Unavailable', `no child process: ${error.message}`));
    });
    child.once('close', (code, signal) =>
      end(deathOf({ code, signal, stderr, starved: starved || (signal === 'SIGKILL' && oomKills() > killsBefore) })),
    );
  });
  if (pid > 0) options.onChild?.(pid, true);
  return { process: child, pid, kill, ended };
}

/** Calls back after `ms`, however long; Node's timers end at 2^31 ms. */
export function deadline(ms: number, then: () => void): NodeJS.Timeout {
  return setTimeout(then, Math.min(ms, 2 ** 31 - 1));
}

/** Runs beside the main thread, which native code may hold for long: a killed parent shows as another parent pid. */
const orphanWatch = `
const { pid, ppid } = process;
setInterval(() => { if (process.ppid !== ppid) process.kill(pid, 'SIGKILL'); }, 500);`;

/** In the child, first of all: ends this process when its parent goes away, politely by IPC or within a second by SIGKILL. */
export function dieWithParent(code: number): void {
  if (!process.connected) throw new Error('this process is to be forked by adapters/fork.ts');
  process.on('disconnect', () => process.exit(code));
  // Ctrl-C reaches the whole group; the parent decides what becomes of its children.
  process.on('SIGINT', () => undefined);
  new Worker(orphanWatch, { eval: true, resourceLimits: { maxOldGenerationSizeMb: 8 } }).unref();
}
