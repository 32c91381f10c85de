// The labeling page in a real browser: worked by keys alone, dead networks, hostile texts, every kind of label.
import { expect, test } from 'vitest';
import type { Page } from 'playwright-core';
import { jsonOf } from '../api/support.js';
import { until } from '../support/system.js';
import {
  attack,
  expectAccessible,
  expectKeyboard,
  expectNarrow,
  expectTextOnly,
  labelingBed,
  type LabelingBed,
} from './labeling-bed.js';
import { bed } from './shared-bed.js';

const rows = (count: number) => Array.from({ length: count }, (_, place) => ({ id: `k${place}`, a: place }));

/** Waits until the page shows the row with this id. */
const shows = (page: Page, id: string) => page.locator('.item td', { hasText: new RegExp(`^${id}$`) }).waitFor();

/** Ends the hold in which answers can be taken back, as leaving the page does. */
const hurry = (page: Page) => page.evaluate(`dispatchEvent(new Event('pagehide'))`);

const answered = (batch: string, count: number) =>
  until(`${count} answers`, async () => {
    const all = await bed.answers(batch);
    return Object.keys(all).length === count && all;
  });

test('a whole batch by keys alone: answers, undo, skip, comment, guess', async () => {
  const batch = await bed.batch({ items: rows(12), suggestion: { label: 'yes', confidence: 0.61 } });
  const { page, close } = await bed.open('/label');
  await page.keyboard.press('Tab');
  while ((await page.evaluate('document.activeElement.textContent')) !== batch) await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await page.locator('#who-input').waitFor();
  await page.keyboard.type('kim');
  await page.keyboard.press('Enter');
  await shows(page, 'k0');
  expect(await page.locator('.guess').innerText()).toBe('');
  await page.keyboard.press('g');
  expect(await page.locator('.guess').innerText()).toContain('yes (61 %)');
  await page.keyboard.press('2');
  await shows(page, 'k1');
  await page.keyboard.press('2');
  await page.keyboard.press('u');
  await shows(page, 'k1');
  await page.keyboard.press('1');
  await page.keyboard.press('s');
  await shows(page, 'k3');
  await page.keyboard.press('c');
  await page.keyboard.type('1 or 2?');
  await page.keyboard.press('Escape');
  await page.keyboard.press('2');
  for (let place = 4; place < 12; place += 1) {
    await shows(page, `k${place}`);
    await page.keyboard.press('1');
  }
  await page.getByText('All items are answered').waitFor();
  const all = await answered(batch, 12);
  const given = Object.fromEntries(Object.entries(all).map(([key, list]) => [key, list.map(({ label }) => label)]));
  expect(given).toMatchObject({ k0: ['yes'], k1: ['no'], k2: [null], k3: ['yes'], k11: ['no'] });
  expect(all['k3']).toEqual([{ annotator: 'kim', label: 'yes', comment: '1 or 2?' }]);
  await page.keyboard.press('u');
  await page.getByText(/sent already|nothing to undo/i).waitFor();
  await page.keyboard.press('?');
  expect(await page.locator('dialog[open]').innerText()).toContain('undo');
  await expectAccessible(page);
  // the lease after the last answer is refused
  await close(/409/);
});

test('answers survive a dead API and a reload, and each arrives once', async () => {
  const batch = await bed.batch({ items: rows(9) });
  const { page, close } = await bed.open(`/label/${batch}`, { name: 'kim' });
  await shows(page, 'k0');
  bed.network = 'dead';
  for (let place = 0; place < 6; place += 1) {
    await shows(page, `k${place}`);
    await page.keyboard.press('2');
  }
  await page.getByText('No connection').waitFor();
  await page.reload();
  await page.getByText('does not answer').waitFor();
  expect(await bed.answers(batch)).toEqual({});
  bed.network = 'up';
  await shows(page, 'k6');
  // the API takes these and the page never hears of it
  bed.network = 'deaf';
  await page.keyboard.press('1');
  await shows(page, 'k7');
  await answered(batch, 7);
  bed.network = 'up';
  await page.reload();
  await shows(page, 'k7');
  await page.keyboard.press('1');
  await shows(page, 'k8');
  await page.keyboard.press('1');
  await hurry(page);
  const all = await answered(batch, 9);
  expect(Object.values(all).map((list) => list.map(({ label }) => label))).toEqual([
    ...Array(6).fill(['yes']),
    ...Array(3).fill(['no']),
  ]);
  await until(
    'an empty queue',
    async () =>
      (await page.evaluate(`Object.keys(localStorage).filter((key) => key.includes('/answer/')).length`)) === 0,
  );
  await close(/502/);
});

