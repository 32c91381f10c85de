// Bad requests: refused at the door, with everything that is wrong said, and nothing kept.
import { readdir, readFile } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { must } from '../support/person.js';
import { startTestSystem, type TestSystem, until } from '../support/system.js';
import { left, nothing, pipeline, post, problem, rows } from './support.js';

let system: TestSystem;
const files = '/api/v1/datasets/kept/files';

beforeAll(async () => {
  system = await startTestSystem();
  await post(system, pipeline('kept'));
});
afterAll(() => system?.stop());

async function ingests(): Promise<number> {
  const [counted] = await system.sql<{ n: number }>('select count(*)::int as n from ingest');
  return counted?.n ?? NaN;
}

async function refusedFile(format: string, body: string | Uint8Array, code: string) {
  const answer = await problem(system, 'POST', `${files}?format=${format}`, body, { status: 422, code });
  expect(await ingests()).toBe(0);
  return answer;
}

test('files that are no rows are refused, and nothing is kept', async () => {
  const twice = await refusedFile('csv', 'id,x,y\na,1,yes\nb,2,no\na,3,no\n', 'duplicate-keys');
  expect(twice.detail).toContain('"a" in rows 1, 3');
  await refusedFile('csv', '', 'dataset-empty');
  await refusedFile('csv', 'id,x,y\n', 'dataset-empty');
  await refusedFile('parquet', 'id,x,y\na,1,yes\n', 'wrong-format');
  await refusedFile('jsonl', 'id,x,y\na,1,yes\n', 'wrong-format');
  await refusedFile(
    'csv',
    Uint8Array.from({ length: 4096 }, (_, i) => (i * 197) % 251),
    'wrong-format',
  );
  const columns = Array.from({ length: 10_000 }, (_, i) => `c${i}`).join(',');
  await refusedFile('csv', `id,${columns}\na,${columns}\n`, 'too-many-columns');
  const many = [...rows(2), { ...rows(1)[0], x: 9 }];
  await problem(system, 'POST', '/api/v1/datasets/kept/rows', many, { status: 422, code: 'duplicate-keys' });
  await problem(system, 'POST', '/api/v1/datasets/kept/rows', [], { status: 422, code: 'dataset-empty' });
  await problem(system, 'POST', '/api/v1/datasets/nobody/rows', rows(2), { status: 404, code: 'not-found' });
  expect(await ingests()).toBe(0);
});

/** Sends half of what it announces, then hangs up. */
async function cutUpload(announced: number): Promise<void> {
  const url = new URL(`${files}?format=csv`, system.url);
  const line = `${'7'.repeat(1000)}\n`;
  const chunk = Buffer.from(line.repeat(1000));
  const upload = request(url, {
    method: 'POST',
    headers: { 'content-type': 'application/octet-stream', 'content-length': announced },
  });
  const gone = new Promise<void>((resolve) => upload.once('error', () => resolve()).once('close', () => resolve()));
  upload.write('id,y\n');
  for (let sent = 0; sent < announced / 2; sent += chunk.length) {
    if (!upload.write(chunk)) await new Promise((resolve) => upload.once('drain', resolve));
  }
  upload.destroy();
  await gone;
}

async function residentMb(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? NaN) / 1024;
}

test.runIf(process.platform === 'linux')(
  '200 MB that stop in the middle: nothing is kept, memory stays small',
  async () => {
    const { pids } = await system.running();
    const before = await residentMb(pids.api ?? 0);
    await cutUpload(200_000_000);
    const folder = join(system.home, 'tmp');
    await until('the scratch folder to be empty', async () => {
      const names = await readdir(folder).catch(() => []);
      return names.filter((name) => name.startsWith('upload~')).length === 0;
    });
    expect(await ingests()).toBe(0);
    expect(await left(system, 'kept')).toEqual(nothing);
    expect((await residentMb(pids.api ?? 0)) - before).toBeLessThan(100);
  },
);

