// What happens inside one data folder: creating it, checking its version, launching the server on it.
// `<root>/` holds data/, the password (0600, of the server's user) and server.log.
import { execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chownSync, closeSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Binaries } from './postgres-binaries.js';

export const superuser = 'perennial';

export interface PostgresOptions {
  /** Default true. False only for tests: a power cut may lose data. */
  fsync?: boolean;
  onProgress?: (line: string) => void;
}

export function readText(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}

export async function initialise(binaries: Binaries, root: string, options: PostgresOptions): Promise<void> {
  options.onProgress?.('creating the database');
  const fresh = join(root, 'data.new');
  rmSync(fresh, { recursive: true, force: true });
  const password = join(root, 'password');
  writeFileSync(password, randomBytes(24).toString('base64url'), { mode: 0o600 });
  if (binaries.user) chownSync(password, binaries.user.uid, binaries.user.gid);
  // Postgres' own C.UTF-8: the same order on every system, whatever locales that system has.
  const locale = ['--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8'];
  const common = ['-D', fresh, '-U', superuser, '-A', 'scram-sha-256', `--pwfile=${password}`];
  const arguments_ = [...common, '-E', 'UTF8', ...locale, ...(options.fsync === false ? ['--no-sync'] : [])];
  try {
    await promisify(execFile)(join(binaries.native, 'bin/initdb'), arguments_, { cwd: root, ...binaries.user });
  } catch (error) {
    throw new Error(`initdb failed: ${(error as { stderr?: string }).stderr ?? String(error)}`, { cause: error });
  }
  renameSync(fresh, join(root, 'data'));
}

function serverArguments(data: string, port: number, options: PostgresOptions): string[] {
  const values: Record<string, string | number> = {
    listen_addresses: '127.0.0.1',
    port,
    unix_socket_directories: '',
    max_connections: 200,
    shared_buffers: '32MB',
    // Idle homes should cost nothing: no logical replication, and background writers that mostly sleep.
    max_wal_senders: 0,
    wal_level: 'minimal',
    bgwriter_delay: '1s',
    wal_writer_delay: '200ms',
    autovacuum_naptime: '60s',
    ...(options.fsync === false ? { fsync: 'off', full_page_writes: 'off' } : {}),
  };
  return ['-D', data, ...Object.entries(values).flatMap(([name, value]) => ['-c', `${name}=${value}`])];
}

export function launch(binaries: Binaries, root: string, port: number, options: PostgresOptions): number {
  const data = join(root, 'data');
  const log = openSync(join(root, 'server.log'), 'a', 0o600);
  const child = spawn(join(binaries.native, 'bin/postgres'), serverArguments(data, port, options), {
    cwd: data,
    detached: true,
    stdio: ['ignore', log, log],
    env: { PATH: process.env['PATH'] ?? '', TZ: 'UTC', LC_ALL: 'C' },
    ...binaries.user,
  });
  child.on('error', () => undefined);
  child.unref();
  closeSync(log);
  if (child.pid === undefined) throw new Error(`Postgres could not be started from ${binaries.native}`);
  return child.pid;
}

export function lastLines(root: string): string {
  return (readText(join(root, 'server.log')) ?? '').trim().split('\n').slice(-5).join('\n');
}

export function checkVersion(root: string, binaries: Binaries): void {
  const written = readText(join(root, 'data/PG_VERSION'))?.trim();
  if (written && written !== binaries.version) {
    throw new Error(
      `the data in ${root}/data was written by Postgres ${written}, the binaries are ${binaries.version}. ` +
        'Move it over as docs/operations.md says under "Upgrade", or set DATABASE_URL.',
    );
  }
}
