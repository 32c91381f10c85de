// The registry and the champion's answers: versions, bytes, rollback, predictions, the inference protocol.
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { referArtifact } from '../../db/artifact.js';
import { datasetOf } from '../../db/dataset.js';
import { rollback } from '../../db/model.js';
import { mediaTypes } from '../../domain/artifact.js';
import { trainerTypes } from '../../domain/model.js';
import { classification, createPipeline, promote } from './facts.js';
import { codeOf, jsonOf, problemOf, testApi, type TestApi } from './support.js';

let api: TestApi;
let runs: string[];
beforeAll(async () => {
  api = await testApi();
  await createPipeline(api, 'digits');
  await createPipeline(api, 'young');
  await createPipeline(api, 'price', 'regression');
  runs = [(await promote(api, 'digits', classification)).run, (await promote(api, 'digits', classification)).run];
  await promote(api, 'price', { num: [{ column: 'a', part: null }], cat: [], task: 'regression', classes: [] });
});
afterAll(() => api.close());

const row = { a: 1, b: null, color: 'red', id: 'k1', label: 'no' };
const predict = (rows: unknown, model = 'digits') => api.post(`/api/v1/models/${model}/predict`, { rows });

it('lists the trainers with the JSON Schema of their parameters', async () => {
  const answer = await jsonOf(await api.get('/api/v1/trainers'));
  const { items, nextCursor } = answer as { items: { type: string }[]; nextCursor: null };
  expect(items.map(({ type }) => type)).toEqual([...trainerTypes, 'command']);
  expect(nextCursor).toBe(null);
  expect(items).toContainEqual({
    type: 'mlp',
    parameters: expect.objectContaining({
      type: 'object',
      additionalProperties: false,
      properties: expect.objectContaining({ dropout: expect.objectContaining({ type: 'number', default: 0 }) }),
    }),
  });
});

describe('the registry', () => {
  it('shows models, versions, aliases and history', async () => {
    const model = await jsonOf(await api.get('/api/v1/models/digits'));
    expect(model).toMatchObject({
      name: 'digits',
      aliases: { champion: 2 },
      versions: [{ version: 2 }, { version: 1 }],
    });
    expect(await jsonOf(await api.get('/api/v1/models'))).toMatchObject({
      items: [{ name: 'digits' }, { name: 'price' }, { name: 'young' }],
    });
    expect(await jsonOf(await api.get('/api/v1/models/digits/versions'))).toMatchObject({
      items: [{ version: 2 }, { version: 1 }],
    });
    expect(await jsonOf(await api.get('/api/v1/models/digits/aliases'))).toEqual({ aliases: { champion: 2 } });
    const version = await jsonOf(await api.get('/api/v1/models/digits/versions/1'));
    expect(version).toMatchObject({
      version: 1,
      run: runs[0],
      metrics: { accuracy: 0.9 },
      lineage: { labelCounts: { human: 10 } },
    });
    const history = await jsonOf(await api.get('/api/v1/models/digits/history'));
    expect(history).toMatchObject({
      items: [
        { from: 1, to: 2 },
        { from: null, to: 1 },
      ],
    });
    for (const path of ['/none', '/none/history', '/digits/versions/9', '/digits/versions/x', '/digits/versions/0']) {
      expect(await codeOf(await api.get(`/api/v1/models${path}`))).toBe('404 not-found');
    }
  });

  it('gives the bytes under their sha256', async () => {
    const path = '/api/v1/models/digits/versions/1/artifacts/model.onnx';
    const answer = await api.get(path);
    const bytes = Buffer.from(await answer.arrayBuffer());
    const hex = createHash('sha256').update(bytes).digest('hex');
    const etag = answer.headers.get('etag') ?? '';
    expect(etag).toBe(`"sha256:${hex}"`);
    expect(answer.headers.get('content-disposition')).toBe('attachment; filename="model.onnx"');
    expect((await api.get(path, { 'if-none-match': etag })).status).toBe(304);
    expect((await api.get(path, { 'if-none-match': '"sha256:0"' })).status).toBe(200);
    const direct = await api.get(`/api/v1/artifacts/sha256:${hex}`);
    expect(Buffer.from(await direct.arrayBuffer()).equals(bytes)).toBe(true);
    expect((await api.get(`/api/v1/artifacts/${hex}`)).headers.get('x-content-type-options')).toBe('nosniff');
    expect((await api.app.request(path, { method: 'HEAD' })).headers.get('content-length')).toBe(String(bytes.length));
    expect(await codeOf(await api.get(`/api/v1/artifacts/${'0'.repeat(64)}`))).toBe('404 not-found');
    expect(await codeOf(await api.get('/api/v1/models/digits/versions/1/artifacts/other.onnx'))).toBe('404 not-found');
    expect(await codeOf(await api.get('/api/v1/models/digits/versions/1/artifacts/..%2f..%2fetc'))).toBe(
      '404 not-found',
    );
  });

  it('shows a report in a cage', async () => {
    const page = await api.deps.artifacts.putBytes(Buffer.from('<img src=x onerror=alert(1)>'), mediaTypes.html);
    expect(await codeOf(await api.get(`/api/v1/artifacts/${page.digest}`))).toBe('404 not-found');
    const dataset = await datasetOf(api.database.db, 'default', 'digits');
    const owner = `dataset:${dataset.id}/1`;
    await referArtifact(api.database.db, { digest: page.digest, owner, role: 'report' });
    const answer = await api.get(`/api/v1/artifacts/${page.digest}`);
    expect(answer.headers.get('content-security-policy')).toBe(
      "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox",
    );
  });

  it('goes back', async () => {
    const back = (body: object, headers = {}) => api.post('/api/v1/models/digits/rollback', body, headers);
    expect(await codeOf(await back({ reason: 'bad' }))).toBe('422 invalid-request');
    const key = { 'idempotency-key': 'back' };
    const both = await Promise.all([back({ by: 'kim', reason: 'bad' }, key), back({ by: 'kim', reason: 'bad' }, key)]);
    for (const answer of both) expect([answer.status, await jsonOf(answer)]).toEqual([200, { champion: 1 }]);
    // one person's key is no other's decision, though it reads the same
    const lees = { project: 'default', model: 'digits', to: 2, by: 'lee', verified: false, reason: null };
    await rollback(api.database.db, { ...lees, decisionId: 'shared' });
    const kims = await back({ by: 'kim' }, { 'idempotency-key': 'shared' });
    expect(await jsonOf(kims)).toEqual({ champion: 1 });
    expect(await codeOf(await back({ by: 'kim' }))).toBe('409 nothing-to-roll-back-to');
    expect(await codeOf(await back({ by: 'kim', version: 99 }))).toBe('409 nothing-to-roll-back-to');
    expect(await codeOf(await api.post('/api/v1/models/young/rollback', { by: 'kim' }))).toBe(
      '409 nothing-to-roll-back-to',
    );
    expect(await codeOf(await api.post('/api/v1/models/none/rollback', { by: 'kim' }))).toBe('404 not-found');
    expect(await jsonOf(await predict([row]))).toMatchObject({ modelVersion: 1 });
  });
});

