// The review page and the progress page in a real browser: verdicts by keys, refusals in words, figures for people.
import { expect, test } from 'vitest';
import { decideBatch } from '../../db/labeling.js';
import { until } from '../support/system.js';
import { jsonOf } from '../api/support.js';
import { attack, expectAccessible, expectKeyboard, expectTextOnly } from './labeling-bed.js';
import { bed } from './shared-bed.js';

interface Task {
  taskId: string;
  key: string;
  fence: number;
  status: string;
  label: string | null;
  review: string | null;
  reviews: { reviewer: string; verdict: string; comment: string | null }[];
}

/** A batch whose items these people answered alike. */
async function answered(people: string[], count: number): Promise<string> {
  const policy = {
    review: { share: 1, self: false },
    overlap: { min: people.length, max: people.length, confidence: 0.9 },
  };
  const items = Array.from({ length: count }, (_, place) => ({ id: `k${place}`, note: attack }));
  const batch = await bed.batch({ items, policy, classes: ['no', 'yes', attack] });
  const path = `/api/v1/label-batches/${batch}`;
  for (const labeler of people) {
    const { tasks } = await jsonOf<{ tasks: Task[] }>(await bed.api.post(`${path}/lease`, { labeler, count }));
    const annotations = tasks.map(({ taskId, fence }) => ({ taskId, fence, label: 'yes', comment: attack }));
    expect((await bed.api.post(`${path}/annotations`, { labeler, annotations })).status).toBe(200);
  }
  return batch;
}

async function tasksOf(batch: string): Promise<Task[]> {
  return (await jsonOf<{ items: Task[] }>(await bed.api.get(`/api/v1/label-batches/${batch}/tasks`))).items;
}

test('a reviewer accepts, mends, sends back and decides, by keys', async () => {
  const batch = await answered(['kim'], 4);
  const { page, close } = await bed.open(`/label/${batch}/review`, { name: 'lee' });
  await page.getByText('This one must be looked at.').waitFor();
  await expectAccessible(page);
  await expectKeyboard(page);
  expect(await page.locator('.answers').innerText()).toContain(attack);
  expect(await page.getByRole('button', { name: attack }).count()).toBe(1);
  await expectTextOnly(page);
  await page.keyboard.press('a');
  await page.keyboard.press('f');
  await page.keyboard.press('1');
  await page.keyboard.press('c');
  await page.keyboard.type('a blurred one');
  await page.keyboard.press('Escape');
  await page.keyboard.press('b');
  const judged = await until('three verdicts', async () => {
    const tasks = await tasksOf(batch);
    return tasks.filter(({ reviews }) => reviews.length > 0).length === 3 && tasks;
  });
  expect(judged).toMatchObject([
    { label: 'yes', review: 'accept', reviews: [{ reviewer: 'lee', verdict: 'accept' }] },
    { label: 'no', review: 'fix' },
    { status: 'open', reviews: [{ verdict: 'send-back', comment: 'a blurred one' }] },
    { reviews: [] },
  ]);
  await page.getByRole('button', { name: 'Accept the batch' }).click();
  await page.getByText('1 tasks have no answer').waitFor();
  await page.keyboard.press('a');
  await page.getByText('Nothing waits for a review.').waitFor();
  await page.locator('.counts', { hasNotText: 'to be sent' }).waitFor();
  bed.api.decisions.answers.push({ kind: 'answer', answer: { status: 'partial', decisionId: 'd', decision: 'close' } });
  await page.getByRole('button', { name: 'Close with what there is' }).click();
  await page.getByText('The batch is partial.').waitFor();
  await close(/409/);
});

test('verdicts survive a dead API and a reload, and each arrives once', async () => {
  const batch = await answered(['kim'], 4);
  const { page, close } = await bed.open(`/label/${batch}/review`, { name: 'lee' });
  const shows = (id: string) => page.locator('.item td', { hasText: new RegExp(`^${id}$`) }).waitFor();
  await shows('k0');
  bed.network = 'dead';
  await page.keyboard.press('a');
  await shows('k1');
  await page.keyboard.press('f');
  await page.keyboard.press('1');
  await shows('k2');
  await page.getByText('Your verdicts are kept here').waitFor();
  await page.reload();
  await page.getByText('does not answer').waitFor();
  expect((await tasksOf(batch)).flatMap(({ reviews }) => reviews)).toEqual([]);
  bed.network = 'up';
  await shows('k2');
  const reviewed = (count: number) =>
    until(`${count} verdicts`, async () => {
      const all = (await tasksOf(batch)).flatMap(({ reviews }) => reviews.map(({ verdict }) => verdict));
      return all.length >= count && all;
    });
  expect(await reviewed(2)).toEqual(['accept', 'fix']);
  // the API takes this one and the page never hears of it
  bed.network = 'deaf';
  await page.keyboard.press('a');
  await reviewed(3);
  bed.network = 'up';
  await page.reload();
  await shows('k3');
  await until('an empty queue', async () => (await page.evaluate(`localStorage.length`)) === 1);
  expect(await reviewed(3)).toEqual(['accept', 'fix', 'accept']);
  await close(/502/);
});

