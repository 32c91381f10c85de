// What is wrong with answers, verdicts, decisions and files of labels: each is answered by name and place, what was right
// beside it is kept, and nothing of it is half done. Texts are texts, whatever they look like.
import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { LabelPolicy } from '../../domain/label-policy.js';
import { batchOf, closeBatch, createPipeline } from './facts.js';
import { codeOf, jsonOf, problemOf, testApi, type TestApi } from './support.js';

const root = '/api/v1/label-batches';
let api: TestApi;
let made = 0;
beforeAll(async () => {
  api = await testApi();
  await createPipeline(api, 'words');
  await createPipeline(api, 'prices', 'regression');
});
afterAll(() => api.close());

interface Task {
  taskId: string;
  fence: number;
  item: object;
  suggestion: unknown;
}
interface Outcome {
  accepted: number;
  surplus: number;
  refused: { taskId: string; reason: string }[];
}

async function ofRun(tasks: number, policy: Partial<LabelPolicy> = {}): Promise<string> {
  made += 1;
  await createPipeline(api, `p${made}`);
  return (await batchOf(api, `p${made}`, tasks, policy)).id;
}

async function own(body: object): Promise<string> {
  const opened = await api.post(root, { dataset: 'words', ...body });
  expect(opened.status).toBe(201);
  return (await jsonOf<{ id: string }>(opened)).id;
}

async function lease(batch: string, labeler: string, count = 1): Promise<Task[]> {
  return (await jsonOf<{ tasks: Task[] }>(await api.post(`${root}/${batch}/lease`, { labeler, count }))).tasks;
}
const send = (batch: string, labeler: string, annotations: object[]) =>
  api.post(`${root}/${batch}/annotations`, { labeler, annotations });
const answer = async (batch: string, labeler: string, annotations: object[]) =>
  jsonOf<Outcome>(await send(batch, labeler, annotations));
const judge = async (batch: string, by: string, ...reviews: object[]) =>
  jsonOf<{ reviewed: number; refused: { reason: string }[] }>(
    await api.post(`${root}/${batch}/reviews`, { by, reviews }),
  );

const tables = [
  'annotation',
  'label_task',
  'lease',
  'label_batch',
  'label_review',
  'label_decision',
  'label',
  'outbox',
];

/** All that labeling keeps, to the last field. */
async function kept(): Promise<string> {
  const digests = tables.map((table) =>
    sql.raw(`select md5(string_agg(t::text, '|' order by t::text)) as d from ${table} t`),
  );
  const found = await Promise.all(digests.map((statement) => api.database.db.execute<{ d: string | null }>(statement)));
  return found.map(({ rows }) => rows[0]?.d ?? '').join(' ');
}

/** Does it, and finds that nothing is another than before. */
async function unchanged<T>(work: () => Promise<T>): Promise<T> {
  const before = await kept();
  const result = await work();
  expect(await kept()).toBe(before);
  return result;
}

it('an annotation for another batch is refused, and counts where it belongs', async () => {
  const [mine, other] = [await ofRun(1), await ofRun(1)];
  const [task] = await lease(mine, 'kim');
  const given = { taskId: task!.taskId, fence: task!.fence, label: 'yes' };
  expect(await unchanged(() => answer(other, 'kim', [given]))).toEqual({
    ...{ accepted: 0, surplus: 0 },
    refused: [{ taskId: given.taskId, reason: 'unknown-task' }],
  });
  const nowhere = await unchanged(() => send('bat_00000000000000000000', 'kim', [given]));
  expect(await codeOf(nowhere)).toBe('404 not-found');
  // another person's lease
  expect(await unchanged(() => answer(mine, 'lee', [given]))).toMatchObject({ refused: [{ reason: 'stale-fence' }] });
  expect(await answer(mine, 'kim', [given])).toMatchObject({ accepted: 1, refused: [] });
});

