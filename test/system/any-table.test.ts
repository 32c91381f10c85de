// From rows of any table to a served champion, and one truth in three places: `predict`, the inference protocol and the
// ONNX file itself give the same numbers, bit for bit.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { partOf } from '../../activities/dataset/split.js';
import { projectRoot } from '../../adapters/paths.js';
import { toModelInputs } from '../../domain/signature.js';
import type { ModelInputs, Signature } from '../../domain/model.js';
import type { Played, Prediction } from '../../examples/01-iris/play.js';
import { flowers, run as runIris } from '../../examples/01-iris/run.js';
import { run as runMixed, visits } from '../../examples/02-mixed-table/run.js';
import { houses, run as runHouses } from '../../examples/03-regression/run.js';
import { parcels, run as runParcels } from '../../examples/04-trees/run.js';
import { machines, run as runMachines } from '../../examples/05-mlp/run.js';
import { messages, run as runMessages } from '../../examples/08-text/run.js';
import { images, run as runImages } from '../../examples/10-cnn/run.js';
import { Api } from '../../examples/digits/client.js';
import { must } from '../support/person.js';
import { startTestSystem, type TestSystem } from '../support/system.js';
import { problem, type Row } from './support.js';

let system: TestSystem;
let api: Api;

beforeAll(async () => {
  system = await startTestSystem();
  api = new Api(system.url);
});
afterAll(() => system?.stop());

const shares = { holdout: 0.3, validation: 0.1 };

/** RFC 4180, enough for the files of the examples. */
function parseCsv(text: string): Row[] {
  const cells = [...text.matchAll(/(?:"((?:[^"]|"")*)"|([^,\n]*))([,\n])/g)];
  const lines: (string | null)[][] = [[]];
  for (const [, quoted, plain, end] of cells) {
    lines.at(-1)?.push(quoted?.replaceAll('""', '"') ?? (plain === '' ? null : (plain ?? null)));
    if (end === '\n') lines.push([]);
  }
  const [header = [], ...rest] = lines.filter((line) => line.length > 1);
  return rest.map((line) => Object.fromEntries(header.map((name, i) => [name ?? '', line[i] ?? null])));
}

async function tableOf(path: string): Promise<Row[]> {
  return parseCsv(await readFile(join(projectRoot, 'examples', path), 'utf8'));
}

interface Served {
  session: InferenceSession;
  signature: Signature;
}

async function load(name: string, version: number): Promise<Served> {
  const files = `/api/v1/models/${name}/versions/${version}/artifacts`;
  const { bytes, etag } = await api.file(`${files}/model.onnx`);
  expect(etag).toMatch(/^"sha256:[0-9a-f]{64}"$/);
  const signature = JSON.parse(await api.text(`${files}/signature.json`)) as Signature;
  return { session: await InferenceSession.create(bytes), signature };
}

async function direct({ session, signature }: Served, asked: Row[]) {
  const taken = toModelInputs(signature, asked);
  if ('faults' in taken) throw new Error(JSON.stringify(taken.faults));
  const answer = await session.run(feeds(signature, taken.inputs));
  const numbers = (name: string) => answer[name]?.data as Float32Array | undefined;
  return {
    label: answer['label']?.data as string[] | undefined,
    probabilities: numbers('probabilities'),
    value: numbers('value'),
  };
}

function feeds({ num, cat, text = [] }: Signature, inputs: ModelInputs): Record<string, Tensor> {
  return {
    ...(num.length > 0 && { num: new Tensor('float32', inputs.num, [inputs.rows, num.length]) }),
    ...(cat.length > 0 && { cat: new Tensor('string', inputs.cat, [inputs.rows, cat.length]) }),
    ...(text.length > 0 && { text: new Tensor('string', inputs.text ?? [], [inputs.rows, text.length]) }),
  };
}

async function infer(name: string, signature: Signature, asked: Row[]): Promise<Record<string, unknown[]>> {
  const taken = toModelInputs(signature, asked);
  if ('faults' in taken) throw new Error(JSON.stringify(taken.faults));
  const { num, cat, text = [], rows } = taken.inputs;
  const nullable = Array.from(num, (value) => (Number.isNaN(value) ? null : value));
  const tensors = [
    { name: 'num', datatype: 'FP32', shape: [rows, signature.num.length], data: nullable },
    { name: 'cat', datatype: 'BYTES', shape: [rows, signature.cat.length], data: cat },
    { name: 'text', datatype: 'BYTES', shape: [rows, signature.text?.length ?? 0], data: text },
  ].filter(({ shape }) => shape[1] !== 0);
  const path = `/v2/models/${name}/infer`;
  const { outputs } = await must<{ outputs: { name: string; data: unknown[] }[] }>(system, 'POST', path, {
    inputs: tensors,
  });
  return Object.fromEntries(outputs.map((output) => [output.name, output.data]));
}

