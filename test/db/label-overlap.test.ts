// Batches with several answers per item, gold items, skips to others and reviewers, under any interleaving.
import { sql } from 'drizzle-orm';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  annotate,
  batchLabelers,
  batchState,
  batchView,
  decideBatch,
  escalateBatch,
  labelsOf,
  leaseTasks,
  reviewTasks,
  saveLabeler,
} from '../../db/labeling.js';
import { isGoldPlace, type LabelPolicy } from '../../domain/label-policy.js';
import type { Review } from '../../domain/labeling.js';
import { testDatabase, type TestDatabase } from '../support/database.js';
import { ask, count, failureOf, makeBatch, tasks } from './facts.js';

let base: TestDatabase;
beforeAll(async () => {
  base = await testDatabase();
});
afterAll(() => base.close());

const project = 'default';
const lease = (batch: string, labeler: string, count: number) =>
  leaseTasks(base.db, { project, batch, labeler, count });
type Told = { taskId: string; fence: number };
const answer = (batch: string, labeler: string, { taskId, fence }: Told, label: unknown = 'a') =>
  annotate(base.db, { project, batch, labeler, answers: [{ taskId, fence, label }] });
const skip = (batch: string, labeler: string, { taskId, fence }: Told) =>
  annotate(base.db, { project, batch, labeler, answers: [{ taskId, fence, skip: true }] });
const review = (batch: string, reviewer: string, one: Review) =>
  reviewTasks(base.db, { project, batch, reviewer, reviews: [one] });
const decide = (batch: string, decision: 'accept' | 'close') =>
  decideBatch(base.db, {
    ...{ batch, decision, decisionId: decision, by: 'lee', verified: true, reason: null, tasks: null },
  });
const expire = (batch: string) =>
  base.db.execute(sql`update lease set expires_at = now() - interval '1 second' where batch = ${batch}`);

const overlap = (min: number, max = min, confidence = 0.9): Partial<LabelPolicy> => ({
  overlap: { min, max, confidence },
});
const gold = (share: number, minScore = 0.7, after = 2) => ({ gold: { share, minScore, after } });
const goldTasks = (n: number) => tasks(n).map((task, i) => ({ ...task, key: `gold${i}`, gold: 'a', suggestion: null }));

/** Leases all that is there and answers it. */
async function work(batch: string, labeler: string, label: (key: string) => unknown = () => 'a'): Promise<number> {
  const leased = await lease(batch, labeler, 100);
  for (const task of leased) await answer(batch, labeler, task, label(String((task.item as { id: string }).id)));
  return leased.length;
}

