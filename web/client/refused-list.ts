// Answers that the API did not take stay in the browser until the person has seen them: nothing is dropped in silence.
import type { RefusedAnswer } from './answer-queue.js';

/** How each refusal reads. */
const reasons: Record<string, string> = {
  'stale-fence': 'the task went to somebody else, or was sent back, before it arrived',
  'unknown-task': 'the batch has no such task',
  'unknown-label': 'the batch does not take this label',
  'batch-closed': 'the batch was closed before it arrived',
};

export function refusedText({ answer, reason }: RefusedAnswer): string {
  const label = answer.skip
    ? 'a skip'
    : `the answer ${typeof answer.label === 'string' ? answer.label : JSON.stringify(answer.label)}`;
  return `Not taken: ${label}, because ${reasons[reason] ?? reason}.`;
}

export class RefusedList {
  private readonly key: string;
  private all: RefusedAnswer[];

  constructor(batch: string, person: string) {
    this.key = `perennial/refused/${batch}/${person}`;
    this.all = this.read();
  }

  get items(): readonly RefusedAnswer[] {
    return this.all;
  }

  add(one: RefusedAnswer): void {
    this.all = [...this.all, one];
    this.keep();
  }

  remove(one: RefusedAnswer): void {
    this.all = this.all.filter(({ answer }) => answer.id !== one.answer.id);
    this.keep();
  }

  private read(): RefusedAnswer[] {
    try {
      const found = JSON.parse(localStorage.getItem(this.key) ?? '[]') as unknown;
      return Array.isArray(found) ? (found as RefusedAnswer[]) : [];
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
