// Processes named by pid and start time (a pid alone may belong to somebody else by now), and lock files on top of that.
// A zombie counts as dead. A lock is a hard link, so it is never seen half written; one left by a dead owner is broken
// by exactly one of the waiting processes.
import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { linkSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export interface ProcessIdentity {
  pid: number;
  /** Linux: clock ticks since boot, with the boot's id. Elsewhere: what ps says. */
  started: string;
}

let bootId: string | undefined;

function linuxStart(pid: number): { started: string; zombie: boolean } | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The command in parentheses may hold spaces and parentheses itself.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    bootId ??= readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim().slice(0, 8);
    return { started: `${bootId}-${fields[19]}`, zombie: fields[0] === 'Z' || fields[0] === 'X' };
  } catch {
    return null;
  }
}

/** Who runs under this pid now, or null: nobody, or a zombie. */
export function identify(pid: number): ProcessIdentity | null {
  if (!Number.isInteger(pid) || pid <= 0) return null;
  if (process.platform === 'linux') {
    const found = linuxStart(pid);
    return found && !found.zombie ? { pid, started: found.started } : null;
  }
  try {
    const line = execFileSync('ps', ['-o', 'stat=,lstart=', '-p', String(pid)], { encoding: 'utf8' }).trim();
    return line === '' || line.startsWith('Z') ? null : { pid, started: line.replace(/^\S+\s+/, '') };
  } catch {
    return null;
  }
}

/** Whether that very process still runs. */
export function isAlive(identity: ProcessIdentity): boolean {
  return identify(identity.pid)?.started === identity.started;
}

/** The command line, for messages. */
export function commandOf(pid: number): string {
  try {
    const text =
      process.platform === 'linux'
        ? readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
        : execFileSync('ps', ['-o', 'command=', '-p', String(pid)], { encoding: 'utf8' });
    return text.trim().slice(0, 200);
  } catch {
    return '';
  }
}

export async function waitForExit(identity: ProcessIdentity, timeoutMs: number): Promise<boolean> {
  const end = Date.now() + timeoutMs;
  while (isAlive(identity)) {
    if (Date.now() >= end) return false;
    await sleep(20);
  }
  return true;
}

/** Sends the signals one after the other, each after its wait, until that very process is gone. */
export async function stopProcess(
  identity: ProcessIdentity,
  steps: readonly { signal: NodeJS.Signals; waitMs: number }[],
): Promise<boolean> {
  for (const { signal, waitMs } of steps) {
    if (!isAlive(identity)) return true;
    try {
      process.kill(identity.pid, signal);
    } catch {
      return !isAlive(identity);
    }
    if (await waitForExit(identity, waitMs)) return true;
  }
  return !isAlive(identity);
}

interface LockContent extends ProcessIdentity {
  nonce: string;
}

function readLock(file: string): LockContent | null {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as LockContent;
  } catch {
    return null;
  }
}

/**
 * Removes a dead owner's lock. Only the process that creates `<lock>.break-<nonce>` may do so, and it looks again first:
 * between that look and the removal nobody else can have replaced this lock.
 */
function breakLock(file: string, dead: LockContent): void {
  const guard = `${file}.break-${dead.nonce}`;
  try {
    writeFileSync(guard, '', { flag: 'wx' });
  } catch {
    // The breaker itself may have been killed: after 10 s its guard is void.
    if (Date.now() - (statSync(guard, { throwIfNoEntry: false })?.mtimeMs ?? Date.now()) > 10_000) {
      rmSync(guard, { force: true });
    }
    return;
  }
  if (readLock(file)?.nonce === dead.nonce) rmSync(file, { force: true });
  rmSync(guard, { force: true });
}

/** No name in it: it went a moment ago, or a power cut left it empty; the latter goes once it is old. */
function removeUnreadable(file: string): void {
  const age = Date.now() - (statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? Date.now());
  if (age > 2_000) rmSync(file, { force: true });
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
}

export type Lock = { release: () => void; owner?: never } | { release?: never; owner: ProcessIdentity };

/** Takes the lock, or says who holds it. */
export function tryLock(file: string): Lock {
  mkdirSync(dirname(file), { recursive: true });
  const self = identify(process.pid);
  if (!self) throw new Error('this process cannot be found in the process table');
  const content: LockContent = { ...self, nonce: randomUUID() };
  const temporary = `${file}.${content.nonce}`;
  writeFileSync(temporary, JSON.stringify(content), { mode: 0o644 });
  try {
    for (;;) {
      try {
        linkSync(temporary, file);
        return {
          release: () => {
            if (readLock(file)?.nonce === content.nonce) rmSync(file, { force: true });
          },
        };
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      }
      const holder = readLock(file);
      if (!holder) {
        removeUnreadable(file);
        continue;
      }
      if (isAlive(holder)) return { owner: holder };
      breakLock(file, holder);
    }
  } finally {
    rmSync(temporary, { force: true });
  }
}

/** Runs `work` while holding the lock; waits for a live holder. */
export async function withLock<T>(
  file: string,
  options: { timeoutMs: number; what: string; onWait?: (owner: ProcessIdentity) => void },
  work: () => Promise<T>,
): Promise<T> {
  const end = Date.now() + options.timeoutMs;
  let told = false;
  for (;;) {
    const lock = tryLock(file);
    if (lock.release) {
      try {
        return await work();
      } finally {
        lock.release();
      }
    }
    if (!told) options.onWait?.(lock.owner);
    told = true;
    if (Date.now() >= end) {
      throw new Error(`${options.what} is held by pid ${lock.owner.pid} (${commandOf(lock.owner.pid)})`);
    }
    await sleep(25);
  }
}
