// What a wait costs: everything of perennial but its two databases ends, and they say what they still hold.
import { type TestSystem, until } from '../support/system.js';
import { temporalClient } from './support.js';

/** Ends the supervisor, and with it API and workers; Postgres and Temporal stay. */
export async function stopProcesses(system: TestSystem): Promise<void> {
  const { pids } = await system.running();
  if (pids.supervisor === null) throw new Error('nothing supervises');
  process.kill(pids.supervisor, 'SIGKILL');
  const left = [pids.api, pids.flow, pids.cpu, pids.gpu].filter((pid) => pid !== null);
  await until('all processes to end', async () => !left.some(isAlive));
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

interface HeldWorkflow {
  status: string;
  /** Activities and workflow tasks that somebody is to do or does. */
  pending: number;
  /** Clocks that run. */
  timers: number;
}

export interface Held {
  /** To the database of this system, the one that asks left out. */
  connections: number;
  /** Of those. */
  locks: number;
  workflows: HeldWorkflow[];
}

export const isWaiting = ({ status, pending }: HeldWorkflow) => status === 'RUNNING' && pending === 0;

export async function heldBy(system: TestSystem, workflowIds: string[]): Promise<Held> {
  const [inDatabase] = await system.sql<Omit<Held, 'workflows'>>(
    `select count(distinct a.pid)::int as connections, count(l.pid)::int as locks
      from pg_stat_activity a left join pg_locks l on l.pid = a.pid
      where a.datname = current_database() and a.backend_type = 'client backend' and a.pid <> pg_backend_pid()`,
  );
  if (!inDatabase) throw new Error('Postgres does not say what it holds');
  const { client, close } = await temporalClient(system);
  try {
    const workflows = workflowIds.map(async (id): Promise<HeldWorkflow> => {
      const handle = client.workflow.getHandle(id);
      const { status, raw } = await handle.describe();
      const { events } = await handle.fetchHistory();
      const count = (kind: 'Started' | 'Fired' | 'Canceled') =>
        (events ?? []).filter((event) => event[`timer${kind}EventAttributes`]).length;
      const pending = (raw.pendingActivities?.length ?? 0) + (raw.pendingWorkflowTask ? 1 : 0);
      return { status: status.name, pending, timers: count('Started') - count('Fired') - count('Canceled') };
    });
    return { ...inDatabase, workflows: await Promise.all(workflows) };
  } finally {
    await close();
  }
}
