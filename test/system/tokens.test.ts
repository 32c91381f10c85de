// With tokens: nobody without one, each role within its bounds, decisions in one's own name and so verified in the audit.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestSystem, type TestSystem, until } from '../support/system.js';
import { type Problem, pipeline, type Row, rows } from './support.js';

const root = 'a-token-for-this-test-only-0123456789';
let system: TestSystem;

beforeAll(async () => {
  system = await startTestSystem({ PERENNIAL_TOKEN: root });
});
afterAll(() => system?.stop());

async function ask(token: string | null, method: string, path: string, body?: unknown) {
  const headers: Record<string, string> = token === null ? {} : { authorization: `Bearer ${token}` };
  return system.call<Row & Problem>(method, path, body, { headers });
}

async function tokenFor(subject: string, role: string): Promise<string> {
  const { status, body } = await ask(root, 'POST', '/api/v1/tokens', { subject, role });
  expect(status, JSON.stringify(body)).toBe(201);
  return String(body['secret']);
}

async function refused(answer: ReturnType<typeof ask>, status: number, code: string): Promise<void> {
  const { status: got, body } = await answer;
  expect([got, body.type]).toEqual([status, `/problems/${code}`]);
}

test('roles, own names, on behalf of others', async () => {
  await refused(ask(null, 'GET', '/api/v1/runs'), 401, 'unauthenticated');
  await refused(ask('nonsense', 'GET', '/api/v1/runs'), 401, 'unauthenticated');
  const viewer = await tokenFor('vera', 'viewer');
  const operator = await tokenFor('otto', 'operator');
  const reviewer = await tokenFor('rita', 'reviewer');
  const document = pipeline('guarded', { approval: { deadline: '1 hour' } });
  await refused(ask(viewer, 'POST', '/api/v1/pipelines', document), 403, 'forbidden');
  expect((await ask(operator, 'POST', '/api/v1/pipelines', document)).status).toBe(201);
  expect((await ask(operator, 'POST', '/api/v1/datasets/guarded/rows', rows(60))).status).toBe(202);
  const { body: opened } = await ask(operator, 'POST', '/api/v1/pipelines/guarded/runs', { trigger: 'manual' });
  const approval = await until('the approval', async () => {
    const { body } = await ask(viewer, 'GET', `/api/v1/runs/${String(opened['id'])}`);
    return (body['waitingFor'] as { id: string } | null)?.id;
  });
  const path = `/api/v1/approvals/${approval}`;
  const { digest } = (await ask(viewer, 'GET', path)).body;
  const decision = { decision: 'approve', digest };
  await refused(ask(viewer, 'POST', `${path}/decision`, decision), 403, 'forbidden');
  await refused(ask(reviewer, 'POST', `${path}/decision`, { ...decision, by: 'otto' }), 403, 'not-you');
  await refused(ask(reviewer, 'POST', `${path}/decision`, { ...decision, onBehalfOf: 'otto' }), 403, 'not-you');
  const answer = await ask(reviewer, 'POST', `${path}/decision`, decision);
  expect(answer).toMatchObject({ status: 200, body: { status: 'approved', by: 'rita' } });
  await until('the end', async () => {
    const { body } = await ask(viewer, 'GET', `/api/v1/runs/${String(opened['id'])}`);
    return String(body.status) === 'succeeded';
  });
  const behalf = await ask(root, 'POST', '/api/v1/pipelines/guarded/pause', { onBehalfOf: 'otto' });
  expect(behalf).toMatchObject({ status: 200, body: { paused: true } });
  const audit = await system.sql<{ actor: string; verified: boolean }>(
    `select actor, verified from audit where subject = $1 and action = 'approval.decided'`,
    [approval],
  );
  expect(audit).toEqual([{ actor: 'rita', verified: true }]);
  expect((await ask(root, 'GET', '/api/v1/audit/check')).body).toMatchObject({ intact: true });
});
