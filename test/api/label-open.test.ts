// Batches of one's own over HTTP: what a request may say, and what it is told where it is wrong.
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { addDatasetVersion, datasetOf } from '../../db/dataset.js';
import { mediaTypes } from '../../domain/artifact.js';
import { createPipeline, digestOf, endRun, openRun } from './facts.js';
import { codeOf, jsonOf, problemOf, testApi, type TestApi } from './support.js';

let api: TestApi;
beforeAll(async () => {
  api = await testApi();
  await createPipeline(api, 'words');
  await createPipeline(api, 'prices', 'regression');
});
afterAll(() => api.close());

const path = '/api/v1/label-batches';
const task = (key: string, more: object = {}) => ({ key, item: { text: `text of ${key}` }, ...more });
const request = (more: object = {}) => ({ dataset: 'words', tasks: [task('one'), task('two')], ...more });

async function batches(): Promise<number> {
  return (await jsonOf<{ items: unknown[] }>(await api.get(`${path}?limit=200`))).items.length;
}

async function faultsOf(body: object): Promise<string[]> {
  const before = await batches();
  const problem = await problemOf(await api.post(path, body));
  expect(problem.status).toBe(422);
  expect(await batches()).toBe(before);
  return problem.errors.map((fault) => fault.path);
}

it('opens a batch with a policy, once per key, and lends its tasks', async () => {
  const body = request({
    classes: ['no', 'yes'],
    deadline: '2 days',
    annotators: { min: 1, max: 3 },
    review: { share: 0.5 },
    instructions: 'Read it whole.',
    tasks: [
      task('one', { suggestion: { label: 'yes', confidence: 0.7 } }),
      task('two', { suggestion: { label: 'no' } }),
    ],
  });
  const key = { 'idempotency-key': 'open-1' };
  const made = await api.post(path, body, key);
  expect(made.status).toBe(201);
  const batch = await jsonOf<{ id: string }>(made);
  expect(batch).toMatchObject({
    ...{ run: null, dataset: 'words', status: 'open', kind: 'single', classes: ['no', 'yes'] },
    counts: { tasks: 2 },
    policy: { overlap: { min: 1, max: 3 }, review: { share: 0.5 }, instructions: 'Read it whole.' },
  });
  expect(await jsonOf(await api.post(path, body, key))).toEqual(batch);
  expect(await codeOf(await api.post(path, request(), key))).toBe('422 idempotency-key-reused');
  const leased = await api.post(`${path}/${batch.id}/lease`, { labeler: 'kim', count: 5 });
  expect((await jsonOf<{ tasks: object[] }>(leased)).tasks).toMatchObject([
    { item: { text: 'text of one' }, suggestion: { label: 'yes', confidence: 0.7 } },
    { suggestion: { label: 'no', confidence: null } },
  ]);
});

it('takes the kind from the dataset, and other kinds with their classes', async () => {
  expect(await jsonOf(await api.post(path, request({ dataset: 'prices' })))).toMatchObject({ kind: 'number' });
  const spans = [task('s', { gold: [{ start: 0, end: 4, label: 'noun' }] }), task('t')];
  const made = await api.post(path, request({ kind: 'span', classes: ['noun'], tasks: spans }));
  expect(await jsonOf(made)).toMatchObject({ kind: 'span', counts: { tasks: 1 } });
  expect(await jsonOf(await api.post(path, request({ kind: 'preference' })))).toMatchObject({ classes: null });
});

/** A version whose labels are these. */
async function versionOf(name: string, labels: string[]): Promise<void> {
  await createPipeline(api, name);
  const run = await openRun(api, name);
  const { db } = api.database;
  const file = join(tmpdir(), `${digestOf(name).slice(7, 27)}-${process.pid}.parquet`);
  const values = labels.map((label, n) => `('${n}', '${label}')`).join(', ');
  await api.deps.duck.query(`COPY (SELECT * FROM (VALUES ${values}) t(id, label)) TO '${file}' (FORMAT parquet)`);
  const { digest } = await api.deps.artifacts.putFile(file, mediaTypes.parquet);
  await rm(file, { force: true });
  const dataset = await datasetOf(db, 'default', name);
  await addDatasetVersion(db, {
    ...{ dataset: dataset.id, digest: digestOf(`of ${name}`), rows: labels.length, run },
    ...{ files: [{ digest, rows: labels.length }], watermark: { ingest: 0, files: [] }, parents: [], profile: null },
    schema: { key: 'id', label: 'label', task: 'classification', columns: [] },
    ...{ quarantine: null, quarantined: 0, annotators: [], autoBatches: [] },
    labelCounts: { given: labels.length, human: 0, truth: 0, auto: 0, pseudo: 0 },
  });
  await endRun(api, run);
}

