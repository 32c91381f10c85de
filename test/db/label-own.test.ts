// Batches that no run opened: their workflow is started by the outbox, their labels land in the dataset.
import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { datasetOf } from '../../db/dataset.js';
import {
  annotate,
  batchView,
  decideBatch,
  labelsOf,
  leaseTasks,
  listTasks,
  openOwnBatch,
  remindBatch,
  startBatch,
  type DecideBatch,
  type GivenAnswer,
  type NewOwnBatch,
  type NewTask,
} from '../../db/labeling.js';
import { verifyAudit } from '../../db/audit.js';
import { testDatabase, type TestDatabase } from '../support/database.js';
import { ask, makePipeline, tasks } from './facts.js';

let base: TestDatabase;
beforeAll(async () => {
  base = await testDatabase();
});
afterAll(() => base.close());

const project = 'default';
const who = { by: 'kim', verified: true };

async function open(made: NewTask[], more: Partial<NewOwnBatch> = {}) {
  const { name } = await makePipeline(base.db);
  const { id: dataset } = await datasetOf(base.db, project, name);
  const deadline = new Date(Date.now() + 3_600_000);
  const facts = { project, dataset, deadline, classes: ['a', 'b'], task: 'classification' as const, ...who };
  const { id } = await openOwnBatch(base.db, { ...facts, tasks: made, ...more });
  return { id, dataset, name };
}

const decide = (batch: string, decision: DecideBatch['decision']) =>
  decideBatch(base.db, { ...{ batch, decision, decisionId: decision, reason: null, tasks: null }, ...who });
const messages = (batch: string) =>
  ask<{ kind: string; name: string; payload: object }>(
    base.db,
    sql`select kind, name, payload from outbox where workflow_id = ${`labels/default/${batch}`} order by number`,
  );
const audited = async (batch: string) =>
  (await ask<{ action: string }>(base.db, sql`select action from audit where subject = ${batch} order by number`)).map(
    ({ action }) => action,
  );

async function answerAll(batch: string, labeler: string, label: unknown): Promise<number> {
  const leased = await leaseTasks(base.db, { project, batch, labeler, count: 100 });
  const answers = leased.map(({ taskId, fence }) => ({ taskId, fence, label }));
  await annotate(base.db, { project, batch, labeler, answers });
  return leased.length;
}

it('is opened with its workflow, labelled, accepted, and its labels are the dataset’s', async () => {
  const { id, dataset, name } = await open(tasks(3));
  expect(await batchView(base.db, project, id)).toMatchObject({ run: null, dataset: name, status: 'open' });
  expect(await messages(id)).toMatchObject([
    { kind: 'start', name: 'labelBatch', payload: { project, batch: id, run: null, node: null } },
  ]);
  expect(await answerAll(id, 'lee', 'a')).toBe(3);
  await decide(id, 'accept');
  expect(
    (await labelsOf(base.db, dataset)).map(({ key, label, source, annotators, batch }) => [
      key,
      label,
      source,
      annotators,
      batch,
    ]),
  ).toEqual(['k0000', 'k0001', 'k0002'].map((key) => [key, 'a', 'human', ['lee'], id]));
  expect(await audited(id)).toEqual(['labels.opened', 'labels.decided']);
});

it('is reminded of in the audit, once a share, and starts again with the shares that went out', async () => {
  const { id } = await open(tasks(1));
  for (const share of [0.5, 0.5] as const) await remindBatch(base.db, id, share);
  expect(await audited(id)).toEqual(['labels.opened', 'labels.reminded']);
  await base.db.execute(sql`update outbox set sent_at = now() where workflow_id = ${`labels/default/${id}`}`);
  await startBatch(base.db, id);
  const [first, again] = await messages(id);
  expect(again!.payload).toEqual({ ...first!.payload, reminded: [0.5] });
  expect((await verifyAudit(base.db, project)).intact).toBe(true);
});

it('keeps labels that no column holds with the batch', async () => {
  const box = { x: 0.1, y: 0.1, width: 0.2, height: 0.2, label: 'a' };
  const { id, dataset } = await open(tasks(2), { kind: 'box' });
  await answerAll(id, 'lee', [box]);
  expect(await decide(id, 'accept')).toMatchObject({ status: 'accepted', counts: { labelled: 2 } });
  expect(await labelsOf(base.db, dataset)).toEqual([]);
  const page = await listTasks(base.db, { project, batch: id, page: { limit: 5, cursor: null } });
  expect(page.items.map(({ label }) => JSON.parse(label!) as unknown)).toEqual([[box], [box]]);
});

it('counts spans in UTF-16 units, as browsers do', async () => {
  const item = { text: 'a 😀😀' };
  const { id } = await open([{ ...tasks(1)[0]!, item }], { kind: 'span' });
  const [task] = await leaseTasks(base.db, { project, batch: id, labeler: 'lee', count: 1 });
  const answer = (end: number) =>
    annotate(base.db, {
      ...{ project, batch: id, labeler: 'lee' },
      answers: [{ taskId: task!.taskId, fence: task!.fence, label: [{ start: 2, end, label: 'a' }] }],
    });
  expect(await answer(7)).toMatchObject({ refused: [{ reason: 'unknown-label' }] });
  expect(await answer(6)).toMatchObject({ accepted: 1, refused: [] });
});

const given = (annotator: string, label: string | null): GivenAnswer => ({
  ...{ annotator, label, seconds: 2, comment: null, source: { by: annotator } },
});

it('takes answers that come with the tasks: they count, people’s own come after them', async () => {
  const [one, two, three, four] = tasks(4) as [NewTask, NewTask, NewTask, NewTask];
  const { id, dataset } = await open([
    { ...one, answers: [given('ann', 'a'), given('bea', 'a'), given('ann', 'b')] },
    { ...two, answers: [given('ann', null)] },
    { ...three, gold: 'b', answers: [given('ann', 'b')] },
    four,
  ]);
  const counts = { tasks: 3, labelled: 1, skipped: 1, auto: 0 };
  expect(await batchView(base.db, project, id)).toMatchObject({ status: 'open', counts });
  const page = await listTasks(base.db, { project, batch: id, page: { limit: 5, cursor: null } });
  expect(page.items[0]!.answers.map(({ outcome }) => outcome)).toEqual(['accepted', 'accepted', 'surplus']);
  expect(await answerAll(id, 'ann', 'b')).toBe(1);
  await decide(id, 'accept');
  expect((await labelsOf(base.db, dataset)).map(({ label, annotators }) => [label, annotators])).toEqual([
    ['a', ['ann', 'bea']],
    ['b', ['ann']],
  ]);
});

it('goes to review at once where every task came with its answer', async () => {
  const { id } = await open(tasks(2).map((task) => ({ ...task, answers: [given('ann', 'a')] })));
  expect((await batchView(base.db, project, id)).status).toBe('review');
});
