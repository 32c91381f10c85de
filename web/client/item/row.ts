// An item as a table of its columns: what is left after text and picture. Long names wrap, and what is longer than a look takes
// is folded, so that every value stays in view.
import { h } from '../dom.js';
import { type Fields, valueText } from './fields.js';

/** So many letters of a value are shown unasked: of JSON, which is looked at, and of words, which are read. */
const most = { json: 300, words: 2_000 };
const opening = 120;

function valueView(value: unknown): Node | string {
  const text = valueText(value);
  const json = typeof value === 'object' && value !== null;
  if (text.length <= (json ? most.json : most.words)) return text;
  return h(
    'details',
    {},
    h('summary', {}, `${text.slice(0, opening)}… (${text.length} letters)`),
    h('pre', { class: 'folded', tabindex: 0 }, json ? JSON.stringify(value, null, 2) : text),
  );
}

/** `name` tells it from the tables of other items. */
export function rowView(fields: Fields, name: string): HTMLElement | null {
  if (fields.length === 0) return null;
  const line = ([column, value]: Fields[number]) =>
    h('tr', {}, h('th', { scope: 'row' }, h('span', {}, column)), h('td', {}, valueView(value)));
  return h(
    'div',
    { class: 'wide', tabindex: 0, role: 'region', 'aria-label': name },
    h('table', { class: 'row' }, h('tbody', {}, ...fields.map(line))),
  );
}
