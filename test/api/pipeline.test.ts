// Pipelines over HTTP: created once, changed by version, refused with every fault, paused, and runs opened.
import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { codeOf, digits, jsonOf, problemOf, testApi, type TestApi } from './support.js';

let api: TestApi;
beforeAll(async () => {
  api = await testApi();
});
afterAll(() => api.close());

async function count(table: string): Promise<number> {
  const found = await api.database.db.execute(sql.raw(`select count(*)::int as n from ${table}`));
  return (found.rows[0] as { n: number }).n;
}

describe('POST /pipelines', () => {
  it('creates, repeats and changes', async () => {
    const made = await api.post('/api/v1/pipelines', digits);
    expect(made.status).toBe(201);
    expect(await jsonOf(made)).toEqual({
      name: 'digits',
      version: 1,
      loop: { workflowId: 'loop/default/digits' },
      temporalUrl: 'http://127.0.0.1:8233/namespaces/perennial/workflows/loop%2Fdefault%2Fdigits',
    });
    expect(api.kicks()).toBe(1);
    const same = await api.post('/api/v1/pipelines', digits);
    expect([same.status, (await jsonOf(same))['version']]).toEqual([200, 1]);
    const changed = await api.post('/api/v1/pipelines', { ...digits, gate: { metric: 'accuracy', min: 0.9 } });
    expect([changed.status, (await jsonOf(changed))['version']]).toEqual([201, 2]);
    expect(await count('run')).toBe(0);
  });

  it('takes YAML', async () => {
    const body = [
      'name: yaml',
      'dataset: { name: yaml, key: id, label: label, task: regression }',
      'trainer: { type: linear }',
      'gate: { metric: rmse, max: 3 }',
    ].join('\n');
    const headers = { 'content-type': 'application/yaml' };
    const made = await api.app.request('/api/v1/pipelines', { method: 'POST', body, headers });
    expect(made.status).toBe(201);
    const broken = await api.app.request('/api/v1/pipelines', { method: 'POST', body: 'a: [1', headers });
    expect(await codeOf(broken)).toBe('422 invalid-request');
  });

  it('names every fault with its path', async () => {
    const bad = { ...digits, name: 'Bad Name', gate: { metric: 'acuracy', min: 0.85 }, trainer: { type: 'linea' } };
    const problem = await problemOf(await api.post('/api/v1/pipelines', bad));
    expect([problem.status, problem.type]).toEqual([422, '/problems/invalid-pipeline']);
    const paths = problem.errors.map(({ path }) => path);
    for (const path of ['name', 'gate.metric', 'trainer.type']) expect(paths).toContain(path);
    expect(problem.errors.find(({ path }) => path === 'gate.metric')?.message).toContain('accuracy');
  });

  it('gives two at once the same version', async () => {
    const body = { ...digits, name: 'race', dataset: { ...digits.dataset, name: 'race' } };
    const answers = await Promise.all(Array.from({ length: 6 }, () => api.post('/api/v1/pipelines', body)));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 200, 200, 200, 200, 201]);
  });
});

describe('reading and pausing', () => {
  it('lists in pages', async () => {
    const first = await jsonOf<{ items: { name: string }[]; nextCursor: string }>(
      await api.get('/api/v1/pipelines?limit=1'),
    );
    expect(first.items.map(({ name }) => name)).toEqual(['digits']);
    const cursor = encodeURIComponent(first.nextCursor);
    const rest = await jsonOf<{ items: { name: string }[]; nextCursor: null }>(
      await api.get(`/api/v1/pipelines?limit=200&cursor=${cursor}`),
    );
    expect(rest.items.map(({ name }) => name)).toEqual(['race', 'yaml']);
    expect(rest.nextCursor).toBeNull();
  });

  it('shows one, 404 for others', async () => {
    const view = await jsonOf(await api.get('/api/v1/pipelines/digits'));
    expect(view).toMatchObject({ name: 'digits', version: 2, paused: false, liveRun: null, champion: null });
    expect(await codeOf(await api.get('/api/v1/pipelines/nobody'))).toBe('404 not-found');
    expect(await codeOf(await api.get('/api/v1/pipelines/..%2f..%2fetc%2fpasswd'))).toBe('404 not-found');
    expect(await codeOf(await api.get('/api/v1/pipelines/a%00b'))).toBe('404 not-found');
  });

  it('pauses and resumes', async () => {
    expect(await jsonOf(await api.post('/api/v1/pipelines/digits/pause'))).toEqual({ name: 'digits', paused: true });
    expect(await jsonOf(await api.post('/api/v1/pipelines/digits/pause', {}))).toEqual({
      name: 'digits',
      paused: true,
    });
    expect(await jsonOf(await api.post('/api/v1/pipelines/digits/resume'))).toEqual({ name: 'digits', paused: false });
    expect(await codeOf(await api.post('/api/v1/pipelines/nobody/pause'))).toBe('404 not-found');
  });
});

describe('POST /pipelines/{name}/runs', () => {
  it('opens a run, refuses a second, and keeps a key', async () => {
    const headers = { 'idempotency-key': 'first' };
    const body = { trigger: 'manual', overrides: { 'trainer.params.epochs': 20 } };
    const both = await Promise.all([
      api.post('/api/v1/pipelines/digits/runs', body, headers),
      api.post('/api/v1/pipelines/digits/runs', body, headers),
    ]);
    const [a, b] = await Promise.all(both.map((answer) => jsonOf(answer)));
    expect(both.map(({ status }) => status)).toEqual([202, 202]);
    expect(a).toEqual(b);
    expect(a).toMatchObject({ number: 1, workflowId: 'run/default/digits/1' });
    const second = await problemOf(await api.post('/api/v1/pipelines/digits/runs', {}));
    expect(second).toMatchObject({ status: 409, type: '/problems/run-live', run: a?.['id'] });
    const other = await api.post('/api/v1/pipelines/digits/runs', { overrides: {} }, headers);
    expect(await codeOf(other)).toBe('422 idempotency-key-reused');
    expect(await count('run')).toBe(1);
  });

  it('refuses what does not fit', async () => {
    const post = (body: unknown) => api.post('/api/v1/pipelines/yaml/runs', body);
    expect(await codeOf(await post({ overrides: { 'trainer.params.epoks': 1 } }))).toBe('422 invalid-request');
    expect(await codeOf(await post({ trigger: 'schedule' }))).toBe('422 invalid-request');
    expect(await codeOf(await post([1]))).toBe('422 invalid-request');
    expect(await codeOf(await api.post('/api/v1/pipelines/nobody/runs', {}))).toBe('404 not-found');
    const key = { 'idempotency-key': 'x'.repeat(201) };
    expect(await codeOf(await api.post('/api/v1/pipelines/yaml/runs', {}, key))).toBe('422 invalid-request');
  });
});
