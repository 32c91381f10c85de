// Files of tasks over HTTP: imported, labelled, exported, imported again.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { closeBatch, createPipeline } from './facts.js';
import { codeOf, jsonOf, problemOf, testApi, type TestApi } from './support.js';

const path = '/api/v1/label-batches';
let api: TestApi;
beforeAll(async () => {
  api = await testApi();
  await createPipeline(api, 'items');
});
afterAll(() => api.close());

const golden = (name: string) => readFileSync(join(import.meta.dirname, '../domain/exchange', `${name}.json`), 'utf8');

function post(
  format: string,
  body: string | Uint8Array<ArrayBuffer>,
  more: Record<string, string> = {},
  headers: Record<string, string> = {},
) {
  const query = new URLSearchParams({ format, dataset: 'items', ...more });
  return api.app.request(`${path}/import?${query.toString()}`, { method: 'POST', body, headers });
}

async function imported(format: string, body: string, more: Record<string, string> = {}): Promise<string> {
  const made = await post(format, body, more);
  if (made.status !== 201) throw new Error(await made.text());
  return (await jsonOf<{ id: string }>(made)).id;
}

const exported = async (id: string, format: string) => (await api.get(`${path}/${id}/export?format=${format}`)).text();

interface Task {
  taskId: string;
  fence: number;
  item: { [name: string]: unknown };
}

async function label(id: string, labeler: string, labelOf: (task: Task) => unknown, comment?: string): Promise<void> {
  const leased = await jsonOf<{ tasks: Task[] }>(await api.post(`${path}/${id}/lease`, { labeler, count: 50 }));
  const annotations = leased.tasks.map((task) => ({
    ...{ taskId: task.taskId, fence: task.fence, label: labelOf(task) },
    ...(comment === undefined ? {} : { comment }),
  }));
  const done = await jsonOf(await api.post(`${path}/${id}/annotations`, { labeler, annotations }));
  expect(done).toMatchObject({ refused: [] });
}

describe('Label Studio', () => {
  it.each(['label-studio-boxes', 'label-studio-spans', 'label-studio-choices'])('%s comes back equal', async (name) => {
    const id = await imported('labelStudio', golden(name));
    expect(JSON.parse(await exported(id, 'labelStudio'))).toEqual(JSON.parse(golden(name)));
  });

  it('counts its answers, tells those given here, and reads its own file again', async () => {
    const id = await imported('labelStudio', golden('label-studio-choices'), {
      ...{ deadline: '2 days', settings: '{"gold": {"share": 0}}' },
    });
    const view = await jsonOf(await api.get(`${path}/${id}`));
    expect(view).toMatchObject({ classes: ['Negative', 'Positive'], counts: { tasks: 2, labelled: 1 } });
    await label(id, 'lee', () => 'Positive', 'so <b>so</b>');
    const file = await exported(id, 'labelStudio');
    const [first, second, third] = JSON.parse(file) as [unknown, unknown, { annotations: object[] }];
    expect([first, second]).toEqual((JSON.parse(golden('label-studio-choices')) as unknown[]).slice(0, 2));
    expect(third).toMatchObject({
      annotations: [{ completed_by: { email: 'lee' }, comments: [{ text: 'so <b>so</b>' }], was_cancelled: false }],
      perennial: { status: 'labelled', label: 'Positive', answers: [{ annotator: 'lee', outcome: 'accepted' }] },
    });
    const again = await imported('labelStudio', file, { settings: '{"gold": {"share": 0}}' });
    expect(await jsonOf(await api.get(`${path}/${again}`))).toMatchObject({ counts: { tasks: 2, labelled: 2 } });
    expect(JSON.parse(await exported(again, 'labelStudio'))).toEqual(JSON.parse(file));
  });

  it('labels of a column land in the dataset', async () => {
    const id = await imported('labelStudio', golden('label-studio-choices'));
    await label(id, 'lee', () => 'Positive');
    expect(await closeBatch(api, id)).toEqual(['2 Positive kim@example.org', '3 Positive lee']);
  });
});

