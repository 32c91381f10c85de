import { sql, type SQL } from 'drizzle-orm';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { appendAudit, listAudit, verifyAudit, type AuditEntry } from '../../db/audit.js';
import { inTransaction } from '../../db/client.js';
import type { Json } from '../../domain/json.js';
import { testDatabase, type TestDatabase } from '../support/database.js';
import { failureOf } from './facts.js';

let base: TestDatabase;
let project = '';
beforeAll(async () => {
  base = await testDatabase({ max: 30 });
});
afterAll(() => base.close());
beforeEach(async () => {
  project = `p${Math.random()}`;
  await base.db.execute(sql`insert into project (name) values (${project})`);
});

const append = (n: number) =>
  appendAudit(base.db, {
    project,
    actor: 'kim',
    verified: true,
    action: 'model.promoted',
    subject: `m/${n}`,
    details: { n, small: 1e-7, big: 1e21, text: 'é\u2028"', list: [null, true, { b: 1, a: 2 }] },
  });
const fill = () => Promise.all(Array.from({ length: 20 }, (_, n) => append(n)));

describe('audit', () => {
  it('is one chain without gaps under concurrent writers', async () => {
    const numbers = await fill();
    expect(numbers.sort((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, n) => n + 1));
    expect(await verifyAudit(base.db, project)).toEqual({ entries: 20, intact: true, firstBroken: null });
    expect(await verifyAudit(base.db, 'default')).toMatchObject({ intact: true });
  });

  it('leaves no number behind when a transaction is rolled back', async () => {
    const work = inTransaction(base.db, async (tx) => {
      await appendAudit(tx, { project, actor: 'a', verified: true, action: 'b', subject: 'c', details: {} });
      throw new Error('no');
    });
    await expect(work).rejects.toThrow('no');
    expect(await append(1)).toBe(1);
  });

  it.each([
    ['a changed entry', sql`update audit set actor = 'mallory' where number = 7`, 7],
    ['changed details', sql`update audit set details = '{"n": 99}' where number = 3`, 3],
    ['a changed time', sql`update audit set at = at + interval '1 second' where number = 5`, 5],
    ['a missing entry', sql`delete from audit where number = 9`, 9],
    ['a cut tail', sql`delete from audit where number > 15`, 16],
    ['a changed hash', sql`update audit set hash = 'x' where number = 20`, 20],
  ])('notices %s', async (_what, tamper, firstBroken) => {
    await fill();
    await base.db.execute(sql`${tamper} and project = ${project}`);
    expect(await verifyAudit(base.db, project)).toEqual({ entries: 20, intact: false, firstBroken });
  });

  it('stays whole whatever a sender of Signals calls a name or a reason', async () => {
    const odd = { actor: 5, verified: 'yes', subject: { a: '\0' }, action: 'b\0c' } as unknown as AuditEntry;
    const details = { 'k\0': ['x\0y', 'half \ud800'], none: null, zero: -0, __proto__: 1 };
    await appendAudit(base.db, { ...odd, project, details });
    await appendAudit(base.db, { ...odd, project, actor: 'half \udc00', details: undefined as unknown as Json });
    expect(await verifyAudit(base.db, project)).toEqual({ entries: 2, intact: true, firstBroken: null });
    const { items } = await listAudit(base.db, project, { limit: 5, cursor: null });
    expect(items[1]).toMatchObject({
      actor: '5',
      verified: false,
      action: 'bc',
      details: { k: ['xy', 'half \ufffd'] },
    });
  });

  it('is verified up to the head that was read, whatever is appended meanwhile', async () => {
    await fill();
    // reads the head, then hears of newer entries
    const slow = new Proxy(base.db, {
      get: (db, name) => {
        if (name !== 'execute') return Reflect.get(db, name) as unknown;
        return async (statement: SQL) => {
          const found = await db.execute(statement);
          await append(99);
          return found;
        };
      },
    });
    expect(await verifyAudit(slow, project)).toEqual({ entries: 20, intact: true, firstBroken: null });
  });

  it('is listed from the latest on', async () => {
    await fill();
    const first = await listAudit(base.db, project, { limit: 15, cursor: null });
    const second = await listAudit(base.db, project, { limit: 15, cursor: first.nextCursor });
    expect([...first.items, ...second.items].map((entry) => entry.number)).toEqual(
      [...Array(20).keys()].map((n) => 20 - n),
    );
    expect(second.nextCursor).toBeNull();
    const unknown = appendAudit(base.db, { ...first.items[0]!, project: 'nobody' });
    expect(await failureOf(unknown)).toBe('NotFound');
  });
});
