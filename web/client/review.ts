// The review page: labels one at a time, accepted, mended or sent back by keys; then the decision about the batch.
import { answerControl } from './answer/index.js';
import type { AnswerControl } from './answer/control.js';
import { call, Refused } from './api.js';
import { h, put, randomId } from './dom.js';
import { app, batchId, enter } from './enter.js';
import type { KeptQueue, RefusedEntry } from './kept-queue.js';
import { helpDialog, type KeyAction, listenKeys } from './keys.js';
import { PictureGuard } from './picture-guard.js';
import { refusedVerdict, RefusedList } from './refused-list.js';
import { decidedWords, isDecided } from './decided.js';
import { ReviewView } from './review-view.js';
import { forget, type Who } from './session.js';
import type { Batch, ReviewTask, TaskPage } from './types.js';
import { type QueuedVerdict, verdictQueue } from './verdict-queue.js';

type Said = Pick<QueuedVerdict, 'verdict' | 'label' | 'to'>;

class ReviewPage {
  private readonly view: ReviewView;
  private readonly queue: KeptQueue<QueuedVerdict>;
  private readonly refused: RefusedList<QueuedVerdict>;
  private readonly control: AnswerControl;
  private readonly person: Who;
  private batch: Batch;
  private tasks: ReviewTask[] = [];
  private cursor: string | null = null;
  private fixing = false;
  private readonly guard: PictureGuard;

  constructor(person: Who, batch: Batch) {
    this.person = person;
    this.batch = batch;
    this.guard = new PictureGuard(batch.kind);
    this.control = answerControl(batch.kind, {
      classes: batch.classes,
      submit: (label) => this.judge({ verdict: 'fix', label }),
    });
    const actions: KeyAction[] = [
      { key: 'a', meaning: 'accept the label', act: () => this.judge({ verdict: 'accept' }) },
      { key: 'f', meaning: 'fix it: the next keys answer', act: () => this.fix() },
      {
        key: 'b',
        meaning: 'send it back to the same person',
        act: () => this.judge({ verdict: 'send-back', to: 'same' }),
      },
      {
        key: 'o',
        meaning: 'send it back to somebody else',
        act: () => this.judge({ verdict: 'send-back', to: 'other' }),
      },
      { key: 'c', meaning: 'comment', act: () => this.view.comment.focus() },
      { key: 'n', meaning: 'look at it later', act: () => this.later() },
      { key: '?', meaning: 'this list', act: () => help.showModal() },
    ];
    const help = helpDialog([...actions.map(({ key, meaning }) => [key, meaning] as const), ...this.control.help]);
    this.view = new ReviewView(batch, this.control, {
      accept: () => this.judge({ verdict: 'accept' }),
      fix: () => this.fix(),
      sendBack: (to) => this.judge({ verdict: 'send-back', to }),
      comment: () => this.view.comment.focus(),
      next: () => this.later(),
      help: () => help.showModal(),
      decide: (decision, reason) => void this.decide(decision, reason),
    });
    this.refused = new RefusedList('verdict', batchId, person.key);
    this.queue = verdictQueue(batchId, person, {
      changed: () => void this.changed(),
      sent: () => undefined,
      refused: (one) => {
        this.refused.add(one);
        this.showRefused(one);
      },
      stopped: (error) => this.stop(error),
      failing: (error) =>
        this.view.say(error ? 'No connection. Your verdicts are kept here and are sent when it is back.' : ''),
    });
    put(app, this.view.element, help);
    for (const one of this.refused.items) this.showRefused(one);
    addEventListener('online', () => this.queue.wake());
    addEventListener('pagehide', () => this.queue.leave());
    listenKeys(actions, (event) => {
      if (event.key === 'Escape') this.stopFixing();
      return this.fixing && this.control.key(event);
    });
  }

  private showRefused(one: RefusedEntry<QueuedVerdict>): void {
    this.view.problem(refusedVerdict(one), () => this.refused.remove(one));
  }

  /** The API does not let this person go on. */
  private stop(error: Refused): void {
    if (error.status !== 401) return this.view.problem(error.message);
    forget();
    location.reload();
  }

