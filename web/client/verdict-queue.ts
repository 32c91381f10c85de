// Verdicts on their way to the API, one after the other, each again until it is answered. The page shows the next task
// meanwhile, and asks before it is left while one is on its way.
import { call, Refused } from './api.js';
import { randomId } from './dom.js';
import type { Reviewed } from './types.js';

export interface Verdict {
  taskId: string;
  fence: number;
  verdict: 'accept' | 'fix' | 'send-back' | 'dispute';
  label?: unknown;
  to?: 'same' | 'other';
  comment?: string;
}

export interface VerdictHooks {
  changed(): void;
  refused(verdict: Verdict, reason: string): void;
  failing(yes: boolean): void;
}

const pauseMs = 2_000;

export class VerdictQueue {
  private readonly waiting: { key: string; verdict: Verdict }[] = [];
  private readonly path: string;
  private readonly by: string | null;
  private readonly hooks: VerdictHooks;
  private working = false;

  constructor(batch: string, by: string | null, hooks: VerdictHooks) {
    this.path = `/api/v1/label-batches/${batch}/reviews`;
    this.by = by;
    this.hooks = hooks;
    addEventListener('beforeunload', (event) => {
      if (this.waiting.length > 0) event.preventDefault();
    });
  }

  get size(): number {
    return this.waiting.length;
  }

  add(verdict: Verdict): void {
    this.waiting.push({ key: randomId(), verdict });
    this.hooks.changed();
    if (!this.working) void this.work();
  }

  private async work(): Promise<void> {
    this.working = true;
    for (let next = this.waiting[0]; next; next = this.waiting[0]) {
      const reason = await this.send(next.verdict, next.key);
      this.waiting.shift();
      if (reason !== null) this.hooks.refused(next.verdict, reason);
      this.hooks.changed();
    }
    this.working = false;
  }

  /** Why it was refused; null: it was taken. */
  private async send(verdict: Verdict, key: string): Promise<string | null> {
    for (;;) {
      try {
        const body = { ...(this.by === null ? {} : { by: this.by }), reviews: [verdict] };
        const { refused } = await call<Reviewed>('POST', this.path, { body, key });
        this.hooks.failing(false);
        return refused[0]?.reason ?? null;
      } catch (error) {
        if (error instanceof Refused) return error.message;
        this.hooks.failing(true);
        await new Promise((resolve) => setTimeout(resolve, pauseMs));
      }
    }
  }
}
