// An item on the page: picture, text and the other columns, each by its own view.
import { h } from '../dom.js';
import type { Item } from '../types.js';
import { fieldsOf, pictureOf, textField, valueText } from './fields.js';
import { imageView } from './image.js';
import { rowView } from './row.js';
import { textView } from './text.js';

/** `without`: columns that the answer's own view shows; `name`: of its table, where several items are shown. */
export function itemView(item: Item, without: readonly string[] = [], name = 'Columns'): Node[] {
  const fields = fieldsOf(item).filter(([name]) => !without.includes(name));
  const rest = Object.fromEntries(fields);
  const picture = pictureOf(rest);
  const text = textField(rest, false);
  const used = [...(picture?.columns ?? []), ...(text === null ? [] : [text])];
  const parts = [
    picture && imageView(picture),
    text === null ? null : textView(valueText(rest[text])),
    rowView(
      fields.filter(([column]) => !used.includes(column)),
      name,
    ),
  ];
  const shown = parts.filter((part): part is HTMLElement => part !== null);
  return shown.length > 0 || without.length > 0 ? shown : [h('p', { class: 'soft' }, 'This item is empty.')];
}
