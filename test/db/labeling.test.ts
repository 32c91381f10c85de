import { sql } from 'drizzle-orm';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  annotate,
  batchAsked,
  batchState,
  batchView,
  decideBatch,
  labelsOf,
  leaseTasks,
  openBatch,
  openOwnBatch,
  relabelledKeys,
  remindBatch,
  type DecideBatch,
} from '../../db/labeling.js';
import { closeRun } from '../../db/run.js';
import { testDatabase, type TestDatabase } from '../support/database.js';
import { ask, count, failureOf, makeBatch, tasks } from './facts.js';

let base: TestDatabase;
beforeAll(async () => {
  base = await testDatabase();
});
afterAll(() => base.close());

const project = 'default';
const lease = (batch: string, labeler: string, count: number, ttlMs?: number) =>
  leaseTasks(base.db, { project, batch, labeler, count, ...(ttlMs === undefined ? {} : { ttlMs }) });
const answer = (batch: string, labeler: string, taskId: string, fence: number, label = 'a') =>
  annotate(base.db, { project, batch, labeler, answers: [{ taskId, fence, label }] });
const decide = (batch: string, decision: DecideBatch['decision'], more: Partial<DecideBatch> = {}) =>
  decideBatch(base.db, {
    batch,
    decision,
    decisionId: `${decision}-${Math.random()}`,
    by: 'lee',
    verified: true,
    reason: null,
    tasks: null,
    ...more,
  });
const expire = (batch: string) =>
  base.db.execute(sql`update lease set expires_at = now() - interval '1 second' where batch = ${batch}`);

describe('openBatch', () => {
  it('opens one per node', async () => {
    const { run, dataset, batch } = await makeBatch(base.db, 3);
    const again = await openBatch(base.db, {
      run: run.id,
      node: 'label',
      project,
      dataset,
      deadline: new Date(),
      classes: null,
      task: 'classification',
      tasks: tasks(9),
    });
    expect(again).toMatchObject({ id: batch, tasks: 3, workflowId: `labels/default/${batch}` });
  });
});

describe('leaseTasks', () => {
  it('gives the own live leases first, with the same fence', async () => {
    const { batch } = await makeBatch(base.db, 5);
    const first = await lease(batch, 'kim', 2);
    const second = await lease(batch, 'kim', 3);
    expect(second.slice(0, 2).map(({ taskId, fence }) => [taskId, fence])).toEqual(
      first.map(({ taskId, fence }) => [taskId, fence]),
    );
    expect(second).toHaveLength(3);
    expect(await lease(batch, 'lee', 10)).toHaveLength(2);
    expect(await lease(batch, 'mo', 10)).toEqual([]);
  });

  it('shows the item and the suggestion, never a label', async () => {
    const { batch } = await makeBatch(base.db, 2);
    const [one, two] = await lease(batch, 'kim', 2);
    expect(one).toMatchObject({ item: { id: 'k0', px: 0 }, suggestion: { label: 'a', confidence: 0.5 }, fence: 1 });
    expect(two!.suggestion).toBeNull();
  });

  it('never gives one task to two of many at once', async () => {
    const { batch } = await makeBatch(base.db, 40);
    const all = await Promise.all(Array.from({ length: 12 }, (_, n) => lease(batch, `l${n}`, 5)));
    const given = all.flat().map((task) => task.taskId);
    expect(new Set(given).size).toBe(given.length);
    expect(given).toHaveLength(40);
  });

  it('gives an expired task to the next with a higher fence', async () => {
    const { batch } = await makeBatch(base.db, 1);
    const [mine] = await lease(batch, 'kim', 1);
    await expire(batch);
    const [theirs] = await lease(batch, 'lee', 1);
    expect(theirs).toMatchObject({ taskId: mine!.taskId, fence: 2 });
    const late = { accepted: 0, surplus: 1, refused: [] };
    expect(await answer(batch, 'kim', mine!.taskId, 1)).toEqual(late);
    expect(await answer(batch, 'mo', mine!.taskId, 1)).toMatchObject({ refused: [{ reason: 'stale-fence' }] });
    expect((await answer(batch, 'lee', mine!.taskId, 2)).accepted).toBe(1);
    expect(await answer(batch, 'kim', mine!.taskId, 1)).toEqual(late);
    expect(await answer(batch, 'kim', mine!.taskId, 1, 'b')).toMatchObject({ refused: [{ reason: 'batch-closed' }] });
  });

  it('is refused past the deadline and after the end', async () => {
    const { batch } = await makeBatch(base.db, 2, { deadline: new Date(Date.now() - 1) });
    expect(await failureOf(lease(batch, 'kim', 1))).toBe('BatchClosed');
    const other = await makeBatch(base.db, 2);
    await decide(other.batch, 'close');
    expect(await failureOf(lease(other.batch, 'kim', 1))).toBe('BatchClosed');
    expect(await failureOf(leaseTasks(base.db, { project: 'x', batch, labeler: 'kim', count: 1 }))).toBe('NotFound');
  });
});

