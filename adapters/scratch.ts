// Scratch folders: named after the process that made them, so that a later one can remove what a killed one left.
// `<what>~<host>~<pid>~<start time>~<uuid>`: a pid alone may belong to somebody else by now, in a container it even must.
import { randomUUID } from 'node:crypto';
import { chmod, mkdir, readdir, rm, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { identify } from './embedded/process.js';

/** What other hosts left behind is removed when nothing happened in it for so long; a training writes every minute. */
const foreignAgeMs = 7 * 24 * 3_600_000;

const startOf = (pid: number): string => identify(pid)?.started.replace(/\W+/g, '-') ?? '';

/** A path below `parent` that nobody else uses; it is not made. `what`: letters, for a person who looks. */
export function scratchPath(parent: string, what: string): string {
  return join(parent, [what, hostname(), process.pid, startOf(process.pid), randomUUID()].join('~'));
}

/** A folder that is gone when `work` ends, however it ends. */
export async function inScratchFolder<T>(
  parent: string,
  what: string,
  work: (folder: string) => Promise<T>,
): Promise<T> {
  const folder = scratchPath(parent, what);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  try {
    return await work(folder);
  } finally {
    await removeFolder(folder);
  }
}

/** Never rejects: what cannot be removed, the next start sweeps. Folders that may not be written to are opened first. */
async function removeFolder(folder: string): Promise<void> {
  const remove = () => rm(folder, { recursive: true, force: true });
  await remove().catch(async () => {
    await openFolders(folder);
    await remove().catch(() => undefined);
  });
}

async function openFolders(folder: string): Promise<void> {
  await chmod(folder, 0o700).catch(() => undefined);
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  for (const entry of entries) if (entry.isDirectory()) await openFolders(join(folder, entry.name));
}

async function isLeft(parent: string, name: string): Promise<boolean> {
  const [, host, pid, started, id, more] = name.split('~');
  if (id === undefined || more !== undefined) return false;
  if (host === hostname()) return startOf(Number(pid)) !== started;
  const touched = (await stat(join(parent, name)).catch(() => null))?.mtimeMs;
  return touched !== undefined && Date.now() - touched > foreignAgeMs;
}

/** Names of the folders of processes that are gone. */
export async function leftFolders(parent: string): Promise<string[]> {
  const names = await readdir(parent).catch(() => [] as string[]);
  const left = await Promise.all(names.map((name) => isLeft(parent, name)));
  return names.filter((_, index) => left[index]);
}

/** Removes the folders of processes that are gone, and nothing else. Gives how many; never throws. */
export async function sweepScratch(parent: string): Promise<number> {
  let swept = 0;
  for (const name of await leftFolders(parent)) {
    const removed = rm(join(parent, name), { recursive: true, force: true });
    // what cannot be removed now is tried again at the next start
    swept += await removed.then(
      () => 1,
      () => 0,
    );
  }
  return swept;
}
