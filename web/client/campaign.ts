// Pages of campaigns: the forms that begin one and that decide about one; everything else the server rendered.
import { call } from './api.js';
import { put, randomId } from './dom.js';
import { clearFaults, knowName, showFaults, valuesOf } from './form.js';
import { refresh, stayFresh } from './live.js';
import { signIn } from './server-page.js';

type Values = Record<string, string | number>;

/** The body of POST /campaigns. */
function bodyOf({ strategy, strategyThen, ...values }: Values): object {
  const { pipeline, batchSize, explore, by } = values;
  const plateau = { rounds: values['stop.plateau.rounds'], margin: values['stop.plateau.margin'] };
  const stop = {
    labels: values['stop.labels'],
    deadline: values['stop.deadline'],
    target: values['stop.target'],
    plateau: plateau.rounds === undefined && plateau.margin === undefined ? undefined : plateau,
  };
  const auto = values['auto'] && {
    maxError: values['auto.maxError'],
    confidence: values['auto.confidence'],
    auditShare: values['auto.auditShare'],
  };
  const asked = strategyThen === undefined || strategyThen === strategy ? strategy : [strategy, strategyThen];
  return { pipeline, strategy: asked, batchSize, explore, auto, stop, by };
}

/** Sends a form once at a time; the same values again go under the same key. */
function onSubmit(form: HTMLFormElement, send: (values: Values, key: string, pressed: string) => Promise<void>): void {
  knowName(form);
  let busy = false;
  let last = { text: '', key: '' };
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    if (busy) return;
    const pressed = event.submitter instanceof HTMLButtonElement ? event.submitter.value : '';
    const values = valuesOf(form);
    const text = JSON.stringify([pressed, values]);
    if (text !== last.text) last = { text, key: randomId() };
    busy = true;
    clearFaults(form);
    void send(values, last.key, pressed)
      .then(() => (last = { text: '', key: '' }))
      .catch((error: unknown) => showFaults(form, error))
      .finally(() => (busy = false));
  });
}

function listenBegin(form: HTMLFormElement): void {
  onSubmit(form, async (values, key) => {
    const { id } = await call<{ id: string }>('POST', '/api/v1/campaigns', { body: bodyOf(values), key });
    location.assign(`/campaigns/${id}`);
  });
}

function listenDecide(form: HTMLFormElement): void {
  const said = form.querySelector('[data-said]') as HTMLElement;
  onSubmit(form, async ({ by, reason }, key, decision) => {
    put(said);
    if (decision === 'stop' && !confirm('Stop this campaign for good?')) return;
    const path = `/api/v1/campaigns/${form.dataset['campaign']}/decision`;
    const { status } = await call<{ status: string }>('POST', path, { body: { decision, by, reason }, key });
    const late = 'The decision is kept and is carried out when a worker is there.';
    await refresh();
    put(said, status === 'pending' ? late : `The campaign is ${status}.`);
    (form.elements.namedItem('reason') as HTMLInputElement).value = '';
    // the button that was pressed may be gone
    said.focus();
  });
}

await signIn();
const [begin, decide] = [document.querySelector('form#begin'), document.querySelector('form#decide')];
if (begin instanceof HTMLFormElement) listenBegin(begin);
if (decide instanceof HTMLFormElement) listenDecide(decide);
stayFresh();
