// Environments of programs, made for real: two that conflict run beside each other, two builders make one, and what cannot
// be made says why. Needs a Python with pip and a package index; without one it says so.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { declaredEnvironment, prepareEnvironment } from '../../adapters/command/environment.js';
import { canInstall } from '../support/python.js';

const folder = mkdtempSync(join(tmpdir(), 'perennial-environment-'));
const cache = join(folder, 'cache');
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let next = 0;
function code(lock: string | null): string {
  const made = join(folder, `code-${next++}`);
  mkdirSync(made);
  if (lock !== null) writeFileSync(join(made, 'requirements.txt'), lock);
  return made;
}
const seen: string[] = [];
const made = async (lock: string) =>
  prepareEnvironment(await declaredEnvironment(code(lock)), { cache, onProgress: (line) => seen.push(line) });
const versionIn = (bin: string | null) =>
  execFileSync(join(bin ?? '', 'python'), ['-c', 'import packaging; print(packaging.__version__)'], {
    encoding: 'utf8',
  }).trim();

test('a directory without a lock file has what the host has; one that is not pinned is refused', async () => {
  const declared = await declaredEnvironment(code(null));
  expect(declared).toMatchObject({ note: 'what the host has', requirements: null });
  expect(await prepareEnvironment(declared, { cache })).toEqual({ bin: null, variables: {} });
  await expect(declaredEnvironment(code('numpy'))).rejects.toMatchObject({ failure: 'EnvironmentInvalid' });
  await expect(declaredEnvironment(code('a==1'), { python: 'no-such-python' })).rejects.toMatchObject({
    failure: 'EnvironmentFailed',
  });
});

describe.skipIf(canInstall !== null)(
  `packages${canInstall === null ? '' : ` (skipped: ${canInstall})`}`,
  { timeout: 120_000 },
  () => {
    test('two directories with conflicting packages stand beside each other, and are made once', async () => {
      const [one, two, again] = await Promise.all([
        made('packaging==24.2'),
        made('packaging==25.0'),
        made('packaging==24.2 # the same'),
      ]);
      expect([versionIn(one.bin), versionIn(two.bin)]).toEqual(['24.2', '25.0']);
      expect(again).toEqual(one);
      expect(seen.join('\n')).toContain('packaging');
      const before = seen.length;
      expect(await made('packaging==24.2')).toEqual(one);
      expect(seen.length).toBe(before);
      expect(readdirSync(cache).filter((name) => !/^[0-9a-f]{32}$/.test(name))).toEqual([]);
      const activate = readFileSync(join(one.bin ?? '', 'activate'), 'utf8');
      expect(activate).not.toContain('environment~');
    });

    test('what is nowhere says so in the installer’s last lines, and leaves nothing', async () => {
      const before = readdirSync(cache);
      await expect(made('packaging==0.0.0.dev999')).rejects.toMatchObject({
        failure: 'EnvironmentFailed',
        message: expect.stringMatching(/code 1\n(.*\n)*.*packaging==0\.0\.0\.dev999/),
      });
      expect(readdirSync(cache)).toEqual(before);
    });

    test('can be cancelled', async () => {
      const abort = new AbortController();
      const declared = await declaredEnvironment(code('packaging==24.1'));
      const making = prepareEnvironment(declared, { cache, signal: abort.signal, onProgress: () => abort.abort() });
      setTimeout(() => abort.abort(), 300);
      await expect(making).rejects.toThrow(/abort/i);
      expect(readdirSync(cache).filter((name) => name.includes('~'))).toEqual([]);
    });
  },
);
