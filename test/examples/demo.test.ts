// The demo, as a newcomer runs it: what it promises, it measures; and nothing of it stays behind.
import { execFile } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readRunFile } from '../../adapters/home.js';
import { entryArguments, projectRoot } from '../../adapters/paths.js';
import { createHome } from '../support/services.js';

const run = promisify(execFile);
let home: string;

interface Summary {
  model: string;
  champion: number;
  versions: {
    version: number;
    accuracy: number;
    interval: [number, number];
    n: number;
    humanLabels: number;
    sha256: string;
  }[];
  prediction: { expected: string; got: string };
  randomMedian: number;
  seconds: number;
}

beforeAll(async () => {
  home = await createHome();
});

afterAll(async () => {
  await rm(home, { recursive: true, force: true });
});

test('two versions, the second not below the first, few labels, and a clean end', { timeout: 240_000 }, async () => {
  const { stdout } = await run(process.execPath, [...entryArguments('examples/digits/demo.ts'), '--json'], {
    cwd: projectRoot,
    env: { ...process.env, PERENNIAL_HOME: home },
    maxBuffer: 16 * 1024 * 1024,
  });
  const summary = JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Summary;
  const [one, two] = summary.versions;
  expect(summary).toMatchObject({ model: 'digits', champion: 2 });
  expect(one?.humanLabels).toBeLessThanOrEqual(179);
  expect(one?.accuracy).toBeGreaterThanOrEqual(0.92);
  expect(two?.accuracy).toBeGreaterThanOrEqual(Math.max(0.94, one?.accuracy ?? 1));
  expect(one?.n).toBe(two?.n);
  expect(one?.sha256).toMatch(/^sha256:[0-9a-f]{64}$/);
  expect(two?.sha256).not.toBe(one?.sha256);
  expect(summary.prediction.got).toBe(summary.prediction.expected);
  expect(await readRunFile(join(home, 'demo'))).toBeNull();
});
