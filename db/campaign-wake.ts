// A campaign hears that a run of its pipeline ended: by the outbox, as every message, and without anybody polling.
import { sql } from 'drizzle-orm';
import { rows, type Tx } from './client.js';
import { wake } from './outbox.js';

/** Tells the live campaign of the pipeline, if there is one, to look again. */
export async function wakeCampaign(tx: Tx, project: string, pipeline: string): Promise<void> {
  const live = await rows<{ workflowId: string }>(
    tx,
    sql`select c.workflow_id as "workflowId" from campaign c join pipeline p on p.id = c.pipeline
      where p.project = ${project} and p.name = ${pipeline} and c.status <> 'stopped'`,
  );
  for (const { workflowId } of live) await wake(tx, { project, workflowId, name: 'stirred' });
}
