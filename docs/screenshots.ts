// Pictures of the labeling page and of the real Temporal UI for the documents: `node bin/run.mjs docs/screenshots.ts`. A digits pipeline runs in a home
// of its own, a person answers, and at each stop the UI is photographed. CHROMIUM_PATH names a browser; else one from npm.
import { mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import chromium from '@sparticuz/chromium';
import { chromium as browsers, type Page } from 'playwright-core';
import { partOf } from '../activities/dataset/split.js';
import { projectRoot } from '../adapters/paths.js';
import { Api, type RunView } from '../examples/digits/client.js';
import { approve, labelBatch } from '../examples/digits/person.js';
import { demoRows, shares, toCsv } from '../examples/digits/rows.js';
import { startDemoSystem } from '../examples/digits/system.js';

const folder = join(projectRoot, 'docs/images');
const size = { width: 1280, height: 900 };
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
    approval: { quorum: 1, deadline: '7 days', onDeadline: 'reject' },
    triggers: { schedule: '0 2 * * *', timezone: 'Asia/Seoul', newRows: 400 },
  };
}

async function waits(api: Api, run: string, holds: (view: RunView) => boolean): Promise<RunView> {
  for (const end = Date.now() + 120_000; Date.now() < end;) {
    const view = await api.get<RunView>(`/api/v1/runs/${run}`);
    if (holds(view)) return view;
    if (view.failure) throw new Error(JSON.stringify(view.failure));
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`run ${run} did not come so far`);
}

interface Picture {
  name: string;
  url: string;
  /** What the page must show before it is photographed. */
  text: string;
  /** Opened first, by its name. */
  tab?: string;
  height?: number;
}

async function photograph(page: Page, { name, url, text, tab, height }: Picture): Promise<void> {
  await page.setViewportSize({ ...size, height: height ?? size.height });
  await page.goto(url, { waitUntil: 'domcontentloaded' });
  if (tab !== undefined) await page.getByText(tab, { exact: true }).first().click({ timeout: 60_000 });
  // Current details are shown inside a frame.
  const place = tab === undefined ? page : page.frameLocator('#user-metadata-current-details');
  await place.getByText(text).first().waitFor({ timeout: 60_000 });
  // The UI polls, so the network may never be idle.
  await page.waitForLoadState('networkidle', { timeout: 3_000 }).catch(() => undefined);
  const path = join(folder, `${name}.png`);
  await page.screenshot({ path, animations: 'disabled' });
  console.log(`${name}.png: ${((await stat(path)).size / 1024).toFixed(0)} KiB`);
}

async function tell(api: Api, ui: string, page: Page, home: string): Promise<void> {
  const data = await demoRows((key) => partOf(shares.seed, key, shares));
  const source = join(home, 'digits.csv');
  await writeFile(source, toCsv(data.columns, data.first));
  await api.post('/api/v1/pipelines', documentOf(source));
  const { id } = await api.post<{ id: string }>('/api/v1/pipelines/digits/runs', { trigger: 'manual' });
  const list = `${ui}/namespaces/${namespace}/workflows`;
  const of = (workflow: string) => `${list}/${encodeURIComponent(workflow)}`;
  const runPage = of('run/default/digits/1');
  const quiet = () => undefined;

  const tab = 'User Metadata';
  const labels = await waits(api, id, ({ waitingFor }) => waitingFor?.kind === 'labels');
  await photograph(page, { name: 'run-waiting', url: runPage, tab, text: 'Waiting for labels', height: 960 });
  const batch = labels.waitingFor?.id ?? '';
  const labelUrl = `${api.base}/label/${batch}`;
  await photograph(page, { name: 'labeling', url: labelUrl, text: '0 of 60', height: 560 });
  await labelBatch(api, batch, data.truth, quiet);
  await photograph(page, {
    name: 'label-progress',
    url: `${labelUrl}/progress`,
    text: 'The first items',
    height: 1100,
  });
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

async function main(): Promise<void> {
  await mkdir(folder, { recursive: true });
  const home = await mkdtemp(join(tmpdir(), 'perennial-pictures-'));
  const system = await startDemoSystem(join(home, 'home'));
  const executablePath = process.env['CHROMIUM_PATH'] || (await chromium.executablePath());
  const browser = await browsers.launch({ executablePath, args: chromium.args });
  try {
    if (!system.temporalUi) throw new Error('this system has no Temporal UI');
    const context = await browser.newContext({
      viewport: size,
      colorScheme: 'light',
      locale: 'en-US',
      timezoneId: 'UTC',
    });
    await context.addInitScript(`localStorage.setItem('perennial/name', 'kim')`);
    await tell(new Api(system.api), system.temporalUi, await context.newPage(), home);
  } finally {
    await browser.close();
    await system.stop();
    await rm(home, { recursive: true, force: true });
  }
}

await main();
process.exit(0);
