// Forms that the server rendered: their values as a body of the API, and what the API finds wrong, said at its field.
import { Refused } from './api.js';
import { put } from './dom.js';
import { keepName, who } from './session.js';

type Control = HTMLInputElement | HTMLSelectElement;

const controlsOf = (form: HTMLFormElement) => [...form.elements].filter(isControl);

function isControl(element: Element): element is Control {
  return element.matches('input, select') && (element as Control).name !== '';
}

const isUnchecked = (control: Control) =>
  control instanceof HTMLInputElement && control.type === 'checkbox' && !control.checked;

/** A number where the field is one and holds one; else the text, of which the API says what is wrong. Null: left empty. */
function valueOf(control: Control): string | number | null {
  const text = isUnchecked(control) ? '' : control.value.trim();
  if (text === '') return null;
  return control.hasAttribute('data-number') && Number.isFinite(Number(text)) ? Number(text) : text;
}

/** What was filled in, by the names of the fields. */
export function valuesOf(form: HTMLFormElement): Record<string, string | number> {
  const filled = controlsOf(form).map((control) => [control.name, valueOf(control)] as const);
  return Object.fromEntries(filled.filter((one): one is [string, string | number] => one[1] !== null));
}

/** Fills in the name that this browser knows, and keeps another one. */
export function knowName(form: HTMLFormElement): void {
  const field = form.querySelector<HTMLInputElement>('[data-who]');
  if (field === null) return;
  field.value = who()?.name ?? '';
  field.addEventListener('change', () => keepName(field.value));
}

/** Forgets what was wrong before. */
export function clearFaults(form: HTMLFormElement): void {
  for (const place of form.querySelectorAll('[data-problem], [data-summary]')) put(place);
  for (const control of controlsOf(form)) control.removeAttribute('aria-invalid');
}

/** `stop.plateau` is said at `stop.plateau`, else at `stop`; a run's document names the strategy `labeling.strategy`. */
function placeOf(form: HTMLFormElement, path: string): Element | null {
  const parts = path
    .replace(/^labeling\./, '')
    .replace(/\[\d+\]/g, '')
    .split('.');
  for (let length = parts.length; length > 0; length -= 1) {
    const found = form.querySelector(`[data-problem="${CSS.escape(parts.slice(0, length).join('.'))}"]`);
    if (found) return found;
  }
  return null;
}

/** Says at each field what is wrong with it, the rest above the form, and goes to the first one. */
export function showFaults(form: HTMLFormElement, error: unknown): void {
  const summary = form.querySelector('[data-summary]') as Element;
  if (!(error instanceof Refused))
    return put(summary, 'The server does not answer. Nothing was done as far as we know: try again.');
  const homeless: string[] = [];
  for (const { path, message } of error.faults) {
    const place = placeOf(form, path);
    if (place === null) homeless.push(`${path}: ${message}`);
    else put(place, place.textContent === '' ? message : `${place.textContent}; ${message}`);
    const name = place?.getAttribute('data-problem');
    controlsOf(form)
      .find((control) => control.name === name)
      ?.setAttribute('aria-invalid', 'true');
  }
  put(
    summary,
    error.faults.length === 0 || homeless.length > 0
      ? [error.message, ...homeless].join('. ')
      : 'Not taken: see below.',
  );
  form.querySelector<HTMLElement>('[aria-invalid]')?.focus();
}
