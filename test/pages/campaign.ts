// The pages of campaigns in a real browser: begun by a form that says what is wrong where, watched as rounds come, decided about.
import { expect, test } from 'vitest';
import { advanceCampaign, decideCampaign } from '../../db/campaign.js';
import { datasetOf } from '../../db/dataset.js';
import { inTransaction } from '../../db/client.js';
import { decideBatch, openBatch } from '../../db/labeling.js';
import { Curve } from '../../web/curve.js';
import { closeRun } from '../../db/run.js';
import { jsonOf } from '../api/support.js';
import { attack, expectAccessible, expectKeyboard, expectTextOnly } from './labeling-bed.js';
import { bed } from './shared-bed.js';

async function makePipeline(name: string): Promise<void> {
  const made = await bed.api.post('/api/v1/pipelines', {
    ...{ name, trainer: { type: 'linear' }, gate: { metric: 'accuracy', min: 0.8 } },
    dataset: { name, key: 'id', label: 'label', task: 'classification' },
    labeling: { strategy: 'margin', batchSize: 5, deadline: '1 hour' },
  });
  expect(made.status).toBe(201);
}

async function begin(pipeline: string, stop: object, more: object = {}): Promise<string> {
  await makePipeline(pipeline);
  const asked = { pipeline, batchSize: 2, stop, by: attack, ...more };
  return (await jsonOf<{ id: string }>(await bed.api.post('/api/v1/campaigns', asked))).id;
}

/** The next round with two labels by two people each, and this accuracy. */
async function round(campaign: string, pipeline: string, accuracy: number): Promise<void> {
  const { db } = bed.api.database;
  const advance = () => inTransaction(db, (tx) => advanceCampaign(tx, campaign, new Map(), Date.now()));
  await advance();
  const { rounds } = await jsonOf<{ rounds: { run: string; round: number }[] }>(
    await bed.api.get(`/api/v1/campaigns/${campaign}`),
  );
  const { run, round: number } = rounds.at(-1)!;
  const { id } = await openBatch(db, {
    ...{ run, node: 'label', project: 'default', dataset: (await datasetOf(db, 'default', pipeline)).id },
    ...{ task: 'classification', classes: ['no', 'yes'], deadline: new Date(Date.now() + 3_600_000) },
    policy: { overlap: { min: 2, max: 2, confidence: 0.9 } },
    tasks: ['strategy' as const, 'explore' as const].map((reason, place) => ({
      ...{ key: `${attack}${number}/${place}`, item: { a: place }, suggestion: null, reason },
      ...{ probability: reason === 'explore' ? 0.25 : null, score: 0.1 + place },
    })),
  });
  for (const labeler of ['kim', attack]) {
    const path = `/api/v1/label-batches/${id}`;
    const { tasks } = await jsonOf<{ tasks: { taskId: string; fence: number }[] }>(
      await bed.api.post(`${path}/lease`, { labeler }),
    );
    const annotations = tasks.map(({ taskId, fence }) => ({ taskId, fence, label: 'yes' }));
    await bed.api.post(`${path}/annotations`, { labeler, annotations });
  }
  const by = { by: 'lee', verified: true, reason: null, tasks: null };
  await decideBatch(db, { batch: id, decision: 'accept', decisionId: `accept-${id}`, ...by });
  await db.$client.query(
    `insert into auto_batch (id, campaign, round, batch, dataset, status, number, tested, threshold, coverage, tests, why,
        pool, sample, covered, population, audit, audited, errors, lo, hi)
      select 'aut_' || $2::text, $1, $2::int, b.id, b.dataset, 'standing', $2::int, true, 0.97, 0.4, '[]', $4, 50, 30, '[]', 20, 5, 2, 1,
        0.01, 0.2 from label_batch b where b.id = $3`,
    [campaign, number, id, attack],
  );
  const measured = { value: accuracy, lo: accuracy - 0.05, hi: accuracy + 0.04, n: 200, method: 'clopper-pearson' };
  const gain = number === 1 ? null : { over: 1, value: 0.02, p: 0.25, better: false };
  await db.$client.query('update campaign_round set accuracy = $1, gain = $2 where run = $3', [measured, gain, run]);
  await closeRun(db, { run, status: 'succeeded', failure: null });
}

test('an operator begins a campaign; what is wrong is said at its field', async () => {
  await makePipeline('begun');
  const { page, close } = await bed.open('/campaigns', { name: 'kim' });
  await page.getByRole('link', { name: 'Begin a campaign' }).click();
  await page.getByRole('heading', { name: 'Begin a campaign' }).waitFor();
  await expectKeyboard(page);
  await page.getByLabel('Items a round').fill('none');
  await page.getByRole('button', { name: 'Begin the campaign' }).click();
  await page.locator('#field-batchSize-problem', { hasText: 'number' }).waitFor();
  expect(await page.evaluate('document.activeElement.name')).toBe('batchSize');
  await page.getByLabel('Items a round').fill('8');
  await page.keyboard.press('Enter');
  await page.locator('[data-problem=stop]', { hasText: 'needs one of' }).waitFor();
  await page.getByLabel('Deadline').fill('yesterday');
  await page.keyboard.press('Enter');
  await page.locator('#field-stop-deadline-problem', { hasText: 'moment' }).waitFor();
  await expectAccessible(page);
  await page.getByLabel('Deadline').fill('14 days');
  await page.getByLabel('Labels by people').fill('600');
  await page.getByLabel('From the second round on').selectOption('entropy');
  await page.getByLabel('The model labels').check();
  await page.getByLabel('Share of them that may be wrong').fill('0.9');
  await page.keyboard.press('Enter');
  await page.locator('#field-auto-maxError-problem', { hasText: '0.5' }).waitFor();
  await page.getByLabel('Share of them that may be wrong').fill('0.1');
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'Campaign of begun' }).waitFor();
  const [found] = (await jsonOf<{ items: object[] }>(await bed.api.get('/api/v1/campaigns?pipeline=begun'))).items;
  expect(found).toMatchObject({
    startedBy: 'kim',
    settings: {
      ...{ strategies: ['margin', 'entropy'], batchSize: 8, explore: 0.1, stop: { labels: 600, target: null } },
      auto: { maxError: 0.1, confidence: 0.95, auditShare: 0.05 },
    },
  });
  await page.getByText('No round was measured yet').waitFor();
  await close(/422/);
});