test('what a page shows is text, never HTML', async () => {
  const items = [
    { id: attack, text: attack, [attack]: attack, picture: `javascript:${attack}`, far: 'https://example.com/x.png' },
  ];
  const policy = { instructions: attack, examples: [{ label: attack, item: attack, note: attack }] };
  const batch = await bed.batch({
    items,
    classes: [attack, 'yes'],
    policy,
    suggestion: { label: attack, confidence: 1 },
  });
  const { page, close } = await bed.open(`/label/${batch}`, { name: attack });
  await page.locator('.item .text').waitFor();
  await page.keyboard.press('g');
  const text = await page.locator('main').innerText();
  expect(text.split(attack).length).toBeGreaterThan(8);
  await expectTextOnly(page);
  await page.keyboard.press('1');
  await hurry(page);
  await answered(batch, 1);
  await close();
});

const pixels = Object.fromEntries(
  Array.from({ length: 64 }, (_, place) => [`px${String(place).padStart(2, '0')}`, place % 17]),
);

test('digits show as pictures', async () => {
  const batch = await bed.batch({ items: [{ id: 'd', ...pixels }], classes: [...'0123456789'] });
  const { page, close } = await bed.open(`/label/${batch}`, { name: 'kim' });
  const canvas = page.getByRole('img', { name: 'Picture of 8 × 8 pixels' });
  await canvas.waitFor();
  expect(
    await canvas.evaluate((node: any) =>
      [...node.getContext('2d').getImageData(0, 0, 8, 8).data].filter((_, place) => place % 4 === 0).slice(0, 3),
    ),
  ).toEqual([0, 16, 32]);
  expect(await page.locator('.item tr').count()).toBe(1);
  await page.keyboard.press('0');
  await hurry(page);
  expect((await answered(batch, 1))['k0']?.[0]?.label).toBe('0');
  await close();
});

const dot =
  'data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
const kinds: [what: string, wanted: Parameters<LabelingBed['batch']>[0], keys: string[], label: unknown][] = [
  [
    'number',
    { items: [{ a: 1 }], kind: 'number', classes: null },
    [...'abc', 'Enter', ...Array<string>(3).fill('Backspace'), ...'12.5', 'Enter'],
    '12.5',
  ],
  ['typed class', { items: [{ a: 1 }], classes: null }, [...'new 1', 'Enter'], 'new 1'],
  [
    'multiple',
    { items: [{ a: 1 }], kind: 'multiple', classes: ['a', 'b', 'c'] },
    ['3', '1', '2', '2', 'Enter'],
    '["a","c"]',
  ],
  [
    'preference',
    { items: [{ left: 'one', right: 'two' }], kind: 'preference', classes: null },
    ['ArrowRight'],
    'right',
  ],
  [
    'span',
    { items: [{ text: 'Ada met 정약용 in <b>Seoul</b>.' }], kind: 'span', classes: ['person', 'place'] },
    ['ArrowRight', '1', 'ArrowRight', 'ArrowRight', '1', 'ArrowRight', 'Shift+ArrowRight', ',', '2', 'Enter'],
    '[{"end":11,"label":"person","start":8},{"end":27,"label":"place","start":12},{"end":3,"label":"person","start":0}]',
  ],
  [
    'box',
    { items: [{ picture: dot }], kind: 'box', classes: ['cat', 'dog'] },
    ['n', '2', 'ArrowLeft', 'Shift+ArrowDown', 'Enter'],
    /"height":0.26,"label":"dog","width":0.25,"x":0.365,"y":0.375/,
  ],
];

