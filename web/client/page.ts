// Pages that the server renders: where it wants a token, it is asked for, and the page is fetched again with it.
import { ask, forget, token } from './session.js';

const main = document.querySelector('main') as HTMLElement;

/** The same page for who has this token; null: it is not valid. */
async function pageFor(secret: string): Promise<Node[] | null> {
  const answer = await fetch(location.href, { headers: { authorization: `Bearer ${secret}` }, cache: 'no-store' });
  if (answer.status === 401) return null;
  const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
  const content = page.querySelector('main');
  if (!answer.ok || !content) throw new Error(`the answer was ${answer.status}`);
  return [...content.childNodes];
}

async function signIn(): Promise<void> {
  const place = document.querySelector('[data-sign-in]');
  let why = '';
  while (place) {
    const secret = token() ?? (await ask(place, why), token() ?? '');
    try {
      const content = await pageFor(secret);
      if (content) return main.replaceChildren(...content);
      why = 'This token is not valid.';
    } catch (error) {
      why = `The server did not answer: ${(error as Error).message}`;
    }
    forget();
  }
}

await signIn();
