// Tasks taken ahead, so that the next one is shown without asking anybody. The lease is renewed while the page is open;
// what was answered here is never shown again, also where the API does not know of it yet.
import { call } from './api.js';
import type { LeasedTask } from './types.js';

export const ahead = 10;
const renewEveryMs = 120_000;
/** A lease takes so many at most. */
const mostAtOnce = 100;

export interface BufferHooks {
  /** Answers that the API may not have yet. */
  waiting(): number;
  isAnswered(task: LeasedTask): boolean;
  /** After each lease: with how many tasks. */
  filled(count: number): void;
  failed(error: Error): void;
}

export class TaskBuffer {
  private tasks: LeasedTask[] = [];
  private filling = false;
  /** The last lease gave less than was asked for: nothing is left for now. */
  private dry = false;
  private readonly done = new Set<string>();
  private readonly renewal: ReturnType<typeof setInterval>;

  private readonly batch: string;
  private readonly name: string | null;
  private readonly hooks: BufferHooks;

  constructor(batch: string, name: string | null, hooks: BufferHooks) {
    this.batch = batch;
    this.name = name;
    this.hooks = hooks;
    this.renewal = setInterval(() => this.first && void this.fill(), renewEveryMs);
  }

  /** The task to be shown; undefined: none is here. */
  get first(): LeasedTask | undefined {
    return this.tasks[0];
  }

  /** Nothing more was there to take. */
  get exhausted(): boolean {
    return this.dry;
  }

  /** The first one was answered. */
  next(): LeasedTask | undefined {
    const answered = this.tasks.shift();
    if (answered) this.done.add(idOf(answered));
    if (this.tasks.length <= ahead / 2 && !this.dry) void this.fill();
    return this.first;
  }

  /** Puts a task whose answer was taken back before all others. */
  back(task: LeasedTask): void {
    this.done.delete(idOf(task));
    this.tasks = [task, ...this.tasks.filter(({ taskId }) => taskId !== task.taskId)];
  }

  /** Leases up to `ahead` tasks and renews those that are here. One call at a time. */
  async fill(): Promise<void> {
    if (this.filling) return;
    this.filling = true;
    try {
      // the API counts tasks as held until it has their answers
      const count = Math.min(mostAtOnce, ahead + this.hooks.waiting());
      const body = { count, ...(this.name === null ? {} : { labeler: this.name }) };
      const { tasks } = await call<{ tasks: LeasedTask[] }>('POST', `/api/v1/label-batches/${this.batch}/lease`, {
        body,
      });
      const fresh = tasks.filter((task) => !this.done.has(idOf(task)) && !this.hooks.isAnswered(task));
      this.dry = tasks.length < count;
      this.merge(fresh);
      this.hooks.filled(fresh.length);
    } catch (error) {
      this.hooks.failed(error as Error);
    } finally {
      this.filling = false;
    }
  }

  /** The one that is shown stays: its answer is taken late too. */
  private merge(fresh: LeasedTask[]): void {
    const shown = this.first;
    const again = fresh.find(({ taskId }) => taskId === shown?.taskId);
    const rest = fresh.filter(({ taskId }) => taskId !== shown?.taskId);
    const kept = again ?? shown;
    this.tasks = kept ? [kept, ...rest] : rest;
  }

  close(): void {
    clearInterval(this.renewal);
    this.tasks = [];
  }
}

function idOf({ taskId, fence }: LeasedTask): string {
  return `${taskId}/${fence}`;
}
