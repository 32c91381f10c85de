import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inTransaction } from '../../db/client.js';
import { readIdempotent, storeIdempotent, withIdempotency } from '../../db/idempotency.js';
import { testDatabase, type TestDatabase } from '../support/database.js';
import { failureOf } from './facts.js';

let base: TestDatabase;
beforeAll(async () => {
  base = await testDatabase({ max: 30 });
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