it('a fence of the past is refused: before, after a send-back, and beside a good answer', async () => {
  const batch = await ofRun(2);
  const [one, two] = (await lease(batch, 'kim', 2)) as [Task, Task];
  for (const fence of [0, one.fence + 1, 2_147_483_647]) {
    const refused = await unchanged(() => answer(batch, 'kim', [{ taskId: one.taskId, fence, label: 'yes' }]));
    expect(refused.refused).toEqual([{ taskId: one.taskId, reason: 'stale-fence' }]);
  }
  const both = [
    { taskId: one.taskId, fence: 0, label: 'yes' },
    { taskId: two.taskId, fence: two.fence, label: 'no' },
  ];
  expect(await answer(batch, 'kim', both)).toMatchObject({ accepted: 1, refused: [{ reason: 'stale-fence' }] });
  await judge(batch, 'lee', { taskId: two.taskId, fence: two.fence, verdict: 'send-back' });
  const again = await unchanged(() => answer(batch, 'kim', [both[1]!]));
  expect(again.refused).toEqual([{ taskId: two.taskId, reason: 'stale-fence' }]);
  for (const fence of [-1, 0.5, 2_147_483_648, '1', null]) {
    const problem = await problemOf(await unchanged(() => send(batch, 'kim', [{ ...both[0], fence }])));
    expect([problem.type, problem.errors[0]?.path]).toEqual(['/problems/invalid-request', 'annotations[0].fence']);
  }
});

const span = { start: 0, end: 4, label: 'noun' };
const box = { x: 0.1, y: 0.1, width: 0.2, height: 0.2, label: 'cat' };

it.each<[string, object, unknown, unknown[]]>([
  ['single', { classes: ['no', 'yes'] }, 'yes', ['maybe', 'Yes', ' yes', '', 1, ['yes']]],
  ['multiple', { classes: ['red', 'blue'] }, ['red'], [['green'], ['red', 'green'], 'green', [1], [{ label: 'red' }]]],
  [
    'span',
    { classes: ['noun'] },
    [span],
    [[{ ...span, label: 'verb' }], [{ ...span, end: 99 }], [{ ...span, start: 4 }], [{ label: 'noun' }], 'noun'],
  ],
  [
    'box',
    { classes: ['cat'] },
    [box],
    [[{ ...box, label: 'dog' }], [{ ...box, x: 0.9 }], [{ ...box, width: 0 }], [{ ...box, y: -0.1 }], 'cat'],
  ],
  ['number', { dataset: 'prices' }, 3.5, ['three', 'NaN', 'Infinity', '1e999', '', ['3']]],
  ['preference', {}, 'tie', ['both', 'Left', '', 0]],
])('a label that is none of a batch of kind %s is refused, and the item stays', async (kind, more, good, bad) => {
  const tasks = ['one', 'two'].map((key) => ({ key, item: { text: `text ${key}`, left: 'a', right: 'b' } }));
  const batch = await own({ kind, tasks, ...more });
  const [one, two] = (await lease(batch, 'kim', 2)) as [Task, Task];
  for (const label of bad) {
    const refused = await unchanged(() => answer(batch, 'kim', [{ taskId: one.taskId, fence: one.fence, label }]));
    expect(refused, JSON.stringify(label)).toMatchObject({ accepted: 0, refused: [{ reason: 'unknown-label' }] });
  }
  const beside = [
    { taskId: one.taskId, fence: one.fence, label: bad[0] },
    { taskId: two.taskId, fence: two.fence, label: good },
  ];
  expect(await answer(batch, 'kim', beside)).toMatchObject({ accepted: 1, refused: [{ taskId: one.taskId }] });
  expect(await answer(batch, 'kim', [{ ...beside[0], label: good }])).toMatchObject({ accepted: 1, refused: [] });
});

it('10,000 answers in one call are refused whole, 1,000 are taken', async () => {
  const batch = await ofRun(3);
  const [task] = await lease(batch, 'kim');
  const given = { taskId: task!.taskId, fence: task!.fence, label: 'yes' };
  const many = await problemOf(await unchanged(() => send(batch, 'kim', Array(10_000).fill(given) as object[])));
  expect(many).toMatchObject({
    ...{ type: '/problems/invalid-request', status: 422 },
    errors: [{ path: 'annotations', message: 'has more than 1000 answers' }],
  });
  const comment = 'x'.repeat(1_000);
  const large = await unchanged(() => send(batch, 'kim', Array(10_000).fill({ ...given, comment }) as object[]));
  expect(await codeOf(large)).toBe('413 too-large');
  // the same answer again counts the same
  expect(await answer(batch, 'kim', Array(1_000).fill(given) as object[])).toMatchObject({
    accepted: 1_000,
    refused: [],
  });
  const [stored] = (
    await api.database.db.execute(sql`select count(*)::int as n from annotation where task = ${given.taskId}`)
  ).rows;
  expect(stored).toEqual({ n: 1 });
});