describe('overlap', () => {
  it('asks different people, and no more of them than wanted', async () => {
    const { batch, dataset } = await makeBatch(base.db, 3, { policy: overlap(2) });
    expect(await work(batch, 'kim')).toBe(3);
    expect(await work(batch, 'kim')).toBe(0);
    const [lee, mo] = [await lease(batch, 'lee', 2), await lease(batch, 'mo', 9)];
    expect(mo).toHaveLength(1);
    for (const task of lee) await answer(batch, 'lee', task);
    expect((await batchState(base.db, batch)).open).toBe(1);
    await answer(batch, 'mo', mo[0]!, 'b');
    expect((await batchView(base.db, project, batch)).status).toBe('review');
    await decide(batch, 'accept');
    expect((await labelsOf(base.db, dataset)).map(({ annotators }) => annotators)).toEqual([
      ['kim', 'lee'],
      ['kim', 'lee'],
      ['kim', 'mo'],
    ]);
  });

  it('asks one more while the answers leave doubt, up to the cap', async () => {
    const { batch } = await makeBatch(base.db, 2, { policy: overlap(2, 3), classes: ['a', 'b', 'c'] });
    await work(batch, 'kim');
    await work(batch, 'lee', (key) => (key === 'k0' ? 'a' : 'b'));
    expect(
      await ask(base.db, sql`select wanted, status from label_task where batch = ${batch} order by position`),
    ).toEqual([
      { wanted: 2, status: 'labelled' },
      { wanted: 3, status: 'open' },
    ]);
    expect(await work(batch, 'mo', () => 'b')).toBe(1);
    expect((await batchState(base.db, batch)).status).toBe('review');
    const [settled] = await ask<{ label: string; confidence: number }>(
      base.db,
      sql`select label, confidence from label_task where batch = ${batch} and position = 1`,
    );
    expect(settled!.label).toBe('b');
    // kim a, lee b, mo b, each right with 0.8: b against a against c
    const [b, a, c] = [0.1 * 0.8 * 0.8, 0.8 * 0.1 * 0.1, 0.1 * 0.1 * 0.1];
    expect(settled!.confidence).toBeCloseTo(b / (a + b + c), 9);
  });

  it('keeps a late answer beside those that count when its slot is taken, and counts it when it is free', async () => {
    const { batch } = await makeBatch(base.db, 1, { policy: overlap(2) });
    const [kim] = await lease(batch, 'kim', 1);
    const [lee] = await lease(batch, 'lee', 1);
    await expire(batch);
    const [mo] = await lease(batch, 'mo', 1);
    expect(await answer(batch, 'kim', kim!)).toMatchObject({ accepted: 1 });
    expect(await answer(batch, 'lee', lee!)).toMatchObject({ accepted: 0, surplus: 1 });
    expect(await answer(batch, 'mo', mo!)).toMatchObject({ accepted: 1 });
    expect(await count(base.db, 'annotation', sql`task = ${kim!.taskId} and outcome = 'accepted'`)).toBe(2);
  });

  it('never holds a row that another labeler of the batch waits for', async () => {
    const { batch } = await makeBatch(base.db, 2);
    const [kim] = await lease(batch, 'kim', 1);
    const [lee] = await lease(batch, 'lee', 1);
    await base.db.transaction(async (tx) => {
      await annotate(tx, { project, batch, labeler: 'kim', answers: [{ ...kim!, label: 'a' }] });
      expect(await answer(batch, 'lee', lee!)).toMatchObject({ accepted: 1 });
    });
    expect((await batchView(base.db, project, batch)).status).toBe('review');
  });

  it('says that all is answered, also while the row cannot say it for the people who share it', async () => {
    const { batch } = await makeBatch(base.db, 1);
    const [kim] = await lease(batch, 'kim', 1);
    expect(await lease(batch, 'lee', 1)).toEqual([]);
    await base.db.transaction(async (tx) => {
      expect(await leaseTasks(tx, { project, batch, labeler: 'mo', count: 1 })).toEqual([]);
      await answer(batch, 'kim', kim!);
      expect(await failureOf(lease(batch, 'lee', 1))).toBe('BatchClosed');
    });
  });
});

describe('skips', () => {
  it('go to others and never come back to the same person', async () => {
    const { batch } = await makeBatch(base.db, 1, { policy: { skip: { to: 'others', most: 2 } } });
    const [task] = await lease(batch, 'kim', 1);
    expect(await skip(batch, 'kim', task!)).toMatchObject({ accepted: 1 });
    expect(await lease(batch, 'kim', 1)).toEqual([]);
    const [again] = await lease(batch, 'lee', 1);
    await skip(batch, 'lee', again!);
    expect((await batchState(base.db, batch)).counts).toMatchObject({ skipped: 1 });
  });

  it('come back to oneself where the batch says so', async () => {
    const { batch } = await makeBatch(base.db, 1, { policy: { skip: { to: 'self', most: 3 } } });
    const [task] = await lease(batch, 'kim', 1);
    await skip(batch, 'kim', task!);
    const [again] = await lease(batch, 'kim', 1);
    expect(again).toMatchObject({ taskId: task!.taskId, fence: 2 });
    expect(await answer(batch, 'kim', again!)).toMatchObject({ accepted: 1 });
  });
});

