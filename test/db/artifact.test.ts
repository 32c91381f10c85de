import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  artifactHooks,
  artifactRow,
  collectArtifacts,
  lockArtifact,
  referArtifact,
  referrers,
  stepOwner,
} from '../../db/artifact.js';
import type { Digest } from '../../domain/artifact.js';
import { testDatabase, type TestDatabase } from '../support/database.js';
import { ask, digestOf, makeArtifact } from './facts.js';

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
    expect(await artifactRow(base.db, old)).toBeNull();
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
    expect(await artifactRow(base.db, digest)).not.toBeNull();
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

  it('lets no reference be made to what it took', async () => {
    const digest = digestOf('never put');
    expect(await lockArtifact(base.db, digest)).toBe(false);
    const refer = referArtifact(base.db, { digest, owner: 'x', role: 'y' });
    await expect(refer).rejects.toMatchObject({ code: '23503' });
  });
});