it('a closed batch takes nothing more: no decision, answer, verdict or lease', async () => {
  const batch = await ofRun(2);
  const [one, two] = (await lease(batch, 'kim', 2)) as [Task, Task];
  await answer(batch, 'kim', [{ taskId: one.taskId, fence: one.fence, label: 'yes' }]);
  expect(await closeBatch(api, batch)).toEqual(['k0 yes kim']);
  await unchanged(async () => {
    for (const decision of ['accept', 'send-back', 'close']) {
      const late = await problemOf(await api.post(`${root}/${batch}/decision`, { decision, by: 'mo' }));
      expect(late).toMatchObject({ type: '/problems/already-decided', status: 409 });
    }
    const unread = await api.post(`${root}/${batch}/decision`, { decision: 'accept', by: 'mo', tasks: 7 });
    expect((await problemOf(unread)).errors[0]?.path).toBe('tasks');
    expect((await answer(batch, 'kim', [{ taskId: two.taskId, fence: two.fence, label: 'yes' }])).refused).toEqual([
      { taskId: two.taskId, reason: 'batch-closed' },
    ]);
    const reviews = [{ taskId: one.taskId, fence: one.fence, verdict: 'accept' }];
    expect(await codeOf(await api.post(`${root}/${batch}/reviews`, { by: 'lee', reviews }))).toBe('409 batch-closed');
    expect(await codeOf(await api.post(`${root}/${batch}/lease`, { labeler: 'kim' }))).toBe('409 batch-closed');
  });
});

it('a reviewer does not judge an own answer where the policy forbids it, and what stands beside it is judged', async () => {
  const strict = await ofRun(2, { review: { share: 1, self: false } });
  const [one, two] = (await lease(strict, 'kim', 2)) as [Task, Task];
  const ids = ({ taskId, fence }: Task) => ({ taskId, fence });
  await answer(strict, 'kim', [{ ...ids(one), label: 'yes' }]);
  for (const verdict of ['accept', 'send-back']) {
    expect(await unchanged(() => judge(strict, 'kim', { ...ids(one), verdict }))).toEqual({
      reviewed: 0,
      refused: [{ taskId: one.taskId, reason: 'self-review' }],
    });
  }
  expect(await unchanged(() => judge(strict, 'kim', { ...ids(two), verdict: 'accept' }))).toMatchObject({
    refused: [{ reason: 'no-label' }],
  });
  await answer(strict, 'kim', [{ ...ids(two), label: 'no' }]);
  await api.database.db.execute(sql`update annotation set annotator = 'ann' where task = ${two.taskId}`);
  const both = [
    { ...ids(one), verdict: 'fix', label: 'no' },
    { ...ids(two), verdict: 'accept' },
  ];
  expect(await judge(strict, 'kim', ...both)).toEqual({
    reviewed: 1,
    refused: [{ taskId: one.taskId, reason: 'self-review' }],
  });
  const lenient = await ofRun(1, { review: { share: 1, self: true } });
  const [mine] = (await lease(lenient, 'kim')) as [Task];
  await answer(lenient, 'kim', [{ ...ids(mine), label: 'yes' }]);
  expect(await judge(lenient, 'kim', { ...ids(mine), verdict: 'accept' })).toEqual({ reviewed: 1, refused: [] });
});

const studio = [
  {
    id: 1,
    data: { text: 'a' },
    annotations: [
      {
        id: 1,
        completed_by: 1,
        result: [{ id: 'a', from_name: 'c', to_name: 't', type: 'choices', value: { choices: ['maybe'] } }],
      },
    ],
  },
];

it.each([
  ['labelStudio', JSON.stringify(studio), '[0].annotations[0].result[0].value.choices[0]'],
  ['jsonl', '{"key":"a","item":{}}\n{"key":"b","item":{},"gold":"maybe"}', '[1].gold'],
  ['jsonl', '{"key":"a","item":{},"suggestion":{"label":"maybe"}}', '[0].suggestion.label'],
  ['csv', 'id,gold\n1,yes\n2,maybe\n3,', '[1].gold'],
])('an import (%s) with a class that the batch does not have keeps nothing', async (format, body, path) => {
  const settings = JSON.stringify({ classes: ['no', 'yes'] });
  const query = new URLSearchParams({ format, dataset: 'words', settings });
  const refused = await unchanged(async () =>
    api.app.request(`${root}/import?${query.toString()}`, { method: 'POST', body }),
  );
  const problem = await problemOf(refused);
  expect([problem.type, problem.errors.map((fault) => fault.path)]).toEqual(['/problems/invalid-request', [path]]);
  expect(problem.errors[0]?.message).toContain('maybe');
});