describe('gold items', () => {
  it('come at their share, nobody sees one twice, and they are no tasks', async () => {
    const { batch } = await makeBatch(base.db, 100, { policy: gold(0.1), more: goldTasks(8) });
    const served: string[] = [];
    for (let turn = 0; turn < 12; turn += 1) {
      for (const task of await lease(batch, 'kim', 5)) {
        served.push(task.taskId);
        await answer(batch, 'kim', task);
      }
    }
    const golds = await ask<{ id: string }>(
      base.db,
      sql`select id from label_task where batch = ${batch} and gold is not null`,
    );
    const isGold = new Set(golds.map(({ id }) => id));
    expect(served).toHaveLength(60);
    expect(new Set(served).size).toBe(60);
    for (let from = 0; from < 60; from += 10) {
      expect(served.slice(from, from + 10).filter((id) => isGold.has(id))).toHaveLength(1);
    }
    expect((await batchState(base.db, batch)).counts).toMatchObject({ tasks: 100, labelled: 54 });
    expect(await batchLabelers(base.db, batch)).toMatchObject([
      { labeler: 'kim', served: 60, answered: 60, gold: { answered: 6, right: 6 }, agreement: 1, pausedAt: null },
    ]);
  });

  it('cannot be told from the others: no fence, no confidence, and places that depend on a secret', async () => {
    const more = goldTasks(4).map((task) => ({ ...task, suggestion: { label: 'a', confidence: 0.99 } }));
    const { batch } = await makeBatch(base.db, 60, { policy: gold(0.5), more });
    const served = [];
    for (const who of ['kim', 'lee', 'mo', 'ann', 'bo']) served.push(...(await lease(batch, who, 8)));
    expect(served).toHaveLength(40);
    expect(new Set(served.map(({ fence }) => fence))).toEqual(new Set([1]));
    expect(served.filter(({ suggestion }) => suggestion && suggestion.confidence !== null)).toEqual([]);
    const [held] = await ask<{ salt: string; places: number[] }>(
      base.db,
      sql`select salt, (select jsonb_agg(l.place order by l.place) from lease l join label_task t on t.id = l.task
          where l.batch = b.id and l.labeler = 'kim' and t.gold is not null) as places
        from label_batch b where id = ${batch}`,
    );
    expect(held?.salt).toHaveLength(36);
    const drawn = Array.from({ length: 8 }, (_, i) => i).filter((i) =>
      isGoldPlace(0.5, `${held?.salt}${batch}/kim`, i),
    );
    expect(held?.places).toEqual(drawn);
  });

  it('pause who falls below, and what that person held goes to others', async () => {
    const { batch } = await makeBatch(base.db, 4, { policy: gold(0.5), more: goldTasks(4) });
    const leased = await lease(batch, 'kim', 8);
    for (const task of leased) await answer(batch, 'kim', task, 'b');
    expect(await failureOf(lease(batch, 'kim', 1))).toBe('LabelerPaused');
    const { answered, right } = (await batchLabelers(base.db, batch))[0]!.gold;
    expect([answered, right]).toEqual([2, 0]);
    const left = await lease(batch, 'lee', 8);
    expect(left.length).toBeGreaterThan(0);
  });

  it('let those go on who are right', async () => {
    const { batch } = await makeBatch(base.db, 4, { policy: gold(0.5), more: goldTasks(4) });
    // each test before a task that is to be asked: after the last one none comes
    const done = await work(batch, 'kim');
    expect(done).toBeGreaterThan(5);
    expect(done).toBeLessThanOrEqual(8);
    expect((await batchState(base.db, batch)).status).toBe('review');
  });

  it('do not come when nothing else is left for a labeler', async () => {
    const { batch } = await makeBatch(base.db, 2, { policy: gold(0.5), more: goldTasks(20) });
    const held = await lease(batch, 'lee', 4);
    expect(held.length).toBeLessThanOrEqual(4);
    expect(await lease(batch, 'kim', 10)).toEqual([]);
  });
});

it('asks for skills and languages', async () => {
  const { batch } = await makeBatch(base.db, 1, { policy: { requires: { skills: ['x-ray'], languages: ['ko'] } } });
  await saveLabeler(base.db, project, { name: 'kim', skills: ['x-ray'], languages: [] });
  await expect(lease(batch, 'kim', 1)).rejects.toMatchObject({
    failure: 'LabelerUnfit',
    message: expect.stringContaining('the language ko') as string,
  });
  await saveLabeler(base.db, project, { name: 'kim', skills: ['x-ray'], languages: ['ko', 'en'] });
  expect(await lease(batch, 'kim', 1)).toHaveLength(1);
});