test('a labeler reads why an answer came back, and objects to what was made of another', async () => {
  const batch = await answered(['kim'], 2);
  const path = `/api/v1/label-batches/${batch}`;
  const [first, second] = await tasksOf(batch);
  const { taskId, fence } = first!;
  const back = { taskId: second!.taskId, fence: second!.fence, verdict: 'send-back', to: 'same', comment: attack };
  const fix = { taskId, fence, verdict: 'fix', label: 'no', comment: attack };
  await bed.api.post(`${path}/reviews`, { by: 'lee', reviews: [fix, back] });
  const { page, close } = await bed.open('/', { name: 'kim' });
  await page.getByRole('link', { name: `look at ${batch}` }).waitFor();
  await expectAccessible(page);
  await page.goto(`${bed.url}/label/${batch}`);
  await page.getByText(`Sent back by lee: ${attack}`).waitFor();
  await page.getByRole('link', { name: 'Your reviewed answers' }).click();
  await page.getByText('You said yes. The label is now no.').waitFor();
  await page.getByText('You said yes. It was sent back.').waitFor();
  expect((await page.locator('main').innerText()).split(attack).length).toBeGreaterThan(3);
  await expectTextOnly(page);
  await expectAccessible(page);
  await expectKeyboard(page);
  while ((await page.evaluate('document.activeElement.id')) !== `why-${taskId}`) await page.keyboard.press('Tab');
  await page.keyboard.type('it is a yes');
  await page.keyboard.press('Enter');
  await page.getByText('Your objection has arrived').waitFor();
  expect((await tasksOf(batch))[0]).toMatchObject({
    review: 'dispute',
    reviews: [{ verdict: 'fix' }, { reviewer: 'kim', verdict: 'dispute', comment: 'it is a yes' }],
  });
  await close();
  const review = await bed.open(`/label/${batch}/review`, { name: 'mo' });
  await review.page.getByText('Disputed: look again.').waitFor();
  await review.close();
});

test('nobody reviews their own answers, and the page says so', async () => {
  const batch = await answered(['kim'], 1);
  const { page, close } = await bed.open(`/label/${batch}/review`, { name: 'kim' });
  await page.getByText('This one must be looked at.').waitFor();
  await page.keyboard.press('a');
  await page.getByText('Not taken: accept for k0, because nobody reviews their own answers here').waitFor();
  expect(await tasksOf(batch)).toMatchObject([{ review: null }]);
  await close();
});

test('a batch that was decided shows by whom, when and why, and nothing to press', async () => {
  const batch = await answered(['kim'], 2);
  const tasks = await tasksOf(batch);
  const reviews = tasks.map(({ taskId, fence }) => ({ taskId, fence, verdict: 'accept' }));
  await bed.api.post(`/api/v1/label-batches/${batch}/reviews`, { by: 'lee', reviews });
  const said = { batch, decision: 'accept' as const, decisionId: 'd', by: 'lee', verified: false, reason: attack };
  await decideBatch(bed.api.database.db, { ...said, tasks: null });
  const { page, close } = await bed.open(`/label/${batch}/review`, { name: 'mo' });
  const text = await page.locator('.state', { hasText: 'This batch was accepted by lee at' }).innerText();
  expect(text).toContain(`UTC: ${attack}`);
  await page.keyboard.press('a');
  expect(await page.locator('main button:visible').count()).toBe(0);
  await expectTextOnly(page);
  await expectAccessible(page);
  await close();
});

test('progress: counts, agreement, people, what was asked and why', async () => {
  const batch = await answered(['kim', attack], 3);
  const { page, close } = await bed.open(`/label/${batch}/progress`);
  const text = await page.locator('main').innerText();
  expect(text).toMatch(/labelled\s+3/);
  expect(text).toMatch(/agree\s+100 %/);
  expect(text).toContain(attack);
  expect(text).toContain('chosen by the strategy');
  expect(await page.locator('svg rect').count()).toBeGreaterThan(5);
  await expectTextOnly(page);
  await expectAccessible(page);
  await expectKeyboard(page);
  const asked = await jsonOf(await bed.api.get(`/api/v1/label-batches/${batch}/asked`));
  expect(asked).toMatchObject({ reasons: [{ reason: 'strategy', tasks: 3 }], labels: [{ label: 'yes', tasks: 3 }] });
  await close();
  expect((await bed.api.get('/label/bat_0/progress')).status).toBe(404);
});