test.each(kinds)('%s, by keys', async (_, wanted, keys, label) => {
  const batch = await bed.batch(wanted);
  const { page, close } = await bed.open(`/label/${batch}`, { name: 'kim' });
  await page.locator('.answer').waitFor();
  for (const key of keys) await page.keyboard.press(key);
  await hurry(page);
  const given = (await answered(batch, 1))['k0']?.[0]?.label;
  if (label instanceof RegExp) expect(given).toMatch(label);
  else expect(given).toBe(label);
  await close();
});

test('long names leave values in view, long values fold, and what lacks its picture is answered twice', async () => {
  const deep = { list: Array.from({ length: 300 }, (_, place) => place) };
  const items = [{ ['n'.repeat(80)]: 'in view', deep, picture: 'data:image/png;base64,AAAA' }];
  const batch = await bed.batch({ items: [...items, ...items] });
  const { page, close } = await bed.open(`/label/${batch}`, { name: 'kim' });
  await page.getByText('The picture from the column picture could not be loaded').waitFor();
  expect(await page.locator('.item img').count()).toBe(0);
  await expectAccessible(page);
  const value = await page.locator('.item td', { hasText: 'in view' }).boundingBox();
  expect(value!.x + value!.width).toBeLessThan(360);
  expect(value!.width).toBeGreaterThan(100);
  expect((await page.locator('.item').boundingBox())!.height).toBeLessThan(600);
  await page.locator('.item summary').click();
  expect((await page.locator('.item').boundingBox())!.height).toBeLessThan(1_200);
  const task = page.locator('.item').getAttribute('data-task');
  await page.keyboard.press('1');
  await page.getByText('The same once more counts').waitFor();
  expect(await page.locator('.item').getAttribute('data-task')).toBe(await task);
  await page.keyboard.press('1');
  await page.locator(`.item:not([data-task=${await task}])`).waitFor();
  await page.keyboard.press('s');
  await page.getByText('Your last answers are on their way').waitFor();
  await hurry(page);
  await page.getByText('All items are answered').waitFor();
  expect((await bed.answers(batch))['k0']).toMatchObject([{ label: 'no' }]);
  await close();
});

test('what was typed is an answer, nothing is none; without its picture an item takes no boxes', async () => {
  const typed = await bed.open(`/label/${await bed.batch({ items: [{ a: 1 }], classes: null })}`, { name: 'kim' });
  await typed.page.locator('#answer-input').waitFor();
  await typed.page.keyboard.press('Enter');
  await typed.page.getByText('Type a label first').waitFor();
  await typed.close();
  const wanted = { items: [{ picture: 'data:image/png;base64,AAAA' }], kind: 'box' as const, classes: ['cat'] };
  const boxes = await bed.open(`/label/${await bed.batch(wanted)}`, { name: 'kim' });
  await boxes.page.locator('.broken').waitFor();
  for (const key of ['Enter', 'Enter']) await boxes.page.keyboard.press(key);
  await boxes.page.getByText('takes no boxes').waitFor();
  expect(await boxes.page.locator('.broken').isVisible()).toBe(true);
  await boxes.close();
});

test('an address that leads nowhere is a page, with its status', async () => {
  for (const path of ['/label/xx', '/label/bat_zzz/progress', '/campaigns/cam_zzz', '/campaigns/xx']) {
    const answer = await bed.api.get(path);
    expect(answer.status).toBe(404);
    expect(answer.headers.get('content-type')).toContain('text/html');
    expect(await answer.text()).toContain('All batches');
  }
});

