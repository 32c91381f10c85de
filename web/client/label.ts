// The labeling page: one item at a time, answered by keys; everything it does is a call of the API.
import { answerControl } from './answer/index.js';
import { answerQueue, type QueuedAnswer } from './answer-queue.js';
import { call, Refused } from './api.js';
import { h, put } from './dom.js';
import { app, batchId, enter } from './enter.js';
import { itemWords } from './item/fields.js';
import type { KeptQueue, RefusedEntry } from './kept-queue.js';
import { helpDialog, type KeyAction, listenKeys } from './keys.js';
import { LabelView } from './label-view.js';
import { PictureGuard } from './picture-guard.js';
import { refusedAnswer, RefusedList } from './refused-list.js';
import { forget, type Who } from './session.js';
import { TaskBuffer } from './task-buffer.js';
import type { Batch, LeasedTask } from './types.js';

const lookAgainMs = 10_000;
/** Said while the last answers wait to be sent: what is left is not known before. */
const held = [
  'Your last answers are on their way',
  'They are sent in a moment, and can be taken back until then. Then this page looks for more.',
] as const;

class LabelPage {
  private readonly view: LabelView;
  private readonly queue: KeptQueue<QueuedAnswer>;
  private readonly buffer: TaskBuffer;
  private readonly refused: RefusedList<QueuedAnswer>;
  private readonly history: { entry: QueuedAnswer; task: LeasedTask }[] = [];
  private shown: LeasedTask | undefined;
  private answered = 0;
  private lookAgain: ReturnType<typeof setTimeout> | undefined;
  private refreshing = false;
  private readonly guard: PictureGuard;

  private batch: Batch;

  constructor(person: Who, batch: Batch) {
    this.batch = batch;
    this.guard = new PictureGuard(batch.kind);
    const control = answerControl(batch.kind, { classes: batch.classes, submit: (label) => this.answer({ label }) });
    const actions: KeyAction[] = [
      { key: 'u', meaning: 'undo the last answer, while it waits here', act: () => this.undo() },
      { key: 's', meaning: 'skip', act: () => this.answer({ skip: true }) },
      { key: 'c', meaning: 'comment on this item', act: () => this.shown && this.view.openComment() },
      { key: 'g', meaning: 'show the model’s guess', act: () => this.shown && this.view.guess(this.shown) },
      { key: '?', meaning: 'this list', act: () => help.showModal() },
    ];
    const help = helpDialog([...control.help, ...actions.map(({ key, meaning }) => [key, meaning] as const)]);
    const [undo, skip, comment, guess, open] = actions.map(({ act }) => act) as [
      () => void,
      () => void,
      () => void,
      () => void,
      () => void,
    ];
    const leave = () => {
      this.queue.leave();
      forget();
      location.reload();
    };
    this.view = new LabelView(batch, control, { undo, skip, comment, guess, help: open, leave }, person.name);
    this.refused = new RefusedList('answer', batchId, person.key);
    this.queue = answerQueue(batchId, person, {
      changed: () => this.count(),
      sent: (count) => this.sent(count),
      refused: (one) => {
        this.refused.add(one);
        this.showRefused(one);
      },
      stopped: (error) => this.stop(error),
      failing: (error) =>
        this.view.say(error ? 'No connection. Your answers are kept here and are sent when it is back.' : ''),
    });
    this.buffer = new TaskBuffer(batchId, person.name, {
      waiting: () => this.queue.size,
      isAnswered: (task) => this.queue.has(task),
      filled: () => this.filled(),
      failed: (error) => this.failed(error),
    });
    put(app, this.view.element, help);
    for (const one of this.refused.items) this.showRefused(one);
    listenKeys(actions, (event) => this.shown !== undefined && control.key(event));
    this.watch();
  }

  private showRefused(one: RefusedEntry<QueuedAnswer>): void {
    this.view.addLost(refusedAnswer(one), () => this.refused.remove(one));
  }

  private watch(): void {
    addEventListener('online', () => this.queue.wake());
    addEventListener('pagehide', () => this.queue.leave());
    addEventListener('pageshow', () => this.queue.wake());
    document.addEventListener('visibilitychange', () => {
      if (document.visibilityState === 'hidden') this.queue.leave();
      else if (this.shown) void this.buffer.fill();
      else void this.lookNow();
    });
  }

  start(): void {
    if (this.queue.size > 0) this.view.say(`${this.queue.size} answers of before are being sent.`);
    this.queue.wake();
    this.count();
    void this.buffer.fill();
  }

  private answer(given: { label: unknown } | { skip: true }): void {
    const task = this.shown;
    if (task === undefined) return;
    const comment = this.view.comment.value.trim();
    const { taskId, fence } = task;
    const sure = 'skip' in given || !this.view.lacksPicture;
    const doubt = sure ? null : this.guard.doubt([taskId, fence, given.label]);
    if (doubt !== null) return this.view.say(doubt);
    if (this.guard.settle()) this.view.say('');
    const about = itemWords(task.item);
    const entry = this.queue.add({ taskId, fence, about, ...given, ...(comment === '' ? {} : { comment }) });
    this.history.push({ entry, task });
    this.answered += 1;
    this.buffer.next();
    this.showFirst();
    this.count();
    if (this.queue.unkept) this.view.say('This browser keeps nothing: leave this page open until all is sent.');
  }

