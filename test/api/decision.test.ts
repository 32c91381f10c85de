// Labels and decisions: leases and answers in rows, decisions through the workflow, with every way it may answer.
import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { decideApproval, openApproval } from '../../db/approval.js';
import { decideBatch } from '../../db/labeling.js';
import type { ApprovalDecision } from '../../domain/approval.js';
import type { Digest } from '../../domain/artifact.js';
import { batchOf, createPipeline, digestOf, openRun } from './facts.js';
import { codeOf, jsonOf, problemOf, testApi, type TestApi } from './support.js';

let api: TestApi;
let batch: { id: string; run: string };
let path: string;
let made = 0;

beforeAll(async () => {
  api = await testApi();
});
afterAll(() => api.close());
beforeEach(async () => {
  made += 1;
  await createPipeline(api, `p${made}`);
  api.decisions.asked.length = 0;
  api.decisions.answers.length = 0;
});

interface Leased {
  tasks: { taskId: string; fence: number; expiresAt: string; item: object; suggestion: object }[];
}
const lease = async (labeler: string, count: number) =>
  jsonOf<Leased>(await api.post(`${path}/lease`, { labeler, count }));
const answer = (labeler: string, annotations: unknown, headers = {}) =>
  api.post(`${path}/annotations`, { labeler, annotations }, headers);

