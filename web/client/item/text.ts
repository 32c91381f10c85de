// An item's text, to be read.
import { h } from '../dom.js';

export function textView(text: string): HTMLElement {
  return h('p', { class: 'text', dir: 'auto' }, text);
}