describe('COCO', () => {
  it('comes back equal, brought as labels', async () => {
    const id = await imported('coco', golden('coco'), { as: 'labels', annotator: 'ann' });
    expect(await jsonOf(await api.get(`${path}/${id}`))).toMatchObject({ status: 'review', counts: { labelled: 3 } });
    expect(JSON.parse(await exported(id, 'coco'))).toEqual(JSON.parse(golden('coco')));
  });

  it('comes back with what people made of its suggestions', async () => {
    const id = await imported('coco', golden('coco'));
    const box = { x: 0.5, y: 0.5, width: 0.25, height: 0.1, label: 'dog' };
    await label(id, 'lee', ({ item }) => (item['id'] === 206 ? [box] : []));
    const file = JSON.parse(await exported(id, 'coco')) as { images: object[]; annotations: object[] };
    expect(file.annotations).toMatchObject([{ id: 1769, image_id: 206, category_id: 18, bbox: [400, 300, 200, 60] }]);
    expect(file.images[2]).toMatchObject({ id: 206, perennial: { label: [box], answers: [{ annotator: 'lee' }] } });
    const studio = JSON.parse(await exported(id, 'labelStudio')) as object[];
    expect(studio[2]).toMatchObject({
      annotations: [{ result: [{ value: { x: 50, y: 50, width: 25, height: 10 } }] }],
    });
  });

  it('holds boxes of images whose size is known', async () => {
    const choices = await imported('labelStudio', golden('label-studio-choices'));
    expect(await codeOf(await api.get(`${path}/${choices}/export?format=coco`))).toBe('422 invalid-request');
    const boxes = await imported('labelStudio', golden('label-studio-boxes'));
    const problem = await problemOf(await api.get(`${path}/${boxes}/export?format=coco`));
    expect(problem.errors).toMatchObject([
      { path: 'format', message: expect.stringContaining('42 has none') as string },
    ]);
  });
});

describe('tables', () => {
  const settings = JSON.stringify({ classes: ['yes', 'no'], annotators: 2, gold: { share: 0 } });
  const csv = [
    'id;text;gold;suggestion;suggestion.confidence',
    '1;"A ""quoted"", long; text";;yes;0.5',
    '2; spaces ;;;',
    '3;=1+1;no;;',
    '',
  ].join('\r\n');

  it('CSV becomes a batch, and its exports become the same batch again', async () => {
    const id = await imported('csv', csv, { settings });
    await label(id, 'kim', () => 'yes', 'a "comment",\nof two lines');
    await label(id, 'lee', ({ item }) => (item['id'] === '1' ? 'no' : 'yes'));
    const lines = await exported(id, 'jsonl');
    const told = lines
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { answers: { at?: string }[] });
    expect(told).toMatchObject([
      { key: '1', item: { id: '1', text: 'A "quoted", long; text' }, suggestion: { label: 'yes', confidence: 0.5 } },
      { key: '2', item: { text: ' spaces ' }, label: 'yes', answers: [{ annotator: 'kim' }, { annotator: 'lee' }] },
      { key: '3', item: { text: '=1+1' }, gold: 'no', answers: [] },
    ]);
    for (const format of ['jsonl', 'csv']) {
      const again = await imported(format, await exported(id, format), { settings });
      const retold = (await exported(again, 'jsonl'))
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as object);
      expect(retold).toEqual(told);
    }
  });

  it.each([
    ['multiple', [['red'], ['red', 'round']], ['red', 'round']],
    ['span', [[{ start: 0, end: 2, label: 'noun' }], []], ['noun']],
    ['box', [[], [{ x: 0, y: 0, width: 1, height: 0.5, label: 'cat' }]], ['cat']],
  ])('an export of %s is read with its own classes', async (kind, labels, classes) => {
    const item = { text: 'a text', width: 10, height: 10 };
    const lines = labels.map((label, n) =>
      JSON.stringify({ key: `k${n}`, item, answers: [{ annotator: 'kim', label }] }),
    );
    const id = await imported('jsonl', lines.join('\n'), { settings: JSON.stringify({ kind }) });
    for (const format of ['jsonl', 'csv']) {
      const again = await imported(format, await exported(id, format), { settings: JSON.stringify({ kind }) });
      expect(await jsonOf(await api.get(`${path}/${again}`))).toMatchObject({ kind, classes, counts: { labelled: 2 } });
      expect(await exported(again, 'jsonl')).toEqual(await exported(id, 'jsonl'));
    }
  });

  it('is sent page by page', async () => {
    const many = Array.from({ length: 1_203 }, (_, n) => JSON.stringify({ key: `k${n}`, item: { n } }));
    const id = await imported('jsonl', many.join('\n'));
    const lines = (await exported(id, 'jsonl')).trim().split('\n');
    expect(lines.map((line) => (JSON.parse(line) as { key: string }).key)).toEqual(many.map((_, n) => `k${n}`));
    expect(JSON.parse(await exported(id, 'labelStudio'))).toHaveLength(1_203);
  });
});

