// The API's process: settings → dependencies → HTTP server. It serves what Postgres knows even while Temporal is away.
import { serve, type ServerType } from '@hono/node-server';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createScorer } from '../adapters/scorer.js';
import { type Config, isLoopback, readConfig } from '../adapters/config.js';
import { createDuck } from '../adapters/duckdb.js';
import { homePorts, readRunFile, requireFreePort } from '../adapters/home.js';
import { createLog, withoutPasswords, type Log } from '../adapters/log.js';
import { scratchPath, sweepScratch } from '../adapters/scratch.js';
import { createArtifacts, createStore } from '../adapters/store/index.js';
import { connectTemporal, type Temporal } from '../adapters/temporal.js';
import { artifactHooks } from '../db/artifact.js';
import { createDb, inTransaction, type Db } from '../db/client.js';
import { migrate } from '../db/migrate.js';
import { countTokens, ensureAdminToken } from '../db/token.js';
import { Failure } from '../domain/failures.js';
import { createApp } from './app.js';
import { startOutbox } from './outbox.js';
import { createReadiness } from './readiness.js';

/** A reason not to start that the user can act on: one line, no stack. */
class CannotStart extends Error {}

const scorerMemoryMb = 2_048;
const scorerDeadlineMs = 20_000;
/** Requests that are still going when the process must end are cut off after this long. */
const finishWithinMs = 20_000;

interface Places {
  database: string;
  temporal: string;
  temporalUi: string | null;
}

/** From the environment, else from the system that runs in this home. */
async function findServices(config: Config): Promise<Places> {
  const run = config.databaseUrl && config.temporal.address ? null : await readRunFile(config.home);
  const database = config.databaseUrl?.reveal() ?? run?.database;
  const temporal = config.temporal.address ?? run?.temporal;
  if (!database || !temporal) {
    throw new CannotStart('set DATABASE_URL and TEMPORAL_ADDRESS, or run npm start, which brings both');
  }
  const ui = process.env['PERENNIAL_TEMPORAL_UI']?.replace(/\/+$/, '') || run?.temporalUi;
  return { database, temporal, temporalUi: ui || null };
}

/** Tables, tokens; again each second while Postgres is away. */
async function prepareDatabase(db: Db, url: string, config: Config, log: Log): Promise<void> {
  for (let told = false; ; told = true) {
    try {
      await migrate(url);
      const secret = config.token?.reveal();
      if (secret !== undefined) {
        await inTransaction(db, (tx) => ensureAdminToken(tx, { project: 'default', secret }));
      }
      return;
    } catch (error) {
      if (!(error instanceof Failure) || error.failure !== 'Unavailable') throw error;
      if (!told) log.warn({}, 'api.database.unreachable');
      await sleep(1_000);
    }
  }
}

/** Off loopback everybody can ask, so somebody must have a token. */
async function requireToken(db: Db, config: Config): Promise<void> {
  if (isLoopback(config.host) || config.token || (await countTokens(db)) > 0) return;
  throw new CannotStart(
    `PERENNIAL_HOST=${config.host} can be reached from other machines and there is no token: set PERENNIAL_TOKEN`,
  );
}

function report(message: object): void {
  if (process.connected) process.send?.(message);
}

async function listen(app: ReturnType<typeof createApp>, config: Config): Promise<ServerType> {
  await requireFreePort(config.port, 'the API; PERENNIAL_PORT sets another', config.host);
  return new Promise((resolve, reject) => {
    const hostname = config.host.replace(/^\[|\]$/g, '');
    const server = serve({ fetch: app.fetch, hostname, port: config.port }, () => resolve(server));
    server.once('error', reject);
  });
}

/** No new connections, then those that finish, then the rest. */
async function close(server: ServerType): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  if ('closeIdleConnections' in server) server.closeIdleConnections();
  const cut = setTimeout(() => 'closeAllConnections' in server && server.closeAllConnections(), finishWithinMs);
  await closed;
  clearTimeout(cut);
}

