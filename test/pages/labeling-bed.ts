// The app on a port of its own with label batches of any kind, and a browser that notes what a page must not do.
import { type ServerType, serve } from '@hono/node-server';
import axe from 'axe-core';
import { execFileSync } from 'node:child_process';
import type { AddressInfo } from 'node:net';
import { expect } from 'vitest';
import type { Browser, BrowserContext, BrowserContextOptions, Page } from 'playwright-core';
import { entryArguments, projectRoot } from '../../adapters/paths.js';
import { datasetOf } from '../../db/dataset.js';
import { openBatch } from '../../db/labeling.js';
import type { Json } from '../../domain/json.js';
import type { LabelKind } from '../../domain/label-kind.js';
import type { LabelPolicy } from '../../domain/label-policy.js';
import { createPipeline, openRun } from '../api/facts.js';
import { testApi, type TestApi, type TestApiOptions } from '../api/support.js';
import { launchBrowser } from '../support/browser.js';

/** What somebody may write into any field; a page shows it as it is. */
export const attack = `<img src=x onerror="document.title='owned'"><script>document.title='owned'</script>`;

export interface WantedBatch {
  items: Json[];
  kind?: LabelKind;
  classes?: string[] | null;
  policy?: Partial<LabelPolicy>;
  suggestion?: { label: string; confidence: number } | null;
}

export interface Answered {
  annotator: string;
  label: string | null;
  comment: string | null;
}

export interface Opened {
  page: Page;
  context: BrowserContext;
  /** Closes it, and fails on every error of the page, breach of its policy and request to another host, but for the allowed. */
  close(allowed?: RegExp): Promise<void>;
}

export interface LabelingBed {
  api: TestApi;
  browser: Browser;
  url: string;
  /** What becomes of calls of the API: `dead`, nobody sees them; `deaf`, they are done and nobody hears of it. */
  network: 'up' | 'dead' | 'deaf';
  batch(wanted: WantedBatch): Promise<string>;
  /** Every answer of a batch, by the key of its row. */
  answers(batch: string): Promise<Record<string, Answered[]>>;
  open(path: string, options?: BrowserContextOptions & { name?: string }): Promise<Opened>;
  close(): Promise<void>;
}

