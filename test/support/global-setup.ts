// Before the `services` tests: dist/ is brought up to date for the processes that tests start, one Postgres and one
// Temporal server come up in a temporary home. After them, or when the run is killed, exactly these are stopped.
import { execFileSync, spawn } from 'node:child_process';
import { join } from 'node:path';
import { entryArguments, projectRoot } from '../../adapters/paths.js';
import { createHome, databaseVariable, startServices, stopServices, temporalVariable } from './services.js';

/**
 * Any entry makes bin/run.mjs transpile what changed; this one does nothing else. The hundreds of processes that tests start
 * need not look at every file again: 50 ms of CPU each.
 */
function buildEntries(): void {
  execFileSync(process.execPath, [join(projectRoot, 'bin/run.mjs'), 'domain/queues.ts'], { stdio: 'inherit' });
  process.env['PERENNIAL_PREBUILT'] = '1';
}

function watchOver(home: string): void {
  const watcher = spawn(process.execPath, [...entryArguments('test/support/stop-when-orphaned.ts'), home], {
    stdio: ['pipe', 'ignore', 'inherit'],
    detached: true,
  });
  watcher.unref();
  (watcher.stdin as unknown as { unref?: () => void }).unref?.();
}

export async function setup(): Promise<() => Promise<void>> {
  buildEntries();
  const home = await createHome();
  watchOver(home);
  try {
    const services = await startServices(home, (line) => process.stderr.write(`test services: ${line}\n`));
    process.env[databaseVariable] = services.database;
    process.env[temporalVariable] = services.temporal;
  } catch (error) {
    await stopServices(home);
    throw new Error(`the services of the tests did not start: ${(error as Error).message}`, { cause: error });
  }
  return () => stopServices(home);
}