/** `predict`, infer and the file: the same labels, the same float32 numbers. */
async function expectOneTruth(played: Played, asked: Row[]): Promise<void> {
  const served = await load(played.pipeline, played.champion);
  const { classes, task } = served.signature;
  const { label, probabilities, value } = await direct(served, asked);
  const inferred = await infer(played.pipeline, served.signature, asked);
  const { predictions } = played;
  expect(new Set(predictions.map(({ id }) => id)).size).toBe(asked.length);
  for (const { id } of predictions) expect(id).toMatch(/^pred_/);
  if (task === 'regression') {
    expect(predictions.map((one) => one.value)).toEqual(Array.from(value ?? []));
    expect(inferred['value']).toEqual(Array.from(value ?? []));
    return;
  }
  const flat = predictions.flatMap((one) => classes.map((name) => one.probabilities?.[name]));
  expect(flat).toEqual(Array.from(probabilities ?? []));
  expect(inferred['probabilities']).toEqual(Array.from(probabilities ?? []));
  expect(predictions.map((one) => one.label)).toEqual(label);
  expect(inferred['label']).toEqual(label);
}

/** The downloaded file on the holdout rows gives the very figures of the evaluation. */
async function expectSameHoldout(played: Played, table: Row[], key: string, label: string, seed = 3): Promise<void> {
  const holdout = table.filter((row) => partOf(seed, String(row[key]), shares) === 'holdout');
  const served = await load(played.pipeline, played.champion);
  const answers = await direct(served, holdout);
  const { metrics } = played.run;
  const evaluation = JSON.parse(await api.text(`/api/v1/artifacts/${played.run.evaluation}`)) as { n: number };
  expect(evaluation.n).toBe(holdout.length);
  if (served.signature.task === 'regression') {
    const errors = holdout.map((row, i) => (answers.value?.[i] ?? NaN) - Number(row[label]));
    const rmse = Math.sqrt(errors.reduce((sum, error) => sum + error * error, 0) / errors.length);
    expect(rmse).toBeCloseTo(metrics['rmse'] ?? NaN, 5);
    return;
  }
  const right = holdout.filter((row, i) => row[label] === answers.label?.[i]).length;
  expect(right / holdout.length).toBe(metrics['accuracy']);
}

test('iris: rows to champion, nobody asked', async () => {
  const played = await runIris(api);
  expect(played.champion).toBe(1);
  expect(played.run.steps.map(({ name, status }) => [name, status])).toEqual([
    ['extract', 'succeeded'],
    ['profile', 'succeeded'],
    ['validate', 'succeeded'],
    ['split', 'succeeded'],
    ['label', 'skipped'],
    ['featurize', 'succeeded'],
    ['train', 'succeeded'],
    ['package', 'succeeded'],
    ['evaluate', 'succeeded'],
    ['register', 'succeeded'],
    ['approve', 'skipped'],
    ['release', 'succeeded'],
  ]);
  expect(played.run.verdict?.passed).toBe(true);
  expect(played.predictions.map(({ label }) => label)).toEqual(['0', '2']);
  await expectOneTruth(played, flowers);
  await expectSameHoldout(played, await tableOf('iris/iris.csv'), 'id', 'label');
});

test('a table of texts, dates, missing cells and any script', async () => {
  const played = await runMixed(api);
  await expectOneTruth(played, visits);
  const table = await tableOf('02-mixed-table/rows.csv');
  expect(table).toHaveLength(240);
  await expectSameHoldout(played, table, 'номер', 'Antwort');
  const labels = Object.keys(played.predictions[0]?.probabilities ?? {}).sort();
  expect(labels).toEqual(['はい', 'nein, danke', 'oui "peut-être"'].sort());
});

