import { WorkflowNotFoundError } from '@temporalio/client';
import { sql } from 'drizzle-orm';
import pino from 'pino';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { datasetOf } from '../../db/dataset.js';
import { batchState, openOwnBatch } from '../../db/labeling.js';
import { sweepOutbox } from '../../db/outbox.js';
import { runView } from '../../db/run.js';
import { reconcile } from '../../workers/reconciler.js';
import { ask, makeBatch, makePipeline, makeRun, tasks } from '../db/facts.js';
import { testDatabase, type TestDatabase } from '../support/database.js';

let base: TestDatabase;
beforeAll(async () => {
  base = await testDatabase();
});
afterAll(() => base.close());

/** A Temporal that says of each workflow what it is told to; `RUNNING` by default. */
function pass(states: Record<string, 'absent' | 'COMPLETED' | Error>) {
  const describe = (id: string) => {
    const state = states[id] ?? 'RUNNING';
    if (state instanceof Error) return Promise.reject(state);
    if (state === 'absent') return Promise.reject(new WorkflowNotFoundError('none', id, undefined));
    return Promise.resolve({ status: { name: state } });
  };
  const getHandle = (id: string) => ({ describe: () => describe(id) });
  const temporal = { client: { workflow: { getHandle } } } as never;
  return reconcile({ db: base.db, log: pino({ level: 'silent' }) as never, temporal, kick: () => undefined });
}

it('goes on after an item that fails, and ends where Temporal is away', async () => {
  const [broken, lost] = [await makeRun(base.db), await makeRun(base.db)];
  await sweepOutbox(base.db, () => Promise.resolve('sent'), { limit: 1000 });
  const outage = Object.assign(new Error('away'), { code: 14, details: '', metadata: {} });
  const away = { [broken.workflowId]: outage, [lost.workflowId]: 'absent' } as const;
  await expect(pass(away)).rejects.toThrow('away');
  const odd = { [broken.workflowId]: new Error('odd'), [lost.workflowId]: 'absent' } as const;
  expect(await pass(odd)).toEqual({ loops: 0, runs: 1, batches: 0, campaigns: 0 });
  const status = async (id: string) => (await runView(base.db, 'default', id)).status;
  expect([await status(broken.id), await status(lost.id)]).toEqual(['running', 'failed']);
});

it('judges a batch by its run, since its workflow may not have begun', async () => {
  const { run, batch } = await makeBatch(base.db, 2);
  await sweepOutbox(base.db, () => Promise.resolve('sent'), { limit: 1000 });
  const [own] = await ask<{ id: string }>(base.db, sql`select workflow_id as id from label_batch where id = ${batch}`);
  for (const state of ['absent', 'COMPLETED'] as const) {
    expect(await pass({ [own!.id]: state })).toMatchObject({ batches: 0 });
    expect((await batchState(base.db, batch)).status).toBe('open');
  }
  expect(await pass({ [own!.id]: 'absent', [run.workflowId]: 'absent' })).toMatchObject({ runs: 1 });
  expect((await batchState(base.db, batch)).status).toBe('cancelled');
});

it('starts a batch of its own again, and leaves one whose start is unsent', async () => {
  const { id: dataset } = await datasetOf(base.db, 'default', (await makePipeline(base.db)).name);
  const facts = {
    project: 'default',
    dataset,
    classes: null,
    task: 'classification' as const,
    by: 'kim',
    verified: true,
  };
  const { id, workflowId } = await openOwnBatch(base.db, { ...facts, deadline: new Date(), tasks: tasks(1) });
  const starts = async () =>
    ask<{ sent: boolean }>(
      base.db,
      sql`select sent_at is not null as sent from outbox where workflow_id = ${workflowId} order by number`,
    );
  expect(await pass({ [workflowId]: 'absent' })).toMatchObject({ batches: 0 });
  await sweepOutbox(base.db, () => Promise.resolve('sent'), { limit: 1000 });
  expect(await pass({ [workflowId]: 'absent' })).toMatchObject({ batches: 1 });
  expect(await starts()).toEqual([{ sent: true }, { sent: false }]);
  expect((await batchState(base.db, id)).status).toBe('open');
});