test('spans and boxes by mouse', async () => {
  const spans = await bed.batch({ items: [{ text: 'alone' }], kind: 'span', classes: ['word'] });
  const first = await bed.open(`/label/${spans}`, { name: 'kim' });
  await first.page.locator('.marked').dblclick({ position: { x: 30, y: 24 } });
  await first.page.getByRole('button', { name: 'word' }).click();
  await first.page.getByRole('button', { name: 'Answer' }).click();
  await hurry(first.page);
  expect((await answered(spans, 1))['k0']?.[0]?.label).toBe('[{"end":5,"label":"word","start":0}]');
  await first.close();
  const boxes = await bed.batch({ items: [pixels], kind: 'box', classes: ['cat'] });
  const second = await bed.open(`/label/${boxes}`, { name: 'kim' });
  const { x, y, width, height } = (await second.page.locator('.boxes').boundingBox()) ?? {
    x: 0,
    y: 0,
    width: 0,
    height: 0,
  };
  await second.page.mouse.move(x + width / 4, y + height / 4);
  await second.page.mouse.down();
  await second.page.mouse.move(x + width / 2, y + height / 2);
  await second.page.mouse.up();
  await second.page.getByRole('button', { name: 'Answer' }).click();
  await hurry(second.page);
  const [box] = JSON.parse((await answered(boxes, 1))['k0']?.[0]?.label ?? '[]') as { x: number; width: number }[];
  expect(box?.x).toBeCloseTo(0.25, 1);
  expect(box?.width).toBeCloseTo(0.25, 1);
  await second.close();
});

test('closed, unknown and unfit: each says so kindly', async () => {
  const closed = await bed.batch({ items: rows(1) });
  await bed.api.database.db.$client.query(
    `update label_batch set status = 'cancelled', closed_at = now() where id = $1`,
    [closed],
  );
  const unfit = await bed.batch({ items: rows(1), policy: { requires: { skills: ['x-ray'], languages: [] } } });
  for (const [batch, text] of [
    [closed, 'This batch is closed'],
    [unfit, 'the skill x-ray'],
    ['bat_0', 'there is no label batch'],
  ]) {
    const { page, close } = await bed.open(`/label/${batch}`, { name: 'kim' });
    await page.getByText(text ?? '').waitFor();
    await close(/status of 4/);
  }
});

const accessible: [what: string, wanted: Parameters<LabelingBed['batch']>[0], keys: string[]][] = [
  [
    'a row with text, picture, guess and instructions',
    {
      items: [{ id: 'd', text: 'Some words', ...pixels }],
      policy: { suggestion: 'shown', instructions: 'Which?', examples: [{ label: 'yes', item: 'a', note: 'b' }] },
      suggestion: { label: 'yes', confidence: 0.9 },
    },
    ['c'],
  ],
  ['spans', { items: [{ text: 'Ada met him' }], kind: 'span', classes: ['person'] }, ['ArrowRight', '1']],
  ['boxes', { items: [{ picture: dot }], kind: 'box', classes: ['cat'] }, ['n']],
  ['a number', { items: [{ a: 1 }], kind: 'number', classes: null }, ['x']],
];

test.each(accessible)('axe finds nothing wrong with %s: light, dark, a phone', async (_, wanted, keys) => {
  const { page, close } = await bed.open(`/label/${await bed.batch(wanted)}`, { name: 'kim' });
  await page.locator('.answer').waitFor();
  for (const key of keys) await page.keyboard.press(key);
  await expectAccessible(page);
  await expectKeyboard(page);
  await close();
});