/** `beside`: another one whose browser is used. */
export async function labelingBed(options: TestApiOptions = {}, beside?: LabelingBed): Promise<LabelingBed> {
  // an entry that does nothing: the client's modules are in dist/ afterwards
  execFileSync(process.execPath, entryArguments('web/asset.ts'), { cwd: projectRoot });
  const [api, browser] = await Promise.all([
    testApi(options).then((made) => asAdmin(made, options.token)),
    beside?.browser ?? launchBrowser(),
  ]);
  const answer = async (request: Request): Promise<Response> => {
    const lost = bed.network !== 'up' && new URL(request.url).pathname.startsWith('/api/');
    if (lost && bed.network === 'deaf') await api.app.fetch(request);
    return lost ? new Response(null, { status: 502 }) : api.app.fetch(request);
  };
  const server = await new Promise<ServerType>((resolve) => {
    const made = serve({ fetch: answer, port: 0, hostname: '127.0.0.1' }, () => resolve(made));
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  let made = 0;
  const bed: LabelingBed = {
    ...{ api, browser, url, network: 'up' },
    batch: async (wanted) => {
      made += 1;
      return makeBatch(api, `labels${made}`, wanted);
    },
    answers: (batch) => answersOf(api, batch),
    open: (path, how = {}) => open(browser, url, path, how),
    close: async () => {
      if (!beside) await browser.close();
      await new Promise((resolve) => server.close(resolve));
      await api.close();
    },
  };
  return bed;
}

/** Calls of the facts are the admin's. */
function asAdmin(api: TestApi, token: string | undefined): TestApi {
  if (token === undefined) return api;
  const { post } = api;
  const headers = { authorization: `Bearer ${token}` };
  return { ...api, post: (path, body, own) => post(path, body, { ...headers, ...own }) };
}

async function makeBatch(api: TestApi, pipeline: string, wanted: WantedBatch): Promise<string> {
  const { db } = api.database;
  await createPipeline(api, pipeline);
  const run = await openRun(api, pipeline);
  const dataset = await datasetOf(db, 'default', pipeline);
  const { id } = await openBatch(db, {
    ...{ run, node: 'label', project: 'default', dataset: dataset.id, task: 'classification' },
    deadline: new Date(Date.now() + 3_600_000),
    classes: wanted.classes === undefined ? ['no', 'yes'] : wanted.classes,
    kind: wanted.kind ?? 'single',
    policy: wanted.policy ?? {},
    tasks: wanted.items.map((item, place) => ({
      ...{ key: `k${place}`, item, suggestion: wanted.suggestion ?? null },
      ...{ reason: 'strategy' as const, probability: null, score: 0.1 },
    })),
  });
  return id;
}

async function answersOf(api: TestApi, batch: string): Promise<Record<string, Answered[]>> {
  const found = await api.database.db.$client.query<Answered & { key: string }>(
    `select t.key, a.annotator, a.label, a.comment from annotation a join label_task t on t.id = a.task
      where t.batch = $1 order by t.position, a.created_at`,
    [batch],
  );
  const all: Record<string, Answered[]> = {};
  for (const { key, ...answer } of found.rows) (all[key] ??= []).push(answer);
  return all;
}

async function open(
  browser: Browser,
  url: string,
  path: string,
  { name, ...options }: BrowserContextOptions & { name?: string },
): Promise<Opened> {
  const context = await browser.newContext({ viewport: { width: 1100, height: 800 }, ...options });
  // a breach is no error of the console in every browser
  await context.addInitScript(
    `addEventListener('securitypolicyviolation', (event) => console.error('policy: ' + event.violatedDirective))`,
  );
  if (name !== undefined)
    await context.addInitScript(`localStorage.setItem('perennial/name', ${JSON.stringify(name)})`);
  const page = await context.newPage();
  const faults: string[] = [];
  page.on('pageerror', (error) => faults.push(error.message));
  page.on('console', (message) => {
    if (message.type() === 'error') faults.push(message.text());
  });
  page.on('request', (request) => {
    if (!/^(data|blob):/.test(request.url()) && !request.url().startsWith(url)) faults.push(`asked ${request.url()}`);
  });
  await page.goto(url + path);
  const close = async (allowed?: RegExp) => {
    await context.close();
    expect(faults.filter((fault) => !allowed?.test(fault))).toEqual([]);
  };
  return { page, context, close };
}

const allRules = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];

/** What axe finds wrong, in words: by all rules of WCAG 2.2 A and AA and its best practices, or by some. */
async function violations(page: Page, rules: string[] | null): Promise<string[]> {
  await page.evaluate(`window.axe || (() => { ${axe.source} })()`);
  const runOnly = rules === null ? { type: 'tag', values: allRules } : { type: 'rule', values: rules };
  const { violations: found } = (await page.evaluate(
    `axe.run(document, ${JSON.stringify({ runOnly, resultTypes: ['violations'] })})`,
  )) as axe.AxeResults;
  return found.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`);
}

/** Elements that make the page scroll sideways; what stands in a region that scrolls by itself may be wider. */
const tooWide = `document.documentElement.scrollWidth <= innerWidth ? [] : [...document.querySelectorAll('body *')]
  .filter((one) => one.getBoundingClientRect().right > innerWidth && !one.closest('.wide > *, .text'))
  .map((one) => one.outerHTML.slice(0, 200))`;

/** What depends on nothing but colours is looked for alone where only they change. */
const colours = ['color-contrast', 'link-in-text-block'];
const looks = [
  { colorScheme: 'light', width: 1100, rules: null },
  { colorScheme: 'dark', width: 1100, rules: colours },
  { colorScheme: 'light', width: 360, rules: null },
  { colorScheme: 'dark', width: 360, rules: colours },
] as const;

/** On a phone nothing makes the page scroll sideways. */
export async function expectNarrow(page: Page): Promise<void> {
  await page.setViewportSize({ width: 360, height: 740 });
  expect(await page.evaluate(tooWide)).toEqual([]);
}

/** Light and dark, wide and on a phone: axe finds nothing, nothing makes the page scroll sideways, nothing moves by itself. */
export async function expectAccessible(page: Page): Promise<void> {
  for (const { colorScheme, width, rules } of looks) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    await page.setViewportSize({ width, height: 740 });
    expect(await violations(page, rules && [...rules])).toEqual([]);
    expect(await page.evaluate(tooWide)).toEqual([]);
    expect(await page.evaluate('document.getAnimations().length')).toBe(0);
  }
}

/** Nothing of what anybody wrote became more than text. */
export async function expectTextOnly(page: Page): Promise<void> {
  expect(await page.title()).toContain('perennial');
  expect(await page.locator('main script, main img').count()).toBe(0);
}

/** Numbers what can be reached by keys, and says how many there are. */
const numberStops = `[...document.querySelectorAll('a[href], button, input, select, textarea, summary, [tabindex="0"]')]
  .filter((one) => !one.disabled && one.checkVisibility({ visibilityProperty: true }))
  .map((one, place) => { one.dataset.stop = place; }).length`;
/** The number of what has the focus and is seen to have it; null: nothing has. */
const stopNow = `(() => {
  const { dataset: { stop } } = document.activeElement;
  if (stop === undefined) return null;
  const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement);
  return outlineStyle === 'none' || parseFloat(outlineWidth) < 2 ? 'unseen: ' + document.activeElement.outerHTML : stop;
})()`;

/** By Tab alone everything is reached, seen to have the focus, and left again. */
export async function expectKeyboard(page: Page): Promise<void> {
  const count = Number(await page.evaluate(numberStops));
  await page.evaluate('document.activeElement.blur()');
  const reached = new Set<unknown>();
  // once around, from wherever the browser begins, and the way through its own frame
  for (let pressed = 0; pressed <= count + 2; pressed += 1) {
    await page.keyboard.press('Tab');
    reached.add(await page.evaluate(stopNow));
  }
  const missed = Array.from({ length: count }, (_, stop) => String(stop)).filter((stop) => !reached.has(stop));
  const names = await page.evaluate(
    `${JSON.stringify(missed)}.map((stop) => document.querySelector('[data-stop="' + stop + '"]').outerHTML)`,
  );
  expect([...(names as string[]), ...[...reached].filter((one) => /^unseen/.test(String(one)))]).toEqual([]);
}
