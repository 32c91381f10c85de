// Reviews, labelers and skills over HTTP.
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { LabelPolicy } from '../../domain/label-policy.js';
import { batchOf, createPipeline } from './facts.js';
import { codeOf, jsonOf, problemOf, testApi, type TestApi } from './support.js';

const admin = { authorization: 'Bearer secret-of-the-admin-0001' };
let api: TestApi;
let made = 0;
beforeAll(async () => {
  const { get, post, ...rest } = await testApi({ token: 'secret-of-the-admin-0001' });
  // whoever says nothing else is the admin
  api = {
    ...rest,
    get: (path, headers) => get(path, { ...admin, ...headers }),
    post: (path, body, headers) => post(path, body, { ...admin, ...headers }),
  };
});
afterAll(() => api.close());

interface Task {
  taskId: string;
  fence: number;
}

/** A token's header. */
async function tokenOf(subject: string, role: string): Promise<Record<string, string>> {
  const { secret } = await jsonOf<{ secret: string }>(await api.post('/api/v1/tokens', { subject, role }, admin));
  return { authorization: `Bearer ${secret}` };
}

async function open(policy: Partial<LabelPolicy>): Promise<string> {
  made += 1;
  await createPipeline(api, `p${made}`);
  const { id } = await batchOf(api, `p${made}`, 2, policy);
  return `/api/v1/label-batches/${id}`;
}

it('labels, reviews, objects, and accepts only what was looked at', async () => {
  const path = await open({ review: { share: 1, self: false } });
  const [kim, lee, mo] = [
    await tokenOf('kim', 'labeler'),
    await tokenOf('lee', 'reviewer'),
    await tokenOf('mo', 'reviewer'),
  ];
  const { tasks } = await jsonOf<{ tasks: Task[] }>(await api.post(`${path}/lease`, { count: 2 }, kim));
  const [one, two] = tasks.map(({ taskId, fence }) => ({ taskId, fence })) as [Task, Task];
  const annotations = [
    { ...one, label: 'yes', comment: '<script>alert(1)</script>' },
    { ...two, label: 'no' },
  ];
  await api.post(`${path}/annotations`, { annotations }, kim);
  expect(await codeOf(await api.post(`${path}/decision`, { decision: 'accept' }, lee))).toBe('409 review-incomplete');
  expect(await codeOf(await api.get(`${path}/tasks`, kim))).toBe('403 forbidden');
  const listed = await jsonOf<{ items: object[]; nextCursor: string }>(
    await api.get(`${path}/tasks?filter=unreviewed&limit=1`, lee),
  );
  expect(listed.items).toMatchObject([
    {
      ...one,
      ...{ status: 'labelled', label: 'yes', review: null, needsReview: true },
      answers: [
        { annotator: 'kim', label: 'yes', outcome: 'accepted', past: false, comment: '<script>alert(1)</script>' },
      ],
    },
  ]);
  const next = await jsonOf<{ items: object[] }>(await api.get(`${path}/tasks?cursor=${listed.nextCursor}`, lee));
  expect(next.items).toMatchObject([two]);

  const judge = (who: Record<string, string>, ...reviews: object[]) => api.post(`${path}/reviews`, { reviews }, who);
  const fix = { ...one, verdict: 'fix', label: 'no' };
  expect(await codeOf(await judge(kim, fix))).toBe('403 forbidden');
  expect(await jsonOf(await judge(lee, fix, { ...two, verdict: 'accept' }))).toEqual({ reviewed: 2, refused: [] });
  // the same verdict again is taken once; another reviewer's, of what was shown before it, is not
  expect(await jsonOf(await judge(lee, fix))).toEqual({ reviewed: 1, refused: [] });
  const late = await jsonOf(await judge(mo, { ...two, verdict: 'fix', label: 'yes' }, { ...one, verdict: 'accept' }));
  const stale = [two, one].map(({ taskId }) => ({ taskId, reason: 'stale-fence' }));
  expect(late).toEqual({ reviewed: 0, refused: stale });
  const mended = { taskId: one.taskId, fence: one.fence + 1 };
  expect(await jsonOf(await judge(mo, { ...mended, verdict: 'fix', label: 'maybe' }))).toEqual({
    reviewed: 0,
    refused: [{ taskId: one.taskId, reason: 'unknown-label', detail: 'found "maybe"; allowed: no, yes' }],
  });
  expect(await jsonOf(await judge(kim, { ...mended, verdict: 'dispute', comment: 'no' }))).toMatchObject({
    reviewed: 1,
  });
  expect(await jsonOf(await judge(lee, { ...mended, verdict: 'accept' }))).toMatchObject({
    refused: [{ taskId: one.taskId, reason: 'self-review' }],
  });
  expect(await codeOf(await api.post(`${path}/decision`, { decision: 'accept' }, lee))).toBe('409 review-incomplete');
  await judge(mo, { ...mended, verdict: 'accept' });
  expect((await api.post(`${path}/decision`, { decision: 'accept' }, lee)).status).toBe(202);
  const { items } = await jsonOf<{ items: object[] }>(await api.get(`${path}/labelers`, lee));
  expect(items).toMatchObject([{ labeler: 'kim', served: 2, answered: 2, agreement: 0.5, pausedAt: null }]);
});