describe('reviewers', () => {
  const all = { review: { share: 1, self: false } };
  const labelOf = async (task: string) =>
    (await ask(base.db, sql`select label, status, review from label_task where id = ${task}`))[0];
  async function labelled(policy: Partial<LabelPolicy> = all) {
    const { batch, dataset } = await makeBatch(base.db, 2, { policy });
    const leased = await lease(batch, 'kim', 2);
    for (const task of leased) await answer(batch, 'kim', task);
    return { batch, dataset, one: leased[0]!, two: leased[1]! };
  }

  it('must look before the batch is accepted; what they mend counts', async () => {
    const { batch, dataset, one, two } = await labelled();
    expect(await failureOf(decide(batch, 'accept'))).toBe('ReviewIncomplete');
    await review(batch, 'lee', { ...one, verdict: 'accept' });
    expect(await review(batch, 'lee', { ...two, verdict: 'fix', label: 'b' })).toEqual({ reviewed: 1, refused: [] });
    await decide(batch, 'accept');
    expect((await labelsOf(base.db, dataset)).map(({ label, annotators }) => [label, annotators])).toEqual([
      ['a', ['kim']],
      ['b', ['lee']],
    ]);
  });

  it('mend what everybody skipped, whatever another one says of it then; the label is theirs', async () => {
    for (const then of ['accept', 'dispute'] as const) {
      const { batch, dataset } = await makeBatch(base.db, 2, {
        policy: { review: { share: 0, self: true }, skip: { to: 'others', most: 1 } },
      });
      const leased = await lease(batch, 'kim', 2);
      await skip(batch, 'kim', leased[0]!);
      await answer(batch, 'kim', leased[1]!);
      for (const task of leased) {
        const mend = (label: string, up: number) =>
          review(batch, label === 'a' ? 'ida' : 'lee', { ...task, fence: task.fence + up, verdict: 'fix', label });
        expect([(await mend('a', 0)).refused, (await mend('b', 1)).refused]).toEqual([[], []]);
      }
      const judged = { ...leased[then === 'accept' ? 0 : 1]!, verdict: then };
      expect(
        (await review(batch, then === 'accept' ? 'mo' : 'kim', { ...judged, fence: judged.fence + 2 })).refused,
      ).toEqual([]);
      await decide(batch, 'close');
      expect((await labelsOf(base.db, dataset)).map(({ label, annotators }) => [label, annotators])).toEqual([
        ['b', ['lee']],
        ['b', ['lee']],
      ]);
    }
  });

  it('do not judge themselves, mend over another unseen, or give what is no label', async () => {
    const { batch, one } = await labelled();
    const reason = async (reviewer: string, more: Partial<Review>) =>
      (await review(batch, reviewer, { ...one, verdict: 'fix', label: 'b', ...more })).refused[0]?.reason;
    expect(await reason('kim', {})).toBe('self-review');
    expect(await reason('lee', { label: 'zebra' })).toBe('unknown-label');
    expect(await reason('lee', { fence: 7 })).toBe('stale-fence');
    expect(await reason('lee', { taskId: 'task_none' })).toBe('unknown-task');
    expect(await reason('lee', {})).toBeUndefined();
    expect(await reason('mo', { label: 'a' })).toBe('stale-fence');
    expect(await labelOf(one.taskId)).toMatchObject({ label: 'b', review: 'fix' });
  });

  it('send back to the same or to another person', async () => {
    const { batch, one, two } = await labelled();
    await review(batch, 'lee', { ...one, verdict: 'send-back', to: 'same', comment: 'look again' });
    await review(batch, 'lee', { ...two, verdict: 'send-back', to: 'other' });
    expect((await batchView(base.db, project, batch)).status).toBe('open');
    expect((await answer(batch, 'kim', one)).refused).toEqual([{ taskId: one.taskId, reason: 'stale-fence' }]);
    expect((await lease(batch, 'mo', 2)).map(({ taskId }) => taskId)).toEqual([two.taskId]);
    expect((await lease(batch, 'kim', 2)).map(({ taskId }) => taskId)).toEqual([one.taskId]);
    expect(await count(base.db, 'label_review', sql`task = ${one.taskId} and comment = 'look again'`)).toBe(1);
  });

  it('are objected to, and another one decides', async () => {
    const { batch, one } = await labelled();
    await review(batch, 'lee', { ...one, verdict: 'fix', label: 'b' });
    const mended = { taskId: one.taskId, fence: one.fence + 1 };
    const refused = async (reviewer: string, verdict: Review['verdict']) =>
      (await review(batch, reviewer, { ...mended, verdict })).refused[0]?.reason;
    expect(await refused('mo', 'dispute')).toBe('not-disputable');
    expect(await refused('kim', 'dispute')).toBeUndefined();
    expect(await refused('lee', 'accept')).toBe('self-review');
    expect(await refused('mo', 'accept')).toBeUndefined();
    expect(await labelOf(one.taskId)).toMatchObject({ label: 'b', review: 'accept' });
  });

  it('come too late once the batch is decided', async () => {
    const { batch, one } = await labelled({});
    await decide(batch, 'accept');
    expect(await failureOf(review(batch, 'lee', { ...one, verdict: 'accept' }))).toBe('BatchClosed');
  });
});

