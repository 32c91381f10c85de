// People over HTTP: what happens to their answers and decisions.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { must } from '../support/person.js';
import { startTestSystem, type TestSystem, until } from '../support/system.js';
import { ended, left, open, pipeline, post, problem, promotion, rows, truthOf, waitsFor } from './support.js';

let system: TestSystem;

beforeAll(async () => {
  system = await startTestSystem();
});
afterAll(() => system?.stop());

const labeling = { strategy: 'random', batchSize: 6, deadline: '1 hour' };
const approval = { deadline: '1 hour' };
const digestOf = async (id: string) =>
  (await must<{ digest: string }>(system, 'GET', `/api/v1/approvals/${id}`)).digest;

interface Task {
  taskId: string;
  fence: number;
  item: Record<string, unknown>;
}

class Batch {
  readonly id: string;
  readonly path: string;

  constructor(id: string) {
    this.id = id;
    this.path = `/api/v1/label-batches/${id}`;
  }

  async lease(labeler: string, count: number): Promise<Task[]> {
    return (await must<{ tasks: Task[] }>(system, 'POST', `${this.path}/lease`, { labeler, count })).tasks;
  }

  annotate(labeler: string, annotations: object[]) {
    return must(system, 'POST', `${this.path}/annotations`, { labeler, annotations });
  }

  answer(labeler: string, tasks: Task[]) {
    return this.annotate(
      labeler,
      tasks.map(({ taskId, fence, item }) => ({ taskId, fence, label: truthOf(item) })),
    );
  }

  look() {
    return must<{ status: string; counts: Record<string, number> }>(system, 'GET', this.path);
  }

  decide(body: object, key?: string) {
    return must<Record<string, unknown>>(system, 'POST', `${this.path}/decision`, body, key);
  }

  refused(body: object, status: number, code: string, headers = {}) {
    return problem(system, 'POST', `${this.path}/decision`, body, { status, code }, { headers });
  }
}

async function asked(name: string, more = {}): Promise<{ run: string; batch: Batch }> {
  await post(system, pipeline(name, { labeling, ...more }), rows(90, { unlabelled: 3 }));
  const run = await open(system, name);
  return { run, batch: new Batch((await waitsFor(system, run, 'labels')).id) };
}

