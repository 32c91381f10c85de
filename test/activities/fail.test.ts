import type { ApplicationFailure, Context } from '@temporalio/activity';
import pino from 'pino';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { stepRecorder } from '../../activities/step.js';
import { Failure, type FailureName } from '../../domain/failures.js';
import { makeRun } from '../db/facts.js';
import { testDatabase, type TestDatabase } from '../support/database.js';

let base: TestDatabase;
beforeAll(async () => {
  base = await testDatabase();
});
afterAll(() => base.close());

/** Attempts of one activity, each failing as it is told; says of each whether Temporal may try again. */
async function attempts(failures: FailureName[], recorded: boolean): Promise<boolean[]> {
  const run = await makeRun(base.db);
  const log = pino({ level: 'silent' }) as never;
  const recorder = stepRecorder({ db: base.db, log, config: { home: '/nowhere', hold: undefined }, worker: 'w' });
  const final: boolean[] = [];
  for (const [index, failure] of failures.entries()) {
    const info = {
      ...{ attempt: index + 1, activityId: '1', activityType: 'train', heartbeatDetails: undefined },
      workflowExecution: { workflowId: run.workflowId, runId: 'r' },
    };
    const context = { info, cancellationSignal: new AbortController().signal, heartbeat() {} } as unknown as Context;
    const args = [recorded ? { context: { run: run.id }, node: 'train', inputs: {}, candidate: 0 } : {}];
    const { inbound } = recorder(context);
    const next = () => Promise.reject(new Failure(failure, 'as told'));
    const error = await inbound!.execute!({ args, headers: {} }, next).catch((thrown: unknown) => thrown);
    final.push((error as ApplicationFailure).nonRetryable === true);
  }
  return final;
}

it('counts each failure of a step by itself: a long outage leaves a dying child its attempts', async () => {
  const outage = Array<FailureName>(30).fill('Unavailable');
  const said = await attempts([...outage, 'OutOfMemory', 'Unavailable', 'OutOfMemory', 'OutOfMemory'], true);
  expect(said.indexOf(true)).toBe(33);
});

it('tries for some minutes where a disk is full, then gives up', async () => {
  for (const full of ['DiskFull', 'StoreFull'] as const) {
    expect((await attempts(Array<FailureName>(60).fill(full), true)).indexOf(true)).toBe(59);
  }
});

it('counts all attempts of what is not recorded, and never retries a wrong request', async () => {
  expect((await attempts(['Unavailable', 'Unavailable', 'OutOfMemory'], false)).indexOf(true)).toBe(2);
  expect(await attempts(['NoLabels'], true)).toEqual([true]);
});
