// The loop of a pipeline: which triggers open runs, how they are held back and remembered, what it keeps over its own
// continuation, and how it is mended when Temporal loses it.
import type { Client } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { LoopState } from '../../domain/loop.js';
import { must } from '../support/person.js';
import { startTestSystem, type TestSystem, until } from '../support/system.js';
import {
  decide,
  ended,
  open,
  pipeline,
  post,
  promotion,
  type Row,
  rows,
  runNumber,
  runs,
  temporalClient,
  waitsFor,
} from './support.js';

let system: TestSystem;
let client: Client;
let close: () => Promise<void>;

beforeAll(async () => {
  system = await startTestSystem();
  ({ client, close } = await temporalClient(system));
});
afterAll(async () => {
  await close?.();
  await system?.stop();
});

const approval = { deadline: '1 hour' };

function push(name: string, content: Row[]) {
  return must(system, 'POST', `/api/v1/datasets/${name}/rows`, content);
}

function loopId(name: string): string {
  return `loop/default/${name}`;
}

/** What the loop knows, once that is so. */
function loopKnows(name: string, what: string, check: (state: LoopState) => boolean): Promise<LoopState> {
  return until(`the loop of ${name} to know ${what}`, async () => {
    const state = await client.workflow
      .getHandle(loopId(name))
      .query<LoopState>('loopState')
      .catch(() => null);
    return state && check(state) ? state : null;
  });
}

async function pinned(run: string): Promise<{ version: number; trigger: string }> {
  const [row] = await system.sql<{ version: number; trigger: string }>(
    'select pipeline_version as version, trigger from run where id = $1',
    [run],
  );
  if (!row) throw new Error(`no run ${run}`);
  return row;
}