describe('label batches', () => {
  beforeEach(async () => {
    batch = await batchOf(api, `p${made}`, 3);
    path = `/api/v1/label-batches/${batch.id}`;
  });

  it('are listed and shown', async () => {
    const list = await jsonOf<{ items: { id: string }[] }>(await api.get('/api/v1/label-batches?status=open&limit=1'));
    expect(list.items[0]?.id).toBe(batch.id);
    expect(await jsonOf(await api.get(path))).toMatchObject({
      id: batch.id,
      run: batch.run,
      status: 'open',
      counts: { tasks: 3, labelled: 0, skipped: 0, auto: 0 },
    });
    expect(await codeOf(await api.get('/api/v1/label-batches/bat_unknown'))).toBe('404 not-found');
    expect(await codeOf(await api.get('/api/v1/label-batches?status=done'))).toBe('422 invalid-request');
  });

  it('lease, take answers, and go to review', async () => {
    const { tasks } = await lease('kim', 2);
    expect(tasks).toHaveLength(2);
    expect(tasks[0]).toMatchObject({ item: { id: 'k0', a: '1' }, suggestion: { label: 'yes', confidence: 0.6 } });
    expect((await lease('kim', 2)).tasks.map(({ fence }) => fence)).toEqual(tasks.map(({ fence }) => fence));
    const [first, second] = tasks.map(({ taskId, fence }) => ({ taskId, fence }));
    const outcome = await jsonOf(
      await answer('kim', [
        { ...first, label: 'yes' },
        { ...second, skip: true },
        { taskId: 'task_unknown', fence: 1, label: 'yes' },
        { ...first, fence: 99, label: 'no' },
      ]),
    );
    expect(outcome).toMatchObject({ accepted: 2 });
    expect(outcome['refused']).toEqual(
      expect.arrayContaining([
        { taskId: 'task_unknown', reason: 'unknown-task' },
        { taskId: first?.taskId, reason: 'stale-fence' },
      ]),
    );
    const { tasks: rest } = await lease('lee', 5);
    const last = { taskId: rest[0]?.taskId, fence: rest[0]?.fence };
    expect((await jsonOf(await answer('lee', [{ ...last, label: 'maybe' }])))['refused']).toEqual([
      { taskId: last.taskId, reason: 'unknown-label', detail: expect.stringContaining('maybe') as string },
    ]);
    expect(await jsonOf(await answer('lee', [{ ...last, label: 'no' }]))).toMatchObject({ accepted: 1, refused: [] });
    expect(await jsonOf(await api.get(path))).toMatchObject({ status: 'review', counts: { labelled: 2, skipped: 1 } });
    expect(await codeOf(await api.post(`${path}/lease`, { labeler: 'lee', count: 1 }))).toBe('409 batch-closed');
  });

  it('refuse bad answers', async () => {
    const { tasks } = await lease('kim', 1);
    const task = { taskId: tasks[0]?.taskId, fence: tasks[0]?.fence };
    expect(await codeOf(await answer('kim', [{ ...task }]))).toBe('422 invalid-request');
    expect(await codeOf(await answer('kim', [{ ...task, label: 'yes', skip: true }]))).toBe('422 invalid-request');
    expect(await codeOf(await answer('kim', [{ ...task, label: { a: 1 } }]))).toBe('422 invalid-request');
    expect(await codeOf(await answer('kim', Array(1_001).fill({ ...task, skip: true })))).toBe('422 invalid-request');
    const nobody = await problemOf(await api.post(`${path}/lease`, { count: 1 }));
    expect([nobody.type, nobody.errors[0]?.path]).toEqual(['/problems/invalid-request', 'labeler']);
    expect(await codeOf(await api.post(`${path}/lease`, { labeler: 'kim', count: 0 }))).toBe('422 invalid-request');
    const repeated = { 'idempotency-key': `a${made}` };
    const [a, b] = [
      await answer('kim', [{ ...task, label: 'yes' }], repeated),
      await answer('kim', [{ ...task, label: 'yes' }], repeated),
    ];
    expect(await jsonOf(a)).toEqual(await jsonOf(b));
  });

  it('ask the workflow, which answers', async () => {
    api.decisions.answers.push(async (decision) => {
      const { decisionId } = decision as { decisionId: string };
      const answer = await decideBatch(api.database.db, {
        batch: batch.id,
        decisionId,
        decision: 'close',
        by: 'kim',
        verified: false,
        reason: null,
        tasks: null,
      });
      return { kind: 'answer', answer: { ...answer, counts: { ...answer.counts } } };
    });
    const decided = await api.post(`${path}/decision`, { decision: 'close', by: 'kim', reason: 'enough' });
    expect([decided.status, await jsonOf(decided)]).toMatchObject([200, { status: 'partial', decision: 'close' }]);
    expect(api.decisions.asked[0]).toMatchObject({
      workflowId: `labels/default/${batch.id}`,
      decision: { decision: 'close', by: 'kim', reason: 'enough', verified: false },
    });
    // again: the first answer, from the row; another decision: too late
    const again = await api.post(`${path}/decision`, { decision: 'close', by: 'kim', reason: 'enough' });
    expect([again.status, (await jsonOf(again))['status']]).toEqual([200, 'partial']);
    expect(api.decisions.asked).toHaveLength(1);
    expect(await codeOf(await api.post(`${path}/decision`, { decision: 'accept', by: 'kim' }))).toBe(
      '409 already-decided',
    );
  });

  it('refuse to be accepted while tasks are open, and what is no decision', async () => {
    const post = (body: object) => api.post(`${path}/decision`, body);
    expect(await codeOf(await post({ decision: 'accept', by: 'kim' }))).toBe('409 batch-incomplete');
    expect(await codeOf(await post({ decision: 'accept' }))).toBe('422 invalid-request');
    expect(await codeOf(await post({ decision: 'agree', by: 'kim' }))).toBe('422 invalid-request');
    expect(await codeOf(await post({ decision: 'send-back', by: 'kim', tasks: ['k0'] }))).toBe('422 invalid-request');
    const unknown = await api.post('/api/v1/label-batches/bat_unknown/decision', { decision: 'close', by: 'kim' });
    expect(await codeOf(unknown)).toBe('404 not-found');
    expect(api.decisions.asked).toHaveLength(0);
  });

  it('say 202 and leave the Signal when nobody answers; the same POST asks again', async () => {
    const headers = { 'idempotency-key': `close-${made}` };
    const body = { decision: 'close', by: 'kim' };
    for (const _ of [1, 2]) {
      const pending = await api.post(`${path}/decision`, body, headers);
      expect([pending.status, await jsonOf(pending)]).toEqual([
        202,
        { status: 'pending', decisionId: `close-${made}` },
      ]);
    }
    expect(api.decisions.asked.map(({ decisionId }) => decisionId)).toEqual([`close-${made}`, `close-${made}`]);
    const left = await api.database.db.execute(
      sql`select kind, name, payload from outbox where workflow_id = ${`labels/default/${batch.id}`} and name = 'decideSignal'`,
    );
    expect(left.rows).toMatchObject([{ kind: 'signal', payload: { decision: 'close', by: 'kim' } }]);
    api.decisions.answers.push({
      kind: 'answer',
      answer: { status: 'partial', decisionId: `close-${made}`, decision: 'close' },
    });
    expect((await api.post(`${path}/decision`, body, headers)).status).toBe(200);
    expect((await api.post(`${path}/decision`, body, headers)).headers.get('idempotent-replay')).toBe('true');
    const other = await api.post(`${path}/decision`, { decision: 'send-back', by: 'kim' }, headers);
    expect(await codeOf(other)).toBe('422 idempotency-key-reused');
  });
});

