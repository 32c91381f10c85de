// A person with nothing but a Temporal client: starts runs, closes batches, decides about candidates (CONTRACT, In Temporal).
import type { Client } from '@temporalio/client';
import { WorkflowFailedError, WorkflowUpdateFailedError } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { must } from '../support/person.js';
import { startTestSystem, type TestSystem, until } from '../support/system.js';
import { ended, left, open, pipeline, post, promotion, rows, temporalClient, waitsFor } from './support.js';

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

const labeling = { strategy: 'random', batchSize: 6, deadline: '1 hour' };
const approval = { deadline: '1 hour' };
const digestOf = async (id: string) =>
  (await must<{ digest: string }>(system, 'GET', `/api/v1/approvals/${id}`)).digest;

/** Type of the failure that a workflow ended with. */
function failureOf(error: unknown): string | undefined {
  const cause =
    error instanceof WorkflowFailedError || error instanceof WorkflowUpdateFailedError ? error.cause : error;
  return (cause as { type?: string } | undefined)?.type;
}

describe.concurrent('with nothing but a Temporal client', { timeout: 120_000 }, () => {
  test('a run is started, a batch closed by Signal, a candidate approved by Update', async () => {
    await post(system, pipeline('by-hand', { labeling, approval }), rows(90, { unlabelled: 3 }));
    const start = { taskQueue: 'flow', args: [{ pipeline: 'by-hand' }] };
    const handle = await client.workflow.start('trainingRun', { ...start, workflowId: 'my own id' });
    const run = await until('the run', async () => {
      const [row] = await system.sql<{ id: string; trigger: string }>(
        `select id, trigger from run where workflow_id = 'my own id'`,
      );
      return row;
    });
    expect(run.trigger).toBe('cli');
    const second = await client.workflow.execute('trainingRun', { ...start, workflowId: 'another' }).catch(failureOf);
    expect(second).toBe('RunLive');
    const { id: batch } = await waitsFor(system, run.id, 'labels');
    await client.workflow.getHandle(`labels/default/${batch}`).signal('decideSignal', { decision: 'close', by: 'kim' });
    const { id } = await waitsFor(system, run.id, 'approval');
    const blind = await handle.executeUpdate('decide', { args: [{ decision: 'approve', by: 'kim' }] }).catch(failureOf);
    expect(blind).toBe('InvalidRequest');
    const decision = { decision: 'approve', by: 'kim', digest: await digestOf(id) };
    expect(await handle.executeUpdate('decide', { args: [decision] })).toMatchObject({
      approval: id,
      status: 'approved',
      by: 'kim',
    });
    expect(promotion(await ended(system, run.id))).toBe(1);
    expect(await handle.result()).toMatchObject({ status: 'succeeded', modelVersion: 1 });
    const audit = await system.sql(`select verified from audit where subject = $1`, [id]);
    expect(audit).toEqual([{ verified: false }]);
  });

  test('a candidate rejected by Signal; a refused Signal is in the audit', async () => {
    await post(system, pipeline('by-signal', { approval }), rows(60));
    const run = await open(system, 'by-signal');
    const { id } = await waitsFor(system, run, 'approval');
    const handle = client.workflow.getHandle('run/default/by-signal/1');
    await handle.signal('decideSignal', { decision: 'approve', by: 'kim', digest: `sha256:${'0'.repeat(64)}` });
    await until('the refusal in the audit', async () => {
      const found = await system.sql(`select 1 from audit where subject = $1 and action = 'decision.refused'`, [id]);
      return found.length === 1;
    });
    await handle.signal('decideSignal', { decision: 'reject', by: 'kim', digest: await digestOf(id) });
    expect(await ended(system, run)).toMatchObject({ status: 'rejected', failure: null });
    expect((await left(system, 'by-signal')).champion).toBeNull();
  });

  test('a pipeline that is not there, an input without one', async () => {
    const failed = (workflowId: string, input: object) =>
      client.workflow.execute('trainingRun', { taskQueue: 'flow', workflowId, args: [input] }).catch(failureOf);
    expect(await failed('nobody', { pipeline: 'nobody' })).toBe('NotFound');
    expect(await failed('nothing', {})).toBe('InvalidRequest');
    await post(system, pipeline('owned', { approval }), rows(60));
    const run = await open(system, 'owned');
    await waitsFor(system, run, 'approval');
    expect(await failed('stranger', { pipeline: 'owned', run })).toBe('NotFound');
    expect(await system.sql(`select status from run where id = $1`, [run])).toEqual([{ status: 'waiting' }]);
  });
});