describe.concurrent('triggers', { timeout: 120_000 }, () => {
  test('new rows open one run; what comes while it lives opens one more', async () => {
    await post(system, pipeline('coalesce', { triggers: { newRows: 50 }, approval }), rows(60));
    const first = await runNumber(system, 'coalesce', 1);
    expect(await pinned(first.id)).toEqual({ version: 1, trigger: 'rows' });
    const before = await client.workflow.getHandle(loopId('coalesce')).describe();
    const { id } = await waitsFor(system, first.id, 'approval');
    for (const from of [60, 120, 180]) await push('coalesce', rows(60, { from }));
    await loopKnows('coalesce', 'all rows', (state) => state.acceptedRows === 240);
    expect(await runs(system, 'coalesce')).toHaveLength(1);
    await decide(system, id, 'approve');
    promotion(await ended(system, first.id));
    const second = await runNumber(system, 'coalesce', 2);
    await decide(system, (await waitsFor(system, second.id, 'approval')).id, 'reject');
    expect(await ended(system, second.id)).toMatchObject({ status: 'rejected', verdict: { passed: false } });
    const state = await loopKnows('coalesce', 'the end of run 2', (known) => known.endedNumber === 2);
    expect(state).toMatchObject({ lastNumber: 2, acceptedRows: 240, servedRows: 240 });
    expect(await runs(system, 'coalesce')).toHaveLength(2);
    const after = await client.workflow.getHandle(loopId('coalesce')).describe();
    expect(after.status.name).toBe('RUNNING');
    expect(after.runId).not.toBe(before.runId);
  });

  test('paused: remembered, and opened when resumed', async () => {
    await post(system, pipeline('paused', { triggers: { newRows: 50 } }));
    const path = '/api/v1/pipelines/paused';
    expect(await must(system, 'POST', `${path}/pause`)).toEqual({ name: 'paused', paused: true });
    await loopKnows('paused', 'that it is paused', (state) => state.paused);
    await push('paused', rows(60));
    await loopKnows('paused', 'the rows', (state) => state.acceptedRows === 60);
    expect(await runs(system, 'paused')).toEqual([]);
    expect(await must(system, 'GET', path)).toMatchObject({ paused: true, rowsSinceLastRun: 60 });
    expect(await must(system, 'POST', `${path}/resume`)).toEqual({ name: 'paused', paused: false });
    promotion(await ended(system, (await runNumber(system, 'paused', 1)).id));
  });

  test('a document that changes while a run lives: that run keeps its version, the next has the new one', async () => {
    await post(system, pipeline('changed', { approval }), rows(60));
    const first = await open(system, 'changed');
    const { id } = await waitsFor(system, first, 'approval');
    const changed = pipeline('changed', { approval, triggers: { newRows: 10 }, trainer: { type: 'linear', seed: 8 } });
    expect(await post(system, changed)).toMatchObject({ version: 2 });
    await loopKnows('changed', 'version 2', (state) => state.version === 2);
    await push('changed', rows(20, { from: 60 }));
    await decide(system, id, 'approve');
    promotion(await ended(system, first));
    expect(await pinned(first)).toEqual({ version: 1, trigger: 'manual' });
    const second = await runNumber(system, 'changed', 2);
    expect(await pinned(second.id)).toEqual({ version: 2, trigger: 'rows' });
    await must(system, 'POST', `/api/v1/runs/${second.id}/cancel`);
    expect(await ended(system, second.id)).toMatchObject({ status: 'cancelled', failure: null });
  });

  test.each([
    ['cooldown', { cooldown: '1 hour' }],
    ['daily-cap', { maxRunsPerDay: 1 }],
  ])('held back by %s, until the document says otherwise', async (name, held) => {
    await post(system, pipeline(name, { triggers: { newRows: 50, ...held } }), rows(60));
    promotion(await ended(system, (await runNumber(system, name, 1)).id));
    await push(name, rows(60, { from: 60 }));
    await loopKnows(name, 'the rows', (state) => state.acceptedRows === 120 && state.endedNumber === 1);
    expect(await runs(system, name)).toHaveLength(1);
    await post(system, pipeline(name, { triggers: { newRows: 50 } }));
    promotion(await ended(system, (await runNumber(system, name, 2)).id));
  });

  test('the schedule opens a run', async () => {
    await post(
      system,
      pipeline('scheduled', { triggers: { schedule: '0 2 1 1 *', timezone: 'Asia/Seoul' } }),
      rows(60),
    );
    const handle = client.schedule.getHandle('trigger/default/scheduled');
    const { spec } = await until('the Schedule', () => handle.describe().catch(() => null));
    expect(spec.timezone).toBe('Asia/Seoul');
    await handle.trigger();
    const run = await runNumber(system, 'scheduled', 1);
    expect(await pinned(run.id)).toEqual({ version: 1, trigger: 'schedule' });
    promotion(await ended(system, run.id));
    await post(system, pipeline('scheduled'));
    await until('the Schedule to be gone', () =>
      handle.describe().then(
        () => false,
        () => true,
      ),
    );
  });
});

test('Temporal loses a loop and a run: the loop is started again, the run ends with workflow-lost', async () => {
  await post(system, pipeline('lost', { approval, triggers: { newRows: 50 } }), rows(60));
  const run = await runNumber(system, 'lost', 1);
  await waitsFor(system, run.id, 'approval');
  await client.workflow.getHandle(loopId('lost')).terminate('test');
  await client.workflow.getHandle('run/default/lost/1').terminate('test');
  const { pids } = await system.running();
  process.kill(pids.flow ?? 0, 'SIGKILL');
  const done = await ended(system, run.id);
  expect(done).toMatchObject({ status: 'failed', waitingFor: null, failure: { type: 'workflow-lost' } });
  expect(await must(system, 'GET', '/api/v1/approvals?status=open')).toMatchObject({ items: [] });
  const state = await loopKnows(
    'lost',
    'its last run',
    (known) => known.endedNumber === 1 && known.acceptedRows === 60,
  );
  expect(state.lastNumber).toBe(1);
  await push('lost', rows(60, { from: 60 }));
  const next = await runNumber(system, 'lost', 2);
  await decide(system, (await waitsFor(system, next.id, 'approval')).id, 'approve');
  promotion(await ended(system, next.id));
});
