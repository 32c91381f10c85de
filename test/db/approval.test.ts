import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { approvalView, decideApproval, listApprovals, openApproval, type DecideApproval } from '../../db/approval.js';
import { closeRun } from '../../db/run.js';
import { testDatabase, type TestDatabase } from '../support/database.js';
import { count, digestOf, failureOf, makeRun } from './facts.js';

let base: TestDatabase;
beforeAll(async () => {
  base = await testDatabase();
});
afterAll(() => base.close());

const digest = digestOf('candidate');
const deadline = new Date(Date.now() + 60_000);
const open = (run: string, round = 1) =>
  openApproval(base.db, { run, node: 'approve', kind: 'candidate', round, digest, deadline, evidence: { n: 1 } });
const decide = (approval: string, more: Partial<DecideApproval> = {}) =>
  decideApproval(base.db, {
    approval,
    decisionId: 'd1',
    decision: 'approve',
    outcome: 'approved',
    by: 'lee',
    verified: true,
    reason: null,
    digest,
    ...more,
  });

describe('approvals', () => {
  it('are asked once per round, and a new round voids the one before', async () => {
    const { id: run } = await makeRun(base.db);
    const [one, same] = await Promise.all([open(run), open(run)]);
    expect(same).toEqual(one);
    const two = await open(run, 2);
    expect(await open(run)).toEqual(one);
    expect((await approvalView(base.db, 'default', one.id)).status).toBe('void');
    expect(await count(base.db, 'approval', sql`run = ${run} and status = 'open'`)).toBe(1);
    const { items } = await listApprovals(base.db, {
      project: 'default',
      status: 'open',
      page: { limit: 9, cursor: null },
    });
    expect(items.map((item) => item.id)).toContain(two.id);
    expect(await failureOf(decide(one.id))).toBe('AlreadyDecided');
  });

  it('are decided once; the same decision gets the first answer', async () => {
    const { id } = await open((await makeRun(base.db)).id);
    const race = await Promise.allSettled([
      decide(id, { decisionId: 'a' }),
      decide(id, { decisionId: 'b', decision: 'reject', outcome: 'rejected' }),
    ]);
    expect(race.filter((end) => end.status === 'fulfilled')).toHaveLength(1);
    const { status } = await approvalView(base.db, 'default', id);
    const winner = status === 'approved' ? 'a' : 'b';
    expect(await decide(id, { decisionId: winner })).toMatchObject({ status, decisionId: winner, by: 'lee' });
    expect(await failureOf(decide(id, { decisionId: 'c' }))).toBe('AlreadyDecided');
    expect(await count(base.db, 'audit', sql`subject = ${id}`)).toBe(1);
  });

  it('are about one digest', async () => {
    const { id } = await open((await makeRun(base.db)).id);
    expect(await failureOf(decide(id, { digest: digestOf('other') }))).toBe('StaleCandidate');
    expect((await approvalView(base.db, 'default', id)).status).toBe('open');
  });

  it('expire with the words of a decision', async () => {
    const { id } = await open((await makeRun(base.db)).id);
    const answer = await decide(id, { decision: 'expire', outcome: 'expired', by: 'deadline' });
    expect(answer).toMatchObject({ status: 'expired', decision: 'reject' });
  });

  it('are void after the end of the run', async () => {
    const { id: run } = await makeRun(base.db);
    const { id } = await open(run);
    await closeRun(base.db, { run, status: 'cancelled', failure: null });
    expect(await failureOf(decide(id))).toBe('AlreadyDecided');
    expect(await failureOf(open(run, 2))).toBe('RunEnded');
  });
});
