// The review page and the progress page in a real browser: verdicts by keys, refusals in words, figures for people.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { until } from '../support/system.js';
import { jsonOf } from '../api/support.js';
import { expectAccessible, labelingBed, type LabelingBed } from './labeling-bed.js';

let bed: LabelingBed;
beforeAll(async () => {
  bed = await labelingBed();
});
afterAll(() => bed?.close());

const attack = `<script>document.title='owned'</script>`;

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
  const batch = await bed.batch({ items, policy });
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
  const { page, faults, close } = await bed.open(`/label/${batch}/review`, { name: 'lee' });
  await page.getByText('This one must be looked at.').waitFor();
  await expectAccessible(page);
  expect(await page.locator('.answers').innerText()).toContain(attack);
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
  expect(faults).toEqual([]);
  await page.getByRole('button', { name: 'Accept the batch' }).click();
  await page.getByText('1 tasks have no answer').waitFor();
  await page.keyboard.press('a');
  await page.getByText('Nothing waits for a review.').waitFor();
  bed.api.decisions.answers.push({ kind: 'answer', answer: { status: 'partial', decisionId: 'd', decision: 'close' } });
  await page.getByRole('button', { name: 'Close with what there is' }).click();
  await page.getByText('The batch is partial.').waitFor();
  await close();
});

test('nobody reviews their own answers, and the page says so', async () => {
  const batch = await answered(['kim'], 1);
  const { page, close } = await bed.open(`/label/${batch}/review`, { name: 'kim' });
  await page.getByText('This one must be looked at.').waitFor();
  await page.keyboard.press('a');
  await page.getByText('nobody reviews their own answers here').waitFor();
  expect(await tasksOf(batch)).toMatchObject([{ review: null }]);
  await close();
});

test('progress: counts, agreement, people, what was asked and why', async () => {
  const batch = await answered(['kim', attack], 3);
  const { page, faults, close } = await bed.open(`/label/${batch}/progress`);
  const text = await page.locator('main').innerText();
  expect(text).toMatch(/labelled\s+3/);
  expect(text).toMatch(/agree\s+100 %/);
  expect(text).toContain(attack);
  expect(text).toContain('chosen by the strategy');
  expect(await page.locator('svg rect').count()).toBeGreaterThan(5);
  expect(await page.locator('main script').count()).toBe(0);
  await expectAccessible(page);
  const asked = await jsonOf(await bed.api.get(`/api/v1/label-batches/${batch}/asked`));
  expect(asked).toMatchObject({ reasons: [{ reason: 'strategy', tasks: 3 }], labels: [{ label: 'yes', tasks: 3 }] });
  expect(faults).toEqual([]);
  await close();
  expect((await bed.api.get('/label/bat_0/progress')).status).toBe(404);
});
