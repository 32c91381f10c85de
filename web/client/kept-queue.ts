// What a person said, on its way to the API. Each lies in localStorage from the key press until the API has it: a reload, a
// dead API or a slow network loses none. A hold may come first, in which it can be taken back; then several go together, under
// an Idempotency-Key that stays with them, so that what was sent twice counts once.
import { call, Refused } from './api.js';
import { randomId } from './dom.js';
import type { Who } from './session.js';

/** One thing that was said of one task. */
export interface Kept {
  id: string;
  taskId: string;
  fence: number;
  /** Milliseconds since 1970. */
  at: number;
  /** Names the item to the person who said it; stays here. */
  about?: string;
  /** Those that were sent together; the key of that call. */
  group?: string;
}

/** What the API did not take, kept until the person has seen it. */
export interface RefusedEntry<T extends Kept> {
  entry: T;
  reason: string;
}

export interface QueueHooks<T extends Kept> {
  changed(): void;
  sent(count: number): void;
  refused(one: RefusedEntry<T>): void;
  /** The whole call was refused for a reason that is not theirs: 401, 403. */
  stopped(error: Refused): void;
  /** Null: the API answers again. */
  failing(error: Error | null): void;
}

export interface QueueKind {
  /** Names the entries in the browser: `answer`. */
  name: string;
  /** The call that takes them, its list, and the field with who said it. */
  path: string;
  list: string;
  by: string;
  /** How long each can be taken back, and how many later ones end that. */
  holdMs: number;
  holdLater: number;
}

interface Taken {
  refused: { taskId: string; reason: string }[];
}

const together = 50;
const [leastPauseMs, mostPauseMs] = [1_000, 30_000];

export class KeptQueue<T extends Kept> {
  private readonly entries: T[] = [];
  private readonly prefix: string;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private sending = false;
  private failures = 0;
  private halted = false;
  /** The browser keeps nothing: answers live as long as the page. */
  unkept = false;

  private readonly kind: QueueKind;
  private readonly person: Who;
  private readonly hooks: QueueHooks<T>;

  constructor(kind: QueueKind, { batch, person, hooks }: { batch: string; person: Who; hooks: QueueHooks<T> }) {
    this.kind = kind;
    this.person = person;
    this.hooks = hooks;
    this.prefix = `perennial/${kind.name}/${batch}/${person.key}/`;
    for (const key of Object.keys(localStorage).filter((one) => one.startsWith(this.prefix))) {
      const found = read<T>(localStorage.getItem(key));
      if (found) this.entries.push(found);
    }
    this.entries.sort((a, b) => a.at - b.at);
  }

  get size(): number {
    return this.entries.length;
  }

  has({ taskId, fence }: { taskId: string; fence: number }): boolean {
    return this.entries.some((one) => one.taskId === taskId && one.fence === fence);
  }

  add(said: Omit<T, 'id' | 'at' | 'group'>): T {
    const queued = { ...said, id: randomId(), at: Date.now() } as T;
    this.entries.push(queued);
    this.keep(queued);
    this.hooks.changed();
    this.schedule();
    return queued;
  }

  /** Takes one back. False: it is on its way already. */
  take(id: string): boolean {
    const found = this.entries.find((one) => one.id === id);
    if (found === undefined || found.group !== undefined) return false;
    this.drop([found]);
    return true;
  }

  /** Sends what waits: after a reload, when the network is back, when somebody signed in. */
  wake(): void {
    this.halted = false;
    this.failures = 0;
    this.schedule();
  }

  /** Sends what is still held, in a call that outlives the page. */
  leave(): void {
    const held = this.entries.filter(({ group }) => group === undefined).slice(0, together);
    if (held.length > 0 && !this.halted) void this.send(this.mark(held, randomId()), true);
  }

  private keep(entry: T): void {
    try {
      localStorage.setItem(this.prefix + entry.id, JSON.stringify(entry));
    } catch {
      this.unkept = true;
    }
  }

  private drop(gone: T[]): void {
    for (const { id } of gone) {
      const place = this.entries.findIndex((one) => one.id === id);
      if (place >= 0) this.entries.splice(place, 1);
      localStorage.removeItem(this.prefix + id);
    }
    this.hooks.changed();
  }

  /** When the one at `place` may go, in milliseconds since 1970. */
  private due(place: number): number {
    const entry = this.entries[place];
    if (entry === undefined) return Infinity;
    const { holdMs, holdLater } = this.kind;
    const later = this.entries.length - 1 - place;
    return entry.group !== undefined || later >= holdLater ? 0 : entry.at + holdMs;
  }

  private schedule(): void {
    if (this.sending || this.halted || this.entries.length === 0) return;
    clearTimeout(this.timer);
    const pause = this.failures === 0 ? 0 : Math.min(mostPauseMs, leastPauseMs * 2 ** (this.failures - 1));
    const wait = Math.max(pause, Math.min(this.kind.holdMs, this.due(0) - Date.now()), 0);
    this.timer = setTimeout(() => void this.work(), wait);
  }

  private async work(): Promise<void> {
    const now = Date.now();
    const due = this.entries.filter((_, place) => this.due(place) <= now);
    if (due.length > 0 && !this.sending && !this.halted) {
      this.sending = true;
      await this.send(this.group(due), false);
      this.sending = false;
    }
    this.schedule();
  }

  /** Those that went together go together again; else the first ones become a group. */
  private group(due: T[]): T[] {
    const { group } = due[0] as T;
    if (group !== undefined) return this.entries.filter((one) => one.group === group);
    const fresh = due.filter((one) => one.group === undefined).slice(0, together);
    return this.mark(fresh, randomId());
  }

  private mark(entries: T[], group: string): T[] {
    for (const entry of entries) {
      entry.group = group;
      this.keep(entry);
    }
    return entries;
  }

  private async send(entries: T[], keepalive: boolean): Promise<void> {
    const { path, list, by } = this.kind;
    const { name } = this.person;
    const said = entries.map(({ id: _, at: __, group: ___, about: ____, ...one }) => one);
    const body = { ...(name === null ? {} : { [by]: name }), [list]: said };
    try {
      const key = entries[0]?.group ?? randomId();
      const { refused } = await call<Taken>('POST', path, { body, key, keepalive });
      this.settle(entries, refused);
    } catch (error) {
      this.fail(entries, error as Error);
    }
  }

  private settle(entries: T[], refused: Taken['refused']): void {
    if (this.failures > 0) this.hooks.failing(null);
    this.failures = 0;
    this.drop(entries);
    for (const { taskId, reason } of refused) {
      const entry = entries.find((one) => one.taskId === taskId);
      if (entry) this.hooks.refused({ entry, reason });
    }
    this.hooks.sent(entries.length - refused.length);
  }

  private fail(entries: T[], error: Error): void {
    if (!(error instanceof Refused)) {
      this.failures += 1;
      this.hooks.failing(error);
    } else if (error.status === 401 || error.status === 403) {
      this.halted = true;
      this.hooks.stopped(error);
    } else if (entries.length > 1) {
      // one of them is at fault: each goes alone
      for (const entry of entries) this.mark([entry], randomId());
    } else {
      this.drop(entries);
      for (const entry of entries) this.hooks.refused({ entry, reason: error.message });
    }
  }
}

function read<T extends Kept>(text: string | null): T | null {
  try {
    const found = JSON.parse(text ?? 'null') as T | null;
    return typeof found?.taskId === 'string' && typeof found.fence === 'number' ? found : null;
  } catch {
    return null;
  }
}
