// Pictures for the documents: `node bin/run.mjs docs/screenshots.ts pages` of perennial's pages, `temporal` of Temporal's own UI. A digits pipeline
// runs in a home of its own, a person answers, and at each stop the pages are photographed. CHROMIUM_PATH names a browser; else one from npm.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import chromium from '@sparticuz/chromium';
import { chromium as browsers, type Page } from 'playwright-core';
import { partOf } from '../activities/dataset/split.js';
import { Api } from '../examples/digits/client.js';
import { approve, labelBatch } from '../examples/digits/person.js';
import { demoRows, shares, toCsv } from '../examples/digits/rows.js';
import { startDemoSystem } from '../examples/digits/system.js';
import { tellPages } from './page-pictures.js';
import { folder, photograph, size, waits } from './pictures.js';

/** Two people answer each item. */
const byTwo = { strategy: 'margin', batchSize: 30, explore: 0.1, deadline: '3 days', annotators: 2 };
const namespace = 'perennial';

function documentOf(source: string) {
  return {
    name: 'digits',
    dataset: {
      name: 'digits',
      source: { type: 'file', path: source },
      key: 'id',
      label: 'label',
      task: 'classification',
    },
    features: { exclude: ['id'] },
    labeling: { strategy: 'margin', batchSize: 60, explore: 0.1, deadline: '3 days' },
    split: { ...shares },
    trainer: { type: 'linear', params: { epochs: 40, batch: 32, learningRate: 0.01 }, seed: 7 },
    gate: { metric: 'accuracy', min: 0.8, champion: { notWorseBy: 0.01 } },
    triggers: { schedule: '0 2 * * *', timezone: 'Asia/Seoul', newRows: 400 },
  };
}

interface Story {
  api: Api;
  page: Page;
  truth: Map<string, string>;
}

/** Temporal's UI along one run that people label and approve. */
async function tellTemporal({ api, page, truth }: Story, ui: string): Promise<void> {
  const { id } = await api.post<{ id: string }>('/api/v1/pipelines/digits/runs', { trigger: 'manual' });
  const list = `${ui}/namespaces/${namespace}/workflows`;
  const of = (workflow: string) => `${list}/${encodeURIComponent(workflow)}`;
  const runPage = of('run/default/digits/1');
  const quiet = () => undefined;

  const tab = 'User Metadata';
  const labels = await waits(api, id, ({ waitingFor }) => waitingFor?.kind === 'labels');
  await photograph(page, { name: 'run-waiting', url: runPage, tab, text: 'Waiting for labels', height: 960 });
  await labelBatch(api, labels.waitingFor?.id ?? '', truth, quiet);
  const approval = await waits(api, id, ({ waitingFor }) => waitingFor?.kind === 'approval');
  await photograph(page, { name: 'run-approval', url: runPage, text: 'waiting for approval', height: 1100 });
  const query = encodeURIComponent('PerennialPipeline="digits"');
  await photograph(page, {
    name: 'workflows',
    url: `${list}?query=${query}`,
    text: 'run/default/digits/1',
    height: 520,
  });
  await approve(api, approval.waitingFor?.id ?? '', quiet);
  await waits(api, id, ({ status }) => status === 'succeeded');
  await photograph(page, { name: 'run-finished', url: runPage, text: 'closeRun', height: 1200 });
  await photograph(page, { name: 'loop', url: of('loop/default/digits'), tab, text: 'loop of digits', height: 640 });
}

/** Posts the pipeline, with what is different in this story. */
async function begin(api: Api, home: string, more: object): Promise<Map<string, string>> {
  const data = await demoRows((key) => partOf(shares.seed, key, shares));
  const source = join(home, 'digits.csv');
  await writeFile(source, toCsv(data.columns, data.first));
  await api.post('/api/v1/pipelines', { ...documentOf(source), ...more });
  return data.truth;
}

async function main(what: string | undefined): Promise<void> {
  if (what !== 'pages' && what !== 'temporal') throw new Error('usage: docs/screenshots.ts pages|temporal');
  await mkdir(folder, { recursive: true });
  const home = await mkdtemp(join(tmpdir(), 'perennial-pictures-'));
  const system = await startDemoSystem(join(home, 'home'));
  const executablePath = process.env['CHROMIUM_PATH'] || (await chromium.executablePath());
  const browser = await browsers.launch({ executablePath, args: chromium.args });
  try {
    const context = await browser.newContext({
      viewport: size,
      colorScheme: 'light',
      locale: 'en-US',
      timezoneId: 'UTC',
    });
    await context.addInitScript(`localStorage.setItem('perennial/name', 'kim')`);
    const [api, page] = [new Api(system.api), await context.newPage()];
    if (what === 'pages') return await tellPages(api, page, await begin(api, home, { labeling: byTwo }));
    if (!system.temporalUi) throw new Error('this system has no Temporal UI');
    const approval = { quorum: 1, deadline: '7 days', onDeadline: 'reject' };
    await tellTemporal({ api, page, truth: await begin(api, home, { approval }) }, system.temporalUi);
  } finally {
    await browser.close();
    await system.stop();
    await rm(home, { recursive: true, force: true });
  }
}

await main(process.argv[2]);
process.exit(0);
