// Which of two is better: left, right, or a tie. The columns `left` and `right` are shown side by side.
import { button, h, put } from '../dom.js';
import { itemView } from '../item/index.js';
import { fieldsOf } from '../item/fields.js';
import type { Item } from '../types.js';
import type { AnswerContext, AnswerControl } from './control.js';

const choices = [
  { label: 'left', key: '1', other: 'ArrowLeft', text: 'Left is better' },
  { label: 'tie', key: '2', other: 'ArrowDown', text: 'A tie' },
  { label: 'right', key: '3', other: 'ArrowRight', text: 'Right is better' },
] as const;

/** `left`, `left_text` and the like. */
function side(item: Item, name: 'left' | 'right'): [string, unknown][] {
  return fieldsOf(item).filter(([column]) => column === name || column.startsWith(`${name}_`));
}

export function preferenceAnswer({ submit }: AnswerContext): AnswerControl {
  const pair = h('div', { class: 'pair' });
  const buttons = choices.map(({ label, key, text }) =>
    button(text, () => submit(label), { key, class: 'class', 'data-enter': true }),
  );
  const half = (item: Item, name: 'left' | 'right') => {
    const fields = side(item, name);
    const [, only] = fields[0] ?? [];
    const view =
      fields.length === 1
        ? itemView(typeof only === 'string' ? { text: only } : only)
        : itemView(Object.fromEntries(fields));
    return h('section', { 'aria-label': name }, h('h2', {}, name === 'left' ? 'Left' : 'Right'), ...view);
  };
  return {
    element: h(
      'div',
      {},
      pair,
      h('div', { class: 'classes', role: 'group', 'aria-label': 'Which is better' }, ...buttons),
    ),
    columns: (item) => [...side(item, 'left'), ...side(item, 'right')].map(([name]) => name),
    show: (item, label) => {
      const both = side(item, 'left').length > 0 && side(item, 'right').length > 0;
      put(pair, both && half(item, 'left'), both && half(item, 'right'));
      buttons.forEach((one, place) => one.classList.toggle('before', choices[place]?.label === label));
    },
    key: (event) => {
      const found = choices.find(({ key, other }) => event.key === key || event.key === other);
      if (found) submit(found.label);
      return found !== undefined;
    },
    help: [
      ['1 or ←', 'the left one is better'],
      ['2 or ↓', 'a tie'],
      ['3 or →', 'the right one is better'],
    ],
  };
}