describe('predict', () => {
  it('answers in the order of the rows', async () => {
    const { predictions } = await jsonOf<{ predictions: { id: string }[] }>(await predict([row, { ...row, a: 2 }]));
    expect(predictions).toMatchObject([
      { label: 'no', probabilities: { no: 1, yes: 0 } },
      { label: 'no', probabilities: { no: 1, yes: 0 } },
    ]);
    expect(new Set(predictions.map(({ id }) => id)).size).toBe(2);
    expect(predictions[0]?.id).toMatch(/^pred_/);
    const { inputs } = api.scorer.asked.at(-1)!;
    expect([inputs.rows, [...inputs.num], inputs.cat]).toEqual([2, [1, NaN, 2, NaN], ['red', 'red']]);
    expect(await jsonOf(await predict([{ a: 4 }], 'price'))).toMatchObject({
      modelVersion: 1,
      predictions: [{ value: 1.5 }],
    });
    expect(await jsonOf(await predict([]))).toMatchObject({ predictions: [] });
  });

  it('refuses what is no row of this model', async () => {
    const missing = await problemOf(await predict([row, { a: 1, color: 'red' }]));
    expect([missing.status, missing.errors.map(({ path }) => path)]).toEqual([422, ['rows[1].b']]);
    expect(await codeOf(await predict([{ ...row, a: 'NaN' }]))).toBe('422 invalid-request');
    expect(await codeOf(await predict([{ ...row, a: '0x10' }]))).toBe('422 invalid-request');
    expect(await codeOf(await predict([1]))).toBe('422 invalid-request');
    expect(await codeOf(await predict('rows'))).toBe('422 invalid-request');
    expect(await codeOf(await api.post('/api/v1/models/digits/predict', {}))).toBe('422 invalid-request');
    expect(await codeOf(await predict(Array(10_001).fill(row)))).toBe('413 too-large');
  });

  it('knows no model and no champion', async () => {
    expect(await codeOf(await predict([row], 'none'))).toBe('404 not-found');
    expect(await codeOf(await predict([row], 'young'))).toBe('409 no-champion');
  });

  it('passes on no answer that is not a number', async () => {
    const before = api.scorer.answer;
    api.scorer.answer = (inputs) => ({
      label: Array(inputs.rows).fill('no'),
      probabilities: new Float32Array([NaN, 1]),
    });
    expect(await codeOf(await predict([row]))).toBe('422 model-invalid');
    api.scorer.answer = before;
  });

  it('counts predictions', async () => {
    expect(await (await api.get('/metrics')).text()).toMatch(
      /perennial_predictions_total\{model="price",version="1"\} 1/,
    );
  });
});

