// The labeling page's elements: where the item, the answer, the guess, the comment and the progress stand.
import type { AnswerControl } from './answer/control.js';
import { button, h, put, untilSeen } from './dom.js';
import { lacksPicture } from './item/image.js';
import { itemView } from './item/index.js';
import type { Batch, LeasedTask, Suggestion } from './types.js';

export interface ViewActions {
  undo(): void;
  skip(): void;
  comment(): void;
  guess(): void;
  help(): void;
  /** Somebody else works here now. */
  leave(): void;
}

export interface Counted {
  /** Of this person, since the page was opened. */
  answered: number;
  waiting: number;
}

function instructions({ policy }: Batch): HTMLElement | null {
  if (policy.instructions === '' && policy.examples.length === 0) return null;
  const example = ({ label, item, note }: Batch['policy']['examples'][number]) =>
    h('li', {}, h('b', {}, label), ` ${item}`, note === '' ? null : h('span', { class: 'soft' }, ` (${note})`));
  return h(
    'details',
    { class: 'panel', open: true },
    h('summary', {}, 'Instructions'),
    policy.instructions === '' ? null : h('p', { class: 'lines' }, policy.instructions),
    policy.examples.length === 0 ? null : h('ul', {}, ...policy.examples.map(example)),
  );
}

export class LabelView {
  readonly element: HTMLElement;
  private readonly item = h('section', { class: 'item', 'aria-label': 'Item', tabindex: -1 });
  private readonly stage: HTMLElement;
  private readonly state = h('div', { class: 'state', hidden: true, tabindex: -1 });
  private readonly notice = h('p', { class: 'notice', role: 'status' });
  private readonly back = h('p', { class: 'panel back', role: 'status', hidden: true });
  private readonly guessText = h('p', { class: 'guess', role: 'status' });
  private readonly progress = h('progress', { 'aria-label': 'Answered tasks of the batch', max: 1, value: 0 });
  private readonly counts = h('span', { class: 'counts' });
  private readonly lost = h('div', { class: 'lost' });
  readonly comment = h('textarea', { id: 'comment', rows: 2, maxlength: 2_000 });
  private readonly commentField: HTMLElement;

  private readonly batch: Batch;
  private readonly control: AnswerControl;
  private readonly actions: ViewActions;

  constructor(batch: Batch, control: AnswerControl, actions: ViewActions, name: string | null) {
    this.batch = batch;
    this.control = control;
    this.actions = actions;
    this.commentField = h(
      'div',
      { class: 'field', hidden: true },
      h('label', { for: 'comment' }, 'Comment on this item'),
      this.comment,
    );
    const answer = h(
      'section',
      { class: 'answer', 'aria-label': 'Answer' },
      this.back,
      control.element,
      this.guessText,
      this.commentField,
      this.tools(),
    );
    this.stage = h('div', { class: 'work', hidden: true }, this.item, answer);
    this.element = h(
      'div',
      { class: 'label' },
      h('div', { class: 'bar' }, h('h1', {}, 'Labeling'), this.progress, this.counts, this.person(name)),
      this.notice,
      this.lost,
      this.state,
      this.stage,
      instructions(batch),
    );
  }

  private person(name: string | null): HTMLElement {
    return h(
      'span',
      { class: 'who' },
      name === null ? 'Signed in. ' : `You are ${name}. `,
      h('a', { href: `/label/${this.batch.id}/reviewed` }, 'Your reviewed answers'),
      ' ',
      button('Somebody else', this.actions.leave, { class: 'plain' }),
    );
  }

  private tools(): HTMLElement {
    const { undo, skip, comment, guess, help } = this.actions;
    const guesses = this.batch.policy.suggestion === 'hidden' && button('Model’s guess', guess, { key: 'g' });
    return h(
      'div',
      { class: 'buttons' },
      button('Undo', undo, { key: 'u' }),
      button('Skip', skip, { key: 's' }),
      button('Comment', comment, { key: 'c' }),
      guesses,
      button('Keys', help, { key: '?' }),
    );
  }

  /** Whether the shown item has a picture that could not be loaded. */
  get lacksPicture(): boolean {
    return lacksPicture(this.item, this.control.element);
  }

  /** Shows an item; `before` is the answer that was taken back. */
  show(task: LeasedTask, before?: { label?: unknown; comment?: string }): void {
    this.state.hidden = true;
    this.stage.hidden = false;
    put(this.item, ...itemView(task.item, this.control.columns(task.item)));
    this.item.hidden = this.item.childElementCount === 0;
    this.item.dataset['task'] = task.taskId;
    this.comment.value = before?.comment ?? '';
    this.commentField.hidden = this.comment.value === '';
    put(this.guessText);
    this.back.hidden = task.sentBack === null;
    put(this.back, task.sentBack && backWords(task.sentBack));
    this.control.show(task.item, before?.label);
    if (this.batch.policy.suggestion === 'shown') this.guess(task);
  }

  guess({ suggestion }: LeasedTask): void {
    if (this.batch.policy.suggestion === 'none') return;
    put(this.guessText, suggestion ? guessWords(suggestion) : 'The model has no guess for this item.');
  }

  openComment(): void {
    this.commentField.hidden = false;
    this.comment.focus();
  }

  /** In place of an item: why there is none. */
  showState(title: string, ...lines: (string | Node)[]): void {
    this.stage.hidden = true;
    this.state.hidden = false;
    put(this.state, h('h2', {}, title), ...lines.map((line) => h('p', {}, line)));
  }

  say(text: string): void {
    if (this.notice.textContent !== text) put(this.notice, text);
  }

  count({ tasks, labelled, skipped, auto }: Batch['counts'], { answered, waiting }: Counted): void {
    const done = labelled + skipped + auto;
    this.progress.max = Math.max(1, tasks);
    this.progress.value = done;
    const sent = waiting === 0 ? '' : ` · ${waiting} to be sent`;
    put(this.counts, `${done} of ${tasks} · ${answered} by you now${sent}`);
  }

  /** Answers that were not taken, until the person has read them. */
  addLost(what: string, seen: () => void): void {
    this.lost.append(untilSeen(what, seen));
  }
}

function backWords({ by, comment }: NonNullable<LeasedTask['sentBack']>): string {
  return `Sent back by ${by}${comment === null || comment === '' ? '.' : `: ${comment}`}`;
}

/** Whoever named the task may not have said how sure the guess is. */
function guessWords({ label, confidence }: Suggestion): string {
  const sure = confidence === null ? '' : ` (${Math.round(confidence * 100)} %)`;
  return `The model guesses ${label}${sure}.`;
}
