// The review page's elements: the item with its label, who answered what, and what can be said of it.
import type { ReviewVerdict } from '../../domain/labeling.js';
import type { AnswerControl } from './answer/control.js';
import { button, h, put, untilSeen } from './dom.js';
import { lacksPicture } from './item/image.js';
import { itemView } from './item/index.js';
import type { Batch, ReviewTask } from './types.js';

export interface ReviewActions {
  accept(): void;
  fix(): void;
  sendBack(to: 'same' | 'other'): void;
  comment(): void;
  next(): void;
  help(): void;
  decide(decision: 'accept' | 'close' | 'send-back', reason: string): void;
}

/** A label as the kind's control takes it: kinds with parts are stored as JSON. */
export function labelValue({ kind }: Batch, label: string | null): unknown {
  if (label === null || !['multiple', 'span', 'box'].includes(kind)) return label;
  try {
    return JSON.parse(label) as unknown;
  } catch {
    return label;
  }
}

const verdictWords: Record<ReviewVerdict, string> = {
  accept: 'accepted it',
  fix: 'mended it:',
  'send-back': 'sent it back',
  dispute: 'objected',
};

const quoted = (text: string | null) => (text === null || text === '' ? null : h('q', {}, text));

function answersOf({ answers, reviews }: ReviewTask): HTMLElement {
  const seconds = (value: number | null) => (value === null ? '' : ` in ${Math.round(value)} s`);
  return h(
    'ul',
    { class: 'answers' },
    ...answers.map(({ annotator, label, outcome, past, seconds: took, comment }) => {
      const note = past ? ' (sent back since)' : outcome === 'surplus' ? ' (one too many)' : '';
      return h(
        'li',
        {},
        h('b', {}, annotator),
        ': ',
        label ?? 'skipped',
        h('span', { class: 'soft' }, seconds(took), note, ' '),
        quoted(comment),
      );
    }),
    ...verdictList(reviews),
  );
}

/** What reviewers said, and what was objected. */
export function verdictList(reviews: ReviewTask['reviews']): HTMLElement[] {
  return reviews.map(({ reviewer, verdict, label, comment }) =>
    h('li', {}, h('b', {}, reviewer), ` ${verdictWords[verdict]} `, label, ' ', quoted(comment)),
  );
}

export class ReviewView {
  readonly element: HTMLElement;
  private readonly item = h('section', { class: 'item', 'aria-label': 'Item' });
  private readonly answers = h('section', { 'aria-label': 'Answers' });
  private readonly stage: HTMLElement;
  private readonly state = h('p', { class: 'state', hidden: true, role: 'status' });
  private readonly notice = h('p', { class: 'notice', role: 'status' });
  private readonly lost = h('div', {});
  private readonly counts = h('span', { class: 'counts' });
  private readonly progress = h('progress', { 'aria-label': 'Answered tasks of the batch', max: 1, value: 0 });
  readonly comment = h('textarea', { id: 'comment', rows: 2, maxlength: 2_000 });
  private readonly control: AnswerControl;
  private readonly batch: Batch;
  private readonly panel: HTMLElement;
  private readonly fixing = h('p', { class: 'guess', role: 'status' });

  constructor(batch: Batch, control: AnswerControl, actions: ReviewActions) {
    this.batch = batch;
    this.control = control;
    const field = h(
      'div',
      { class: 'field' },
      h('label', { for: 'comment' }, 'Comment, with the next verdict'),
      this.comment,
    );
    const buttons = h(
      'div',
      { class: 'buttons' },
      button('Accept', actions.accept, { key: 'a', class: 'main' }),
      button('Fix', actions.fix, { key: 'f' }),
      button('Back to the same', () => actions.sendBack('same'), { key: 'b' }),
      button('Back to somebody else', () => actions.sendBack('other'), { key: 'o' }),
      button('Later', actions.next, { key: 'n' }),
      button('Keys', actions.help, { key: '?' }),
    );
    const verdict = h(
      'section',
      { class: 'answer', 'aria-label': 'Verdict' },
      this.answers,
      buttons,
      this.fixing,
      control.element,
      field,
    );
    this.stage = h('div', { class: 'work', hidden: true }, this.item, verdict);
    this.panel = this.decision(actions);
    this.element = h(
      'div',
      { class: 'review' },
      h(
        'div',
        { class: 'bar' },
        h('h1', {}, 'Review'),
        this.progress,
        this.counts,
        h('span', { class: 'who' }, h('a', { href: `/label/${batch.id}/progress` }, 'Progress')),
      ),
      this.notice,
      this.lost,
      this.state,
      this.stage,
      this.panel,
    );
  }

  private decision({ decide }: ReviewActions): HTMLElement {
    const reason = h('input', { id: 'reason', type: 'text', maxlength: 2_000 });
    const press = (decision: 'accept' | 'close' | 'send-back') => () => decide(decision, reason.value.trim());
    return h(
      'section',
      { class: 'panel', 'aria-labelledby': 'decision-title' },
      h('h2', { id: 'decision-title' }, 'The whole batch'),
      h('div', { class: 'field' }, h('label', { for: 'reason' }, 'Reason (may stay empty)'), reason),
      h(
        'div',
        { class: 'buttons' },
        button('Accept the batch', press('accept'), { class: 'main' }),
        button('Close with what there is', press('close')),
        button('Send all back', press('send-back')),
      ),
    );
  }

  show(task: ReviewTask): void {
    this.state.hidden = true;
    this.stage.hidden = false;
    put(this.item, ...itemView(task.item, this.control.columns(task.item)));
    this.item.hidden = this.item.childElementCount === 0;
    const doubt = task.confidence === null ? '' : ` (${Math.round(task.confidence * 100)} % sure)`;
    const why =
      task.review === 'dispute' ? 'Disputed: look again.' : task.needsReview ? 'This one must be looked at.' : '';
    put(
      this.answers,
      h('p', {}, 'Label: ', h('b', {}, task.label ?? 'none'), doubt),
      h('p', { class: 'soft' }, why),
      answersOf(task),
    );
    this.comment.value = '';
    this.control.show(task.item, labelValue(this.batch, task.label));
    if (document.activeElement instanceof HTMLInputElement) document.activeElement.blur();
    this.fix(false);
  }

  fix(on: boolean): void {
    put(this.fixing, on ? 'What is the right label?' : '');
  }

  /** Nothing is to be said of it any more. */
  showDecided(text: string): void {
    this.panel.hidden = true;
    this.showState(text);
  }

  /** Whether the shown item has a picture that could not be loaded. */
  get lacksPicture(): boolean {
    return lacksPicture(this.item, this.control.element);
  }

  showState(text: string): void {
    this.stage.hidden = true;
    this.state.hidden = false;
    put(this.state, text);
  }

  say(text: string): void {
    put(this.notice, text);
  }

  /** Stays until the person has read it. */
  problem(text: string, seen: () => void = () => undefined): void {
    this.lost.append(untilSeen(text, seen));
  }

  count({ tasks, labelled, skipped, auto }: Batch['counts'], status: string, waiting: number): void {
    this.progress.max = Math.max(1, tasks);
    this.progress.value = labelled + skipped + auto;
    put(
      this.counts,
      `${labelled + skipped + auto} of ${tasks} answered · ${status}${waiting === 0 ? '' : ` · ${waiting} to be sent`}`,
    );
  }
}