it('knows the classes of the dataset: others only where they are meant', async () => {
  await versionOf('mails', ['billing', 'bug', 'praise']);
  const mails = (more: object = {}) => request({ dataset: 'mails', ...more });
  const problem = await problemOf(await api.post(path, mails({ classes: ['billing', 'spam', 'prase'] })));
  expect(problem.errors).toMatchObject([
    { path: 'classes[1]', message: expect.stringContaining('found "spam"') as string },
    { path: 'classes[2]', message: expect.stringContaining('did you mean "praise"?') as string },
  ]);
  expect(await jsonOf(await api.post(path, mails()))).toMatchObject({ classes: ['billing', 'bug', 'praise'] });
  const meant = mails({ classes: ['billing', 'spam'], newClasses: true });
  expect(await jsonOf(await api.post(path, meant))).toMatchObject({ classes: ['billing', 'spam'] });
  const file = (label: string) =>
    api.app.request(`${path}/import?format=jsonl&dataset=mails`, {
      method: 'POST',
      body: JSON.stringify({ key: 'k', item: {}, answers: [{ annotator: 'kim', label }] }),
    });
  expect((await problemOf(await file('spam'))).errors).toMatchObject([{ path: 'settings.classes' }]);
  expect(await jsonOf(await file('bug'))).toMatchObject({ classes: ['billing', 'bug', 'praise'] });
});

it('asks the gold that it is given, beside tasks that are to be asked', async () => {
  const tasks = [task('g', { gold: 'yes' }), ...Array.from({ length: 20 }, (_, n) => task(`k${n}`))];
  expect(await jsonOf(await api.post(path, request({ tasks })))).toMatchObject({ policy: { gold: { share: 0.1 } } });
  expect(await jsonOf(await api.post(path, request({ tasks, gold: { share: 0.2 } })))).toMatchObject({
    policy: { gold: { share: 0.2 } },
  });
  expect(await faultsOf(request({ gold: { share: 0.2 } }))).toEqual(['gold.share']);
  expect(await faultsOf(request({ classes: ['yes', 'Yes ', ' ', 'no'] }))).toEqual(['classes[2]', 'classes[1]']);
});

it('names every fault and keeps nothing', async () => {
  expect(await codeOf(await api.post(path, request({ dataset: 'nowhere' })))).toBe('404 not-found');
  expect(await faultsOf(request({ tasks: [] }))).toEqual(['tasks']);
  const many = Array.from({ length: 10_001 }, (_, n) => task(`k${n}`));
  expect(await faultsOf(request({ tasks: many }))).toEqual(['tasks']);
  expect(await faultsOf(request({ tasks: [task('one'), task('two'), task('one')] }))).toEqual(['tasks[2].key']);
  expect(await faultsOf(request({ kind: 'box' }))).toEqual(['classes']);
  expect(await faultsOf(request({ kind: 'number' }))).toEqual(['kind']);
  expect(await faultsOf(request({ dataset: 'prices', classes: ['a'] }))).toEqual(['classes']);
  expect(await faultsOf(request({ deadline: 'soon', annotators: 0, shapes: [] }))).toEqual([
    'shapes',
    'deadline',
    'annotators',
  ]);
  const wrong = [
    task('one', { gold: 'maybe' }),
    { key: '', item: 'text' },
    task('three', { suggestion: { label: 'maybe', confidence: 2 } }),
    7,
  ];
  expect(await faultsOf(request({ classes: ['no', 'yes'], tasks: wrong }))).toEqual([
    ...['tasks[0].gold', 'tasks[1].key', 'tasks[1].item'],
    ...['tasks[2].suggestion.label', 'tasks[2].suggestion.confidence', 'tasks[3]'],
  ]);
  const gold = [task('one', { gold: 'yes' })];
  expect(await faultsOf(request({ tasks: gold }))).toEqual(['tasks']);
  const span = task('one', { gold: [{ start: 0, end: 99, label: 'a' }] });
  expect(await faultsOf(request({ kind: 'span', classes: ['a'], tasks: [span, task('two')] }))).toEqual([
    'tasks[0].gold',
  ]);
});
