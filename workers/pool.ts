// What the three worker processes share: settings, connections, one Temporal worker, an orderly end.
// SIGTERM drains: trainers store a checkpoint and their activity is retried elsewhere; a closed IPC channel ends at once.
import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { NativeConnection, Runtime, Worker, type WorkerOptions } from '@temporalio/worker';
import { type Config, readConfig } from '../adapters/config.js';
import { readRunFile } from '../adapters/home.js';
import { createLog, type Log } from '../adapters/log.js';
import { connectTemporal, type Temporal } from '../adapters/temporal.js';
import { createDb, type Db } from '../db/client.js';
import { kicker } from '../db/outbox.js';
import type { Queue } from '../domain/queues.js';
import { stepRecorder } from '../activities/step.js';

export interface PoolDeps {
  config: Config;
  log: Log;
  db: Db;
  temporal: Temporal;
  /** Values that no program may print. */
  secrets: readonly string[];
  /** Sends what the outbox holds now; the sweepers send what this misses. */
  kick(): void;
  /** Tells the supervisor of a child process, for run.json. */
  onChild(kind: 'scorer' | 'trainer'): (pid: number, alive: boolean) => void;
}

export interface Pool {
  options: Partial<WorkerOptions>;
  /** Started once the worker polls; stopped before it drains. */
  background?: (() => () => void) | undefined;
  close?: () => Promise<void> | void;
}

async function addresses(config: Config): Promise<{ database: string; temporal: string }> {
  const running = await readRunFile(config.home);
  const database = config.databaseUrl?.reveal() ?? running?.database;
  const temporal = config.temporal.address ?? running?.temporal;
  if (database && temporal) return { database, temporal };
  throw new Error('set DATABASE_URL and TEMPORAL_ADDRESS, or start perennial in this home (npm start)');
}

async function connect(address: string, log: Log): Promise<NativeConnection> {
  for (let waitMs = 100; ; waitMs = Math.min(2 * waitMs, 5_000)) {
    try {
      return await NativeConnection.connect({ address });
    } catch (error) {
      log.warn({ err: error, address }, 'temporal.unreachable');
      await delay(waitMs);
    }
  }
}

/** Also when the supervisor was killed while this process loaded its code, and the channel is closed already. */
function endWithSupervisor(): void {
  process.once('disconnect', () => process.exit(0));
  if (!process.connected) process.exit(0);
}

/** Runs one pool until a signal or until the supervisor is gone. */
export async function runPool(queue: Queue, build: (deps: PoolDeps) => Promise<Pool>): Promise<void> {
  const supervised = process.env['PERENNIAL_SUPERVISED'] === '1';
  if (supervised) endWithSupervisor();
  const config = readConfig();
  const log = createLog(config, queue);
  const { database, temporal: address } = await addresses(config);
  const quiet = {
    log() {},
    trace() {},
    debug() {},
    info() {},
    warn: forward(log, 'warn'),
    error: forward(log, 'error'),
  };
  Runtime.install({
    logger: quiet,
    shutdownSignals: [],
    telemetryOptions: { logging: { filter: { core: 'ERROR', other: 'ERROR' } } },
  });
  const { db, close: closeDb } = createDb(database, {
    name: `perennial-${queue}`,
    onError: (error) => log.warn({ err: error }, 'postgres.lost'),
  });
  const temporal = connectTemporal(address, config.temporal.namespace);
  const { kick } = kicker(db, temporal.sender, (error) => {
    if (error !== undefined) log.warn({ err: error }, 'outbox.sweep-failed');
  });
  const secrets = secretsOf(database, config.token?.reveal());
  const deps: PoolDeps = { config, log, db, temporal, secrets, kick, onChild: reportChild };
  const connection = await connect(address, log);
  const pool = await build(deps);
  const worker = await Worker.create({
    connection,
    namespace: config.temporal.namespace,
    taskQueue: queue,
    identity: `${queue}@${hostname()}:${process.pid}`,
    maxHeartbeatThrottleInterval: '2 seconds',
    defaultHeartbeatThrottleInterval: '2 seconds',
    shutdownForceTime: '60 seconds',
    interceptors: { activity: [stepRecorder({ db, log, config, worker: `${queue}@${process.pid}` })] },
    ...pool.options,
  });
  const running = worker.run();
  const stop = pool.background?.();
  const end = () => {
    stop?.();
    if (worker.getState() === 'RUNNING') worker.shutdown();
  };
  process.once('SIGTERM', end);
  process.on('SIGINT', () => {
    // Ctrl-C reaches the whole process group; under a supervisor it says when to end, and in which order.
    if (!supervised) end();
  });
  process.send?.({ type: 'ready' });
  log.info({ queue, pid: process.pid }, 'worker.ready');
  await running;
  await pool.close?.();
  await temporal.close();
  await connection.close();
  await closeDb();
  log.info({ queue }, 'worker.stopped');
  process.exit(0);
}

/** The database's address and its password, and the token. */
function secretsOf(database: string, token: string | undefined): string[] {
  const password = URL.canParse(database) ? decodeURIComponent(new URL(database).password) : '';
  return [database, password, token ?? ''].filter((value) => value !== '');
}

function forward(log: Log, level: 'warn' | 'error') {
  return (message: string, meta?: Record<string | symbol, unknown>): void => {
    // The step recorder has logged that already, with its step and its failure's name.
    if (message === 'Activity failed' || message.startsWith('No workflows registered')) return;
    const error = meta?.['error'];
    log[level]({ message, ...(error ? { err: error } : {}) }, 'temporal.sdk');
  };
}

function reportChild(kind: 'scorer' | 'trainer') {
  return (pid: number, alive: boolean): void => {
    if (process.connected) process.send?.({ type: 'child', kind, pid, alive });
  };
}