describe('annotate', () => {
  it('counts the same answer the same and writes it once', async () => {
    const { batch } = await makeBatch(base.db, 2);
    const [task] = await lease(batch, 'kim', 1);
    const twice = [await answer(batch, 'kim', task!.taskId, 1), await answer(batch, 'kim', task!.taskId, 1)];
    expect(twice.map((result) => result.accepted)).toEqual([1, 1]);
    expect(await count(base.db, 'annotation', sql`task = ${task!.taskId}`)).toBe(1);
  });

  it('takes one answer per fence: another label is refused, also in one call, and the first one stays', async () => {
    const { batch } = await makeBatch(base.db, 2);
    const [one, two] = await lease(batch, 'kim', 2);
    await answer(batch, 'kim', one!.taskId, 1, 'a');
    const stale = { accepted: 0, surplus: 0, refused: [{ taskId: one!.taskId, reason: 'stale-fence' }] };
    expect(await answer(batch, 'kim', one!.taskId, 1, 'b')).toEqual(stale);
    const skip = { taskId: one!.taskId, fence: 1, skip: true } as const;
    expect(await annotate(base.db, { project, batch, labeler: 'kim', answers: [skip] })).toEqual(stale);
    const twice = ['b', 'a', 'b'].map((label) => ({ taskId: two!.taskId, fence: 1, label }));
    expect(await annotate(base.db, { project, batch, labeler: 'kim', answers: twice })).toEqual({
      accepted: 2,
      surplus: 0,
      refused: [{ taskId: two!.taskId, reason: 'stale-fence' }],
    });
    expect(
      await ask(
        base.db,
        sql`select t.label, a.label as raw from label_task t join annotation a on a.task = t.id
        where t.batch = ${batch} order by t.position`,
      ),
    ).toEqual([
      { label: 'a', raw: 'a' },
      { label: 'b', raw: 'b' },
    ]);
  });

  it('takes an answer after its lease expired when nobody else took the task', async () => {
    const { batch } = await makeBatch(base.db, 1);
    const [task] = await lease(batch, 'kim', 1);
    await expire(batch);
    expect((await answer(batch, 'kim', task!.taskId, 1)).accepted).toBe(1);
    expect((await batchView(base.db, project, batch)).status).toBe('review');
    expect((await answer(batch, 'kim', task!.taskId, 1)).accepted).toBe(1);
  });

  it('keeps a late answer as surplus when another one counts', async () => {
    const { batch } = await makeBatch(base.db, 2);
    const [task] = await lease(batch, 'kim', 1);
    await expire(batch);
    await lease(batch, 'lee', 1);
    await answer(batch, 'lee', task!.taskId, 2, 'b');
    expect((await answer(batch, 'kim', task!.taskId, 1)).surplus).toBe(1);
    expect((await answer(batch, 'kim', task!.taskId, 1, 'b')).refused).toMatchObject([{ reason: 'stale-fence' }]);
    expect(
      await ask(
        base.db,
        sql`select t.label, a.annotator from label_task t join annotation a on a.task = t.id
      where a.outcome = 'accepted' and t.id = ${task!.taskId}`,
      ),
    ).toEqual([{ label: 'b', annotator: 'lee' }]);
    expect(await count(base.db, 'annotation', sql`task = ${task!.taskId}`)).toBe(2);
  });

  it('refuses what it should, and says why', async () => {
    const { batch } = await makeBatch(base.db, 3);
    const [one, two] = await lease(batch, 'kim', 2);
    const result = await annotate(base.db, {
      project,
      batch,
      labeler: 'kim',
      answers: [
        { taskId: one!.taskId, fence: 1, label: 'zebra' },
        { taskId: two!.taskId, fence: 7, label: 'a' },
        { taskId: 'task_none', fence: 1, label: 'a' },
      ],
    });
    expect(result.refused.map(({ reason }) => reason)).toEqual(['unknown-label', 'stale-fence', 'unknown-task']);
    expect((await answer(batch, 'lee', one!.taskId, 1)).refused[0]!.reason).toBe('stale-fence');
    const skip = { taskId: one!.taskId, fence: 1, skip: true } as const;
    expect((await annotate(base.db, { project, batch, labeler: 'kim', answers: [skip] })).accepted).toBe(1);
    expect((await batchState(base.db, batch)).counts).toEqual({ tasks: 3, labelled: 0, skipped: 1, auto: 0 });
  });

  it('takes finite decimals for regression', async () => {
    const { batch } = await makeBatch(base.db, 6, { task: 'regression', classes: null });
    const leased = await lease(batch, 'kim', 6);
    const labels = ['1.5', '-2e3', '.5', 'NaN', 'Infinity', '1e999'];
    const answers = leased.map(({ taskId, fence }, n) => ({ taskId, fence, label: labels[n]! }));
    const result = await annotate(base.db, { project, batch, labeler: 'kim', answers });
    expect(result.accepted).toBe(3);
    expect(result.refused.map(({ reason }) => reason)).toEqual(Array(3).fill('unknown-label'));
  });

  it('tells the workflow once for many answers', async () => {
    const { batch } = await makeBatch(base.db, 3);
    for (const { taskId, fence } of await lease(batch, 'kim', 3)) await answer(batch, 'kim', taskId, fence);
    expect(
      await ask(base.db, sql`select name, payload from outbox where workflow_id = ${`labels/default/${batch}`}`),
    ).toEqual([{ name: 'annotationsArrived', payload: {} }]);
  });

  it('goes to review exactly when two labelers give the last answers at once', async () => {
    for (let round = 0; round < 5; round += 1) {
      const { batch } = await makeBatch(base.db, 2);
      const [one] = await lease(batch, 'kim', 1);
      const [two] = await lease(batch, 'lee', 1);
      await Promise.all([answer(batch, 'kim', one!.taskId, 1), answer(batch, 'lee', two!.taskId, 1)]);
      expect((await batchState(base.db, batch)).status).toBe('review');
    }
  });
});

