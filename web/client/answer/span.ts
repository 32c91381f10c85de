// Pieces of the text: selected by mouse or word by word with the arrow keys, a class key marks them, Enter answers.
// Places are UTF-16 code units of the item's text, as browsers count them.
import type { Span } from '../../../domain/label-kind.js';
import { button, h, put } from '../dom.js';
import { fieldsOf, textField, valueText } from '../item/fields.js';
import { classPicker } from './class-picker.js';
import type { AnswerContext, AnswerControl } from './control.js';
import { markedText, offsetOf, selectRange } from './marked-text.js';

interface Range {
  start: number;
  end: number;
}

/** The next or previous word from a place; at the ends it stays. */
function wordFrom(text: string, place: Range, step: 1 | -1): Range {
  const words = [...text.matchAll(/\S+/g)].map((match) => ({ start: match.index, end: match.index + match[0].length }));
  const empty = place.start === place.end;
  if (step > 0) return words.find(({ start }) => start >= place.end + (empty ? 0 : 1)) ?? words.at(-1) ?? place;
  return words.findLast(({ end }) => end <= place.start) ?? words[0] ?? place;
}

export function spanAnswer(context: AnswerContext): AnswerControl {
  let text = '';
  let spans: Span[] = [];
  let selected: Range = { start: 0, end: 0 };
  const label = 'Text. Arrow keys select words, with Shift more of them; a class key marks.';
  const view = h('div', {
    class: 'text marked',
    tabindex: 0,
    role: 'textbox',
    'aria-readonly': 'true',
    'aria-multiline': 'true',
    'aria-label': label,
    dir: 'auto',
  });
  const list = h('ul', { class: 'marks', 'aria-label': 'Marked' });
  const draw = () => {
    put(view, ...markedText(text, spans));
    put(
      list,
      ...spans.map((span) =>
        h(
          'li',
          {},
          h('b', {}, span.label),
          ` ${text.slice(span.start, span.end)} `,
          button('Remove', () => remove(span)),
        ),
      ),
    );
  };
  const remove = (span: Span | undefined) => {
    spans = spans.filter((one) => one !== span);
    draw();
  };
  const mark = (name: string) => {
    const { start, end } = selected;
    if (start >= end) return;
    const same = (one: Span) => one.start === start && one.end === end && one.label === name;
    spans = spans.some(same) ? spans.filter((one) => !same(one)) : [...spans, { start, end, label: name }];
    draw();
    selectRange(view, selected);
  };
  const picker = classPicker(context, mark);
  const send = () => context.submit([...spans].sort((a, b) => a.start - b.start || a.end - b.end));
  document.addEventListener('selectionchange', () => {
    const range = offsetOf(view, document.getSelection());
    if (range) selected = range;
  });
  const move = (step: 1 | -1, extend: boolean) => {
    const word = wordFrom(text, selected, step);
    const wider = { start: Math.min(selected.start, word.start), end: Math.max(selected.end, word.end) };
    selected = extend ? wider : word;
    selectRange(view, selected);
  };
  const adjust = (by: 1 | -1) => {
    selected = { start: selected.start, end: Math.min(text.length, Math.max(selected.start + 1, selected.end + by)) };
    selectRange(view, selected);
  };
  const keys: Record<string, (event: KeyboardEvent) => void> = {
    ArrowRight: ({ shiftKey }) => move(1, shiftKey),
    ArrowLeft: ({ shiftKey }) => move(-1, shiftKey),
    '.': () => adjust(1),
    ',': () => adjust(-1),
    Backspace: () =>
      remove(spans.findLast(({ start, end }) => start < selected.end && end > selected.start) ?? spans.at(-1)),
    Enter: send,
  };
  return {
    element: h(
      'div',
      {},
      view,
      picker.element,
      list,
      button('Answer', send, { class: 'main', key: 'Enter', 'data-enter': true }),
    ),
    columns: (item) => [textField(item, true)].filter((name): name is string => name !== null),
    show: (item, before) => {
      const column = textField(item, true);
      text = column === null ? '' : valueText(fieldsOf(item).find(([name]) => name === column)?.[1]);
      spans = Array.isArray(before) ? [...(before as Span[])] : [];
      selected = { start: 0, end: 0 };
      draw();
    },
    key: (event) => {
      if (picker.byKey(event) !== null) return true;
      const act = keys[event.key];
      act?.(event);
      return act !== undefined;
    },
    help: [
      ['← →', 'select the word before or after; with Shift more words'],
      [', .', 'one letter less or more at the end'],
      ['1 – 9, 0', 'mark what is selected with that class; again: no more'],
      ['Backspace', 'remove the mark at the selection, else the last one'],
      ['Enter', 'answer; with nothing marked: there is nothing'],
    ],
  };
}
