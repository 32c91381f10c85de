// The pages as a person sees them, in a real browser: they show what runs, ask no outside host, and hold no script.
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { projectRoot } from '../../adapters/paths.js';
import { launchBrowser } from '../support/browser.js';
import { attendRun, must } from '../support/person.js';
import { startTestSystem, type TestSystem } from '../support/system.js';

let system: TestSystem;
let browser: Browser;

/** Opens a page and notes every request that leaves the system, and every error. */
async function open(path: string): Promise<{ page: Page; outside: string[]; errors: string[] }> {
  const page = await browser.newPage({ viewport: { width: 1000, height: 800 } });
  const outside: string[] = [];
  const errors: string[] = [];
  page.on('request', (request) => {
    if (!request.url().startsWith(system.url)) outside.push(request.url());
  });
  page.on('pageerror', (error) => errors.push(error.message));
  page.on('console', (message) => {
    if (message.type() === 'error') errors.push(message.text());
  });
  await page.goto(system.url + path);
  return { page, outside, errors };
}

beforeAll(async () => {
  [system, browser] = await Promise.all([startTestSystem(), launchBrowser()]);
  const rows = await readFile(join(projectRoot, 'examples/iris/iris.csv'), 'utf8');
  const path = await system.write('iris.csv', rows);
  await must(system, 'POST', '/api/v1/pipelines', {
    name: 'iris',
    dataset: { name: 'iris', source: { type: 'file', path }, key: 'id', label: 'label', task: 'classification' },
    trainer: { type: 'linear' },
    gate: { metric: 'accuracy', min: 0.8 },
  });
  const { id } = await must<{ id: string }>(system, 'POST', '/api/v1/pipelines/iris/runs', { trigger: 'manual' });
  const { run } = await attendRun(system, id);
  expect(run).toMatchObject({ status: 'succeeded', failure: null });
});

afterAll(async () => {
  await browser?.close();
  await system?.stop();
});

test('the start page names the pipeline and what state it is in', async () => {
  const { page, outside, errors } = await open('/');
  await expect(page.locator('body').innerText()).resolves.toContain('iris');
  expect(outside).toEqual([]);
  expect(errors).toEqual([]);
  await page.close();
});

test('the page of the API lists every operation of openapi.json', async () => {
  const { page, outside, errors } = await open('/docs');
  const text = await page.locator('body').innerText();
  const document = await must<{ paths: Record<string, unknown> }>(system, 'GET', '/openapi.json');
  for (const path of Object.keys(document.paths)) expect(text).toContain(path);
  expect(outside).toEqual([]);
  expect(errors).toEqual([]);
  await page.close();
});

test('the profile is a page with a plot per column, and no script', async () => {
  const { items } = await must<{ items: { version: number }[] }>(system, 'GET', '/api/v1/models/iris/versions');
  const version = await must<{ details: { data: { report: string } } }>(
    system,
    'GET',
    `/api/v1/models/iris/versions/${items[0]?.version}`,
  );
  const { page, outside, errors } = await open(`/api/v1/artifacts/${version.details.data.report}`);
  const text = await page.locator('body').innerText();
  expect(text).toContain('petal_length_cm');
  expect(await page.locator('svg').count()).toBeGreaterThanOrEqual(4);
  expect(await page.locator('script').count()).toBe(0);
  expect(outside).toEqual([]);
  expect(errors).toEqual([]);
  await page.close();
});