describe('decideBatch', () => {
  async function answered(size: number, done: number) {
    const made = await makeBatch(base.db, size);
    for (const { taskId, fence } of await lease(made.batch, 'kim', done))
      await answer(made.batch, 'kim', taskId, fence);
    return made;
  }

  it('accepts a complete batch only; the labels come with it', async () => {
    const { batch, dataset } = await answered(3, 2);
    await expect(decide(batch, 'accept')).rejects.toMatchObject({ failure: 'BatchIncomplete', members: { open: 1 } });
    expect(await labelsOf(base.db, dataset)).toEqual([]);
    const outcome = await decide(batch, 'close');
    expect(outcome.status).toBe('partial');
    expect(
      (await labelsOf(base.db, dataset)).map(({ key, label, source, annotators }) => [key, label, source, annotators]),
    ).toEqual([
      ['k0000', 'a', 'human', ['kim']],
      ['k0001', 'a', 'human', ['kim']],
    ]);
    expect(await failureOf(decide(batch, 'accept'))).toBe('AlreadyDecided');
  });

  it('marks labels of rows that had one: they replace it, whoever labels the row later', async () => {
    const again = tasks(8)
      .slice(4)
      .map((task, place) => ({
        ...{ ...task, reason: 'suspect' as const, given: place === 0 ? 'a' : 'b' },
      }));
    const { batch, dataset } = await makeBatch(base.db, 2, { more: again });
    const leased = await lease(batch, 'kim', 6);
    expect(JSON.stringify(leased)).not.toContain('given');
    for (const { taskId, fence, item } of leased) {
      const { px } = item as { px: number };
      // k0007 is not answered
      if (px !== 7) await answer(batch, 'kim', taskId, fence);
    }
    const asked = await batchAsked(base.db, batch);
    expect(asked.reasons).toMatchObject([
      { reason: 'strategy', relabelled: 0, changed: 0 },
      { reason: 'suspect', tasks: 4, relabelled: 3, changed: 2 },
    ]);
    expect(asked.first.at(-1)).toMatchObject({ key: 'k0007', given: 'b', guess: null });
    expect([...(await relabelledKeys(base.db, dataset))]).toEqual([]);
    await decide(batch, 'close');
    expect([...(await relabelledKeys(base.db, dataset))].sort()).toEqual(['k0004', 'k0005', 'k0006']);
    const marks = async () => (await labelsOf(base.db, dataset)).map(({ key, relabel }) => [key, relabel]);
    const marked = [
      ['k0000', false],
      ['k0001', false],
      ['k0004', true],
      ['k0005', true],
      ['k0006', true],
    ];
    expect(await marks()).toEqual(marked);
    const [audited] = await ask<{ details: object }>(base.db, sql`select details from audit where subject = ${batch}`);
    expect(audited!.details).toMatchObject({ relabelled: { asked: 4, confirmed: 1, changed: 2 } });
    // a batch that nobody meant as a relabelling does not undo one
    const own = { project, dataset, deadline: new Date(Date.now() + 3_600_000), classes: null, task: 'classification' };
    const named = { ...tasks(5).at(-1)!, reason: 'named' as const };
    const { id } = await openOwnBatch(base.db, {
      ...own,
      task: 'classification',
      tasks: [named],
      by: 'kim',
      verified: true,
    });
    const [one] = await lease(id, 'lee', 1);
    await answer(id, 'lee', one!.taskId, one!.fence, 'c');
    await decide(id, 'accept');
    expect((await labelsOf(base.db, dataset)).find(({ key }) => key === 'k0004')).toMatchObject({
      label: 'c',
      relabel: true,
    });
  });

  it('gives the first answer to the same decision, at once and later', async () => {
    const { batch } = await answered(2, 2);
    const same = () => decide(batch, 'accept', { decisionId: 'd1' });
    const answers = [...(await Promise.all([same(), same()])), await same()];
    expect(answers).toEqual(Array(3).fill(answers[0]));
    expect(answers[0]).toEqual({
      status: 'accepted',
      counts: { tasks: 2, labelled: 2, skipped: 0, auto: 0 },
      decisionId: 'd1',
      decision: 'accept',
    });
    expect(await count(base.db, 'audit', sql`subject = ${batch}`)).toBe(1);
  });

  it('sends back: fences rise, answers are cleared, annotations stay', async () => {
    const { batch } = await answered(2, 2);
    const [first] = await ask<{ id: string }>(
      base.db,
      sql`select id from label_task where batch = ${batch} and position = 0`,
    );
    expect((await decide(batch, 'send-back', { tasks: [first!.id] })).status).toBe('open');
    expect(await batchState(base.db, batch)).toMatchObject({ open: 1, round: 2, counts: { labelled: 1 } });
    const [again] = await lease(batch, 'mo', 5);
    expect(again).toMatchObject({ taskId: first!.id, fence: 3 });
    await answer(batch, 'mo', first!.id, 3, 'b');
    expect(await count(base.db, 'annotation', sql`task = ${first!.id}`)).toBe(2);
    expect(await failureOf(decide(batch, 'send-back', { tasks: ['task_none'] }))).toBe('InvalidRequest');
    expect((await decide(batch, 'accept')).status).toBe('accepted');
  });

  it('replaces a label of the same key, and is cancelled with its run', async () => {
    const { batch, run } = await answered(2, 1);
    await closeRun(base.db, { run: run.id, status: 'cancelled', failure: null });
    expect((await batchState(base.db, batch)).status).toBe('cancelled');
    expect(await failureOf(decide(batch, 'close'))).toBe('AlreadyDecided');
  });

  it('reminds once per share', async () => {
    const { batch, run } = await makeBatch(base.db, 1);
    for (const share of [0.5, 0.5, 0.9, 0.5] as const) await remindBatch(base.db, batch, share);
    expect(await count(base.db, 'event', sql`run = ${run.id} and type = 'label.reminder'`)).toBe(2);
  });
});