  async start(): Promise<void> {
    if (this.queue.size > 0) this.view.say(`${this.queue.size} verdicts of before are being sent.`);
    this.queue.wake();
    this.count();
    if (!isDecided(this.batch)) await this.load(null);
  }

  /** The next page of labels that nobody reviewed. */
  private async load(cursor: string | null): Promise<void> {
    try {
      const from = cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`;
      const page = await call<TaskPage>(
        'GET',
        `/api/v1/label-batches/${batchId}/tasks?filter=unreviewed&limit=50${from}`,
      );
      // what must be looked at comes first
      const unsaid = page.items.filter((task) => !this.queue.has(task));
      this.tasks = unsaid.sort((a, b) => Number(b.needsReview) - Number(a.needsReview));
      this.cursor = page.nextCursor;
      this.showFirst();
    } catch (error) {
      if (error instanceof Refused) return this.view.showState(error.message);
      this.view.say('No connection. Trying again.');
      setTimeout(() => void this.load(cursor), 2_000);
    }
  }

  private showFirst(): void {
    const task = this.tasks[0];
    this.stopFixing();
    if (task) this.view.show(task);
    else if (this.cursor !== null) void this.load(this.cursor);
    else this.view.showState('Nothing waits for a review.');
  }

  private fix(): void {
    const task = this.tasks[0];
    if (!task) return;
    this.fixing = true;
    this.view.fix(true);
    this.control.element.querySelector('input')?.focus();
  }

  private stopFixing(): void {
    this.fixing = false;
    this.view.fix(false);
  }

  private judge(said: Said): void {
    const [task] = this.tasks;
    if (!task || isDecided(this.batch)) return;
    const { taskId, fence, key } = task;
    const sure = said.verdict === 'send-back' || !this.view.lacksPicture;
    const doubt = sure ? null : this.guard.doubt([taskId, fence, said.verdict, said.label]);
    if (doubt !== null) return this.view.say(doubt);
    if (this.guard.settle()) this.view.say('');
    this.tasks.shift();
    const comment = this.view.comment.value.trim();
    this.queue.add({ taskId, fence, about: key, ...said, ...(comment === '' ? {} : { comment }) });
    this.showFirst();
    if (this.queue.unkept) this.view.say('This browser keeps nothing: leave this page open until all is sent.');
  }

  private later(): void {
    const task = this.tasks.shift();
    if (task) this.tasks.push(task);
    this.showFirst();
  }

  private async decide(decision: 'accept' | 'close' | 'send-back', reason: string): Promise<void> {
    if (this.queue.size > 0) return this.view.problem('Your verdicts are still being sent. Try again in a moment.');
    const by = this.person.name === null ? {} : { by: this.person.name };
    const body = { decision, ...by, ...(reason === '' ? {} : { reason }) };
    try {
      const { status } = await call<{ status: string }>('POST', `/api/v1/label-batches/${batchId}/decision`, {
        body,
        key: randomId(),
      });
      this.view.say(
        status === 'pending'
          ? 'The decision is kept and is carried out when a worker is there.'
          : `The batch is ${status}.`,
      );
      await this.refresh();
    } catch (error) {
      this.view.problem(
        error instanceof Refused ? error.message : 'No connection. The decision may not have arrived: try again.',
      );
    }
  }

  private async changed(): Promise<void> {
    this.count();
    if (this.queue.size === 0) await this.refresh();
  }

  private async refresh(): Promise<void> {
    try {
      this.batch = await call<Batch>('GET', `/api/v1/label-batches/${batchId}`);
    } catch {
      // the counts stay as they were
    }
    this.count();
  }

  private count(): void {
    this.view.count(this.batch.counts, this.batch.status, this.queue.size);
    if (isDecided(this.batch)) this.view.showDecided(decidedWords(this.batch));
  }
}

try {
  const { person, batch } = await enter();
  await new ReviewPage(person, batch).start();
} catch (error) {
  put(
    app,
    h('h1', {}, 'Review'),
    h('p', { role: 'alert' }, (error as Error).message),
    h('p', {}, h('a', { href: '/label' }, 'All batches')),
  );
}
