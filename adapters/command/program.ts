// One running program: its own group and session, its limits, its output, and an end that leaves nothing of it alive.
import { execFile, spawn } from 'node:child_process';
import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { CommandSpec } from '../../domain/command.js';
import { Failure } from '../../domain/failures.js';
import { deadline } from '../fork.js';
import { Output } from './output.js';
import { Family } from './processes.js';

const pollMs = 250;
/** Helpers of a language's runtime end a moment after the program itself. */
const leaveMs = 1_000;
const mostProcesses = 1_000;
const tailLines = 20;
const mib = 1024 * 1024;

export interface ProgramEnd {
  code: number | null;
  signal: NodeJS.Signals | null;
  /** Why we ended it; null where it ended by itself. */
  why: Failure | null;
  /** Names of processes that outlived it, killed by now. */
  left: string[];
  /** Its last lines, without secrets. */
  tail: string;
}

export interface Program {
  /** The program's first process has ended. */
  exited: Promise<void>;
  /** Nothing of it is alive, and what it wrote is complete. */
  ended: Promise<ProgramEnd>;
  terminate(): void;
  /** Kills everything; the first reason counts. */
  end(why: Failure): void;
}

async function usedBytes(folder: string): Promise<number> {
  let sum = 0;
  for (const name of await readdir(folder).catch(() => [] as string[])) {
    const path = join(folder, name);
    const found = await lstat(path).catch(() => null);
    if (found?.isDirectory()) sum += await usedBytes(path);
    // holes take no place
    if (found) sum += found.blocks * 512;
  }
  return sum;
}

/** Looks at the program's processes and files until it has ended, and ends it where it takes more than it may. */
async function watch(spec: CommandSpec, family: Family, over: AbortSignal, end: (why: Failure) => void): Promise<void> {
  // its own folders: what we pack beside them is not its doing
  const used = async (): Promise<number> =>
    (await usedBytes(join(spec.folder, 'code'))) + (await usedBytes(join(spec.folder, 'job')));
  const before = await used();
  while (!over.aborted) {
    const members = family.alive();
    const memory = family.memoryBytes(members, spec.memoryMb * mib) / mib;
    const disk = ((await used()) - before) / mib;
    if (members.length > mostProcesses) {
      end(new Failure('CommandForked', `the program has ${members.length} processes, ${mostProcesses} are allowed`));
    } else if (memory > spec.memoryMb) {
      const taken = `${Math.round(memory)} MiB of ${spec.memoryMb} MiB`;
      end(new Failure('CommandMemoryExceeded', `the program's ${members.length} processes used ${taken}`));
    } else if (disk > spec.diskMb) {
      end(new Failure('CommandDiskExceeded', `the program wrote ${Math.round(disk)} MiB of ${spec.diskMb} MiB`));
    }
    await sleep(pollMs, undefined, { signal: over }).catch(() => undefined);
  }
}

/** Removes what no process of ours holds. Never rejects. */
export function removeContainer(cleanUp: string[] | null): Promise<void> {
  const [program, ...args] = cleanUp ?? [];
  if (program === undefined) return Promise.resolve();
  return new Promise((resolve) => execFile(program, args, { timeout: 30_000 }, () => resolve()));
}

/** Starts `spec.command`. Throws `CommandFailed` when there is no such program. */
export async function startProgram(spec: CommandSpec, secrets: readonly string[]): Promise<Program> {
  const [file = '', ...args] = spec.command;
  const child = spawn(file, args, {
    cwd: spec.cwd,
    env: spec.env,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', ({ message }) =>
      reject(new Failure('CommandFailed', `the program does not start: ${message}`)),
    );
  });
  const family = new Family(child.pid ?? 0, spec.folder);
  const output = new Output(secrets);
  const state = { why: null as Failure | null };
  const over = new AbortController();
  const end = (why: Failure): void => {
    state.why ??= why;
    void family.killAll();
  };
  for (const stream of [child.stdout, child.stderr]) {
    const take = output.reader();
    stream.on('data', (chunk: Buffer) => {
      if (take(chunk)) end(new Failure('CommandPrintedSecret', 'the program printed a value that is secret'));
    });
  }
  const late = () => end(new Failure('CommandTimedOut', `the program ran longer than ${spec.deadlineMs / 1000} s`));
  const timer = deadline(spec.deadlineMs, late);
  const watching = watch(spec, family, over.signal, end);
  const exit = new Promise<Pick<ProgramEnd, 'code' | 'signal'>>((resolve) =>
    child.once('exit', (code, signal) => resolve({ code, signal })),
  );
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const finish = async (): Promise<ProgramEnd> => {
    const how = await exit;
    clearTimeout(timer);
    const patience = performance.now() + (state.why ? 0 : leaveMs);
    while (family.alive().length > 0 && performance.now() < patience) await sleep(20);
    const left = await family.killAll();
    // its output ends with its last process; one that nobody can kill must not hold us up
    await Promise.race([closed, sleep(leaveMs)]);
    over.abort();
    await watching;
    await removeContainer(spec.cleanUp);
    return { ...how, why: state.why, left: state.why ? [] : left, tail: output.tail(tailLines) };
  };
  return {
    exited: exit.then(() => undefined),
    ended: finish(),
    terminate: () => family.signalGroup('SIGTERM'),
    end,
  };
}