  private undo(): void {
    const last = this.history.at(-1);
    if (last === undefined) return this.view.say('There is nothing to undo.');
    if (!this.queue.take(last.entry.id))
      return this.view.say('The last answer was sent already: a reviewer can change it.');
    this.history.pop();
    this.answered -= 1;
    this.buffer.back(last.task);
    this.shown = undefined;
    this.showFirst(last.entry);
    this.view.say('Taken back.');
    this.count();
  }

  /** Shows the buffer's first task, if it is not there already. */
  private showFirst(before?: QueuedAnswer): void {
    const task = this.buffer.first;
    if (task !== undefined && task.taskId === this.shown?.taskId) {
      this.shown = task;
      return;
    }
    this.shown = task;
    if (task) this.view.show(task, before);
    else if (this.buffer.exhausted && this.queue.size > 0) this.view.showState(...held);
    else this.view.showState('The next items are on their way.');
  }

  private filled(): void {
    clearTimeout(this.lookAgain);
    this.showFirst();
    if (this.shown === undefined) void this.nothingLeft();
  }

  private again(): void {
    clearTimeout(this.lookAgain);
    this.lookAgain = setTimeout(() => void this.lookNow(), lookAgainMs);
  }

  /** Asks for items if the batch is open, else says how it stands. */
  private async lookNow(): Promise<void> {
    await this.refresh();
    if (this.batch.status === 'open') await this.buffer.fill();
    else this.sayWhyNothing();
  }

  /** Says why there is nothing to do, and looks again: tasks come back from others. */
  private async nothingLeft(): Promise<void> {
    await this.refresh();
    this.sayWhyNothing();
  }

  private sayWhyNothing(): void {
    if (this.shown !== undefined) return;
    const { status } = this.batch;
    if (status === 'open' && this.queue.size > 0) this.view.showState(...held);
    else if (status === 'open')
      this.view.showState(
        'Nothing left for you right now',
        'The open items are with other people. This page looks again by itself.',
      );
    else if (status === 'review' && this.queue.size === 0)
      this.view.showState('All items are answered', 'A reviewer accepts the batch, or sends items back. Thank you.');
    else if (status === 'review') this.view.showState('All items are answered', 'Your last answers are being sent.');
    else this.closed();
    clearTimeout(this.lookAgain);
    if (status === 'open' || status === 'review') this.again();
  }

  private closed(): void {
    this.shown = undefined;
    const link = h('a', { href: '/label' }, 'Other batches');
    this.view.showState('This batch is closed', 'It takes no more answers.', link);
  }

  private failed(error: Error): void {
    if (!(error instanceof Refused)) {
      this.view.say('No connection. Your answers are kept here and are sent when it is back.');
      if (this.shown === undefined)
        this.view.showState('Waiting for the server', 'The next items come when it answers.');
      clearTimeout(this.lookAgain);
      this.lookAgain = setTimeout(() => void this.buffer.fill(), 2_000);
      return;
    }
    if (error.code !== 'batch-closed') return this.stop(error);
    this.shown = undefined;
    void this.nothingLeft();
  }

  /** The API does not let this person go on. */
  private stop(error: Refused): void {
    this.shown = undefined;
    if (error.status === 401) {
      forget();
      location.reload();
    } else if (error.code === 'labeler-paused') {
      this.view.showState(
        'You are paused in this batch',
        error.message,
        'Your open items go to others. Ask whoever runs the batch.',
      );
    } else if (error.code === 'labeler-unfit') {
      this.view.showState('This batch needs other skills', error.message);
    } else {
      this.view.showState('The server refused', error.message);
    }
  }

  private sent(count: number): void {
    if (count > 0) this.view.say('');
    void (this.shown ? this.refresh() : this.lookNow());
  }

  /** The batch's counts and status, one call at a time. */
  private async refresh(): Promise<void> {
    if (this.refreshing) return;
    this.refreshing = true;
    try {
      this.batch = await call<Batch>('GET', `/api/v1/label-batches/${batchId}`);
      this.count();
    } catch {
      // the next answer that is sent looks again
    } finally {
      this.refreshing = false;
    }
  }

  private count(): void {
    this.view.count(this.batch.counts, { answered: this.answered, waiting: this.queue.size });
  }
}

async function main(): Promise<void> {
  try {
    const { person, batch } = await enter();
    new LabelPage(person, batch).start();
  } catch (error) {
    put(
      app,
      h('h1', {}, 'Labeling'),
      h('p', { role: 'alert' }, (error as Error).message),
      h('p', {}, h('a', { href: '/label' }, 'All batches')),
    );
  }
}

await main();
