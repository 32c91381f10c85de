// What the steps on data share: their tools, a scratch folder of their own, and files as SQL.
import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Duck, type DuckSession, sqlLiteral } from '../../adapters/duckdb.js';
import type { Log } from '../../adapters/log.js';
import { inScratchFolder } from '../../adapters/scratch.js';
import type { Artifacts } from '../../adapters/store/index.js';
import { referArtifact, stepOwner } from '../../db/artifact.js';
import { type Db, inTransaction, type Tx } from '../../db/client.js';
import { type ArtifactRef, type Digest, mediaTypes } from '../../domain/artifact.js';
import type { StepInput } from '../../domain/run.js';
import { currentStep, keeping } from '../step.js';

export interface DatasetDeps {
  db: Db;
  duck: Duck;
  artifacts: Artifacts;
  log: Log;
  config: {
    /** PERENNIAL_SOURCES: files are read only below this folder. */
    sources: string | undefined;
    /** Relative source paths start here. */
    cwd: string;
    /** Folder for files on their way to the store. */
    scratch: string;
  };
}

/** A folder that is gone when `work` ends, however it ends. */
export function inScratch<T>(scratch: string, work: (folder: string) => Promise<T>): Promise<T> {
  return inScratchFolder(scratch, 'data', work);
}

/** The result of the node `name` before this one. */
export function resultOf<T>(input: StepInput, name: string): T {
  const result = input.inputs[name];
  if (result === undefined) throw new Error(`${input.node} needs the result of ${name}`);
  return result as unknown as T;
}

export const parquet = (path: string) => `read_parquet(${sqlLiteral(path)})`;

/** Runs a SELECT into a Parquet file, and stores that for the step's run. Ordered and on one thread, equal rows are equal bytes. */
export async function putSelect(
  deps: Pick<DatasetDeps, 'artifacts' | 'db'>,
  session: DuckSession,
  select: string,
  folder: string,
): Promise<ArtifactRef> {
  const path = join(folder, `${randomUUID()}.parquet`);
  await session.run(
    `COPY (${select}) TO ${sqlLiteral(path)} (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 122880)`,
  );
  const ref = await keeping(deps, 'data').putFile(path, mediaTypes.parquet);
  await rm(path, { force: true });
  return ref;
}

export async function columnsOf(session: DuckSession, from: string): Promise<string[]> {
  const described = await session.query<{ column_name: string }>(`DESCRIBE SELECT * FROM ${from}`);
  return described.map((column) => column.column_name);
}

/** A transaction of this step: guarded by its fence, and keeping `kept` until the run ends. */
export async function writeFacts<T>(
  deps: Pick<DatasetDeps, 'db'>,
  kept: Record<string, Digest | null>,
  work: (tx: Tx) => Promise<T>,
): Promise<T> {
  const step = currentStep();
  return inTransaction(deps.db, async (tx) => {
    await step.guard(tx);
    for (const [role, digest] of Object.entries(kept)) {
      if (digest) await referArtifact(tx, { digest, owner: stepOwner(step.key), role });
    }
    return work(tx);
  });
}
