// How pictures for the documents are taken: a page is opened, what it must show is awaited, and a PNG is kept in docs/images.
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { projectRoot } from '../adapters/paths.js';
import type { Api, RunView } from '../examples/digits/client.js';

export const folder = join(projectRoot, 'docs/images');
export const size = { width: 1280, height: 900 };

/** Looks at a run until `holds`; throws where it fails. */
export async function waits(api: Api, run: string, holds: (view: RunView) => boolean): Promise<RunView> {
  for (const end = Date.now() + 120_000; Date.now() < end;) {
    const view = await api.get<RunView>(`/api/v1/runs/${run}`);
    if (holds(view)) return view;
    if (view.failure) throw new Error(JSON.stringify(view.failure));
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`run ${run} did not come so far`);
}

export interface Picture {
  name: string;
  url: string;
  /** What the page must show before it is photographed. */
  text: string;
  /** Opened first, by its name. */
  tab?: string;
  width?: number;
  height?: number;
}

export async function photograph(page: Page, { name, url, text, tab, width, height }: Picture): Promise<void> {
  await page.setViewportSize({ width: width ?? size.width, height: height ?? size.height });
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
