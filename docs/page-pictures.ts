// The story behind the pictures of the pages: a campaign on digits whose rounds a person answers, photographed where there is
// something to be seen.
import type { Page } from 'playwright-core';
import type { Api } from '../examples/digits/client.js';
import { photograph, waits } from './pictures.js';

interface Campaign {
  status: string;
  rounds: { run: string; batch: string | null }[];
}

const rounds = 5;

interface Leased {
  tasks: { taskId: string; fence: number; item: { id: string } }[];
}

/** Two people answer everything; lee errs now and then. */
async function answerAll(api: Api, batch: string, truth: Map<string, string>): Promise<void> {
  const path = `/api/v1/label-batches/${batch}`;
  for (const labeler of ['kim', 'lee']) {
    const { tasks } = await api.post<Leased>(`${path}/lease`, { labeler, count: 100 });
    const annotations = tasks.map(({ taskId, fence, item }, place) => {
      const right = truth.get(item.id) ?? '0';
      const wrong = labeler === 'lee' && place % 9 === 4;
      return { taskId, fence, label: wrong ? String((Number(right) + 1) % 10) : right };
    });
    await api.post(`${path}/annotations`, { labeler, annotations });
  }
}

/** The run and the batch of a round, once people are asked. */
async function asked(api: Api, campaign: string, round: number): Promise<{ run: string; batch: string }> {
  for (const end = Date.now() + 120_000; Date.now() < end;) {
    const { rounds: found } = await api.get<Campaign>(`/api/v1/campaigns/${campaign}`);
    const { run, batch } = found[round - 1] ?? { run: null, batch: null };
    if (run !== null && batch !== null) return { run, batch };
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  throw new Error(`round ${round} asked nobody`);
}

/** Takes the pictures of the labeling, review, progress and campaign pages. */
export async function tellPages(api: Api, page: Page, truth: Map<string, string>): Promise<void> {
  const { id } = await api.post<{ id: string }>('/api/v1/campaigns', {
    ...{ pipeline: 'digits', strategy: ['kCenter', 'margin'], batchSize: 30, explore: 0.1, by: 'kim' },
    stop: { labels: 600, target: 0.95, plateau: { rounds: 6, margin: 0.002 }, deadline: '14 days' },
  });
  for (let round = 1; round < rounds; round += 1) {
    const { run, batch } = await asked(api, id, round);
    const url = `${api.base}/label/${batch}`;
    if (round === 1) await photograph(page, { name: 'labeling', url, text: '0 of 30', height: 560 });
    await answerAll(api, batch, truth);
    if (round === 1) {
      await photograph(page, { name: 'label-review', url: `${url}/review`, text: 'kim', height: 760 });
      await photograph(page, { name: 'label-progress', url: `${url}/progress`, text: 'The first items', height: 1100 });
    }
    await api.post(`/api/v1/label-batches/${batch}/decision`, { decision: 'accept', by: 'mo' });
    await waits(api, run, ({ status }) => !['running', 'waiting'].includes(status));
  }
  await asked(api, id, rounds);
  await photograph(page, {
    name: 'campaign',
    url: `${api.base}/campaigns/${id}`,
    text: 'Rounds',
    width: 940,
    height: 900,
  });
}
