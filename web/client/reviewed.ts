// One's own answers that a reviewer looked at: what was said of them, and a way to object to what was made of one.
import { call, Refused } from './api.js';
import { button, h, put } from './dom.js';
import { app, batchId, enter } from './enter.js';
import { itemView } from './item/index.js';
import type { KeptQueue } from './kept-queue.js';
import { refusedVerdict, RefusedList } from './refused-list.js';
import { verdictList } from './review-view.js';
import { forget, type Who } from './session.js';
import type { ReviewedAnswer, ReviewedPage } from './types.js';
import { type QueuedVerdict, verdictQueue } from './verdict-queue.js';

/** How an answer stands. */
function standing({ review, own, label }: ReviewedAnswer): string {
  const said = `You said ${own ?? 'nothing: you skipped it'}.`;
  if (review === null) return `${said} It was sent back.`;
  const now = label === own ? 'It stands.' : `The label is now ${label ?? 'open'}.`;
  return `${said} ${now}${review === 'dispute' ? ' It is disputed: another reviewer looks.' : ''}`;
}

class ReviewedList {
  private readonly notice = h('p', { class: 'notice', role: 'status' });
  private readonly lost = h('div', {});
  private readonly list = h('ol', { class: 'reviewed' });
  private readonly more = h('p', {});
  private readonly queue: KeptQueue<QueuedVerdict>;
  private readonly person: Who;

  constructor(person: Who) {
    this.person = person;
    const refused = new RefusedList<QueuedVerdict>('dispute', batchId, person.key);
    const show = (one: (typeof refused.items)[number]) => this.problem(refusedVerdict(one), () => refused.remove(one));
    this.queue = verdictQueue(batchId, person, {
      changed: () => undefined,
      sent: (count) => count > 0 && this.say('Your objection has arrived: another reviewer looks at it.'),
      refused: (one) => {
        refused.add(one);
        show(one);
      },
      stopped: (error) => this.stop(error),
      failing: (error) => this.say(error ? 'No connection. What you said is kept here and sent when it is back.' : ''),
    });
    refused.items.forEach(show);
    addEventListener('online', () => this.queue.wake());
    addEventListener('pagehide', () => this.queue.leave());
    const back = h('p', {}, h('a', { href: `/label/${batchId}` }, 'Go on labeling'));
    put(app, h('h1', {}, 'Your reviewed answers'), back, this.notice, this.lost, this.list, this.more);
  }

  async start(): Promise<void> {
    this.queue.wake();
    await this.load(null);
  }

  private say(text: string): void {
    put(this.notice, text);
  }

  private problem(text: string, seen: () => void): void {
    const line: HTMLElement = h('p', { class: 'problem', role: 'alert' }, text, ' ');
    const gone = () => {
      line.remove();
      seen();
    };
    line.append(button('I see', gone, { class: 'plain' }));
    this.lost.append(line);
  }

  private stop(error: Refused): void {
    if (error.status !== 401) return this.say(error.message);
    forget();
    location.reload();
  }

  private async load(cursor: string | null): Promise<void> {
    const { name } = this.person;
    const query = new URLSearchParams({ limit: '50', ...(name && { labeler: name }), ...(cursor && { cursor }) });
    const path = `/api/v1/label-batches/${batchId}/reviewed?${query}`;
    try {
      const { items, nextCursor } = await call<ReviewedPage>('GET', path);
      this.list.append(...items.map((one) => this.line(one)));
      put(this.more, nextCursor !== null && button('More', () => void this.load(nextCursor)));
      if (this.list.childElementCount === 0) this.say('No reviewer has looked at your answers yet.');
    } catch (error) {
      if (error instanceof Refused) return this.stop(error);
      this.say('No connection. Trying again.');
      setTimeout(() => void this.load(cursor), 2_000);
    }
  }

  private line(one: ReviewedAnswer): HTMLElement {
    const sent = this.queue.has(one);
    return h(
      'li',
      {},
      h('div', { class: 'item' }, ...itemView(one.item, [], `Columns of ${one.key}`)),
      h('p', {}, h('b', {}, standing(one))),
      h('ul', { class: 'answers' }, ...verdictList(one.reviews)),
      one.disputable && !sent && this.objection(one),
    );
  }

  private objection({ taskId, fence, key }: ReviewedAnswer): HTMLElement {
    const id = `why-${taskId}`;
    const comment = h('input', { id, type: 'text', maxlength: 2_000, autocomplete: 'off' });
    const submit = (event: Event) => {
      event.preventDefault();
      const said = comment.value.trim();
      this.queue.add({ taskId, fence, about: key, verdict: 'dispute', ...(said === '' ? {} : { comment: said }) });
      put(form, h('p', { tabindex: -1 }, 'You object. Another reviewer looks at it.'));
      form.querySelector('p')?.focus();
    };
    const form: HTMLFormElement = h(
      'form',
      { class: 'field', submit },
      h('label', { for: id }, `Why you object to the label of ${key}`),
      comment,
      h('div', { class: 'buttons' }, h('button', { type: 'submit' }, 'Dispute')),
    );
    return form;
  }
}

try {
  const { person } = await enter();
  await new ReviewedList(person).start();
} catch (error) {
  const all = h('a', { href: '/label' }, 'All batches');
  put(app, h('h1', {}, 'Your reviewed answers'), h('p', { role: 'alert' }, (error as Error).message), h('p', {}, all));
}
