// A batch's workflow goes on in a new run also where answers come without a pause: no history may grow past its limits.
import { Client, Connection } from '@temporalio/client';
import { NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createLabelingDecisions } from '../../activities/labeling/decisions.js';
import type { BatchInput } from '../../workflows/labeling.messages.js';
import { makeBatch } from '../db/facts.js';
import { changedWorkflows } from '../histories/bundle.js';
import { testDatabase, type TestDatabase } from '../support/database.js';
import { temporalAddress, testNamespace } from '../support/services.js';
import { until } from '../support/system.js';

let base: TestDatabase;
let connection: Connection;
let native: NativeConnection;
beforeAll(async () => {
  const quiet = { log() {}, trace() {}, debug() {}, info() {}, warn() {}, error() {} };
  Runtime.install({ logger: quiet, telemetryOptions: { logging: { filter: { core: 'ERROR', other: 'ERROR' } } } });
  base = await testDatabase();
  connection = await Connection.connect({ address: temporalAddress() });
  native = await NativeConnection.connect({ address: temporalAddress() });
});
afterAll(async () => {
  await native.close();
  await connection.close();
  await base.close();
});

it('looks at its history before each reading of answers that never pause', async () => {
  const workflowBundle = await changedWorkflows('workflows/labeling.ts', 'mostEvents = 2_000', 'mostEvents = 40');
  const { batch } = await makeBatch(base.db, 2);
  const client = new Client({ connection, namespace: testNamespace });
  const workflowId = `label-batch/${batch}`;
  const decisions = createLabelingDecisions({ db: base.db, kick: () => undefined });
  const readBatch = async (input: { batch: string }) => {
    // an answer at every look
    await client.workflow.getHandle(workflowId).signal('annotationsArrived');
    return decisions.readBatch(input);
  };
  const worker = await Worker.create({
    ...{ connection: native, namespace: testNamespace, workflowBundle },
    ...{ taskQueue: 'flow', activities: { ...decisions, readBatch } },
  });
  await worker.runUntil(async () => {
    const now = Date.now();
    const input: BatchInput = {
      ...{ project: 'default', batch, run: null, node: null },
      ...{ openedAt: new Date(now).toISOString(), deadline: new Date(now + 3_600_000).toISOString() },
    };
    const started = await client.workflow.start('labelBatch', { workflowId, taskQueue: 'flow', args: [input] });
    const current = async () => (await client.workflow.getHandle(workflowId).describe()).runId;
    await until('a new run of the workflow', async () => (await current()) !== started.firstExecutionRunId);
    await client.workflow.getHandle(workflowId).terminate();
    const { historyLength } = await client.workflow.getHandle(workflowId, started.firstExecutionRunId).describe();
    expect(historyLength).toBeLessThan(100);
  });
});