it.each([
  [[], 'reviews'],
  [[{ taskId: 't', fence: 1, verdict: 'fix' }], 'reviews[0]'],
  [[{ taskId: 't', fence: 1, verdict: 'accept', label: 'yes' }], 'reviews[0]'],
  [[{ taskId: 't', fence: 1, verdict: 'accept', to: 'same' }], 'reviews[0]'],
  [[{ taskId: 't', fence: 1, verdict: 'like' }], 'reviews[0].verdict'],
])('refuses %j', async (reviews, where) => {
  const path = await open({});
  const { errors } = await problemOf(await api.post(`${path}/reviews`, { reviews }, admin));
  expect(errors[0]?.path).toBe(where);
});

it.each([
  ['lease', { labeller: 'kim', number: 2 }, ['labeller labeler', 'number null']],
  [
    'annotations',
    { annotations: [{ taskId: 't', fence: 1, skip: true, coment: '?' }] },
    ['annotations[0].coment comment'],
  ],
  ['reviews', { reviews: [{ taskId: 't', fence: 1, verdict: 'accept', coment: '?' }] }, ['reviews[0].coment comment']],
  ['decision', { decision: 'accept', reasons: 'so' }, ['reasons reason']],
])('a field that %s does not have is a fault, with the nearest it has', async (call, body, faults) => {
  const path = await open({});
  const { errors } = await problemOf(await api.post(`${path}/${call}`, body, admin));
  expect(errors.map((one) => `${one.path} ${/mean "(.*)"/.exec(one.message)?.[1] ?? null}`)).toEqual(faults);
});

it('keeps what labelers can do, and asks for it', async () => {
  const path = await open({ requires: { skills: ['x-ray'], languages: [] } });
  const kim = await tokenOf('kim-2', 'labeler');
  const refused = await problemOf(await api.post(`${path}/lease`, {}, kim));
  expect([refused.status, refused.detail]).toEqual([403, expect.stringContaining('the skill x-ray')]);
  const put = (body: object, who = admin) =>
    api.app.request('/api/v1/labelers/kim-2', {
      method: 'PUT',
      headers: { 'content-type': 'application/json', ...who },
      body: JSON.stringify(body),
    });
  expect(await codeOf(await put({ skills: ['x-ray'] }, kim as typeof admin))).toBe('403 forbidden');
  expect(await codeOf(await put({ skills: 'x-ray' }))).toBe('422 invalid-request');
  expect((await problemOf(await put({ skill: ['x-ray'] }))).errors).toEqual([
    { path: 'skill', message: 'found an unknown field; allowed: skills, languages; did you mean "skills"?' },
  ]);
  expect(await jsonOf(await put({ skills: ['x-ray', 'x-ray', 'ct'] }))).toEqual({
    ...{ name: 'kim-2', skills: ['ct', 'x-ray'], languages: [] },
  });
  const { tasks } = await jsonOf<{ tasks: Task[] }>(await api.post(`${path}/lease`, {}, kim));
  expect(tasks).toHaveLength(2);
  // ten were asked for, two are given
  expect(await jsonOf(await api.get(`${path}/labelers`, admin))).toMatchObject({ items: [{ served: 2 }] });
});