describe('what is refused', () => {
  const count = async () => (await jsonOf<{ items: object[] }>(await api.get(`${path}?limit=200`))).items.length;

  it.each<[string, string, Record<string, string>, string[]]>([
    ['labelStudio', '[{"id": 1', {}, ['']],
    ['labelStudio', '{"id": 1}', {}, ['']],
    ['labelStudio', '[{"id": 1, "data": {}}, {"id": 1, "data": {}}]', {}, ['[1].id']],
    [
      'labelStudio',
      golden('label-studio-boxes'),
      { settings: '{"classes": ["Boat"]}' },
      ['[0].annotations[0].result[1].value.rectanglelabels[0]'],
    ],
    [
      'labelStudio',
      golden('label-studio-choices'),
      { settings: '{"kind": "number"}' },
      ['[0].annotations[0].result[0].type', '[1].annotations[0].result[0].type', 'kind'],
    ],
    [
      'labelStudio',
      golden('label-studio-choices'),
      { settings: '{"annotators": 0, "color": 1}' },
      ['settings.color', 'settings.annotators'],
    ],
    ['labelStudio', golden('label-studio-choices'), { settings: '[' }, ['settings']],
    ['labelStudio', golden('label-studio-choices'), { deadline: 'soon' }, ['deadline']],
    ['labelStudio', golden('label-studio-choices'), { as: 'labels', annotator: 'ann' }, ['as']],
    ['coco', golden('coco'), { as: 'labels' }, ['annotator']],
    ['coco', golden('coco'), { settings: '{"classes": ["person"]}' }, ['categories[1].name']],
    ['jsonl', '{"key": "a", "item": {}}\n{broken', {}, ['[1]']],
    ['jsonl', '{"key": "a", "item": {}}\n{"key": "a", "item": {}}', {}, ['[1].key']],
    ['jsonl', '{"key": "a", "item": {}, "gold": "x"}', { settings: '{"classes": ["y"]}' }, ['[0].gold']],
    ['csv', 'id,gold\n1,maybe\n2,', { settings: '{"classes": ["yes"]}' }, ['[0].gold']],
    ['csv', 'id,text\n1,a,b\n2,c', {}, ['[0]']],
    [
      'jsonl',
      '{"key": "a", "item": {}, "answers": [{"annotator": "kim", "label": "x", "at": "yesterday", "outcome": "weird"}]}',
      {},
      ['[0].answers[0].at', '[0].answers[0].outcome'],
    ],
    ['jsonl', '{"key": "a", "item": {}}', { settings: '{"gold": {"share": 0.1}}' }, ['settings.gold.share']],
    ['xml', '', {}, ['format']],
  ])('%s, case %#', async (format, body, more, paths) => {
    const before = await count();
    const problem = await problemOf(await post(format, body, more));
    expect([problem.status, problem.errors.map((fault) => fault.path)]).toEqual([422, paths]);
    expect(await count()).toBe(before);
  });

  it('an unknown dataset, a file without a key, keys twice', async () => {
    expect(await codeOf(await post('jsonl', '{"key": "a", "item": {}}', { dataset: 'nowhere' }))).toBe('404 not-found');
    expect(await codeOf(await post('csv', 'text\nhello'))).toBe('422 key-column-missing');
    expect(await codeOf(await post('csv', 'id\n1\n1'))).toBe('422 duplicate-keys');
    expect((await problemOf(await post('csv', new Uint8Array(gzipSync('id\n1'))))).detail).toContain('compressed');
  });

  it('another file under the same key; the same file opens one batch', async () => {
    const body = '{"key": "a", "item": {}}';
    const key = { 'idempotency-key': 'import-1' };
    const first = await jsonOf<{ id: string }>(await post('jsonl', body, {}, key));
    expect(await jsonOf(await post('jsonl', body, {}, key))).toEqual(first);
    expect(await codeOf(await post('jsonl', body, { deadline: '1 day' }, key))).toBe('422 idempotency-key-reused');
  });
});
