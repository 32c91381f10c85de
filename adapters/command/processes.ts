// The processes of one program, wherever they went: its group, its session, its descendants, and whoever carries its mark in
// the environment or works in its folder. Read from /proc; elsewhere only the group is known.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

interface Entry {
  pid: number;
  parent: number;
  group: number;
  session: number;
  /** Clock ticks since boot: with the pid it names a process for good. */
  started: string;
  command: string;
  zombie: boolean;
}

const pageBytes = 4_096;

function readEntry(pid: number): Entry | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const end = stat.lastIndexOf(')');
    const fields = stat.slice(end + 2).split(' ');
    return {
      ...{ pid, parent: Number(fields[1]), group: Number(fields[2]), session: Number(fields[3]) },
      ...{ started: fields[19] ?? '', zombie: fields[0] === 'Z' || fields[0] === 'X' },
      command: stat.slice(stat.indexOf('(') + 1, end),
    };
  } catch {
    return null;
  }
}

function allEntries(): Entry[] {
  try {
    const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
    return pids.map((pid) => readEntry(Number(pid))).filter((entry) => entry !== null);
  } catch {
    return [];
  }
}

/** Whether it was started by the program, by what a process cannot easily shed. */
function isMarked(pid: number, folder: string): boolean {
  try {
    const environment = readFileSync(`/proc/${pid}/environ`, 'latin1');
    if (environment.split('\0').some((line) => line === `PERENNIAL_JOB=${folder}/job`)) return true;
  } catch {
    // another user's, or gone
  }
  try {
    const place = readlinkSync(`/proc/${pid}/cwd`);
    return place === folder || place.startsWith(`${folder}/`);
  } catch {
    return false;
  }
}

function residentBytes(pid: number): number {
  try {
    return Number(readFileSync(`/proc/${pid}/statm`, 'latin1').split(' ')[1] ?? 0) * pageBytes;
  } catch {
    return 0;
  }
}

/** Pages shared by several processes are counted once, over all of them. */
function shareBytes(pid: number): number {
  try {
    const kib = /^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1'))?.[1];
    return kib === undefined ? residentBytes(pid) : Number(kib) * 1024;
  } catch {
    return residentBytes(pid);
  }
}

const identity = ({ pid, started }: Entry): string => `${pid}-${started}`;

export class Family {
  readonly #root: number;
  readonly #folder: string;
  readonly #members = new Set<string>();
  #strangers = new Set<string>();

  /** `root`: the program's first process, leader of its group and session; 0 where it is not known any more. */
  constructor(root: number, folder: string) {
    this.#root = root;
    this.#folder = folder;
  }

  /** Those that live now. `thoroughly`: looks again at those that were not of the family when they were seen first. */
  alive(thoroughly = false): Entry[] {
    const entries = allEntries();
    if (thoroughly) this.#strangers = new Set();
    const found = new Map<number, Entry>();
    // children have mostly higher pids than their parents; a second pass finds the others
    for (const _ of [1, 2]) for (const entry of entries) if (this.#belongs(entry, found)) found.set(entry.pid, entry);
    const seen = new Set(entries.map(identity));
    for (const entry of found.values()) this.#members.add(identity(entry));
    this.#strangers = new Set(entries.filter(({ pid }) => !found.has(pid)).map(identity));
    for (const member of this.#members) if (!seen.has(member)) this.#members.delete(member);
    return [...found.values()].filter(({ zombie }) => !zombie);
  }

  #belongs(entry: Entry, found: Map<number, Entry>): boolean {
    if (entry.pid === process.pid || found.has(entry.pid)) return found.has(entry.pid);
    const own = this.#root > 0 && [entry.pid, entry.group, entry.session].includes(this.#root);
    if (own || found.has(entry.parent) || this.#members.has(identity(entry))) return true;
    return !this.#strangers.has(identity(entry)) && !entry.zombie && isMarked(entry.pid, this.#folder);
  }

  /** Resident memory of all of them; asked twice where it seems too much, since shared pages are cheap to count twice. */
  memoryBytes(members: Entry[], limitBytes: number): number {
    const rough = members.reduce((sum, { pid }) => sum + residentBytes(pid), 0);
    return rough <= limitBytes ? rough : members.reduce((sum, { pid }) => sum + shareBytes(pid), 0);
  }

  /** The group alone, as a terminal would. */
  signalGroup(signal: NodeJS.Signals): void {
    try {
      if (this.#root > 0) process.kill(-this.#root, signal);
    } catch {
      // it is gone
    }
  }

  /** Stopped first, so that none starts another while the others die. Gives what was killed when nothing is left. */
  async killAll(withinMs = 10_000): Promise<string[]> {
    const killed = new Map<string, string>();
    const end = performance.now() + withinMs;
    for (let quiet = 0; quiet < 2 && performance.now() < end;) {
      const members = this.alive(true);
      quiet = members.length === 0 ? quiet + 1 : 0;
      for (const signal of ['SIGSTOP', 'SIGKILL'] as const) {
        for (const { pid } of members) send(pid, signal);
        if (signal === 'SIGKILL') this.signalGroup(signal);
      }
      for (const member of members) killed.set(identity(member), member.command);
      await sleep(members.length === 0 ? 5 : 20);
    }
    return [...killed.values()];
  }
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // it is gone
  }
}
