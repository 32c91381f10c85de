import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { countTokens, createToken, ensureAdminToken, findToken, listTokens, revokeToken } from '../../db/token.js';
import { testDatabase, type TestDatabase } from '../support/database.js';
import { count, failureOf } from './facts.js';

let base: TestDatabase;
beforeAll(async () => {
  base = await testDatabase({ max: 30 });
});
afterAll(() => base.close());

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
