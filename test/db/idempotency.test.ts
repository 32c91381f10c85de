import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inTransaction } from '../../db/client.js';
import { readIdempotent, storeIdempotent, withIdempotency } from '../../db/idempotency.js';
import { logMetrics, metricsOf } from '../../db/metric.js';
import { countTokens, createToken, ensureAdminToken, findToken, listTokens, revokeToken } from '../../db/token.js';
import { addDatasetVersion, addIngest, ingestsAfter, latestDatasetVersion } from '../../db/dataset.js';
import { newId } from '../../db/id.js';
import { testDatabase, type TestDatabase } from '../support/database.js';
import { ask, count, failureOf, freshName, makeArtifact, makePipeline, makeVersion } from './facts.js';

let base: TestDatabase;
beforeAll(async () => {
  base = await testDatabase({ max: 40 });
});
afterAll(() => base.close());

const key = (name: string, bodyDigest = 'b') => ({
  project: 'default',
  subject: 'kim',
  key: name,
  route: 'POST /x',
  bodyDigest,
});

describe('idempotency keys', () => {
  it('do the work once for many at once, and answer the same', async () => {
    let done = 0;
    const one = () =>
      inTransaction(base.db, (tx) =>
        withIdempotency(tx, key('k1'), async () => {
          done += 1;
          await new Promise((resolve) => setTimeout(resolve, 5));
          return { status: 201, body: { n: done } };
        }),
      );
    const answers = await Promise.all(Array.from({ length: 8 }, one));
    expect(done).toBe(1);
    expect(answers.filter((answer) => !answer.replayed)).toHaveLength(1);
    for (const { status, body } of answers) expect({ status, body }).toEqual({ status: 201, body: { n: 1 } });
  });

  it('are refused with another body', async () => {
    await withIdempotency(base.db, key('k2'), async () => ({ status: 200, body: null }));
    const other = withIdempotency(base.db, key('k2', 'c'), async () => ({ status: 200, body: null }));
    expect(await failureOf(other)).toBe('IdempotencyKeyReused');
  });

  it('execute again what never committed', async () => {
    const failing = inTransaction(base.db, (tx) =>
      withIdempotency(tx, key('k3'), () => Promise.reject(new Error('no'))),
    );
    await expect(failing).rejects.toThrow('no');
    const { replayed } = await withIdempotency(base.db, key('k3'), async () => ({ status: 200, body: 1 }));
    expect(replayed).toBe(false);
  });

  it('keep the first answer of a decision', async () => {
    expect(await readIdempotent(base.db, key('k4'))).toBeNull();
    await storeIdempotent(base.db, key('k4'), { status: 200, body: 1 });
    await storeIdempotent(base.db, key('k4'), { status: 200, body: 2 });
    expect(await readIdempotent(base.db, key('k4'))).toEqual({ status: 200, body: 1 });
  });
});

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

describe('tokens', () => {
  it('are found by their secret until revoked, and the secret is stored nowhere', async () => {
    await ensureAdminToken(base.db, { project: 'default', secret: 'from-the-environment' });
    await ensureAdminToken(base.db, { project: 'default', secret: 'from-the-environment' });
    expect(await countTokens(base.db)).toBe(1);
    const { id, secret } = await createToken(base.db, {
      project: 'default',
      subject: 'lee',
      role: 'labeler',
      by: 'kim',
    });
    expect(await findToken(base.db, secret)).toEqual({ id, project: 'default', subject: 'lee', role: 'labeler' });
    await revokeToken(base.db, { project: 'default', id, by: 'kim' });
    expect(await findToken(base.db, secret)).toBeNull();
    expect(await failureOf(revokeToken(base.db, { project: 'other', id, by: 'kim' }))).toBe('NotFound');
    expect(await listTokens(base.db, 'default')).toHaveLength(2);
    expect(await count(base.db, 'token', sql`token::text like ${`%${secret.slice(0, 20)}%`}`)).toBe(0);
    expect(await count(base.db, 'audit', sql`action like 'token.%'`)).toBe(3);
  });
});

describe('metrics', () => {
  it('take bulk, the same step again, and numbers that are none', async () => {
    const points = Array.from({ length: 12_000 }, (_, step) => ({
      run: 'r',
      name: 'loss',
      candidate: 0,
      step,
      value: 1 / (step + 1),
    }));
    await logMetrics(base.db, points);
    await logMetrics(base.db, [
      { ...points[3]!, value: NaN },
      { ...points[4]!, value: 1 },
      { ...points[4]!, value: Infinity },
    ]);
    const stored = await metricsOf(base.db, 'r', 'loss');
    expect(stored).toHaveLength(12_000);
    expect(stored.slice(2, 5).map((point) => point.value)).toEqual([1 / 3, NaN, Infinity]);
    expect(await metricsOf(base.db, 'r', 'accuracy')).toEqual([]);
  });
});

describe('ids and errors', () => {
  it('sort by time and say what they name', async () => {
    const first = newId('run');
    await new Promise((resolve) => setTimeout(resolve, 3));
    expect(first < newId('run')).toBe(true);
    expect(first).toMatch(/^run_[0-9a-hjkmnp-tv-z]{20}$/);
  });

  it('show neither statement nor values', async () => {
    const twice = () =>
      addIngest(base.db, {
        dataset: 'ds_x',
        artifact: 'sha256:secret',
        rows: 1,
        quarantined: 0,
        format: 'csv',
        columns: [],
        by: '',
      });
    expect(await failureOf(twice())).toBe('NotFound');
    const nul = logMetrics(base.db, [{ run: 'a\0b', name: 'secret', candidate: 0, step: 0, value: 0 }]);
    expect(await failureOf(nul)).toBe('InvalidRequest');
    const error = await logMetrics(base.db, [{ run: 'r', name: 'secret', candidate: 0.5, step: 0, value: 0 }]).catch(
      (e: Error) => e,
    );
    expect(String(error)).not.toMatch(/secret|insert/);
  });
});
