// What the API did not take stays in the browser until the person has seen it: nothing is dropped in silence.
import type { QueuedAnswer } from './answer-queue.js';
import type { Kept, RefusedEntry } from './kept-queue.js';
import type { QueuedVerdict } from './verdict-queue.js';

/** How each refusal of an answer reads. */
const answerReasons: Record<string, string> = {
  'stale-fence': 'the task went to somebody else, or was sent back, before it arrived',
  'unknown-task': 'the batch has no such task',
  'unknown-label': 'the batch does not take this label',
  'batch-closed': 'the batch was closed before it arrived',
};

/** How each refusal of a verdict reads. */
const verdictReasons: Record<string, string> = {
  'stale-fence': 'its label changed meanwhile; it comes again',
  'unknown-task': 'the batch has no such task',
  'unknown-label': 'the batch does not take this label',
  'no-label': 'it has no label yet',
  'self-review': 'nobody reviews their own answers here',
  'not-disputable': 'there is nothing to dispute',
};

const about = (entry: Kept) => (entry.about === undefined ? '' : ` for ${entry.about}`);

export function refusedAnswer({ entry, reason }: RefusedEntry<QueuedAnswer>): string {
  const label = entry.skip
    ? 'a skip'
    : `the answer ${typeof entry.label === 'string' ? entry.label : JSON.stringify(entry.label)}`;
  return `Not taken: ${label}${about(entry)}, because ${answerReasons[reason] ?? reason}.`;
}

export function refusedVerdict({ entry, reason }: RefusedEntry<QueuedVerdict>): string {
  return `Not taken: ${entry.verdict}${about(entry)}, because ${verdictReasons[reason] ?? reason}.`;
}

export class RefusedList<T extends Kept> {
  private readonly key: string;
  private all: RefusedEntry<T>[];

  /** `name`: as of the queue. */
  constructor(name: string, batch: string, person: string) {
    this.key = `perennial/refused-${name}/${batch}/${person}`;
    this.all = this.read();
  }

  get items(): readonly RefusedEntry<T>[] {
    return this.all;
  }

  add(one: RefusedEntry<T>): void {
    this.all = [...this.all, one];
    this.keep();
  }

  remove(one: RefusedEntry<T>): void {
    this.all = this.all.filter(({ entry }) => entry.id !== one.entry.id);
    this.keep();
  }

  private read(): RefusedEntry<T>[] {
    try {
      const found = JSON.parse(localStorage.getItem(this.key) ?? '[]') as unknown;
      return Array.isArray(found) ? (found as RefusedEntry<T>[]) : [];
    } catch {
      return [];
    }
  }

  private keep(): void {
    try {
      if (this.all.length === 0) localStorage.removeItem(this.key);
      else localStorage.setItem(this.key, JSON.stringify(this.all));
    } catch {
      // without storage they are shown, and gone with the page
    }
  }
}
