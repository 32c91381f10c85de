// Elements by one call. Every text becomes a text node, so nothing that a person or a row says is ever read as HTML.

export type Child = Node | string | number | null | undefined | false;
type Listener = (event: never) => void;
export type Properties = Record<string, string | number | boolean | null | undefined | Listener>;

function fill<T extends Element>(element: T, properties: Properties, children: Child[]): T {
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === 'function') element.addEventListener(name, value as unknown as EventListener);
    else element.setAttribute(name, value === true ? '' : String(value));
  }
  element.append(...nodes(children));
  return element;
}

function nodes(children: Child[]): (Node | string)[] {
  return children.flatMap((child) =>
    child === null || child === undefined || child === false ? [] : [typeof child === 'number' ? String(child) : child],
  );
}

/** An HTML element: attributes by name, listeners by the event's name. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  properties: Properties = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  return fill(document.createElement(tag), properties, children);
}

/** Puts these in place of what an element holds. */
export function put(element: Element, ...children: Child[]): void {
  element.replaceChildren(...nodes(children));
}

/** A button with the key that does the same. */
export function button(
  text: string,
  press: () => void,
  { key, ...properties }: Properties & { key?: string } = {},
): HTMLButtonElement {
  const shown = key === undefined ? null : h('kbd', { 'aria-hidden': 'true' }, key);
  return h('button', { type: 'button', click: press, 'aria-keyshortcuts': key, ...properties }, shown, text);
}

/** An id that nobody else makes; `crypto.randomUUID` is missing on plain http. */
export function randomId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** A problem that stays until the person says that they have read it. */
export function untilSeen(text: string, seen: () => void): HTMLElement {
  const read = () => {
    line.remove();
    seen();
  };
  const line = h('p', { class: 'problem', role: 'alert' }, text, ' ', button('I see', read, { class: 'plain' }));
  return line;
}