describe('approvals', () => {
  const digest = digestOf('candidate');
  let approval: { id: string };
  let run: string;

  beforeEach(async () => {
    run = await openRun(api, `p${made}`);
    approval = await openApproval(api.database.db, {
      run,
      node: 'approve',
      kind: 'candidate',
      round: 1,
      digest,
      deadline: new Date(Date.now() + 3_600_000),
      evidence: { metrics: { accuracy: 0.9 } },
    });
    path = `/api/v1/approvals/${approval.id}`;
  });

  const workflow = async (decision: unknown) => {
    const { decisionId, by } = decision as Required<ApprovalDecision>;
    const written = { approval: approval.id, decisionId, decision: 'approve', outcome: 'approved', by } as const;
    const answer = await decideApproval(api.database.db, { ...written, verified: false, reason: null, digest });
    return { kind: 'answer' as const, answer: { ...answer } };
  };

  it('are listed, shown and approved', async () => {
    const list = await jsonOf<{ items: { id: string }[] }>(await api.get('/api/v1/approvals?status=open&limit=1'));
    expect(list.items[0]).toMatchObject({ id: approval.id, run, kind: 'candidate', digest, status: 'open' });
    expect(await jsonOf(await api.get(path))).toMatchObject({
      id: approval.id,
      evidence: { metrics: { accuracy: 0.9 } },
    });
    api.decisions.answers.push(workflow);
    const body = { decision: 'approve', by: 'kim', reason: 'good', digest };
    const decided = await api.post(`${path}/decision`, body);
    expect([decided.status, await jsonOf(decided)]).toMatchObject([
      200,
      { status: 'approved', decision: 'approve', by: 'kim' },
    ]);
    expect(api.decisions.asked[0]).toMatchObject({ workflowId: `run/default/p${made}/1` });
    const again = await api.post(`${path}/decision`, body);
    expect([again.status, (await jsonOf(again))['status']]).toEqual([200, 'approved']);
    expect(api.decisions.asked).toHaveLength(1);
    const other = { ...body, decision: 'reject' };
    expect(await codeOf(await api.post(`${path}/decision`, other))).toBe('409 already-decided');
  });

  it('take a key from one person for one body, before anything is left for the workflow', async () => {
    const headers = { 'idempotency-key': `1-${made}` };
    const post = (body: object, to = path) => api.post(`${to}/decision`, { digest, ...body }, headers);
    expect((await post({ decision: 'approve', by: 'kim' })).status).toBe(202);
    expect(await codeOf(await post({ decision: 'reject', by: 'lee' }))).toBe('422 idempotency-key-reused');
    expect(await codeOf(await post({ decision: 'approve', by: 'lee' }))).toBe('422 idempotency-key-reused');
    // the same workflow, which knows decisions by their id alone, asks again
    const { id } = await openApproval(api.database.db, {
      run,
      node: 'approve',
      kind: 'candidate',
      round: 2,
      digest,
      deadline: new Date(Date.now() + 3_600_000),
      evidence: {},
    });
    const next = await post({ decision: 'approve', by: 'kim' }, `/api/v1/approvals/${id}`);
    expect(await codeOf(next)).toBe('422 idempotency-key-reused');
    const left = await api.database.db.execute(
      sql`select payload from outbox where workflow_id = ${`run/default/p${made}/1`} and name = 'decideSignal'`,
    );
    expect(left.rows).toMatchObject([{ payload: { decision: 'approve', by: 'kim' } }]);
    expect(api.decisions.asked).toHaveLength(1);
  });

  it('take nobody’s derived id for a key', async () => {
    expect((await api.post(`${path}/decision`, { decision: 'approve', by: 'kim', digest })).status).toBe(202);
    const { decisionId } = api.decisions.asked[0]!;
    const headers = { 'idempotency-key': decisionId };
    const taken = await api.post(`${path}/decision`, { decision: 'reject', by: 'lee', digest }, headers);
    expect(await codeOf(taken)).toBe('422 idempotency-key-reused');
  });

  it('are about one digest and need a name', async () => {
    const post = (body: object) => api.post(`${path}/decision`, body);
    const stale = await post({ decision: 'approve', by: 'kim', digest: digestOf('another') });
    expect(await codeOf(stale)).toBe('409 stale-candidate');
    const fields = async (body: object) => (await problemOf(await post(body))).errors.map((error) => error.path);
    expect(await fields({ decision: 'approve', by: 'kim' })).toEqual(['digest']);
    expect(await fields({ decision: 'approve', digest })).toEqual(['by']);
    expect(await fields({ decision: 'maybe', by: 'kim', digest: 'sha256:1' })).toEqual(['decision', 'digest']);
    expect(await fields({ decision: 'approve', by: 'kim\u0007', digest })).toEqual(['by']);
    expect(api.decisions.asked).toHaveLength(0);
  });

  it('pass on what the workflow refuses', async () => {
    api.decisions.answers.push({ kind: 'refused', failure: 'StaleCandidate', detail: 'another one waits' });
    const refused = await problemOf(await api.post(`${path}/decision`, { decision: 'approve', by: 'kim', digest }));
    expect(refused).toMatchObject({ status: 409, type: '/problems/stale-candidate', detail: 'another one waits' });
  });

  it('answer from the row when the workflow is closed', async () => {
    const body = { decision: 'approve', by: 'kim', digest };
    api.decisions.answers.push(async (decision) => {
      await workflow(decision);
      return { kind: 'closed' };
    });
    expect(await jsonOf(await api.post(`${path}/decision`, body))).toMatchObject({ status: 'approved' });
  });

  it('tell a second person that it is decided when both come at once', async () => {
    const { db } = api.database;
    api.decisions.answers.push(async () => {
      const first = { approval: approval.id, decisionId: 'first', decision: 'reject', outcome: 'rejected' } as const;
      await decideApproval(db, { ...first, by: 'lee', verified: false, reason: null, digest: digest as Digest });
      return { kind: 'closed' };
    });
    const late = await api.post(`${path}/decision`, { decision: 'approve', by: 'kim', digest });
    expect(await codeOf(late)).toBe('409 already-decided');
  });
});