const attack = `<script>alert(1)</script><img src=x onerror="alert(2)">&amp;'"`;

it('texts that look like HTML are kept as they are, sent as JSON, and escaped on every page', async () => {
  const label = (name: string) => `${name} ${attack}`;
  const batch = await own({
    classes: [label('class'), 'yes'],
    review: { share: 1 },
    instructions: label('instructions'),
    examples: [{ label: label('class'), item: label('example'), note: label('note') }],
    tasks: [1, 2].map((n) => ({
      key: label(`key ${n}`),
      item: { [label('field')]: label('value') },
      suggestion: { label: label('class') },
    })),
  });
  const person = label('kim');
  const shown = await jsonOf(await api.get(`${root}/${batch}`));
  expect(shown).toMatchObject({
    classes: [label('class'), 'yes'],
    policy: { instructions: label('instructions'), examples: [{ item: label('example'), note: label('note') }] },
  });
  const [one, two] = (await lease(batch, person, 2)) as [Task, Task];
  expect(one).toMatchObject({ item: { [label('field')]: label('value') }, suggestion: { label: label('class') } });
  const given = [one, two].map(({ taskId, fence }) => ({
    taskId,
    fence,
    label: label('class'),
    comment: label('comment'),
  }));
  expect(await answer(batch, person, given)).toMatchObject({ accepted: 2, refused: [] });
  await judge(batch, label('lee'), {
    taskId: one.taskId,
    fence: one.fence,
    verdict: 'accept',
    comment: label('verdict'),
  });
  const tasks = await jsonOf<{ items: object[] }>(await api.get(`${root}/${batch}/tasks`));
  expect(tasks.items[0]).toMatchObject({
    ...{ key: label('key 1'), label: label('class'), reviewer: label('lee') },
    answers: [{ annotator: person, comment: label('comment') }],
    reviews: [{ reviewer: label('lee'), comment: label('verdict') }],
  });
  const decision = { decision: 'close', by: label('mo'), reason: label('reason') };
  expect((await api.post(`${root}/${batch}/decision`, decision)).status).toBe(202);

  const answers = await Promise.all([
    api.get(`${root}/${batch}`),
    api.get(`${root}/${batch}/tasks`),
    api.get(`${root}/${batch}/labelers`),
    api.get(`${root}/${batch}/asked`),
    // problems that say what was sent
    api.post(`${root}/${batch}/decision`, { decision: attack, by: attack }),
    api.post(root, { dataset: 'words', classes: ['yes'], [attack]: 1, tasks: [{ key: 'a', item: {}, gold: attack }] }),
    api.get(`${root}/${encodeURIComponent(attack)}`),
    api.get(`${root}?${encodeURIComponent(attack)}=1`),
  ]);
  for (const found of answers) {
    expect(found.headers.get('content-type')).toMatch(/^application\/(problem\+)?json/);
    expect(found.headers.get('x-content-type-options')).toBe('nosniff');
  }
  const pages = ['/', '/label', `/label/${batch}`, `/label/${batch}/review`, `/label/${batch}/progress`];
  for (const path of pages) {
    const page = await api.get(path);
    const html = await page.text();
    expect([page.status, page.headers.get('content-type')]).toEqual([200, expect.stringContaining('text/html')]);
    expect(html).not.toMatch(/<script>alert|<img src=x/);
    expect(page.headers.get('content-security-policy')).toContain("script-src 'self'");
  }
  const progress = await (await api.get(`/label/${batch}/progress`)).text();
  for (const name of ['kim', 'class', 'key 1']) expect(progress).toContain(`${name} &lt;script&gt;alert(1)`);
  const unknown = await api.get(`/label/${encodeURIComponent(attack)}`);
  expect([unknown.status, unknown.headers.get('content-type')]).toEqual([404, expect.stringContaining('text/html')]);
  expect(await unknown.text()).not.toMatch(/<script>alert|<img src=x/);
});
