// `npm run stop`: stops whatever an earlier start of this home (or of its demo) left behind, and says what it stopped.
// The supervisor first, which stops the rest in order; then what is left, each by pid with its start time checked.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readConfig } from '../adapters/config.js';
import { stopPostgres } from '../adapters/embedded/postgres.js';
import type { ProcessIdentity } from '../adapters/embedded/process.js';
import { isAlive, stopProcess } from '../adapters/embedded/process.js';
import { stopTemporal } from '../adapters/embedded/temporal.js';
import { livingProcesses, removeRunFile } from '../adapters/home.js';

/** Longer than the supervisor's own drain; the second SIGTERM hastens it. */
const supervisorSteps = [
  { signal: 'SIGTERM', waitMs: 60_000 },
  { signal: 'SIGTERM', waitMs: 15_000 },
  { signal: 'SIGKILL', waitMs: 5_000 },
] as const;
/** Children end by themselves when their supervisor is gone, after their drain. */
const childSteps = [
  { signal: 'SIGTERM', waitMs: 30_000 },
  { signal: 'SIGKILL', waitMs: 5_000 },
] as const;
const stopOrder = ['api', 'scorer', 'cpu', 'gpu', 'trainer', 'flow'];

/** The supervisor's lock names it even before there is a run.json. */
function findSupervisor(home: string): ProcessIdentity | null {
  try {
    const owner = JSON.parse(readFileSync(join(home, 'supervisor.lock'), 'utf8')) as ProcessIdentity;
    return isAlive(owner) ? owner : null;
  } catch {
    return null;
  }
}

/** Stops everything of one home; returns what it stopped, in words. */
export async function stopHome(home: string): Promise<string[]> {
  const stopped: string[] = [];
  if (!existsSync(home)) return stopped;
  const before = await livingProcesses(home);
  const supervisor = findSupervisor(home);
  if (supervisor) {
    await stopProcess(supervisor, supervisorSteps);
    stopped.push(`the supervisor (pid ${supervisor.pid}) and all it ran`);
  }
  for (const name of stopOrder) {
    for (const { identity } of before.filter((one) => one.name === name && isAlive(one.identity))) {
      await stopProcess(identity, childSteps);
      stopped.push(`${name} (pid ${identity.pid})`);
    }
  }
  if (await stopTemporal(home)) stopped.push('Temporal');
  if (await stopPostgres(home)) stopped.push('Postgres');
  await removeRunFile(home);
  return stopped;
}

async function main(): Promise<void> {
  const { home } = readConfig();
  let any = false;
  for (const one of [home, join(home, 'demo')]) {
    const stopped = await stopHome(one);
    if (stopped.length > 0) process.stdout.write(`stopped in ${one}: ${stopped.join(', ')}\n`);
    any ||= stopped.length > 0;
  }
  if (!any) process.stdout.write(`nothing runs in ${home}\n`);
}

if (process.argv[1]?.endsWith(join('workers', 'stop.ts'))) {
  await main().catch((error: unknown) => {
    process.stderr.write(`${(error as Error).message}\n`);
    process.exitCode = 1;
  });
}
