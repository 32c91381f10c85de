import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inTransaction } from '../../db/client.js';
import { eventsAfter } from '../../db/event.js';
import { closeRun, runView, setRunPlan } from '../../db/run.js';
import { beginStep, failStep, fenceHolds, finishStep, setStepProgress, stepCheckpoint } from '../../db/step.js';
import { testDatabase, type TestDatabase } from '../support/database.js';
import { ask, count, failureOf, makeArtifact, makeRun } from './facts.js';

let base: TestDatabase;
beforeAll(async () => {
  base = await testDatabase();
});
afterAll(() => base.close());

let last = 0;
async function aStep() {
  const run = await makeRun(base.db);
  last += 1;
  const key = { workflowId: run.workflowId, workflowRunId: 'r', activityId: String(last) };
  const where = { ...key, run: run.id, node: 'train' };
  const begin = (attempt: number) => beginStep(base.db, { ...where, worker: 'w', attempt });
  const finish = (fence: number, result: number) => finishStep(base.db, { ...where, fence, result, summary: 'done' });
  return { run: run.id, key, where, begin, finish };
}

describe('steps', () => {
  it('give the stored result to a later attempt', async () => {
    const step = await aStep();
    const { fence } = await step.begin(1);
    await step.finish(fence, 42);
    expect(await step.begin(2)).toMatchObject({ fence: 2, finished: { result: 42 } });
    expect((await eventsAfter(base.db, step.run, 0, 10)).map((event) => [event.number, event.type])).toEqual([
      [1, 'run.opened'],
      [2, 'step.started'],
      [3, 'step.finished'],
    ]);
  });

  it('let only the last attempt write', async () => {
    const step = await aStep();
    const first = await step.begin(1);
    const second = await step.begin(1);
    expect([first.fence, second.fence]).toEqual([1, 2]);
    const old = { ...step.key, fence: first.fence };
    expect(await failureOf(step.finish(1, 1))).toBe('Superseded');
    expect(await failureOf(setStepProgress(base.db, { ...old, progress: {} }))).toBe('Superseded');
    const failure = { type: 't', title: 't', detail: 'd' };
    expect(await failureOf(failStep(base.db, { ...old, failure, failed: {}, final: true }))).toBe('Superseded');
    expect(await failureOf(fenceHolds(base.db, old))).toBe('Superseded');
    await step.finish(2, 2);
    const [stored] = await ask(base.db, sql`select result, status from step where run = ${step.run}`);
    expect(stored).toEqual({ result: 2, status: 'succeeded' });
  });

  it('count failed attempts by name, until the step is asked for anew', async () => {
    const step = await aStep();
    const failure = { type: 't', title: 't', detail: 'd' };
    const fail = (fence: number, failed: Record<string, number>, final: boolean) =>
      failStep(base.db, { ...step.key, fence, failure, failed, final });
    const first = await step.begin(1);
    expect(first.failed).toEqual({});
    await fail(first.fence, { Unavailable: 1 }, false);
    const second = await step.begin(2);
    expect(second.failed).toEqual({ Unavailable: 1 });
    await fail(second.fence, { ...second.failed, Internal: 5 }, true);
    expect((await step.begin(1)).failed).toEqual({});
  });

  it('show their attempts and the last failure while they are tried again', async () => {
    const step = await aStep();
    await setRunPlan(base.db, step.run, [{ name: 'train', skipReason: null }]);
    const shown = async () => (await runView(base.db, 'default', step.run)).steps[0];
    expect(await shown()).toMatchObject({ attempts: 0, lastFailure: null });
    const failure = { type: 'child-died', title: 'A child died', detail: 'by SIGKILL' };
    const { fence } = await step.begin(1);
    await failStep(base.db, { ...step.key, fence, failure, failed: { ChildDied: 1 }, final: false });
    const waits = await shown();
    expect(waits).toMatchObject({ status: 'running', attempts: 1, summary: '', lastFailure: failure });
    expect(Date.now() - Date.parse(waits!.lastFailure!.at!)).toBeLessThan(60_000);
    // counted anew by Temporal, not by us
    const second = await step.begin(1);
    expect(await shown()).toMatchObject({ status: 'running', attempts: 2, lastFailure: failure });
    await step.finish(second.fence, 1);
    expect(await shown()).toMatchObject({ status: 'succeeded', attempts: 2, summary: 'done', lastFailure: null });
  });

  it('that failed for good say why in their summary', async () => {
    const step = await aStep();
    const failure = { type: 'training-diverged', title: 't', detail: 'the loss is NaN' };
    const { fence } = await step.begin(3);
    await failStep(base.db, { ...step.key, fence, failure, failed: {}, final: true });
    const [shown] = (await runView(base.db, 'default', step.run)).steps;
    expect(shown).toMatchObject({ status: 'failed', attempts: 3, summary: 'the loss is NaN', lastFailure: failure });
  });

  it('take the same finish twice, when its answer was lost, and write one event', async () => {
    const step = await aStep();
    await step.begin(1);
    await step.finish(1, 1);
    await step.finish(1, 1);
    expect(await count(base.db, 'event', sql`run = ${step.run} and type = 'step.finished'`)).toBe(1);
  });

  it('raise the fence for each of many attempts at once', async () => {
    const step = await aStep();
    const begun = await Promise.all(Array.from({ length: 10 }, () => step.begin(1)));
    expect(begun.map(({ fence }) => fence).sort((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    const ends = await Promise.all(begun.map(({ fence }) => failureOf(step.finish(fence, fence))));
    expect(ends.filter((end) => end === null)).toHaveLength(1);
    expect(await count(base.db, 'step', sql`run = ${step.run} and result = '10'`)).toBe(1);
  });

  it('hold the fence against a newer attempt until the facts are committed', async () => {
    const step = await aStep();
    const { fence } = await step.begin(1);
    const order: string[] = [];
    let hold: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (hold = resolve));
    const facts = inTransaction(base.db, async (tx) => {
      await fenceHolds(tx, { ...step.key, fence });
      hold();
      await new Promise((resolve) => setTimeout(resolve, 50));
      order.push('facts');
    });
    await held;
    const taken = step.begin(2).then(() => order.push('taken'));
    await Promise.all([facts, taken]);
    expect(order).toEqual(['facts', 'taken']);
  });

  it('keep a checkpoint and the artifacts of a result until the run ends; a cancelled or failed run keeps the checkpoint', async () => {
    for (const status of ['cancelled', 'failed', 'succeeded'] as const) {
      const step = await aStep();
      const digest = await makeArtifact(base.db);
      const { fence } = await step.begin(1);
      const checkpoint = { digest, step: 8 };
      await setStepProgress(base.db, { ...step.where, fence, progress: { epoch: 1 }, checkpoint });
      expect(await stepCheckpoint(base.db, step.key)).toEqual(checkpoint);
      await finishStep(base.db, { ...step.where, fence, result: { deep: [{ digest }] }, summary: '' });
      expect(await count(base.db, 'artifact_reference', sql`digest = ${digest}`)).toBe(1);
      await closeRun(base.db, { run: step.run, status, failure: null });
      expect(await count(base.db, 'artifact_reference', sql`digest = ${digest}`)).toBe(0);
      expect(await stepCheckpoint(base.db, step.key)).toEqual(status === 'succeeded' ? null : checkpoint);
    }
  });

  it('can write nothing more after the run was closed', async () => {
    const step = await aStep();
    const { fence } = await step.begin(1);
    await Promise.all([
      closeRun(base.db, { run: step.run, status: 'cancelled', failure: null }),
      failureOf(step.finish(fence, 1)),
    ]);
    expect(await failureOf(step.finish(fence, 2))).toSatisfy((end) => end === 'Superseded' || end === null);
    expect(await count(base.db, 'step', sql`run = ${step.run} and result = '2'`)).toBe(0);
  });
});
