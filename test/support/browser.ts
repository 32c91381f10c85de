// A real browser for tests and screenshots: the one of CHROMIUM_PATH, else the one that came with npm.
import sparticuz from '@sparticuz/chromium';
import { type Browser, chromium } from 'playwright-core';

/** No sandbox, since tests run as root too; nothing of its own is fetched. The npm build's own flags close the browser with its first page. */
const args = [
  ...['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run'],
  ...['--disable-background-networking', '--disable-component-update', '--disable-sync'],
];

/** Launches Chromium without a window. Close it when done. */
export async function launchBrowser(): Promise<Browser> {
  const executablePath = process.env['CHROMIUM_PATH'] ?? (await sparticuz.executablePath());
  return chromium.launch({ executablePath, args });
}