describe('many labelers', () => {
  it('lose no answer, double none, and never hold one task together', async () => {
    const move = fc.record({
      who: fc.integer({ min: 0, max: 3 }),
      what: fc.constantFrom('lease', 'answer', 'repeat', 'expire', 'late'),
      n: fc.integer({ min: 1, max: 3 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(move, { minLength: 15, maxLength: 40 }), async (moves) => {
        const { batch, dataset } = await makeBatch(base.db, 8);
        const held = new Map<number, { taskId: string; fence: number }[]>();
        const told = new Set<string>();
        const act = async ({ who, what, n }: (typeof moves)[number]) => {
          const labeler = `l${who}`;
          if (what === 'expire') return void (await expire(batch));
          if (what === 'lease') {
            try {
              held.set(who, [...(held.get(who) ?? []), ...(await lease(batch, labeler, n))]);
            } catch (error) {
              expect(error).toMatchObject({ failure: 'BatchClosed' });
            }
            return;
          }
          for (const task of (held.get(who) ?? []).slice(what === 'late' ? 0 : -n)) {
            const result = await answer(batch, labeler, task.taskId, task.fence, who % 2 === 0 ? 'a' : 'b');
            if (result.accepted === 1) told.add(`${task.taskId}/${labeler}/${task.fence}`);
          }
        };
        for (let from = 0; from < moves.length; from += 4) await Promise.all(moves.slice(from, from + 4).map(act));
        const accepted = await ask<{ it: string; task: string }>(
          base.db,
          sql`select a.task || '/' || a.annotator || '/' || a.fence as it, a.task from annotation a
            join label_task t on t.id = a.task where t.batch = ${batch} and a.outcome = 'accepted'`,
        );
        expect(new Set(accepted.map(({ it }) => it))).toEqual(told);
        expect(new Set(accepted.map(({ task }) => task)).size).toBe(accepted.length);
        const { counts, open } = await batchState(base.db, batch);
        expect(counts.labelled).toBe(accepted.length);
        expect(counts.labelled + open).toBe(8);
        await decide(batch, 'close');
        expect(await labelsOf(base.db, dataset)).toHaveLength(accepted.length);
      }),
      { numRuns: 25 },
    );
  });
});
