// Who works in this browser: a name that is asked for once, or a token that lasts as long as the tab.
import { h, put } from './dom.js';

const tokenKey = 'perennial/token';
const nameKey = 'perennial/name';

/** The API wants a token: the server wrote so into the page. */
export const needsToken = document.body.dataset['token'] === 'required';

export function token(): string | null {
  return needsToken ? sessionStorage.getItem(tokenKey) : null;
}

export interface Who {
  /** Sent along; null: the token says it. */
  name: string | null;
  /** Tells the answers of one person in this browser from those of another. */
  key: string;
}

/** 32 bits of a text (FNV-1a): tells two tokens apart and gives neither away. */
function hashOf(text: string): string {
  let word = 0x811c9dc5;
  for (let i = 0; i < text.length; i += 1) word = Math.imul(word ^ text.charCodeAt(i), 0x01000193);
  return (word >>> 0).toString(36);
}

/** Null: has to be asked. */
export function who(): Who | null {
  if (needsToken) {
    const secret = token();
    return secret === null ? null : { name: null, key: `token-${hashOf(secret)}` };
  }
  const name = localStorage.getItem(nameKey);
  return name === null ? null : { name, key: `name-${name}` };
}

/** Forgets who it was: the next question asks. */
export function forget(): void {
  sessionStorage.removeItem(tokenKey);
  if (!needsToken) localStorage.removeItem(nameKey);
}

function keep(value: string): void {
  if (needsToken) sessionStorage.setItem(tokenKey, value);
  else localStorage.setItem(nameKey, value);
}

const fits = (value: string) =>
  needsToken ? /^[\x21-\x7e]{1,512}$/.test(value) : value.length > 0 && value.length <= 200;

/** Keeps a name that was typed elsewhere; without effect where tokens say who it is. */
export function keepName(value: string): void {
  if (!needsToken && fits(value.trim())) keep(value.trim());
}

/** Asks in `place` until there is an answer. `why`: what was wrong with the one before. */
export function ask(place: Element, why = ''): Promise<Who> {
  return new Promise((resolve) => {
    const input = h('input', {
      ...{ id: 'who-input', name: 'who', required: true, maxlength: needsToken ? 512 : 200 },
      ...(needsToken ? { type: 'password', autocomplete: 'off' } : { type: 'text', autocomplete: 'name' }),
    });
    const problem = h('p', { class: 'problem', role: 'alert' }, why);
    const submit = (event: Event) => {
      event.preventDefault();
      const value = input.value.trim();
      if (!fits(value)) return put(problem, needsToken ? 'This is no token.' : 'Type a name of 1 to 200 letters.');
      keep(value);
      const found = who();
      if (found) resolve(found);
    };
    const words = needsToken
      ? { title: 'Sign in', label: 'Your token', note: 'It is kept until you close this tab.' }
      : {
          title: 'Who are you?',
          label: 'Your name',
          note: 'It stands beside your answers, and is kept in this browser.',
        };
    put(
      place,
      h(
        'form',
        { class: 'ask', submit },
        h('h1', {}, words.title),
        h('label', { for: 'who-input' }, words.label),
        input,
        h('p', { class: 'soft' }, words.note),
        problem,
        h('button', { type: 'submit', class: 'main' }, 'Go on'),
      ),
    );
    input.focus();
  });
}
