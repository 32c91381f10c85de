// What the first page says is left for a labeler is what a lease would give.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { disputesOf, leftFor } from '../../db/labeling-home.js';
import { annotate, leaseTasks, reviewTasks } from '../../db/labeling.js';
import type { LabelPolicy } from '../../domain/label-policy.js';
import type { Review } from '../../domain/labeling.js';
import { testDatabase, type TestDatabase } from '../support/database.js';
import { makeBatch } from './facts.js';

let base: TestDatabase;
beforeAll(async () => {
  base = await testDatabase();
});
afterAll(() => base.close());

const project = 'default';
const lease = (batch: string, labeler: string, count: number) =>
  leaseTasks(base.db, { project, batch, labeler, count });
const left = async (batch: string, labeler: string) => (await leftFor(base.db, project, labeler)).get(batch);

/** Says how much is left before a lease of everything, and whether the lease agrees. */
async function checked(batch: string, labeler: string): Promise<number> {
  const said = (await left(batch, labeler))?.left;
  expect(said).toBe((await lease(batch, labeler, 100)).length);
  return said ?? NaN;
}

async function say(batch: string, labeler: string, count: number, answer: { label: string } | { skip: true }) {
  const answers = (await lease(batch, labeler, count)).map(({ taskId, fence }) => ({ taskId, fence, ...answer }));
  await annotate(base.db, { project, batch, labeler, answers: answers.slice(0, count) });
  return answers;
}

const twice: Partial<LabelPolicy> = { overlap: { min: 2, max: 2, confidence: 0.9 } };

it('counts what is free and what one holds, never what one answered', async () => {
  const { batch } = await makeBatch(base.db, 4, { policy: twice });
  await say(batch, 'kim', 2, { label: 'a' });
  await lease(batch, 'lee', 1);
  expect(await checked(batch, 'kim')).toBe(2);
  // kim holds the last two now, lee has a slot in all
  expect(await checked(batch, 'lee')).toBe(4);
  expect(await checked(batch, 'mo')).toBe(0);
});

it.each(['nobody', 'others', 'self'] as const)('a skip goes to %s', async (to) => {
  const { batch } = await makeBatch(base.db, 2, { policy: { skip: { to, most: 9 } } });
  await say(batch, 'kim', 1, { skip: true });
  expect(await checked(batch, 'kim')).toBe(to === 'self' ? 2 : 1);
});

it.each(['same', 'other', null] as const)('what was sent back to %s', async (to) => {
  const { batch } = await makeBatch(base.db, 1);
  const [one] = await say(batch, 'kim', 1, { label: 'a' });
  expect((await left(batch, 'kim'))?.left).toBe(0);
  const back: Review = { taskId: one!.taskId, fence: one!.fence, verdict: 'send-back', ...(to && { to }) };
  await reviewTasks(base.db, { project, batch, reviewer: 'lee', reviews: [back] });
  expect((await left(batch, 'mo'))?.left).toBe(to === 'same' ? 0 : 1);
  expect(await checked(batch, 'kim')).toBe(to === 'other' ? 0 : 1);
});

it('says what is lacking, what was mended, and what is disputed', async () => {
  const policy = { requires: { skills: ['x-ray'], languages: [] } };
  const { batch: unfit } = await makeBatch(base.db, 1, { policy });
  expect(await left(unfit, 'kim')).toMatchObject({ lacks: 'the skill x-ray', paused: false });
  const { batch } = await makeBatch(base.db, 2);
  const [one] = await say(batch, 'kim', 1, { label: 'a' });
  const review = (reviewer: string, verdict: Review['verdict'], fence: number, label?: string) =>
    reviewTasks(base.db, {
      ...{ project, batch, reviewer },
      reviews: [{ taskId: one!.taskId, fence, verdict, ...(label && { label }) }],
    });
  await review('lee', 'fix', one!.fence, 'b');
  expect(await left(batch, 'kim')).toMatchObject({ left: 1, mended: 1 });
  expect((await left(batch, 'mo'))?.mended).toBe(0);
  expect((await disputesOf(base.db, project)).has(batch)).toBe(false);
  await review('kim', 'dispute', one!.fence + 1);
  expect((await disputesOf(base.db, project)).get(batch)).toBe(1);
  expect(await left(batch, 'kim')).toMatchObject({ mended: 0 });
});