describe.concurrent('label batches over HTTP', { timeout: 120_000 }, () => {
  test('leases, fences, refusals, skips', async () => {
    const { run, batch } = await asked('leases');
    const [first, second] = await batch.lease('kim', 2);
    if (!first || !second) throw new Error('no tasks');
    expect(Object.keys(first.item).sort()).toEqual(['id', 'noise', 'x']);
    expect((await batch.lease('kim', 2)).map(({ taskId, fence }) => [taskId, fence])).toEqual(
      [first, second].map(({ taskId, fence }) => [taskId, fence]),
    );
    const others = await batch.lease('lee', 10);
    expect(others).toHaveLength(4);
    expect(await batch.lease('ann', 10)).toEqual([]);
    const { taskId, fence } = first;
    const unknown = `task_${'0'.repeat(20)}`;
    expect(
      await batch.annotate('kim', [
        { taskId, fence: fence - 1, label: 'yes' },
        { taskId, fence, label: 'maybe' },
        { taskId: unknown, fence: 1, label: 'yes' },
      ]),
    ).toEqual({
      accepted: 0,
      surplus: 0,
      refused: [
        { taskId, reason: 'stale-fence' },
        { taskId, reason: 'unknown-label', detail: expect.stringContaining('maybe') as string },
        { taskId: unknown, reason: 'unknown-task' },
      ],
    });
    await batch.refused({ decision: 'accept', by: 'lee' }, 409, 'batch-incomplete');
    await batch.annotate('kim', [{ taskId, fence, skip: true }]);
    await batch.answer('kim', [second]);
    await batch.answer('lee', others);
    expect(await batch.look()).toMatchObject({
      status: 'review',
      counts: { tasks: 6, labelled: 5, skipped: 1, auto: 0 },
    });
    await batch.refused({ decision: 'accept' }, 422, 'invalid-request');
    expect(await batch.decide({ decision: 'accept', by: 'lee' })).toMatchObject({
      status: 'accepted',
      decision: 'accept',
    });
    expect(promotion(await ended(system, run))).toBe(1);
    const version = await must<{ lineage: object }>(system, 'GET', '/api/v1/models/leases/versions/1');
    expect(version.lineage).toMatchObject({ labelCounts: { given: 60, human: 5 }, annotators: ['kim', 'lee'] });
  });

  test('sent back: those tasks open again, old fences are stale; a repeat gets the first answer', async () => {
    const { run, batch } = await asked('sent-back');
    const tasks = await batch.lease('kim', 10);
    await batch.answer('kim', tasks);
    const back = tasks.slice(0, 2).map(({ taskId }) => taskId);
    const sent = await batch.decide({ decision: 'send-back', by: 'lee', tasks: back, reason: 'look again' });
    expect(sent).toMatchObject({ status: 'open', counts: { tasks: 6, labelled: 4 } });
    expect(await batch.answer('kim', tasks.slice(0, 1))).toMatchObject({
      accepted: 0,
      refused: [{ reason: 'stale-fence' }],
    });
    const again = await batch.lease('ann', 10);
    expect(again.map(({ taskId }) => taskId).sort()).toEqual([...back].sort());
    await batch.refused({ decision: 'accept', by: 'lee' }, 409, 'batch-incomplete');
    await batch.answer('ann', again);
    const accepted = await batch.decide({ decision: 'accept', by: 'lee' }, 'accept-sent-back');
    expect(await batch.decide({ decision: 'accept', by: 'lee' }, 'accept-sent-back')).toEqual(accepted);
    const headers = { 'idempotency-key': 'accept-sent-back' };
    await batch.refused({ decision: 'close', by: 'lee' }, 422, 'idempotency-key-reused', headers);
    await batch.refused({ decision: 'close', by: 'lee' }, 409, 'already-decided');
    promotion(await ended(system, run));
    expect(await batch.decide({ decision: 'accept', by: 'lee' }, 'accept-sent-back')).toEqual(accepted);
  });

  test('closed: takes what there is', async () => {
    const { run, batch } = await asked('closed');
    await batch.answer('kim', await batch.lease('kim', 2));
    const answer = await batch.decide({ decision: 'close', by: 'lee' });
    expect(answer).toMatchObject({ status: 'partial', counts: { tasks: 6, labelled: 2 } });
    expect(await batch.decide({ decision: 'close', by: 'lee' })).toEqual(answer);
    promotion(await ended(system, run));
    const { lineage } = await must<{ lineage: object }>(system, 'GET', '/api/v1/models/closed/versions/1');
    expect(lineage).toMatchObject({ labelCounts: { human: 2 } });
  });

  test('a batch without a run: its labels are in the next version; another is closed by its deadline', async () => {
    await post(system, pipeline('own'), rows(60, { unlabelled: 3 }));
    const ask = async (keys: string[], deadline: string) => {
      const tasks = keys.map((key) => ({ key, item: { id: key } }));
      const body = { dataset: 'own', classes: ['no', 'yes'], deadline, tasks };
      return new Batch((await must<{ id: string }>(system, 'POST', '/api/v1/label-batches', body)).id);
    };
    const [batch, late] = await Promise.all([ask(['k0', 'k3'], '1 hour'), ask(['k6', 'k9'], '3 s')]);
    await batch.answer('kim', await batch.lease('kim', 2));
    await late.answer('ann', await late.lease('ann', 1));
    const accept = { decision: 'accept', by: 'lee' };
    await until('the batch to be accepted', async () => (await batch.decide(accept, 'own'))['status'] === 'accepted');
    await until('the deadline', async () => (await late.look()).status === 'partial');
    promotion(await ended(system, await open(system, 'own')));
    const { lineage } = await must<{ lineage: object }>(system, 'GET', '/api/v1/models/own/versions/1');
    expect(lineage).toMatchObject({ labelCounts: { given: 40, human: 3 }, annotators: ['ann', 'kim'] });
  });

  test.each([
    ['approve', 'succeeded'],
    ['reject', 'rejected'],
  ])('an approval whose deadline passes: %s', async (onDeadline, status) => {
    const name = `late-${onDeadline}`;
    await post(system, pipeline(name, { approval: { deadline: '1 s', onDeadline } }), rows(60));
    const run = await open(system, name);
    const { id } = await waitsFor(system, run, 'approval');
    const done = await ended(system, run);
    expect(done.status).toBe(status);
    expect((await left(system, name)).champion).toBe(onDeadline === 'approve' ? 1 : null);
    const late = { decision: 'approve', by: 'lee', digest: await digestOf(id) };
    await problem(system, 'POST', `/api/v1/approvals/${id}/decision`, late, { status: 409, code: 'already-decided' });
  });
});

test('nobody answers for 5 s: 202 pending, and the same POST gets the answer later', async () => {
  await post(system, pipeline('pending', { approval }), rows(60));
  const run = await open(system, 'pending');
  const { id } = await waitsFor(system, run, 'approval');
  const path = `/api/v1/approvals/${id}/decision`;
  const body = { decision: 'approve', by: 'lee', digest: await digestOf(id) };
  const flow = (await system.running()).pids.flow ?? 0;
  const headers = { 'idempotency-key': 'pending-1' };
  process.kill(flow, 'SIGSTOP');
  try {
    const pending = await system.call('POST', path, body, { headers });
    expect(pending).toMatchObject({ status: 202, body: { status: 'pending', decisionId: 'pending-1' } });
  } finally {
    process.kill(flow, 'SIGCONT');
  }
  const answer = await until('the answer', async () => {
    const now = await system.call('POST', path, body, { headers });
    return now.status === 202 ? null : now;
  });
  expect(answer).toMatchObject({ status: 200, body: { status: 'approved', decisionId: 'pending-1' } });
  expect(promotion(await ended(system, run))).toBe(1);
  const other = { ...body, decision: 'reject' };
  await problem(system, 'POST', path, other, { status: 409, code: 'already-decided' });
  const decided = await system.sql(`select 1 from audit where subject = $1 and action = 'approval.decided'`, [id]);
  expect(decided).toHaveLength(1);
});
