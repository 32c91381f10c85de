import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { inScratchFolder, scratchPath, sweepScratch } from '../../adapters/scratch.js';

const parent = mkdtempSync(join(tmpdir(), 'perennial-scratch-'));
afterAll(() => rmSync(parent, { recursive: true, force: true }));

it('removes what dead processes left, and leaves the living and everything else alone', async () => {
  const { pid } = spawnSync(process.execPath, ['--version']);
  const mine = scratchPath(parent, 'data');
  const [what, host, , started, id] = basename(mine).split('~');
  const gone = join(parent, [what, host, pid, started, id].join('~'));
  // the same pid, but another process: what a restarted container finds
  const reused = join(parent, [what, host, process.pid, `${started}0`, id].join('~'));
  const elsewhere = join(parent, [what, 'another-host', pid, started, id].join('~'));
  const kept = [mine, elsewhere, join(parent, 'duckdb'), join(parent, 'a~b')];
  for (const folder of [...kept, gone, reused]) mkdirSync(join(folder, 'deep'), { recursive: true });
  writeFileSync(join(gone, 'deep', 'file'), 'rows');
  expect(await sweepScratch(parent)).toBe(2);
  expect(readdirSync(parent).sort()).toEqual(kept.map((path) => basename(path)).sort());
  expect(await sweepScratch(join(parent, 'missing'))).toBe(0);
});

it('has a folder for as long as the work takes', async () => {
  let seen = '';
  const work = inScratchFolder(parent, 'train', (folder) => {
    seen = folder;
    expect(existsSync(folder)).toBe(true);
    return Promise.reject(new Error('as told'));
  });
  await expect(work).rejects.toThrow('as told');
  expect(existsSync(seen)).toBe(false);
});
