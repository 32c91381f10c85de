// `npm start`: the services, the API and the three workers of one home, under one process that restarts what dies.
// A child ends when its IPC channel closes, so none outlives the supervisor; the services do, and the next start adopts
// them. A second SIGINT or SIGTERM hastens the stop.
import { accessSync, constants, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../adapters/config.js';
import { isLoopback, readConfig } from '../adapters/config.js';
import { tryLock, waitForExit } from '../adapters/embedded/process.js';
import { homePorts, livingProcesses, requireFreePort } from '../adapters/home.js';
import { withoutPasswords } from '../adapters/log.js';
import { createDb } from '../db/client.js';
import { migrate } from '../db/migrate.js';
import { countTokens } from '../db/token.js';
import { ensureServices, stopServices } from './services.js';
import type { System, SystemOptions } from './system.js';
import { CannotStart, RunningSystem } from './system.js';

async function requireToken(config: Config, database: string): Promise<void> {
  if (isLoopback(config.host) || config.token) return;
  const { db, close } = createDb(database, { max: 1 });
  if ((await countTokens(db).finally(close)) > 0) return;
  throw new CannotStart(
    `PERENNIAL_HOST=${config.host} can be reached from other machines and there is no token: set PERENNIAL_TOKEN`,
  );
}

/** A killed supervisor's API goes as soon as its pipe closes; until then it holds our port. */
async function awaitFormerApi(home: string): Promise<void> {
  const former = (await livingProcesses(home)).filter(({ name }) => name === 'api');
  await Promise.all(former.map(({ identity }) => waitForExit(identity, 10_000)));
}

/** A store that cannot be written is one line now, not a minute of failing children. */
function requireStore(store: string): void {
  if (/^\w{2,}:/.test(store)) return;
  try {
    mkdirSync(store, { recursive: true, mode: 0o700 });
    accessSync(store, constants.W_OK);
  } catch (error) {
    throw new CannotStart(`PERENNIAL_STORE=${store} cannot be used: ${(error as Error).message}`);
  }
}

/** Starts everything of a home and returns when `/readyz` is 200; on failure nothing of it stays behind. */
export async function startSystem(config: Config, options: SystemOptions = {}): Promise<System> {
  mkdirSync(config.home, { recursive: true });
  requireStore(config.store);
  const lock = tryLock(join(config.home, 'supervisor.lock'));
  if (lock.owner) {
    throw new CannotStart(`perennial already runs in ${config.home} (pid ${lock.owner.pid}); npm run stop stops it`);
  }
  let system: RunningSystem | undefined;
  try {
    const port = config.port === 0 ? (await homePorts(config.home)).api : config.port;
    await awaitFormerApi(config.home);
    await requireFreePort(port, 'the API; PERENNIAL_PORT sets another', config.host);
    const services = await ensureServices(config, options);
    if (options.signal?.aborted) throw new CannotStart('stopped while starting');
    await migrate(services.database);
    await requireToken(config, services.database);
    system = new RunningSystem({ config, options, port, services, release: lock.release });
    system.start();
    await system.ready();
    return system;
  } catch (error) {
    if (system) await system.stop();
    else await stopServices(config).finally(lock.release);
    throw error;
  }
}

/** What the user can act on is shown as one message; what points at a defect of ours comes with its stack. */
function explain(error: unknown): string {
  const defect = error instanceof TypeError || error instanceof ReferenceError || !(error instanceof Error);
  return withoutPasswords(defect ? String((error as Error).stack ?? error) : error.message);
}

async function main(): Promise<void> {
  const stopping = new AbortController();
  const hasten = new AbortController();
  let system: System | undefined;
  const onSignal = () => {
    if (stopping.signal.aborted) hasten.abort();
    stopping.abort();
    system?.stop(hasten.signal).then(
      () => process.exit(0),
      (error: unknown) => {
        say(explain(error));
        process.exit(1);
      },
    );
  };
  const say = (line: string) => process.stderr.write(`${line}\n`);
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  try {
    const dev = process.argv.includes('--dev');
    system = await startSystem(readConfig(), { dev, onProgress: say, onTrouble: say, signal: stopping.signal });
  } catch (error) {
    if (stopping.signal.aborted) process.exit(0);
    say(explain(error));
    process.exit(1);
  }
  if (stopping.signal.aborted) return onSignal();
  const { api, temporalUi, temporal } = system.runFile;
  process.stdout.write(`perennial is ready: ${api} · Temporal UI: ${temporalUi ?? `none known for ${temporal}`}\n`);
}

if (process.argv[1]?.endsWith(join('workers', 'supervisor.ts'))) await main();
