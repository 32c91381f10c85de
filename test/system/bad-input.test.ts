// Bad data that a run meets: each ends the run with its own failure, and nothing is half done. Runs go side by side.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { must } from '../support/person.js';
import { startTestSystem, type TestSystem } from '../support/system.js';
import {
  ended,
  expectFailure,
  left,
  nothing,
  open,
  pipeline,
  post,
  problem,
  promotion,
  rows,
  type Row,
  waitsFor,
} from './support.js';

let system: TestSystem;

beforeAll(async () => {
  system = await startTestSystem();
});
afterAll(() => system?.stop());

function toCsv(content: Row[]): string {
  const names = Object.keys(content[0] ?? {});
  return (
    [names, ...content.map((row) => names.map((name) => row[name] ?? ''))].map((line) => line.join(',')).join('\n') +
    '\n'
  );
}

async function fromFile(name: string, content: string | Uint8Array, more: Row = {}): Promise<Row> {
  const path = await system.write(`${name}.csv`, content);
  const dataset = { name, source: { type: 'file', path }, key: 'id', label: 'y', task: 'classification' };
  return pipeline(name, { dataset, ...more });
}

function pushed(name: string, content: Row[]) {
  return must(system, 'POST', `/api/v1/datasets/${name}/rows`, content);
}

describe.concurrent('a run fails, and leaves nothing', { timeout: 120_000 }, () => {
  test('no label column', async () => {
    const content = rows(40).map(({ y: _, ...row }) => row);
    const run = await expectFailure(system, pipeline('no-label'), content, {
      type: 'label-column-missing',
      step: 'validate',
    });
    expect(run.failure?.detail).toContain('"y"');
  });

  test('one class only', async () => {
    const content = rows(40).map((row) => ({ ...row, y: 'yes' }));
    await expectFailure(system, pipeline('one-class'), content, { type: 'one-class', step: 'validate' });
  });

  test('no rows at all', async () => {
    await expectFailure(system, pipeline('no-rows'), undefined, { type: 'dataset-empty', step: 'extract' });
  });

  test('a source file with keys that repeat', async () => {
    const document = await fromFile('twice', toCsv([...rows(20), ...rows(1, { from: 7 })]));
    const run = await expectFailure(system, document, undefined, { type: 'duplicate-keys', step: 'extract' });
    expect(run.failure?.detail).toContain('k7');
    expect(run.failure?.detail).toContain('8, 21');
  });

  test('a source file without a byte', async () => {
    await expectFailure(system, await fromFile('no-bytes', ''), undefined, { type: 'dataset-empty', step: 'extract' });
  });

  test('a source file that is no table', async () => {
    const bytes = Uint8Array.from({ length: 4096 }, (_, i) => (i * 197) % 251);
    await expectFailure(system, await fromFile('no-table', bytes), undefined, {
      type: 'wrong-format',
      step: 'extract',
    });
  });

  test('a source file that is not there', async () => {
    const dataset = {
      name: 'no-file',
      source: { type: 'file', path: '/nowhere/rows.csv' },
      key: 'id',
      label: 'y',
      task: 'classification',
    };
    await expectFailure(system, pipeline('no-file', { dataset }), undefined, {
      type: 'source-not-found',
      step: 'extract',
    });
  });

  test('a source file of 10,000 columns', async () => {
    const columns = Array.from({ length: 10_000 }, (_, i) => `c${i}`);
    const text = `id,y,${columns.join(',')}\nk1,yes,${columns.map(() => '1').join(',')}\n`;
    const document = await fromFile('wide', text);
    await expectFailure(system, document, undefined, { type: 'too-many-columns', step: 'extract' });
  });

  test('more NaN and Infinity than tolerated', async () => {
    const content = rows(100).map((row, i) => (i % 10 === 0 ? { ...row, x: i % 20 === 0 ? 'NaN' : '-Infinity' } : row));
    const document = pipeline('too-bad', { features: { types: { x: 'number' } }, quarantine: { maxShare: 0.05 } });
    const run = await expectFailure(system, document, content, { type: 'quarantine-exceeded', step: 'validate' });
    expect(run.failure?.detail).toContain('10 of 100');
  });

  test('candidates that all fail: one of them is named with its own words, and each says why', async () => {
    const diverging = (seed: number) => ({
      type: 'linear',
      params: { epochs: 50, batch: 4, optimiser: 'sgd', learningRate: 10, schedule: 'constant' },
      seed,
    });
    const dataset = { name: 'all-fail', key: 'id', label: 'x', task: 'regression' };
    const gate = { metric: 'rmse', max: 100 };
    const cnn = { type: 'cnn', params: { height: 5, width: 5 } };
    const document = pipeline('all-fail', { dataset, gate, trainer: [cnn, diverging(1), diverging(2)] });
    await post(system, document, rows(60));
    const run = await ended(system, await open(system, 'all-fail'));
    expect(run).toMatchObject({ status: 'failed', failure: { type: 'features-unfit', step: 'train-1' } });
    expect(run.failure?.detail).toMatch(/^all 3 candidates failed; train-1: trainer\.params: channels 1 × height 5/);
    const failed = run.steps.filter(({ status }) => status === 'failed');
    expect(failed.map(({ name, lastFailure }) => [name, lastFailure?.type])).toEqual([
      ['train-1', 'features-unfit'],
      ['train-2', 'training-diverged'],
      ['train-3', 'training-diverged'],
    ]);
    expect(failed[1]).toMatchObject({ attempts: 1, summary: expect.stringMatching(/loss|parameter/) });
    expect(failed.every(({ summary, lastFailure }) => summary === lastFailure?.detail)).toBe(true);
  });

  test('too few rows for what is expected', async () => {
    const document = pipeline('too-few', { expectations: [{ rows: { min: 100 } }] });
    await expectFailure(system, document, rows(40), { type: 'expectation-failed', step: 'validate' });
  });
});

