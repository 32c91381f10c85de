// An item as a table of its columns: what is left after text and picture.
import { h } from '../dom.js';
import { type Fields, valueText } from './fields.js';

/** `name` tells it from the tables of other items. */
export function rowView(fields: Fields, name: string): HTMLElement | null {
  if (fields.length === 0) return null;
  const line = ([column, value]: Fields[number]) =>
    h('tr', {}, h('th', { scope: 'row' }, column), h('td', {}, valueText(value)));
  return h(
    'div',
    { class: 'wide', tabindex: 0, role: 'region', 'aria-label': name },
    h('table', { class: 'row' }, h('tbody', {}, ...fields.map(line))),
  );
}
