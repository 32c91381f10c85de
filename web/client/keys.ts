// Keys of a page: which press means what, when a key belongs to a field instead, and the help that lists them.
// Single letters can be switched off (WCAG 2.1.4), since speech input may type them by accident.
import { button, h } from './dom.js';

export interface KeyAction {
  key: string;
  meaning: string;
  act(): void;
}

const offKey = 'perennial/letters-off';

function lettersOff(): boolean {
  return localStorage.getItem(offKey) === '1';
}

/** A field takes what is typed into it, all of it. */
const typesInto = (target: Element) => target.matches('input:not([type=checkbox]), textarea, select');

/** Enter on a button or link is that button's, unless it says that Enter answers. */
function ownsEnter(target: Element): boolean {
  return target.closest('button, a, summary') !== null && target.closest('[data-enter]') === null;
}

/** Listens to the page's keys. `inner` sees a key first: true, it was meant for the answer. */
export function listenKeys(actions: readonly KeyAction[], inner: (event: KeyboardEvent) => boolean): void {
  document.addEventListener('keydown', (event) => {
    const target = event.target instanceof Element ? event.target : document.body;
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || target.closest('dialog')) return;
    if (event.key === 'Escape' && target instanceof HTMLElement) target.blur();
    if (typesInto(target) || (event.key === 'Enter' && ownsEnter(target))) return;
    if (event.key.length === 1 && lettersOff()) return;
    const action = actions.find(({ key }) => key === event.key);
    if (inner(event)) event.preventDefault();
    else if (action && !event.repeat) {
      event.preventDefault();
      action.act();
    }
  });
}

/** The list of keys, as a dialog that Escape closes. */
export function helpDialog(rows: readonly (readonly [keys: string, meaning: string])[]): HTMLDialogElement {
  const letters = h('input', { type: 'checkbox', id: 'letters', checked: !lettersOff() });
  letters.addEventListener('change', () => {
    if (letters.checked) localStorage.removeItem(offKey);
    else localStorage.setItem(offKey, '1');
  });
  const dialog: HTMLDialogElement = h(
    'dialog',
    { 'aria-labelledby': 'help-title' },
    h('h2', { id: 'help-title' }, 'Keys'),
    h('dl', {}, ...rows.flatMap(([keys, meaning]) => [h('dt', {}, h('kbd', {}, keys)), h('dd', {}, meaning)])),
    h('p', {}, letters, ' ', h('label', { for: 'letters' }, 'Letters and digits are keys')),
    button('Close', () => dialog.close(), { class: 'main' }),
  );
  return dialog;
}
