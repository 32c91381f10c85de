// run.json, ports.json, locks and process identities, on real files and processes.
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { identify, isAlive, stopProcess, tryLock, waitForExit, withLock } from '../../adapters/embedded/process.js';
import type { RunFile } from '../../adapters/home.js';
import {
  homePorts,
  livingProcesses,
  portHolder,
  readRunFile,
  removeRunFile,
  requireFreePort,
  writeRunFile,
} from '../../adapters/home.js';

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'perennial-home-'));
});
afterEach(() => {
  rmSync(home, { recursive: true, force: true });
});

const sleeper = () => spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });

const runFile: RunFile = {
  api: 'http://127.0.0.1:1',
  temporal: '127.0.0.1:2',
  temporalUi: null,
  database: 'postgres://a:b@127.0.0.1:3/c',
  pids: {
    ...{ supervisor: process.pid, api: null, flow: null, cpu: null, gpu: null },
    ...{ temporal: null, postgres: null, scorer: null, trainer: [] },
  },
};

test('run.json is private, comes back as written, and is gone after its removal', async () => {
  expect(await readRunFile(home)).toBeNull();
  await writeRunFile(home, runFile);
  expect(await readRunFile(home)).toEqual(runFile);
  expect(statSync(join(home, 'run.json')).mode & 0o777).toBe(0o600);
  expect((await livingProcesses(home)).map(({ name }) => name)).toEqual(['supervisor']);
  await removeRunFile(home);
  expect(await readRunFile(home)).toBeNull();
  expect(readdirSync(home)).toEqual([]);
});

test('the ports of a home are chosen once, whoever asks at the same time', async () => {
  const answers = await Promise.all([1, 2, 3, 4, 5].map(() => homePorts(home)));
  for (const answer of answers) expect(answer).toEqual(answers[0]);
  expect(await homePorts(home)).toEqual(answers[0]);
  expect(new Set(Object.values(await homePorts(home))).size).toBe(6);
});

test('a taken port names its holder', async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  try {
    expect(portHolder(port)?.pid).toBe(process.pid);
    await expect(requireFreePort(port, 'the API')).rejects.toThrow(
      new RegExp(`port ${port} \\(the API\\) is held by pid ${process.pid} \\(.*node`),
    );
  } finally {
    server.close();
  }
});

test('a process is known by pid and start time', async () => {
  const child = sleeper();
  const identity = identify(child.pid ?? 0);
  expect(identity && isAlive(identity)).toBe(true);
  expect(isAlive({ pid: child.pid ?? 0, started: 'another' })).toBe(false);
  // A wrong start time means another process: it is left alone.
  expect(await stopProcess({ pid: child.pid ?? 0, started: 'another' }, [{ signal: 'SIGKILL', waitMs: 100 }])).toBe(
    true,
  );
  expect(identity && isAlive(identity)).toBe(true);
  expect(await stopProcess(identity as never, [{ signal: 'SIGTERM', waitMs: 5_000 }])).toBe(true);
  expect(identify(child.pid ?? 0)).toBeNull();
});

test('a lock keeps others out while its owner lives, and a dead owner’s lock is broken once', async () => {
  const file = join(home, 'a.lock');
  const child = sleeper();
  const owner = identify(child.pid ?? 0);
  writeFileSync(file, JSON.stringify({ ...owner, nonce: 'n' }));
  expect(tryLock(file).owner?.pid).toBe(child.pid);
  await expect(withLock(file, { timeoutMs: 50, what: 'it' }, async () => 1)).rejects.toThrow(`pid ${child.pid}`);
  child.kill('SIGKILL');
  await waitForExit(owner as never, 5_000);
  let inside = 0;
  let most = 0;
  await Promise.all(
    Array.from({ length: 5 }, () =>
      withLock(file, { timeoutMs: 5_000, what: 'it' }, async () => {
        most = Math.max(most, ++inside);
        await new Promise((resolve) => setTimeout(resolve, 5));
        inside--;
      }),
    ),
  );
  expect(most).toBe(1);
  // A power cut may leave an empty file.
  writeFileSync(file, '');
  utimesSync(file, 1, 1);
  tryLock(file).release?.();
  expect(readdirSync(home)).toEqual([]);
});
