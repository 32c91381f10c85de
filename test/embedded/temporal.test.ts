// The embedded Temporal server: one per home, kept over kills; and the program's origins, down to the error that lists them.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ensureTemporal, findTemporalCli, stopTemporal } from '../../adapters/embedded/temporal.js';
import { searchAttributes } from '../../domain/ids.js';

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'perennial-temporal-'));
});
afterEach(async () => {
  await stopTemporal(home);
  rmSync(home, { recursive: true, force: true });
});

const options = { namespace: 'perennial', cli: process.env['TEMPORAL_CLI'] };

async function withClient<T>(address: string, work: (client: Client) => Promise<T>): Promise<T> {
  const connection = await Connection.connect({ address });
  try {
    return await work(new Client({ connection, namespace: 'perennial' }));
  } finally {
    await connection.close();
  }
}

test('one server for all callers, and a workflow survives its kill', { timeout: 900_000 }, async () => {
  const [first, other] = await Promise.all([ensureTemporal(home, options), ensureTemporal(home, options)]);
  expect(other.pid).toBe(first.pid);
  expect([first.started, other.started].filter(Boolean)).toHaveLength(1);
  expect(await ensureTemporal(home, options)).toEqual({ ...first, started: false });
  await withClient(first.address, (client) =>
    client.workflow.start('nobodyRunsThis', { taskQueue: 'none', workflowId: 'kept' }),
  );
  process.kill(first.pid, 'SIGKILL');
  const second = await ensureTemporal(home, options);
  expect(second).toMatchObject({ address: first.address, uiUrl: first.uiUrl, started: true });
  await withClient(second.address, async (client) => {
    expect((await client.workflow.getHandle('kept').describe()).status.name).toBe('RUNNING');
    const namespace = await client.workflowService.describeNamespace({ namespace: 'perennial' });
    expect(Number(namespace.config?.workflowExecutionRetentionTtl?.seconds)).toBe(30 * 86_400);
    const attributes = await client.connection.operatorService.listSearchAttributes({ namespace: 'perennial' });
    expect(Object.keys(attributes.customAttributes ?? {})).toEqual(expect.arrayContaining([...searchAttributes]));
  });
  expect((await fetch(second.uiUrl)).status).toBe(200);
  const elsewhere = await ensureTemporal(home, { ...options, namespace: 'second' });
  expect(elsewhere.pid).toBe(second.pid);
  expect(await stopTemporal(home)).toBe(true);
  expect(await stopTemporal(home)).toBe(false);
});

test('without any way to a server the error lists every way out', async () => {
  const env = { PATH: '', HOME: home };
  const downloadFrom = { archive: 'http://127.0.0.1:9/a', checksums: 'http://127.0.0.1:9/c' };
  const error = await findTemporalCli({ env, downloadFrom }).catch((reason: unknown) => reason as Error);
  const text = error instanceof Error ? error.message : '';
  for (const way of ['TEMPORAL_CLI', 'PATH', 'cache', 'download', 'build', 'TEMPORAL_ADDRESS', 'Go 1.21', home]) {
    expect(text).toContain(way);
  }
});

test('a TEMPORAL_CLI that cannot be used is an error, not a reason to look elsewhere', async () => {
  await expect(findTemporalCli({ cli: join(home, 'nothing') })).rejects.toThrow('TEMPORAL_CLI');
  const old = join(home, 'old');
  writeFileSync(old, '#!/bin/sh\necho "temporal version 1.0.0 (Server 1.24.2, UI 2.30.3)"\n', { mode: 0o755 });
  await expect(findTemporalCli({ cli: old })).rejects.toThrow('too old');
});

test('a download whose digest differs from the published one is refused', async () => {
  const server = createServer((request, response) => {
    const name = `temporal_cli_1.8.2_${process.platform}_${process.arch === 'x64' ? 'amd64' : process.arch}.tar.gz`;
    response.end(request.url === '/checksums.txt' ? `${'0'.repeat(64)}  ${name}\n` : 'not the archive');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const downloadFrom = { archive: `${base}/archive`, checksums: `${base}/checksums.txt` };
  mkdirSync(join(home, '.cache'));
  try {
    const attempt = findTemporalCli({ env: { PATH: '', HOME: home }, downloadFrom });
    await expect(attempt).rejects.toThrow(/checksums\.txt says 0{64}/);
  } finally {
    server.close();
  }
});