describe('many labelers and reviewers', () => {
  const move = fc.record({
    who: fc.integer({ min: 0, max: 4 }),
    what: fc.constantFrom('lease', 'answer', 'answer', 'skip', 'repeat', 'expire', 'late', 'send-back'),
    n: fc.integer({ min: 1, max: 4 }),
  });

  async function invariants(batch: string): Promise<void> {
    const found = await ask<{ wanted: number; answered: number; people: number; rows: number; status: string }>(
      base.db,
      sql`select t.wanted, t.answered, t.status, count(distinct a.annotator)::int as people, count(a.id)::int as rows
        from label_task t left join annotation a on a.task = t.id and a.outcome = 'accepted' and a.fence > t.floor
        where t.batch = ${batch} and t.gold is null group by t.id`,
    );
    for (const { wanted, answered, people, rows, status } of found) {
      // I1, and labels = distinct accepted annotations
      expect(people).toBe(rows);
      expect(answered).toBe(rows);
      expect(rows).toBeLessThanOrEqual(wanted);
      expect(wanted).toBeLessThanOrEqual(3);
      if (status === 'labelled') expect(rows).toBeGreaterThanOrEqual(2);
    }
    // I5
    const twice = await ask(
      base.db,
      sql`select 1 from annotation a join label_task t on t.id = a.task
        where t.batch = ${batch} and t.gold is not null group by a.task, a.annotator having count(*) > 1`,
    );
    expect(twice).toEqual([]);
    // I4
    const returned = await ask(
      base.db,
      sql`select 1 from lease l join annotation a on a.task = l.task and a.annotator = l.labeler and a.outcome = 'skipped'
        join label_task t on t.id = l.task where t.batch = ${batch} and a.fence > t.floor`,
    );
    expect(returned).toEqual([]);
  }

  it('keep I1 to I6', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(move, { minLength: 20, maxLength: 60 }), async (moves) => {
        const policy = { ...overlap(2, 3), ...gold(0.25, 0, 1), skip: { to: 'others' as const, most: 4 } };
        const { batch } = await makeBatch(base.db, 6, { policy, more: goldTasks(3) });
        const held = new Map<number, Told[]>();
        const told = new Map<string, string>();
        const act = async ({ who, what, n }: (typeof moves)[number]): Promise<void> => {
          const labeler = `l${who}`;
          const mine = held.get(who) ?? [];
          if (what === 'expire') return void (await expire(batch));
          if (what === 'lease') {
            const got = await lease(batch, labeler, n).catch((error: unknown) => {
              expect(error).toMatchObject({ failure: 'BatchClosed' });
              return [];
            });
            return void held.set(who, [...mine, ...got]);
          }
          if (what === 'send-back') {
            const [task] = await ask<{ id: string; fence: number }>(
              base.db,
              sql`select id, fence from label_task where batch = ${batch} and status = 'labelled' limit 1`,
            );
            if (task) await review(batch, 'rev', { taskId: task.id, fence: task.fence, verdict: 'send-back' });
            return;
          }
          for (const task of mine.slice(what === 'late' ? 0 : -n)) {
            const label = who % 2 === 0 ? 'a' : 'b';
            const result =
              what === 'skip' ? await skip(batch, labeler, task) : await answer(batch, labeler, task, label);
            const outcome = result.accepted ? 'accepted' : result.surplus ? 'surplus' : 'refused';
            const id = `${task.taskId}/${labeler}/${task.fence}`;
            // I2: nothing that was taken is lost, and nothing is taken twice
            if (outcome !== 'refused') told.set(id, outcome);
          }
        };
        for (let from = 0; from < moves.length; from += 5) {
          await Promise.all(moves.slice(from, from + 5).map(act));
          await invariants(batch);
        }
        const stored = await ask<{ id: string }>(
          base.db,
          sql`select a.task || '/' || a.annotator || '/' || a.fence as id from annotation a
            join label_task t on t.id = a.task where t.batch = ${batch}`,
        );
        expect(stored.map(({ id }) => id).sort()).toEqual([...told.keys()].sort());
        // I3: what expired can be had at once
        await expire(batch);
        const { open } = await batchState(base.db, batch);
        const fresh = await lease(batch, 'fresh', 20).catch(() => []);
        expect(fresh.length).toBeGreaterThanOrEqual(open);
        // I6
        await decide(batch, 'close');
        expect(await failureOf(decide(batch, 'accept'))).toBe('AlreadyDecided');
      }),
      { numRuns: 15 },
    );
  });
});

