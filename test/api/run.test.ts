// Runs: lists, one, events as a resumable stream, metrics, artifacts, lineage, cancelling.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { appendEvent } from '../../db/event.js';
import { logMetrics } from '../../db/metric.js';
import { classification, createPipeline, endRun, openRun, promote } from './facts.js';
import { codeOf, jsonOf, testApi, type TestApi } from './support.js';

let api: TestApi;
beforeAll(async () => {
  api = await testApi();
  for (const name of ['one', 'two', 'three', 'four']) await createPipeline(api, name);
});
afterAll(() => api.close());

interface Sent {
  id: number;
  event: string;
  data: { number: number; type: string; data: unknown };
}

/** Reads a stream until it ends or `enough`. */
async function read(response: Response, enough = Infinity, seen: (event: Sent) => void = () => {}): Promise<Sent[]> {
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  const events: Sent[] = [];
  let text = '';
  while (events.length < enough) {
    const { done, value } = await reader.read();
    if (done) break;
    text += value;
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
      const fields = Object.fromEntries(
        text
          .slice(0, end)
          .split('\n')
          .map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()]),
      );
      text = text.slice(end + 2);
      const data = JSON.parse(fields['data'] ?? 'null');
      const event = { id: Number(fields['id']), event: fields['event'] ?? '', data };
      events.push(event);
      seen(event);
    }
  }
  await reader.cancel();
  return events;
}

describe('GET /runs', () => {
  it('shows one as the contract says', async () => {
    const id = await openRun(api, 'one');
    const view = await jsonOf(await api.get(`/api/v1/runs/${id}`));
    expect(view).toMatchObject({
      id,
      pipeline: 'one',
      number: 1,
      status: 'running',
      stage: null,
      waitingFor: null,
      steps: [],
      metrics: {},
      verdict: null,
      modelVersion: null,
      failure: null,
      workflowId: 'run/default/one/1',
    });
    expect(view['temporalUrl']).toContain('run%2Fdefault%2Fone%2F1');
    expect(await codeOf(await api.get('/api/v1/runs/run_unknown'))).toBe('404 not-found');
    expect(await codeOf(await api.get('/api/v1/runs/digits'))).toBe('404 not-found');
  });

  it('filters and pages', async () => {
    await openRun(api, 'two');
    const ids = async (query: string) => {
      const page = await jsonOf<{ items: { pipeline: string }[]; nextCursor: string | null }>(
        await api.get(`/api/v1/runs?${query}`),
      );
      return { names: page.items.map(({ pipeline }) => pipeline), cursor: page.nextCursor };
    };
    expect((await ids('pipeline=two')).names).toEqual(['two']);
    expect((await ids('status=failed')).names).toEqual([]);
    expect((await ids('pipeline=four')).names).toEqual([]);
    expect(await codeOf(await api.get('/api/v1/runs?pipeline=nope'))).toBe('404 not-found');
    const first = await ids('limit=1');
    expect(first.names).toEqual(['two']);
    expect((await ids(`limit=1&cursor=${first.cursor ?? ''}`)).names).toEqual(['one']);
  });
});

describe('GET /runs/{id}/events', () => {
  it('streams, resumes after the last id, and ends after run.ended', async () => {
    const run = await openRun(api, 'three');
    const path = `/api/v1/runs/${run}/events`;
    for (const step of [1, 2, 3]) await appendEvent(api.database.db, { run, type: 'step.progress', data: { step } });
    const begun = await api.get(path);
    expect(begun.headers.get('content-type')).toContain('text/event-stream');
    const first = await read(begun, 2);
    expect(first.map(({ event }) => event)).toEqual(['run.opened', 'step.progress']);
    const live = await api.get(path, { 'last-event-id': String(first[1]?.id) });
    // the run ends once the stream has given what there was
    const rest = await read(live, Infinity, ({ id }) => void (id === 4 && endRun(api, run)));
    expect(rest.map(({ id }) => id)).toEqual([3, 4, 5]);
    expect(rest.at(-1)).toMatchObject({ event: 'run.ended', data: { number: 5, type: 'run.ended' } });
    expect((await api.get(path, { 'last-event-id': '5' })).status).toBe(204);
    expect((await read(await api.get(`${path}?after=3`))).map(({ id }) => id)).toEqual([4, 5]);
    expect(await codeOf(await api.get(path, { 'last-event-id': 'x' }))).toBe('422 invalid-request');
    expect(await codeOf(await api.get('/api/v1/runs/run_unknown/events'))).toBe('404 not-found');
  });
});

describe('what a run leaves', () => {
  it('has metrics, artifacts and lineage', async () => {
    const { run } = await promote(api, 'four', classification);
    await logMetrics(api.database.db, [
      { run, name: 'loss', candidate: 0, step: 1, value: 0.5 },
      { run, name: 'loss', candidate: 0, step: 2, value: NaN },
    ]);
    const metrics = await jsonOf<{ items: unknown[] }>(await api.get(`/api/v1/runs/${run}/metrics?name=loss`));
    expect(metrics.items).toMatchObject([
      { step: 1, value: 0.5 },
      { step: 2, value: null },
    ]);
    const lineage = await jsonOf(await api.get(`/api/v1/runs/${run}/lineage`));
    expect(lineage).toMatchObject({ run, datasets: [{ version: 1, rows: 100, annotators: ['kim'] }] });
    const artifacts = await jsonOf<{ items: { url: string }[] }>(await api.get(`/api/v1/runs/${run}/artifacts`));
    expect(artifacts.items.length).toBeGreaterThan(0);
    for (const { url } of artifacts.items) expect((await api.get(url)).status).toBe(200);
  });
});

describe('POST /runs/{id}/cancel', () => {
  it('tells the workflow, again when it is not there yet, and refuses a run that is over', async () => {
    const run = await openRun(api, 'three');
    api.decisions.cancelFails = 2;
    const key = { 'idempotency-key': 'end-it' };
    const answer = await api.post(`/api/v1/runs/${run}/cancel`, {}, key);
    expect(answer.status).toBe(202);
    expect(api.decisions.cancelled).toEqual(['run/default/three/2']);
    await endRun(api, run);
    expect(await jsonOf(await api.post(`/api/v1/runs/${run}/cancel`, {}, key))).toEqual(await jsonOf(answer));
    expect(await codeOf(await api.post(`/api/v1/runs/${run}/cancel`, {}))).toBe('409 run-ended');
    expect(await codeOf(await api.post('/api/v1/runs/run_unknown/cancel', {}))).toBe('404 not-found');
  });

  it('promises nothing that it could not pass on', async () => {
    const run = await openRun(api, 'three');
    api.decisions.cancelFails = 1_000;
    const answer = await api.post(`/api/v1/runs/${run}/cancel`);
    expect(answer.headers.get('retry-after')).toBe('2');
    expect(await codeOf(answer)).toBe('503 unavailable');
    api.decisions.cancelFails = 0;
  });
});
