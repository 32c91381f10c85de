import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { oomKills } from '../../adapters/fork.js';

it('counts what the kernel killed for want of memory, in either kind of cgroup, and nothing elsewhere', () => {
  const folder = mkdtempSync(join(tmpdir(), 'perennial-cgroup-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const [second, first] = [join(folder, 'memory.events'), join(folder, 'memory.oom_control')];
  expect(oomKills([second, first])).toBe(0);
  writeFileSync(first, 'oom_kill_disable 0\nunder_oom 0\noom_kill 3\n');
  expect(oomKills([second, first])).toBe(3);
  writeFileSync(second, 'low 0\nhigh 0\nmax 12\noom 2\noom_kill 2\noom_group_kill 0\n');
  expect(oomKills([second, first])).toBe(2);
  expect(oomKills()).toBeGreaterThanOrEqual(0);
});
