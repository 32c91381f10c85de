// Where the `type` of a problem document leads: what the failure means, and whether trying again helps.
import { html } from 'hono/html';
import { failureCode, type FailureEntry, failures } from '../../domain/failures.js';
import { layout } from './layout.js';

const advice: Record<FailureEntry['family'], string> = {
  request: 'What was asked is wrong: the same again fails again. The detail of the answer says what to change.',
  world: 'What was asked is right; the world is late. perennial tries again where it can, and so may you.',
};

/** The page of `run-live` and the like; null for a code that is not in the catalogue. */
export function problemPage(code: string) {
  const found = Object.entries(failures).find(([name]) => failureCode(name as keyof typeof failures) === code);
  if (!found) return null;
  const { title, status, family } = found[1];
  return layout(
    `${code} · perennial`,
    html`<h1>${title}</h1>
      <p><code>${code}</code>, HTTP ${status}</p>
      <p>${advice[family]}</p>
      <p class="soft">docs/errors.md says more.</p>`,
  );
}
