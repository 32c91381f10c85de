// The two services under the product: yours (DATABASE_URL, TEMPORAL_ADDRESS) or embedded ones, started or adopted.
import type { Config } from '../adapters/config.js';
import { ensurePostgres, stopPostgres } from '../adapters/embedded/postgres.js';
import { identify, isAlive, type ProcessIdentity } from '../adapters/embedded/process.js';
import { ensureTemporal, stopTemporal } from '../adapters/embedded/temporal.js';

export interface Services {
  database: string;
  postgresPid: number | null;
  temporal: string;
  temporalUi: string | null;
  temporalPid: number | null;
  /** The embedded ones as they were found: a pid alone may belong to somebody else by now. */
  processes: ProcessIdentity[];
}

export interface ServiceOptions {
  /** Default true; false only for tests. */
  fsync?: boolean | undefined;
  onProgress?: ((line: string) => void) | undefined;
}

/** Both at once: neither needs the other. */
export async function ensureServices(config: Config, options: ServiceOptions): Promise<Services> {
  const onProgress = options.onProgress ?? (() => undefined);
  const ownDatabase = config.databaseUrl?.reveal();
  const ownTemporal = config.temporal.address;
  const { namespace, cli } = config.temporal;
  const results = await Promise.allSettled([
    ownDatabase ? null : ensurePostgres(config.home, { fsync: options.fsync ?? true, onProgress }),
    ownTemporal ? null : ensureTemporal(config.home, { namespace, cli, onProgress }),
  ]);
  const failures = results.filter((result) => result.status === 'rejected');
  if (failures.length > 0) throw new Error(failures.map(({ reason }) => (reason as Error).message).join('\n'));
  const [postgres, temporal] = results.map((result) => (result.status === 'fulfilled' ? result.value : null)) as [
    Awaited<ReturnType<typeof ensurePostgres>> | null,
    Awaited<ReturnType<typeof ensureTemporal>> | null,
  ];
  const pids = [postgres?.pid, temporal?.pid].filter((pid) => pid !== undefined);
  return {
    // one that ended already has no start time, and so is not alive
    processes: pids.map((pid) => identify(pid) ?? { pid, started: '' }),
    database: postgres?.url ?? (ownDatabase as string),
    postgresPid: postgres?.pid ?? null,
    temporal: temporal?.address ?? (ownTemporal as string),
    temporalUi: temporal?.uiUrl ?? (process.env['PERENNIAL_TEMPORAL_UI']?.replace(/\/+$/, '') || null),
    temporalPid: temporal?.pid ?? null,
  };
}

/** Whether the process of every embedded service is the one that it was. */
export function servicesAlive(services: Pick<Services, 'processes'>): boolean {
  return services.processes.every(isAlive);
}

/** Stops the embedded ones, Temporal first; yours are left alone. */
export async function stopServices(config: Config): Promise<void> {
  if (!config.temporal.address) await stopTemporal(config.home);
  if (!config.databaseUrl) await stopPostgres(config.home);
}
