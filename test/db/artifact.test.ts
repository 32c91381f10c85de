import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  artifactHooks,
  artifactOf,
  collectArtifacts,
  lockArtifact,
  referArtifact,
  referrers,
  stepOwner,
} from '../../db/artifact.js';
import { addDatasetVersion, addIngest } from '../../db/dataset.js';
import { setRunResult } from '../../db/run.js';
import { beginStep } from '../../db/step.js';
import type { Digest } from '../../domain/artifact.js';
import { testDatabase, type TestDatabase } from '../support/database.js';
import { ask, count, digestOf, makeArtifact, makeBatch, makePipeline, makeVersion, versionOf } from './facts.js';

let base: TestDatabase;
beforeAll(async () => {
  base = await testDatabase();
});
afterAll(() => base.close());

const age = (digest: Digest) =>
  base.db.execute(sql`update artifact set touched_at = now() - interval '11 minutes' where digest = ${digest}`);
async function collect(files: Set<string>) {
  const before = files.size;
  const gone = await collectArtifacts(base.db, async (digest) => void files.delete(digest));
  return { gone, removed: before - files.size };
}

describe('the collector', () => {
  it('takes what is old and unreferred, and nothing else', async () => {
    const [old, young, kept] = [await makeArtifact(base.db), await makeArtifact(base.db), await makeArtifact(base.db)];
    await age(old);
    await age(kept);
    const owner = stepOwner({ workflowId: 'w', workflowRunId: 'r', activityId: '1' });
    await referArtifact(base.db, { digest: kept, owner, role: 'matrix' });
    await referArtifact(base.db, { digest: kept, owner, role: 'matrix' });
    const files = new Set([old, young, kept]);
    expect(await collect(files)).toEqual({ gone: 1, removed: 1 });
    expect(files).toEqual(new Set([young, kept]));
    expect(await count(base.db, 'artifact', sql`digest = ${old}`)).toBe(0);
    await base.db.execute(sql`delete from artifact_reference`);
    expect((await collect(files)).gone).toBe(1);
  });

  it('knows every column that refers to an artifact', async () => {
    const found = await ask<{ at: string }>(
      base.db,
      sql`select c.conrelid::regclass || '.' || a.attname as at from pg_constraint c
        join pg_attribute a on a.attrelid = c.conrelid and a.attnum = c.conkey[1]
        where c.contype = 'f' and c.confrelid = 'artifact'::regclass`,
    );
    expect(found.map(({ at }) => at).sort()).toEqual(referrers.map(([table, column]) => `${table}.${column}`).sort());
  });

  it('keeps the row when the file cannot be removed', async () => {
    const digest = await makeArtifact(base.db);
    await age(digest);
    const work = collectArtifacts(base.db, async () => {
      throw new Error('disk');
    });
    await expect(work).rejects.toThrow('disk');
    expect(await count(base.db, 'artifact', sql`digest = ${digest}`)).toBe(1);
    expect(await collectArtifacts(base.db, async () => undefined)).toBe(1);
  });

  it('never removes the bytes of a put that has its lock, whatever the order', async () => {
    const { touch, lock } = artifactHooks(base.db);
    for (let round = 0; round < 20; round += 1) {
      const content = `round ${round}`;
      const artifact = { digest: digestOf(content), sizeBytes: 1, mediaType: 'application/json' };
      const files = new Set<string>();
      await makeArtifact(base.db, content);
      await age(artifact.digest);
      files.add(artifact.digest);
      const pause = () => new Promise((resolve) => setTimeout(resolve, Math.random() * 6));
      const put = async () => {
        await pause();
        await touch(artifact);
        await pause();
        files.add(artifact.digest);
        await lock(artifact, async () => void files.add(artifact.digest));
      };
      const collecting = collectArtifacts(base.db, async (digest) => {
        await pause();
        files.delete(digest);
      });
      await Promise.all([put(), collecting]);
      expect(files.has(artifact.digest)).toBe(true);
      expect(await lockArtifact(base.db, artifact.digest)).toBe(true);
    }
  });

  it('belongs to the projects that refer to it, in whatever way', async () => {
    const { run, dataset } = await makeBatch(base.db, 1);
    const { version, model } = await makeVersion(base.db, (await makePipeline(base.db)).name, 'a');
    const step = { workflowId: run.workflowId, workflowRunId: 'r', activityId: '1' };
    await beginStep(base.db, { ...step, run: run.id, node: 'train', worker: 'w', attempt: 1 });
    const made = await Promise.all(Array.from({ length: 11 }, () => makeArtifact(base.db)));
    const [a, b, c, d, e, f, g, h, i, j, nobodys] = made as [Digest, ...Digest[]];
    for (const [digest, owner] of [
      [a, `dataset:${dataset}/1`],
      [b, stepOwner(step)],
      [c, `quarantine:${run.id}`],
    ] as [Digest, string][]) {
      await referArtifact(base.db, { digest, owner, role: 'x' });
    }
    const format = 'csv' as const;
    const ingest = { dataset, artifact: d!, rows: 1, quarantined: 0, format, columns: [], by: 'kim' };
    await addIngest(base.db, ingest);
    await addDatasetVersion(base.db, { ...versionOf(dataset, run.id), profile: e!, quarantine: f! });
    await setRunResult(base.db, run.id, { evaluation: g! });
    await base.db.execute(sql`update step set checkpoint = ${h}, checkpoint_step = 1 where run = ${run.id}`);
    const of = sql`where model = ${model} and version = ${version}`;
    await base.db.execute(sql`update model_version set card = ${i} ${of}`);
    await base.db.execute(sql`update model_file set digest = ${j} ${of} and path = 'golden.json'`);
    for (const digest of [a, b, c, d, e, f, g, h, i, j] as Digest[]) {
      expect((await artifactOf(base.db, 'default', digest))?.digest).toBe(digest);
      expect(await artifactOf(base.db, 'another', digest)).toBeNull();
    }
    expect(await artifactOf(base.db, 'default', nobodys!)).toBeNull();
  });

  it('lets no reference be made to what it took', async () => {
    const digest = digestOf('never put');
    expect(await lockArtifact(base.db, digest)).toBe(false);
    const refer = referArtifact(base.db, { digest, owner: 'x', role: 'y' });
    await expect(refer).rejects.toMatchObject({ code: '23503' });
  });
});