describe('the inference protocol', () => {
  const infer = (body: object, model = 'digits') => api.post(`/v2/models/${model}/infer`, body);
  const num = { name: 'num', datatype: 'FP32', shape: [2, 2], data: [1, 2, [3, null]] };
  const cat = { name: 'cat', datatype: 'BYTES', shape: [2, 1], data: ['red', 'blue'] };

  it('describes server and model', async () => {
    expect(await jsonOf(await api.get('/v2'))).toMatchObject({ name: 'perennial' });
    expect(await jsonOf(await api.get('/v2/health/live'))).toEqual({ live: true });
    expect(await jsonOf(await api.get('/v2/health/ready'))).toEqual({ live: true, ready: true });
    expect(await jsonOf(await api.get('/v2/models/digits'))).toMatchObject({
      name: 'digits',
      platform: 'onnx_onnxv1',
      inputs: [
        { name: 'num', datatype: 'FP32', shape: [-1, 2] },
        { name: 'cat', datatype: 'BYTES', shape: [-1, 1] },
      ],
      outputs: [{ name: 'label' }, { name: 'probabilities', shape: [-1, 2] }],
    });
    expect(await jsonOf(await api.get('/v2/models/digits/ready'))).toEqual({ name: 'digits', ready: true });
    expect((await api.get('/v2/models/young/ready')).status).toBe(503);
    expect(await codeOf(await api.get('/v2/models/none/ready'))).toBe('404 not-found');
  });

  it('takes whole tensors and one per column', async () => {
    const answer = await jsonOf(await infer({ id: 'x', inputs: [num, cat] }));
    expect(answer).toMatchObject({
      model_name: 'digits',
      id: 'x',
      outputs: [
        { name: 'label', datatype: 'BYTES', shape: [2], data: ['no', 'no'] },
        { name: 'probabilities', datatype: 'FP32', shape: [2, 2], data: [1, 0, 1, 0] },
      ],
    });
    const whole = api.scorer.asked.at(-1)!.inputs;
    const column = (name: string, datatype: string, data: unknown[]) => ({ name, datatype, shape: [2], data });
    await infer({
      inputs: [column('color', 'BYTES', ['red', 'blue']), column('b', 'FP64', [2, null]), column('a', 'INT64', [1, 3])],
    });
    expect(api.scorer.asked.at(-1)!.inputs).toEqual(whole);
    const named = await jsonOf<{ outputs: unknown[] }>(
      await infer({ inputs: [num, cat], outputs: [{ name: 'label' }] }),
    );
    expect(named.outputs).toHaveLength(1);
  });

  it.each([
    ['another shape', [{ ...num, shape: [2, 3] }, cat]],
    ['fewer elements', [{ ...num, data: [1] }, cat]],
    ['another type', [{ ...num, datatype: 'FP64' }, cat]],
    ['texts for numbers', [{ ...num, data: ['1', '2', '3', '4'] }, cat]],
    ['one input missing', [num]],
    ['one input twice', [num, num, cat]],
    ['different rows', [num, { ...cat, shape: [1, 1], data: ['red'] }]],
    ['an unknown input', [{ name: 'x', datatype: 'FP32', shape: [1], data: [1] }]],
    ['no input', []],
  ])('refuses %s with the word that its clients read', async (_, inputs) => {
    const problem = await problemOf(await infer({ inputs }));
    expect([problem.status, problem.type]).toEqual([422, '/problems/invalid-request']);
    expect(typeof problem['error']).toBe('string');
  });

  it('refuses an unknown output, model, and a model without champion', async () => {
    expect(await codeOf(await infer({ inputs: [num, cat], outputs: [{ name: 'x' }] }))).toBe('422 invalid-request');
    expect(await codeOf(await infer({ inputs: [num, cat] }, 'none'))).toBe('404 not-found');
    expect(await codeOf(await infer({ inputs: [num, cat] }, 'young'))).toBe('409 no-champion');
  });
});