function dependencies(config: Config, places: Places, log: Log) {
  const onError = (error: Error) => log.warn({ err: error }, 'api.database.connection-lost');
  const { db, close: closeDb } = createDb(places.database, { name: 'perennial api', onError });
  const store = createStore(config.store);
  const duck = createDuck({ tempFolder: scratchPath(join(config.home, 'tmp'), 'duckdb'), memoryLimitMb: 512 });
  const scorer = createScorer({
    memoryLimitMb: scorerMemoryMb,
    deadlineMs: scorerDeadlineMs,
    onDrift: (digest, difference) => log.warn({ digest, difference }, 'model.golden-rows-differ'),
    onChild: (pid, alive) => report({ type: 'child', kind: 'scorer', pid, alive }),
  });
  const temporal: Temporal = connectTemporal(places.temporal, config.temporal.namespace);
  const closeAll = async (): Promise<void> => {
    scorer.close();
    duck.close();
    await Promise.allSettled([temporal.close(), store.close(), closeDb()]);
  };
  return { db, duck, scorer, temporal, artifacts: createArtifacts(store, artifactHooks(db)), closeAll };
}

/** Starts serving; the returned function stops in order and never throws. */
export async function startApi(given: Config): Promise<{ port: number; stop(): Promise<void> }> {
  const port = given.port === 0 ? (await homePorts(given.home)).api : given.port;
  const config: Config = { ...given, port };
  const log = createLog(config, 'api');
  const places = await findServices(config);
  // uploads that a killed process had begun
  await sweepScratch(join(config.home, 'tmp'));
  const { db, duck, scorer, temporal, artifacts, closeAll } = dependencies(config, places, log);
  const prepared = prepareDatabase(db, places.database, config, log);
  const outbox = startOutbox(db, (message) => temporal.sender(message), { log, prepared });
  try {
    const readiness = createReadiness(db, temporal, config.temporal.namespace, prepared);
    // an open door needs its lock first; behind loopback serving may begin before Postgres is there
    if (!isLoopback(config.host)) await prepared.then(() => requireToken(db, config));
    prepared.catch((error: unknown) => {
      log.error({ err: error }, 'api.database.not-prepared');
      process.exit(1);
    });
    const { decisions } = temporal;
    const { namespace } = config.temporal;
    const { temporalUi } = places;
    const shared = { db, config, log, artifacts, duck, scorer, decisions, namespace, temporalUi };
    const closing = new AbortController();
    const app = createApp({ ...shared, closing: closing.signal, kick: () => outbox.kick(), ready: readiness });
    const server = await listen(app, config);
    log.info({ host: config.host, port }, 'api.listening');
    const stop = async (): Promise<void> => {
      closing.abort();
      await close(server);
      await outbox.stop();
      await closeAll();
    };
    return { port, stop };
  } catch (error) {
    await outbox.stop();
    await closeAll();
    throw error;
  }
}

async function main(): Promise<void> {
  const supervised = process.env['PERENNIAL_SUPERVISED'] === '1';
  let stopping = false;
  let api: { stop(): Promise<void> } | undefined;
  const onEnd = (): void => {
    if (stopping) return;
    stopping = true;
    void (api?.stop() ?? Promise.resolve()).finally(() => process.exit(0));
  };
  process.on('SIGTERM', onEnd);
  process.on('SIGINT', () => {
    // Ctrl-C reaches the whole process group; under a supervisor it says when to end, and in which order.
    if (!supervised) onEnd();
  });
  if (supervised) {
    process.on('disconnect', onEnd);
    // A supervisor that was killed while this process loaded its code has closed the channel already.
    if (!process.connected) return onEnd();
  }
  try {
    api = await startApi(readConfig());
    report({ type: 'ready' });
  } catch (error) {
    const known = error instanceof Error && !(error instanceof TypeError || error instanceof ReferenceError);
    process.stderr.write(`${withoutPasswords(known ? error.message : String((error as Error).stack))}\n`);
    process.exit(1);
  }
}

if (process.argv[1]?.endsWith(join('api', 'main.ts'))) await main();
