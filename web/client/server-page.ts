// A page that the server renders, as the script sees it: fetched with the token where one is wanted, or with the name that is
// known, so that the server can say what is this reader's.
import { ask, forget, needsToken, token, who } from './session.js';

const main = document.querySelector('main') as HTMLElement;

/** Thrown where the token is not valid, or not any more. */
export class NotKnown extends Error {}

/** The content of this page as it is now. @throws NotKnown, and what `fetch` throws */
export async function freshContent(): Promise<HTMLElement> {
  const address = new URL(location.href);
  const name = who()?.name ?? null;
  if (main.dataset['personal'] !== undefined && name !== null) address.searchParams.set('labeler', name);
  const secret = token();
  const headers: Record<string, string> = secret === null ? {} : { authorization: `Bearer ${secret}` };
  const answer = await fetch(address, { headers, cache: 'no-store', signal: AbortSignal.timeout(20_000) });
  if (answer.status === 401) throw new NotKnown('This token is not valid.');
  const content = new DOMParser().parseFromString(await answer.text(), 'text/html').querySelector('main');
  // where nothing is, the page says so
  if (!content || !(answer.ok || answer.status === 404)) throw new Error(`The server did not answer: ${answer.status}`);
  return content;
}

/** Asks for a token where the page wants one, until it is taken; the content is there afterwards. */
export async function signIn(): Promise<void> {
  const place = document.querySelector('[data-sign-in]');
  let why = '';
  while (place && needsToken) {
    if (token() === null) await ask(place, why);
    try {
      return main.replaceChildren(...(await freshContent()).childNodes);
    } catch (error) {
      why = (error as Error).message;
    }
    forget();
  }
}
