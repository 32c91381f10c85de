import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inTransaction } from '../../db/client.js';
import { addDatasetVersion, addIngest, ingestsAfter, latestDatasetVersion } from '../../db/dataset.js';
import { testDatabase, type TestDatabase } from '../support/database.js';
import { ask, freshName, makeArtifact, makePipeline, makeVersion } from './facts.js';

let base: TestDatabase;
beforeAll(async () => {
  base = await testDatabase({ max: 30 });
});
afterAll(() => base.close());

describe('ingests', () => {
  it('are numbered in the order of their commits: a reader misses none', async () => {
    const { name } = await makePipeline(base.db, freshName());
    const [dataset] = await ask<{ id: string }>(base.db, sql`select id from dataset where name = ${name}`);
    const artifact = await makeArtifact(base.db);
    let last = 0;
    let writing = true;
    const reading = (async () => {
      while (writing || last < 20) {
        for (const ingest of await ingestsAfter(base.db, dataset!.id, last)) {
          expect(ingest.number).toBe(last + 1);
          last = ingest.number;
        }
      }
    })();
    await Promise.all(
      Array.from({ length: 20 }, () =>
        inTransaction(base.db, async (tx) => {
          await addIngest(tx, {
            dataset: dataset!.id,
            artifact,
            rows: 2,
            quarantined: 0,
            format: 'csv',
            columns: [],
            by: 'k',
          });
          await new Promise((resolve) => setTimeout(resolve, Math.random() * 3));
        }),
      ),
    );
    writing = false;
    await reading;
    expect(await ask(base.db, sql`select payload from outbox where name = 'rowsArrived'`)).toEqual([
      { payload: { ingest: 20, acceptedRows: 40 } },
    ]);
  });

  it('make the same version of the same content, with a newer watermark', async () => {
    const { name } = await makePipeline(base.db, freshName());
    const { made, run } = await makeVersion(base.db, name, 'a');
    const [dataset] = await ask<{ dataset: string }>(
      base.db,
      sql`select dataset from dataset_version where run = ${run.id}`,
    );
    const latest = (await latestDatasetVersion(base.db, dataset!.dataset))!;
    const again = await addDatasetVersion(base.db, { ...latest, watermark: { ingest: 9, files: [] } });
    expect(again).toEqual({ version: 1, digest: made.datasetVersion });
    expect((await latestDatasetVersion(base.db, dataset!.dataset))!.watermark.ingest).toBe(9);
  });
});
