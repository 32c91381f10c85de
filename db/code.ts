// Code directories of a project: artifacts that it uploaded or that its pipelines were posted with, kept for good, since
// every version of a pipeline names its own.
import { sql } from 'drizzle-orm';
import type { Digest } from '../domain/artifact.js';
import { rows, row, type Tx } from './client.js';

const ownerOf = (project: string): string => `code:${project}`;

/**
 * Keeps the code for the project; true where it had not been kept before.
 * @throws DatabaseFault when the artifact has no row
 */
export async function keepCode(tx: Tx, project: string, digest: Digest): Promise<boolean> {
  const made = await rows(
    tx,
    sql`insert into artifact_reference (owner, role, digest) values (${ownerOf(project)}, 'code', ${digest})
      on conflict do nothing returning digest`,
  );
  return made.length > 0;
}

/** Whether the project may run that code. */
export async function hasCode(tx: Tx, project: string, digest: Digest): Promise<boolean> {
  const found = await row(
    tx,
    sql`select 1 from artifact_reference where owner = ${ownerOf(project)} and role = 'code' and digest = ${digest}`,
  );
  return found !== null;
}