describe.concurrent('bad rows are put aside, new columns are asked about', { timeout: 120_000 }, () => {
  test('NaN and Infinity within tolerance', async () => {
    const content = rows(100).map((row, i) => (i < 4 ? { ...row, x: ['NaN', 'Infinity', '-inf', 'nan'][i] } : row));
    await post(
      system,
      pipeline('some-bad', { features: { types: { x: 'number' } }, quarantine: { maxShare: 0.05 } }),
      content,
    );
    const run = await ended(system, await open(system, 'some-bad'));
    expect(promotion(run)).toBe(1);
    expect(run.steps.find(({ name }) => name === 'validate')?.summary).toContain('4 in quarantine');
    const [version] = await system.sql<{ rows: number; quarantined: number }>(
      `select v.rows::int, v.quarantined::int from dataset_version v join dataset d on d.id = v.dataset where d.name = 'some-bad'`,
    );
    expect(version).toEqual({ rows: 96, quarantined: 4 });
  });

  test('ragged lines are counted', async () => {
    await post(system, pipeline('ragged'));
    const text = toCsv(rows(20)) + 'k97,1\nk98,1,2,yes,5,6\n';
    const answer = await must(system, 'POST', '/api/v1/datasets/ragged/files?format=csv', text);
    expect(answer).toMatchObject({ accepted: 20, quarantined: 2 });
  });

  test('a new column: a person approves, and the next version has it', async () => {
    await post(system, pipeline('grows'), rows(60));
    expect(promotion(await ended(system, await open(system, 'grows')))).toBe(1);
    await pushed(
      'grows',
      rows(60, { from: 60 }).map((row) => ({ ...row, colour: 'red' })),
    );
    const run = await open(system, 'grows');
    const { id } = await waitsFor(system, run, 'schema');
    const path = `/api/v1/approvals/${id}`;
    const { digest, kind } = await must<{ digest: string; kind: string }>(system, 'GET', path);
    expect(kind).toBe('schema');
    const decision = { decision: 'approve', digest };
    await problem(system, 'POST', `${path}/decision`, decision, { status: 422, code: 'invalid-request' });
    await problem(
      system,
      'POST',
      `${path}/decision`,
      { decision: 'approve', by: 'lee' },
      { status: 422, code: 'invalid-request' },
    );
    const other = { ...decision, by: 'lee', digest: `sha256:${'0'.repeat(64)}` };
    await problem(system, 'POST', `${path}/decision`, other, { status: 409, code: 'stale-candidate' });
    await must(system, 'POST', `${path}/decision`, { ...decision, by: 'lee' });
    expect(promotion(await ended(system, run))).toBe(2);
    const [version] = await system.sql<{ schema: { columns: { name: string }[] } }>(
      `select v.schema from dataset_version v where v.run = $1 order by v.version desc limit 1`,
      [run],
    );
    expect(version?.schema.columns.map(({ name }) => name)).toContain('colour');
  });

  test('a new column: a person rejects, and all stays as it was', async () => {
    await post(system, pipeline('stays'), rows(60));
    expect(promotion(await ended(system, await open(system, 'stays')))).toBe(1);
    const before = await left(system, 'stays');
    await pushed(
      'stays',
      rows(10, { from: 60 }).map((row) => ({ ...row, colour: 'red' })),
    );
    const run = await open(system, 'stays');
    const { id } = await waitsFor(system, run, 'schema');
    const { digest } = await must<{ digest: string }>(system, 'GET', `/api/v1/approvals/${id}`);
    await must(system, 'POST', `/api/v1/approvals/${id}/decision`, { decision: 'reject', by: 'lee', digest });
    const done = await ended(system, run);
    expect(done).toMatchObject({ status: 'rejected', failure: null, modelVersion: null, verdict: { passed: false } });
    expect(await left(system, 'stays')).toEqual(before);
  });

  test('a column that is gone, a column of another type', async () => {
    const document = await fromFile('gone', toCsv(rows(60)));
    await post(system, document);
    expect(promotion(await ended(system, await open(system, 'gone')))).toBe(1);
    const before = await left(system, 'gone');
    await system.write('gone.csv', toCsv(rows(60, { from: 60 }).map(({ noise: _, ...row }) => row)));
    const gone = await ended(system, await open(system, 'gone'));
    expect(gone).toMatchObject({ status: 'failed', failure: { type: 'schema-mismatch', step: 'validate' } });
    expect(gone.failure?.detail).toContain('noise');
    expect(await left(system, 'gone')).toEqual(before);
    await system.write('gone.csv', toCsv(rows(60, { from: 60 }).map((row) => ({ ...row, x: 'much' }))));
    const retyped = await ended(system, await open(system, 'gone'));
    expect(retyped).toMatchObject({ status: 'failed', failure: { type: 'schema-mismatch', step: 'validate' } });
    expect(retyped.failure?.detail).toContain('x');
    expect(await left(system, 'gone')).toEqual(before);
    await system.write('gone.csv', toCsv(rows(90)));
    expect(promotion(await ended(system, await open(system, 'gone')))).toBe(2);
  });

  test('a lease after the deadline', async () => {
    const labeling = { strategy: 'random', batchSize: 5, deadline: '2 s' };
    await post(system, pipeline('late', { labeling }), rows(80, { unlabelled: 3 }));
    const run = await open(system, 'late');
    const { id } = await waitsFor(system, run, 'labels');
    expect(promotion(await ended(system, run))).toBe(1);
    const path = `/api/v1/label-batches/${id}`;
    await problem(system, 'POST', `${path}/lease`, { labeler: 'kim', count: 1 }, { status: 409, code: 'batch-closed' });
    expect(await must(system, 'GET', path)).toMatchObject({ status: 'partial', counts: { tasks: 5, labelled: 0 } });
    expect(await left(system, 'late')).toMatchObject({ ...nothing, datasetVersions: 1, modelVersions: 1, champion: 1 });
  });
});