test('documents with faults: every fault at once, with its path and the nearest word', async () => {
  const bad = pipeline('bad', {
    trainer: { type: 'linaer', params: {} },
    gate: { metric: 'rmse', max: 1 },
    aproval: {},
  });
  const refused = await problem(system, 'POST', '/api/v1/pipelines', bad, { status: 422, code: 'invalid-pipeline' });
  const faults = new Map(refused.errors?.map(({ path, message }) => [path, message]));
  expect([...faults.keys()].sort()).toEqual(['aproval', 'gate.metric', 'trainer.type']);
  expect(faults.get('trainer.type')).toContain('linear');
  expect(faults.get('aproval')).toContain('approval');
  expect(faults.get('gate.metric')).toContain('accuracy');
  await problem(system, 'GET', '/api/v1/pipelines/bad', undefined, { status: 404, code: 'not-found' });
});

test('YAML that is none, JSON that is none, a body that is too large', async () => {
  const yaml = { contentType: 'application/yaml' };
  const asked = { status: 422, code: 'invalid-request' };
  await problem(system, 'POST', '/api/v1/pipelines', 'name: [a\nb: }', asked, yaml);
  await problem(system, 'POST', '/api/v1/pipelines', '{"name":', asked, { contentType: 'application/json' });
  const large = { ...pipeline('large'), note: 'x'.repeat(2_000_000) };
  await problem(system, 'POST', '/api/v1/pipelines', large, { status: 413, code: 'too-large' });
  expect(await system.sql(`select name from pipeline order by name`)).toEqual([{ name: 'kept' }]);
});

test('a good document in YAML, twice: one version', async () => {
  const text = `name: yaml
dataset: { name: yaml, key: id, label: y, task: classification }
trainer: { type: linear }
gate: { metric: accuracy, min: 0.5 }
`;
  const yaml = { contentType: 'application/yaml' };
  const first = await system.call('POST', '/api/v1/pipelines', text, yaml);
  expect(first).toMatchObject({
    status: 201,
    body: { name: 'yaml', version: 1, loop: { workflowId: 'loop/default/yaml' } },
  });
  expect(await system.call('POST', '/api/v1/pipelines', text, yaml)).toMatchObject({
    status: 200,
    body: { version: 1 },
  });
});

test('overrides that no field has, of a pipeline that nobody knows', async () => {
  const path = '/api/v1/pipelines/kept/runs';
  const body = { trigger: 'manual', overrides: { 'trainer.params.epoch': 5, 'dataset.key': 'x' } };
  const refused = await problem(system, 'POST', path, body, { status: 422, code: 'invalid-request' });
  expect(refused.errors?.map((error) => error.path).sort()).toEqual([
    'overrides.dataset.key',
    'overrides.trainer.params.epoch',
  ]);
  expect(await left(system, 'kept')).toEqual(nothing);
  await problem(system, 'POST', '/api/v1/pipelines/nobody/runs', {}, { status: 404, code: 'not-found' });
});

test('two pipelines of one name at once: one pipeline, each document a version of it', async () => {
  const answers = await Promise.all(
    [1, 2, 3, 4].map((seed) =>
      system.call<{ version: number }>(
        'POST',
        '/api/v1/pipelines',
        pipeline('race', { trainer: { type: 'linear', seed } }),
      ),
    ),
  );
  expect(answers.map(({ status }) => status)).toEqual([201, 201, 201, 201]);
  expect(answers.map(({ body }) => body.version).sort()).toEqual([1, 2, 3, 4]);
  const same = await Promise.all([1, 2, 3].map(() => system.call('POST', '/api/v1/pipelines', pipeline('same'))));
  expect(same.map(({ status }) => status).sort()).toEqual([200, 200, 201]);
  const counted = await system.sql(`select name, version from pipeline where name in ('race', 'same') order by name`);
  expect(counted).toEqual([
    { name: 'race', version: 4 },
    { name: 'same', version: 1 },
  ]);
  expect(await must(system, 'GET', '/api/v1/pipelines/race')).toMatchObject({ version: 4, paused: false });
});
