// The labeling page in a real browser: from a key press to the next item on the screen, the 99th percentile. 60 digits are
// answered at the pace of a fast person; after each the frame that shows the next item is awaited.
import { setTimeout as sleep } from 'node:timers/promises';
import { launchBrowser } from '../test/support/browser.js';
import { labelingBed } from './labeling.support.js';

const [warm, keys] = [5, 60];
const paceMs = 250;

/** Runs in the page: notes for each key how long it took until a frame after the item had changed. */
const probe = `
  window.times = [];
  window.addEventListener('keydown', (event) => { window.pressed = event.timeStamp; }, true);
  const seen = () => requestAnimationFrame(() => setTimeout(() => window.times.push(performance.now() - window.pressed), 0));
  new MutationObserver(seen).observe(document.querySelector('.item'), { attributeFilter: ['data-task'] });
`;

/** Milliseconds. */
export async function bench() {
  const bed = await labelingBed(1_000, {});
  const browser = await launchBrowser();
  try {
    const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
    await context.addInitScript(`localStorage.setItem('perennial/name', 'kim')`);
    const page = await context.newPage();
    await page.goto(`${bed.api}/label/${bed.batch}`);
    await page.locator('.item canvas').waitFor();
    await page.evaluate(probe);
    for (let pressed = 0; pressed < warm + keys; pressed += 1) {
      await page.keyboard.press(String(pressed % 10));
      while (((await page.evaluate('window.times.length')) as number) <= pressed) await sleep(10);
      await sleep(paceMs);
    }
    const times = ((await page.evaluate('window.times')) as number[]).slice(warm).sort((a, b) => a - b);
    const at = (share: number): number => times[Math.ceil(share * times.length) - 1] ?? NaN;
    console.error(`median ${at(0.5).toFixed(1)} ms, p90 ${at(0.9).toFixed(1)} ms, p99 ${at(0.99).toFixed(1)} ms`);
    return { ours: at(0.99), peer: null, ratio: null, unit: 'ms', runs: times.length };
  } finally {
    await browser.close();
    await bed.stop();
  }
}