test('rounds with the same labels so far have one label on the curve', () => {
  const measured = { lo: null, hi: null };
  const points = [40, 60, 60, 61, 80].map((x, place) => ({ x, y: 0.8, label: String(place + 1), ...measured }));
  const drawn = String(Curve({ title: 'all', xUnit: 'labels', yUnit: 'accuracy', points, target: null }));
  expect([...drawn.matchAll(/class="round"[^>]*>([^<]*)</g)].map(([, label]) => label)).toEqual(['1', '2–4', '5']);
});

test('rounds come while the page is looked at: the curve, the rules, the people; the place is kept', async () => {
  const stop = { labels: 40, target: 0.95, plateau: { rounds: 3, margin: 0.01 } };
  const id = await begin('watched', stop, { explore: 0.5, auto: {} });
  await round(id, 'watched', 0.8);
  const { page, close } = await bed.open(`/campaigns/${id}`, { name: 'lee' });
  expect(await page.locator('svg.curve circle').count()).toBe(1);
  await page.getByLabel('Reason').fill('half typed');
  await page.locator('a', { hasText: 'items of round 1' }).first().focus();
  await round(id, 'watched', 0.82);
  await page.evaluate(`document.dispatchEvent(new Event('visibilitychange'))`);
  await page.locator('svg.curve circle').nth(1).waitFor();
  expect(await page.locator('svg.curve .round').allTextContents()).toEqual(['1', '2']);
  expect(await page.getByLabel('Reason').inputValue()).toBe('half typed');
  expect(await page.evaluate('document.activeElement.textContent')).toBe('items of round 1');
  const text = await page.locator('main').innerText();
  expect(text).toMatch(/Labels by people\s+4\s+40/);
  expect(text).toMatch(/lower end of its interval\s+0.7460\s+at least 0.95/);
  expect(text).toMatch(/not better by more than 0.01\s+1\s+3/);
  expect(text).toContain('0.8200 (0.7700 to 0.8600, n 200)');
  expect(text).toContain('+0.0200 over round 1, p 0.25');
  expect(text).toContain('drawn by chance, to explore');
  expect(text).toMatch(/by the model alone\s+36/);
  expect(text).toContain('At most 5 % of them may be wrong');
  expect(text).toMatch(/Asks about\s+rows without a label/);
  expect(text).toMatch(/stands\s+0.970\s+40 %\s+20\s+2 of 5\s+1\s+1.0 to 20.0 %/);
  expect(text).toMatch(/agree\s+100 %/);
  expect(text.split(attack).length).toBeGreaterThan(2);
  await expectTextOnly(page);
  expect(await page.getByRole('link', { name: 'In Temporal' }).getAttribute('href')).toContain(id);
  await expectAccessible(page);
  await expectKeyboard(page);
  await page.locator('a', { hasText: 'items of round 1' }).first().click();
  await page.getByText(`${attack}1/0`).waitFor();
  await expectTextOnly(page);
  await close();
});

test('an operator pauses, resumes and stops, with a reason that everybody reads', async () => {
  const id = await begin('decided', { labels: 40 });
  const { db } = bed.api.database;
  const obey = async (payload: unknown) => {
    const { decision, by, reason } = payload as { decision: 'stop'; by: string; reason?: string };
    const said = { campaign: id, decisionId: null, decision, by, verified: false, reason: reason ?? null };
    const answer = await inTransaction(db, (tx) => decideCampaign(tx, said));
    return { kind: 'answer' as const, answer: answer as never };
  };
  const { page, close } = await bed.open(`/campaigns/${id}`, { name: 'lee' });
  page.on('dialog', (dialog) => void dialog.accept());
  for (const [press, shown] of [
    ['Pause', 'The campaign is paused'],
    ['Resume', 'The campaign is running'],
  ]) {
    bed.api.decisions.answers.push(obey);
    await page.getByLabel('Reason').fill(attack);
    await page.getByRole('button', { name: press! }).click();
    await page.getByText(shown!).waitFor();
    expect(await page.locator('.why').innerText()).toContain(`by lee: ${attack}`);
  }
  await page.getByRole('button', { name: 'Stop for good' }).click();
  await page.getByText('is kept and is carried out').waitFor();
  await obey({ decision: 'stop', by: attack });
  await page.reload();
  await page.getByText('because somebody stopped it').waitFor();
  expect(await page.getByRole('button', { name: 'Stop for good' }).isVisible()).toBe(false);
  await page.goto(`${bed.url}/campaigns`);
  await page.getByRole('link', { name: id }).waitFor();
  await expectAccessible(page);
  await close();
  expect((await bed.api.get('/campaigns/cam_0')).status).toBe(404);
});
