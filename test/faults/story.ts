// Where a run stands that did not end as it should: rows and histories in a few lines, for the report of a failed pair.
import { connectTemporal } from '../../adapters/temporal.js';
import { workflowIds } from '../../domain/ids.js';
import type { TestSystem } from '../support/system.js';

const lastEvents = 8;

async function workflowLines(system: TestSystem, ids: string[]): Promise<string[]> {
  const { client, close } = connectTemporal((await system.running()).temporal, 'perennial');
  try {
    const lines: string[] = [];
    for (const id of ids) {
      const handle = client.workflow.getHandle(id);
      const { raw, status } = await handle.describe();
      const { events } = await handle.fetchHistory();
      const tail = (events ?? []).slice(-lastEvents).map(({ eventType }) => String(eventType));
      const { pendingActivities, pendingWorkflowTask } = raw;
      const pending = JSON.stringify({ pendingActivities, pendingWorkflowTask });
      lines.push(`${id} ${status.name}: events ${tail.join(' ')}; pending ${pending}`);
    }
    return lines;
  } finally {
    await close();
  }
}

export async function storyOf(system: TestSystem, run: string, pipeline: string): Promise<string[]> {
  try {
    const own = [run];
    const rows = [
      ...(await system.sql<object>('select status, stage, waiting, last_event from run where id = $1', own)),
      ...(await system.sql<object>(
        'select node, wait, status, fence, attempt, worker, failure, started_at from step where run = $1 order by started_at',
        own,
      )),
      ...(await system.sql<object>('select id, status, round from label_batch where run = $1', own)),
      ...(await system.sql<object>(
        'select kind, workflow_id, name, attempts, gone, last_error from outbox where sent_at is null or gone',
      )),
    ];
    const batches = await system.sql<{ workflow_id: string }>(
      'select workflow_id from label_batch where run = $1',
      own,
    );
    const ids = [workflowIds.run('default', pipeline, 1), ...batches.map((batch) => batch.workflow_id)];
    return [...rows.map((row) => JSON.stringify(row)), ...(await workflowLines(system, ids))];
  } catch (error) {
    return [`its story cannot be told: ${(error as Error).message}`];
  }
}