test('rows are answered in their order, whatever the order of columns; an absent column is named', async () => {
  const path = '/api/v1/models/mixed-table/predict';
  const table = (await tableOf('02-mixed-table/rows.csv')).slice(0, 50);
  const ask = async (rows: Row[]) =>
    (await must<{ predictions: Prediction[] }>(system, 'POST', path, { rows })).predictions;
  const shown = (predictions: Prediction[]) =>
    predictions.map(({ label, probabilities }) => ({ label, probabilities }));
  const straight = shown(await ask(table));
  expect(shown(await ask([...table].reverse()))).toEqual([...straight].reverse());
  const turned = table.map((row) => Object.fromEntries(Object.entries(row).reverse()));
  expect(shown(await ask(turned))).toEqual(straight);
  const [first] = visits;
  const { premium: _, ...without } = first as Row;
  const refused = await problem(
    system,
    'POST',
    path,
    { rows: [first, without] },
    { status: 422, code: 'invalid-request' },
  );
  expect(refused.errors?.map((error) => error.path)).toEqual(['rows[1].premium']);
});

test('a regression', async () => {
  const played = await runHouses(api);
  expect(played.run.metrics['rmse']).toBeLessThan(0.3);
  expect(played.run.metrics['r2']).toBeGreaterThan(0.8);
  await expectOneTruth(played, houses);
  await expectSameHoldout(played, await tableOf('03-regression/rows.csv'), 'id', 'price_100k');
});

test('a network where a line is not enough: the better candidate is champion', async () => {
  const played = await runMachines(api);
  expect(played.run.metrics['macroF1']).toBeGreaterThan(0.8);
  const version = await must<{ details: { model: { type: string } } }>(
    system,
    'GET',
    `/api/v1/models/${played.pipeline}/versions/${played.champion}`,
  );
  expect(version.details.model.type).toBe('mlp');
  expect(played.predictions.map(({ label }) => label)).toEqual(['strained', 'ok', 'hot']);
  await expectOneTruth(played, machines);
  await expectSameHoldout(played, await tableOf('05-mlp/rows.csv'), 'id', 'state');
});

test('messages in two languages: raw text in, one truth in three places', async () => {
  const played = await runMessages(api);
  expect(played.run.metrics['accuracy']).toBeGreaterThan(0.95);
  expect(played.predictions.map(({ label }) => label)).toEqual(['delivery', 'broken', 'refund']);
  const { signature } = await load(played.pipeline, played.champion);
  expect(signature).toMatchObject({ text: ['message'], cat: ['channel'] });
  await expectOneTruth(played, messages);
  await expectSameHoldout(played, await tableOf('08-text/rows.csv'), 'id', 'topic');
  const description = await api.get<{ inputs: { name: string; shape: number[] }[] }>('/v2/models/messages');
  expect(description.inputs).toContainEqual({ name: 'text', datatype: 'BYTES', shape: [-1, 1] });
  const asked = { name: 'message', datatype: 'BYTES', shape: [1], data: [messages[1]!.message] };
  const others = [
    { name: 'channel', datatype: 'BYTES', shape: [1], data: ['chat'] },
    { name: 'days_since_order', datatype: 'FP32', shape: [1], data: [null] },
  ];
  const { outputs } = await must<{ outputs: { name: string; data: unknown[] }[] }>(
    system,
    'POST',
    '/v2/models/messages/infer',
    { inputs: [asked, ...others] },
  );
  expect(outputs.find(({ name }) => name === 'label')?.data).toEqual(['broken']);
});

test('trees', async () => {
  const played = await runParcels(api);
  expect(played.run.metrics['accuracy']).toBeGreaterThan(0.75);
  await expectOneTruth(played, parcels);
  await expectSameHoldout(played, await tableOf('04-trees/rows.csv'), 'id', 'late');
  const chances = played.predictions.slice(0, 4).map(({ probabilities }) => probabilities!['yes']!);
  expect(chances).toEqual([...chances].sort((a, b) => a - b));
  expect(chances[3]!).toBeGreaterThan(chances[0]! + 0.2);
});

test('small images', async () => {
  const played = await runImages(api);
  expect(played.run.metrics['accuracy']).toBeGreaterThan(0.95);
  expect(played.predictions.map(({ label }) => label)).toEqual(['0', '1']);
  await expectOneTruth(played, images);
  await expectSameHoldout(played, await tableOf('digits/digits.csv'), 'id', 'label');
});

test('a model without a champion says so', async () => {
  await must(system, 'POST', '/api/v1/pipelines', {
    name: 'empty',
    dataset: { name: 'empty', key: 'id', label: 'y', task: 'regression' },
    trainer: { type: 'linear' },
    gate: { metric: 'r2', min: 0 },
  });
  await problem(system, 'POST', '/api/v1/models/empty/predict', { rows: [{}] }, { status: 409, code: 'no-champion' });
  await problem(system, 'POST', '/api/v1/models/nobody/predict', { rows: [{}] }, { status: 404, code: 'not-found' });
});
