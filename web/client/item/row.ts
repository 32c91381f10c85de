// An item as a table of its columns: what is left after text and picture.
import { h } from '../dom.js';
import { type Fields, valueText } from './fields.js';

export function rowView(fields: Fields): HTMLElement | null {
  if (fields.length === 0) return null;
  const line = ([name, value]: Fields[number]) =>
    h('tr', {}, h('th', { scope: 'row' }, name), h('td', {}, valueText(value)));
  return h(
    'div',
    { class: 'wide', tabindex: 0, role: 'region', 'aria-label': 'Columns' },
    h('table', { class: 'row' }, h('tbody', {}, ...fields.map(line))),
  );
}