describe('a deadline that passed', () => {
  const late = (batch: string) =>
    base.db.execute(
      sql`update label_batch set created_at = now() - interval '1 hour', deadline = now() where id = ${batch}`,
    );

  it('gives more people more time, once', async () => {
    const requires = { skills: ['x-ray'], languages: [] };
    const { batch, run } = await makeBatch(base.db, 2, { policy: { requires, escalate: { extend: 0.5 } } });
    await late(batch);
    expect(await failureOf(lease(batch, 'kim', 2))).toBe('BatchClosed');
    const moved = await Promise.all([escalateBatch(base.db, batch), escalateBatch(base.db, batch)]);
    expect(new Set(moved).size).toBe(1);
    const leftMs = Date.parse(moved[0]) - Date.now();
    expect(leftMs).toBeGreaterThan(25 * 60_000);
    expect(leftMs).toBeLessThan(31 * 60_000);
    expect(await lease(batch, 'kim', 2)).toHaveLength(2);
    expect(await count(base.db, 'event', sql`run = ${run.id} and type = 'label.escalated'`)).toBe(1);
    expect((await batchView(base.db, project, batch)).policy).toMatchObject({
      escalate: null,
      requires: { skills: [] },
    });
  });

  it('not past the end of its campaign', async () => {
    const { batch, run } = await makeBatch(base.db, 2, { policy: { escalate: { extend: 0.5 } } });
    const inTen = new Date(Date.now() + 600_000).toISOString();
    await base.db.execute(sql`with c as (
        insert into campaign (id, project, pipeline, workflow_id, settings, started_by, verified)
          select 'cam_ends', project, pipeline, 'campaign/ends', ${JSON.stringify({ stop: { deadline: inTen } })}::jsonb, 'kim',
            false from run where id = ${run.id} returning id)
      insert into campaign_round (campaign, round, run, strategy, batch_size) select id, 1, ${run.id}, 'margin', 2 from c`);
    await late(batch);
    expect(await escalateBatch(base.db, batch)).toBe(inTen);
  });

  it('stays where nobody asked for more, or nothing is open', async () => {
    const { batch } = await makeBatch(base.db, 1);
    await late(batch);
    const { deadline } = await batchState(base.db, batch);
    expect(await escalateBatch(base.db, batch)).toBe(deadline);
    const done = (await makeBatch(base.db, 1, { policy: { escalate: { extend: 0.5 } } })).batch;
    const [task] = await lease(done, 'kim', 1);
    await answer(done, 'kim', task!);
    await late(done);
    expect(await escalateBatch(base.db, done)).toBe((await batchState(base.db, done)).deadline);
    expect(await failureOf(escalateBatch(base.db, 'bat_none'))).toBe('NotFound');
  });
});
