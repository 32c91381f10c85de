// Keeps a page fresh without losing the reader's place: it is fetched again, and only what differs is changed. What has the
// focus keeps it, scrolled tables stay where they are, and what somebody typed is theirs. Readers can stop it.
import { button, h, put } from './dom.js';
import { freshContent, NotKnown } from './server-page.js';

const main = document.querySelector('main') as HTMLElement;

/** What a person changes, or a script: only what stands inside is looked at. */
const own = 'input, textarea, select, details, dialog';

function matchAttributes(now: Element, next: Element): void {
  for (const { name } of [...now.attributes]) if (!next.hasAttribute(name)) now.removeAttribute(name);
  for (const { name, value } of next.attributes) {
    if (now.getAttribute(name) !== value) now.setAttribute(name, value);
  }
}

/** Makes one node say what the other one says. */
function match(now: Node, next: Node): void {
  if (now instanceof Element && next instanceof Element && now.tagName === next.tagName) {
    if (now.hasAttribute('data-keep')) return;
    if (!now.matches(own)) matchAttributes(now, next);
    matchChildren(now, next);
  } else if (now instanceof Text && next instanceof Text) {
    if (now.data !== next.data) now.data = next.data;
  } else {
    (now as ChildNode).replaceWith(next);
  }
}

/** Changes what differs among the children, place by place. */
export function matchChildren(now: Element, next: Element): void {
  const [old, fresh] = [[...now.childNodes], [...next.childNodes]];
  for (const [place, node] of fresh.entries()) {
    const before = old[place];
    if (before) match(before, node);
    else now.append(node);
  }
  for (const gone of old.slice(fresh.length)) gone.remove();
}

/** Looks at once. @throws what `freshContent` throws */
export async function refresh(): Promise<void> {
  matchChildren(main, await freshContent());
}

const clock = () => new Date().toLocaleTimeString();

/** Looks every so many seconds, as the page says, while it is seen. */
export function stayFresh(): void {
  const [seconds, place] = [Number(main.dataset['refresh']), document.querySelector('#freshness')];
  if (place === null || !(seconds > 0)) return;
  let stopped = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const state = h('span', {}, 'This page stays fresh by itself.');
  const toggle = button('Stop that', () => {
    stopped = !stopped;
    put(toggle, stopped ? 'Keep it fresh' : 'Stop that');
    put(state, stopped ? `As of ${clock()}.` : 'This page stays fresh by itself.');
    again(0);
  });
  const again = (afterMs: number) => {
    clearTimeout(timer);
    if (!stopped && document.visibilityState === 'visible') timer = setTimeout(() => void look(), afterMs);
  };
  const look = async () => {
    try {
      await refresh();
      if (state.dataset['late']) put(state, 'This page stays fresh by itself.');
      delete state.dataset['late'];
    } catch (error) {
      if (error instanceof NotKnown) return location.reload();
      if (!state.dataset['late']) put(state, `The server does not answer since ${clock()}.`);
      state.dataset['late'] = 'yes';
    }
    again(seconds * 1_000);
  };
  put(place, h('p', { role: 'status' }, state, ' '), toggle);
  document.addEventListener('visibilitychange', () => again(0));
  again(main.dataset['personal'] === undefined ? seconds * 1_000 : 0);
}