test('whoever opens the first page finds what is left for them', async () => {
  const policy = { overlap: { min: 2, max: 2, confidence: 0.9 } };
  const batch = await bed.batch({ items: rows(3), policy });
  const path = `/api/v1/label-batches/${batch}`;
  const { tasks } = await jsonOf<{ tasks: { taskId: string; fence: number }[] }>(
    await bed.api.post(`${path}/lease`, { labeler: 'kim', count: 1 }),
  );
  const annotations = tasks.map(({ taskId, fence }) => ({ taskId, fence, label: 'yes' }));
  await bed.api.post(`${path}/annotations`, { labeler: 'kim', annotations });
  const { page, close } = await bed.open('/', { name: 'kim' });
  const line = page.locator('tr', { hasText: batch }).filter({ hasText: 'one class' });
  await page.getByText('Left for you').waitFor();
  expect(await line.locator('td.number').allInnerTexts()).toEqual(['2', '0 of 3']);
  await page.goto(`${bed.url}/label?labeler=lee`);
  await page.getByText('Left for you').waitFor();
  await expectAccessible(page);
  // what is left stands in view on a phone, without scrolling sideways
  const waiting = page.getByRole('region', { name: 'Waiting for labels' });
  expect(await waiting.evaluate((node: any) => node.scrollWidth - node.clientWidth)).toBe(0);
  await expectKeyboard(page);
  await page.getByRole('link', { name: batch }).first().click();
  await shows(page, 'k1');
  await close();
});

test('without any batch the first page says so', async () => {
  await bed.api.database.db.$client.query(
    `update label_batch set status = 'cancelled', closed_at = now() where closed_at is null`,
  );
  const { page, close } = await bed.open('/label', { name: 'kim' });
  await page.getByText('No batch waits for people.').waitFor();
  await page.getByText('Nothing waits for a reviewer.').waitFor();
  await close();
});

test.each(['/docs', '/problems/not-found', '/label/bat_0', '/label/xx'])(
  'axe finds nothing wrong with %s',
  async (path) => {
    const { page, close } = await bed.open(path, { name: 'kim' });
    await page.locator('main h1, main p').first().waitFor();
    await expectNarrow(page);
    // all operations and all schemas are made alike: axe takes its time over a thousand of them
    await page.evaluate(`document.querySelectorAll('main section:nth-of-type(n + 9), main h3:nth-of-type(n + 4) + pre')
    .forEach((one) => one.remove())`);
    await expectAccessible(page);
    await close(/404/);
  },
);

test('with tokens: a page asks for one, keeps it for the tab, and sends it along', async () => {
  const token = 'secret-of-the-admin-0002';
  const closedBed = await labelingBed({ token }, bed);
  try {
    const batch = await closedBed.batch({ items: rows(1) });
    const { page, close } = await closedBed.open('/label');
    await page.locator('#who-input').waitFor();
    await expectAccessible(page);
    for (const [typed, shown] of [
      ['not-it', 'not valid'],
      [token, batch],
    ]) {
      await page.locator('#who-input').fill(typed ?? '');
      await page.keyboard.press('Enter');
      await page.getByText(shown ?? '').waitFor();
    }
    await page.getByRole('link', { name: batch }).click();
    await shows(page, 'k0');
    await page.keyboard.press('1');
    await hurry(page);
    const all = await until('an answer', async () => (await closedBed.answers(batch))['k0']);
    expect(all).toEqual([{ annotator: 'admin', label: 'no', comment: null }]);
    expect(await page.evaluate('JSON.stringify(localStorage)')).not.toContain(token);
    await close(/401/);
  } finally {
    await closedBed.close();
  }
});

test('the policy of the pages lets nothing inline or foreign in', async () => {
  const batch = await bed.batch({ items: rows(1) });
  for (const path of ['/', '/docs', '/label', `/label/${batch}`, '/problems/not-found']) {
    const answer = await bed.api.get(path);
    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-security-policy')).toMatch(
      /^default-src 'none'; script-src 'self'; style-src 'self'/,
    );
    expect(answer.headers.get('content-security-policy')).not.toMatch(/unsafe|https?:|\*/);
    const html = await answer.text();
    expect(html).not.toMatch(/<style|<script(?! type="module" src="\/assets\/)| style=| on\w+=/);
  }
  const missing = await bed.api.get('/assets/0000000000000000/style.css');
  expect(missing.status).toBe(404);
  const [path = ''] = /\/assets\/\w+\/client\/label.js/.exec(await (await bed.api.get(`/label/${batch}`)).text()) ?? [];
  expect(await (await bed.api.get(path)).text()).not.toContain('sourceMappingURL');
});
