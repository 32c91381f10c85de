// Log lines are JSON, name their event, and never carry a secret.
import { expect, test } from 'vitest';
import { Secret } from '../../adapters/config.js';
import { createLog, withoutPasswords } from '../../adapters/log.js';

function capture() {
  const lines: string[] = [];
  const log = createLog({ logLevel: 'info' }, 'test', { write: (line: string) => void lines.push(line) });
  return { lines, log };
}

test('one JSON line per fact, with the event first in meaning', () => {
  const { lines, log } = capture();
  log.info({ run: 'run_1', ms: 3 }, 'run.step.finished');
  log.debug('too.quiet');
  expect(lines).toHaveLength(1);
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({
    level: 'info',
    name: 'test',
    event: 'run.step.finished',
    run: 'run_1',
    ms: 3,
  });
});

test('strikes out secrets wherever they stand', () => {
  const { lines, log } = capture();
  const url = 'postgres://kim:hunter2@db:5432/p';
  log.info({ url, nested: { token: 'hunter2', list: [new Secret('hunter2'), url] } }, `connected to ${url}`);
  log.error({ err: new Error(`no route to ${url}`), DATABASE_URL: 'hunter2' }, 'database.unreachable');
  expect(lines).toHaveLength(2);
  expect(lines.join()).not.toContain('hunter2');
  expect(lines[0]).toContain('postgres://kim:•••@db:5432/p');
  expect(JSON.parse(lines[1] ?? '').err.message).toContain('•••');
});

test('withoutPasswords leaves other texts alone', () => {
  expect(withoutPasswords('http://127.0.0.1:8420/a@b')).toBe('http://127.0.0.1:8420/a@b');
});
