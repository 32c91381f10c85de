// Answers on their way to the API. Each lies in localStorage from the key press until the API has it: a reload, a dead
// API or a slow network loses none. A short hold comes first, in which an answer can be taken back; then answers go
// together, under an Idempotency-Key that stays with them. The API counts a repeated answer once.
import { call, Refused } from './api.js';
import { randomId } from './dom.js';
import type { Annotated } from './types.js';

export interface QueuedAnswer {
  id: string;
  taskId: string;
  fence: number;
  label?: unknown;
  skip?: true;
  comment?: string;
  /** Milliseconds since 1970. */
  at: number;
  /** Answers that were sent together; the key of that call. */
  group?: string;
}

/** An answer that the API did not take, kept until the person has seen it. */
export interface RefusedAnswer {
  answer: QueuedAnswer;
  reason: string;
}

export interface QueueHooks {
  changed(): void;
  sent(count: number): void;
  refused(one: RefusedAnswer): void;
  /** The whole call was refused for a reason that is not the answers': 401, 403. */
  stopped(error: Refused): void;
  /** Null: the API answers again. */
  failing(error: Error | null): void;
}

export const holdMs = 3_000;
/** So many later answers end the hold, too. */
export const holdAnswers = 3;
const together = 50;
const [leastPauseMs, mostPauseMs] = [1_000, 30_000];

export class AnswerQueue {
  private readonly answers: QueuedAnswer[] = [];
  private readonly prefix: string;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private sending = false;
  private failures = 0;
  private halted = false;
  /** The browser keeps nothing: answers live as long as the page. */
  unkept = false;

  private readonly batch: string;
  private readonly person: { name: string | null; key: string };
  private readonly hooks: QueueHooks;

  constructor(batch: string, person: { name: string | null; key: string }, hooks: QueueHooks) {
    this.batch = batch;
    this.person = person;
    this.hooks = hooks;
    this.prefix = `perennial/answer/${batch}/${person.key}/`;
    for (const key of Object.keys(localStorage).filter((one) => one.startsWith(this.prefix))) {
      const found = read(localStorage.getItem(key));
      if (found) this.answers.push(found);
    }
    this.answers.sort((a, b) => a.at - b.at);
  }

  get size(): number {
    return this.answers.length;
  }

  has({ taskId, fence }: { taskId: string; fence: number }): boolean {
    return this.answers.some((one) => one.taskId === taskId && one.fence === fence);
  }

  add(answer: Omit<QueuedAnswer, 'id' | 'at'>): QueuedAnswer {
    const queued = { ...answer, id: randomId(), at: Date.now() };
    this.answers.push(queued);
    this.keep(queued);
    this.hooks.changed();
    this.schedule();
    return queued;
  }

  /** Takes an answer back. False: it is on its way already. */
  take(id: string): boolean {
    const found = this.answers.find((one) => one.id === id);
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
    const held = this.answers.filter(({ group }) => group === undefined).slice(0, together);
    if (held.length > 0 && !this.halted) void this.send(this.mark(held, randomId()), true);
  }

  private keep(answer: QueuedAnswer): void {
    try {
      localStorage.setItem(this.prefix + answer.id, JSON.stringify(answer));
    } catch {
      this.unkept = true;
    }
  }

  private drop(gone: QueuedAnswer[]): void {
    for (const { id } of gone) {
      const place = this.answers.findIndex((one) => one.id === id);
      if (place >= 0) this.answers.splice(place, 1);
      localStorage.removeItem(this.prefix + id);
    }
    this.hooks.changed();
  }

  /** When the answer at `place` may go, in milliseconds since 1970. */
  private due(place: number): number {
    const answer = this.answers[place];
    if (answer === undefined) return Infinity;
    const later = this.answers.length - 1 - place;
    return answer.group !== undefined || later >= holdAnswers ? 0 : answer.at + holdMs;
  }

  private schedule(): void {
    if (this.sending || this.halted || this.answers.length === 0) return;
    clearTimeout(this.timer);
    const pause = this.failures === 0 ? 0 : Math.min(mostPauseMs, leastPauseMs * 2 ** (this.failures - 1));
    const wait = Math.max(pause, Math.min(holdMs, this.due(0) - Date.now()), 0);
    this.timer = setTimeout(() => void this.work(), wait);
  }

  private async work(): Promise<void> {
    const now = Date.now();
    const due = this.answers.filter((_, place) => this.due(place) <= now);
    if (due.length > 0 && !this.sending && !this.halted) {
      this.sending = true;
      await this.send(this.group(due), false);
      this.sending = false;
    }
    this.schedule();
  }

  /** Those that went together go together again; else the first ones become a group. */
  private group(due: QueuedAnswer[]): QueuedAnswer[] {
    const { group } = due[0] as QueuedAnswer;
    if (group !== undefined) return this.answers.filter((one) => one.group === group);
    const fresh = due.filter((one) => one.group === undefined).slice(0, together);
    return this.mark(fresh, randomId());
  }

  private mark(answers: QueuedAnswer[], group: string): QueuedAnswer[] {
    for (const answer of answers) {
      answer.group = group;
      this.keep(answer);
    }
    return answers;
  }

  private async send(answers: QueuedAnswer[], keepalive: boolean): Promise<void> {
    const key = answers[0]?.group ?? randomId();
    const annotations = answers.map(({ id: _, at: __, group: ___, ...annotation }) => annotation);
    const { name } = this.person;
    const body = { ...(name === null ? {} : { labeler: name }), annotations };
    try {
      const path = `/api/v1/label-batches/${this.batch}/annotations`;
      const { refused } = await call<Annotated>('POST', path, { body, key, keepalive });
      this.settle(answers, refused);
    } catch (error) {
      this.fail(answers, error as Error);
    }
  }

  private settle(answers: QueuedAnswer[], refused: Annotated['refused']): void {
    if (this.failures > 0) this.hooks.failing(null);
    this.failures = 0;
    this.drop(answers);
    for (const { taskId, reason } of refused) {
      const answer = answers.find((one) => one.taskId === taskId);
      if (answer) this.hooks.refused({ answer, reason });
    }
    this.hooks.sent(answers.length - refused.length);
  }

  private fail(answers: QueuedAnswer[], error: Error): void {
    if (!(error instanceof Refused)) {
      this.failures += 1;
      this.hooks.failing(error);
    } else if (error.status === 401 || error.status === 403) {
      this.halted = true;
      this.hooks.stopped(error);
    } else if (answers.length > 1) {
      // one of them is at fault: each goes alone
      for (const answer of answers) this.mark([answer], randomId());
    } else {
      this.drop(answers);
      for (const answer of answers) this.hooks.refused({ answer, reason: error.message });
    }
  }
}

function read(text: string | null): QueuedAnswer | null {
  try {
    const found = JSON.parse(text ?? 'null') as QueuedAnswer | null;
    return typeof found?.taskId === 'string' && typeof found.fence === 'number' ? found : null;
  } catch {
    return null;
  }
}
