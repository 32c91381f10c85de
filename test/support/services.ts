// The Postgres and the Temporal server that all `services` tests share, and where a test finds them.
// Two variables name services that run already; then nothing is started.
import { mkdtempSync, rmSync } from 'node:fs';
import { chmod } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensurePostgres, stopPostgres } from '../../adapters/embedded/postgres.js';
import { ensureTemporal, stopTemporal } from '../../adapters/embedded/temporal.js';

export const databaseVariable = 'PERENNIAL_TEST_DATABASE';
export const temporalVariable = 'PERENNIAL_TEST_TEMPORAL';
export const testNamespace = 'perennial';

function required(variable: string): string {
  const value = process.env[variable];
  if (!value) throw new Error(`${variable} is not set: run this file with "vitest run --project services"`);
  return value;
}

/** Connection string of an account that may create databases. */
export function adminDatabaseUrl(): string {
  return required(databaseVariable);
}

/** host:port of the shared Temporal server; its namespace is `testNamespace`. */
export function temporalAddress(): string {
  return required(temporalVariable);
}

export interface Services {
  home: string;
  database: string;
  temporal: string;
}

/** A new folder below the system's temporary one that the unprivileged user of Postgres may enter. */
export async function createHome(): Promise<string> {
  const home = mkdtempSync(join(tmpdir(), 'perennial-test-'));
  await chmod(home, 0o755);
  return home;
}

export async function startServices(home: string, onProgress: (line: string) => void): Promise<Services> {
  const [database, temporal] = await Promise.all([
    process.env[databaseVariable] || ensurePostgres(home, { fsync: false, onProgress }).then(({ url }) => url),
    process.env[temporalVariable] ||
      ensureTemporal(home, {
        namespace: testNamespace,
        cli: process.env['TEMPORAL_CLI'] || undefined,
        onProgress,
      }).then(({ address }) => address),
  ]);
  return { home, database, temporal };
}

/** Stops what runs for this home, by the pid and start time that the home recorded, and removes the home. */
export async function stopServices(home: string): Promise<void> {
  const results = await Promise.allSettled([stopTemporal(home), stopPostgres(home)]);
  const failures = results.flatMap((result) => (result.status === 'rejected' ? [result.reason as unknown] : []));
  if (failures.length > 0) throw new AggregateError(failures, `not everything of ${home} stopped`);
  rmSync(home, { recursive: true, force: true, maxRetries: 5 });
}
