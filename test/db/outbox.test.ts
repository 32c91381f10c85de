import { sql } from 'drizzle-orm';
import { afterAll, beforeEach, beforeAll, describe, expect, it } from 'vitest';
import { inTransaction } from '../../db/client.js';
import {
  enqueue,
  forgetOld,
  sweepOutbox,
  unsentCount,
  wake,
  type NewMessage,
  type OutboxMessage,
} from '../../db/outbox.js';
import { testDatabase, type TestDatabase } from '../support/database.js';
import { ask, count } from './facts.js';

let base: TestDatabase;
beforeAll(async () => {
  base = await testDatabase();
});
afterAll(() => base.close());
beforeEach(() => base.db.execute(sql`delete from outbox`));

const signal = (workflowId: string, payload: NewMessage['payload'], more: Partial<NewMessage> = {}): NewMessage => ({
  project: 'default',
  kind: 'signal',
  workflowId,
  name: 'rowsArrived',
  payload,
  ...more,
});
const start = (workflowId: string): NewMessage => ({ ...signal(workflowId, {}), kind: 'start', taskQueue: 'flow' });

function recorder(answer: (message: OutboxMessage) => 'sent' | 'gone' = () => 'sent') {
  const seen: OutboxMessage[] = [];
  const send = async (message: OutboxMessage) => {
    await new Promise((resolve) => setTimeout(resolve, 1));
    const result = answer(message);
    seen.push(message);
    return result;
  };
  return { seen, send };
}

describe('outbox', () => {
  it('keeps nothing of a transaction that was rolled back', async () => {
    const work = inTransaction(base.db, async (tx) => {
      await enqueue(tx, signal('w1', 1));
      throw new Error('no');
    });
    await expect(work).rejects.toThrow('no');
    expect(await unsentCount(base.db)).toBe(0);
  });

  it('replaces the payload of an unsent message with the same key, and starts a new one after it was sent', async () => {
    for (const payload of [1, 2, 3]) await enqueue(base.db, signal('w1', payload, { coalesceKey: 'k' }));
    expect(await unsentCount(base.db)).toBe(1);
    const { seen, send } = recorder();
    await sweepOutbox(base.db, send);
    await enqueue(base.db, signal('w1', 4, { coalesceKey: 'k' }));
    await sweepOutbox(base.db, send);
    expect(seen.map((message) => message.payload)).toEqual([3, 4]);
  });

  it('loses no payload that coalesces while the message is being sent', async () => {
    await enqueue(base.db, signal('w1', 1, { coalesceKey: 'k' }));
    const { seen, send } = recorder();
    let late: Promise<void> | undefined;
    await sweepOutbox(base.db, async (message) => {
      late ??= enqueue(base.db, signal('w1', 2, { coalesceKey: 'k' }));
      return send(message);
    });
    await late;
    await sweepOutbox(base.db, send);
    expect(seen.at(-1)?.payload).toBe(2);
    expect(await unsentCount(base.db)).toBe(0);
  });

  it('sends each message once and in order per workflow, with several sweepers', async () => {
    for (let n = 0; n < 60; n += 1) await enqueue(base.db, signal(`w${n % 5}`, n));
    const { seen, send } = recorder();
    await Promise.all([1, 2, 3, 4].map(() => sweepOutbox(base.db, send)));
    await sweepOutbox(base.db, send);
    expect(seen.map((message) => message.payload).sort((a, b) => Number(a) - Number(b))).toEqual([...Array(60).keys()]);
    for (let workflow = 0; workflow < 5; workflow += 1) {
      const order = seen
        .filter((message) => message.workflowId === `w${workflow}`)
        .map((message) => Number(message.payload));
      expect(order).toEqual([...order].sort((a, b) => a - b));
    }
  });

  it('holds back later messages of a workflow while an earlier one fails, and no other workflow', async () => {
    await enqueue(base.db, signal('w1', 1));
    await enqueue(base.db, signal('w1', 2));
    await enqueue(base.db, signal('w2', 3));
    const { seen, send } = recorder((message) => {
      if (message.payload === 1) throw new Error('temporal is away');
      return 'sent';
    });
    expect(await sweepOutbox(base.db, send)).toEqual({ sent: 1, failed: 1 });
    expect(seen.map((message) => message.payload)).toEqual([3]);
    const [held] = await ask(
      base.db,
      sql`select attempts, last_error, next_attempt_at > now() as later from outbox where payload = '1'`,
    );
    expect(held).toEqual({ attempts: 1, last_error: 'temporal is away', later: true });
    await base.db.execute(sql`update outbox set next_attempt_at = now()`);
    const after = recorder();
    await sweepOutbox(base.db, after.send);
    expect(after.seen.map((message) => message.payload)).toEqual([1, 2]);
  });

  it('lets a signal wait for the start of its workflow, even one written later', async () => {
    await enqueue(base.db, signal('w1', 1));
    await enqueue(base.db, start('w1'));
    const { seen, send } = recorder();
    await base.db.execute(sql`update outbox set next_attempt_at = now() + interval '1 hour' where kind = 'start'`);
    await sweepOutbox(base.db, send);
    expect(seen).toEqual([]);
    await base.db.execute(sql`update outbox set sent_at = now() where kind = 'start'`);
    await sweepOutbox(base.db, send);
    expect(seen.map((message) => message.kind)).toEqual(['signal']);
  });

  it('does not wait in a circle when a signal was written before the start of its workflow', async () => {
    await enqueue(base.db, signal('w1', 1));
    await enqueue(base.db, start('w1'));
    const { seen, send } = recorder();
    await sweepOutbox(base.db, send);
    expect(seen.map((message) => message.kind)).toEqual(['start', 'signal']);
  });

  it('sends again with the same id after a crash between the send and its mark', async () => {
    await enqueue(base.db, signal('w1', 1));
    await enqueue(base.db, signal('w1', 2));
    const { seen, send } = recorder();
    const sent = new Promise<void>((resolve) => {
      // a process that dies here never marks what it sent
      void sweepOutbox(base.db, async (message) => {
        await send(message);
        resolve();
        return new Promise<never>(() => undefined);
      });
    });
    await sent;
    await sweepOutbox(base.db, send);
    expect(seen).toHaveLength(1);
    const [claim] = await ask(
      base.db,
      sql`select claimed_until between now() + interval '10 s' and now() + interval '20 s' as soon from outbox
        where claimed_until is not null`,
    );
    expect(claim).toEqual({ soon: true });
    await base.db.execute(sql`update outbox set claimed_until = now() where claimed_until is not null`);
    await sweepOutbox(base.db, send);
    expect(seen.map((message) => message.payload)).toEqual([1, 1, 2]);
    expect(seen[0]!.id).toBe(seen[1]!.id);
    expect(await unsentCount(base.db)).toBe(0);
  });

  it('holds up no writer while it sends: what coalesces then is a message of its own, sent after it', async () => {
    await enqueue(base.db, signal('w1', 1, { coalesceKey: 'k' }));
    const { seen, send } = recorder();
    let whileSending = Infinity;
    await sweepOutbox(
      base.db,
      async (message) => {
        const began = performance.now();
        for (const payload of [2, 3]) await enqueue(base.db, signal('w1', payload, { coalesceKey: 'k' }));
        whileSending = performance.now() - began;
        seen.push(message);
        throw new Error('temporal is away');
      },
      { limit: 1 },
    );
    expect(whileSending).toBeLessThan(1_000);
    expect(await unsentCount(base.db)).toBe(2);
    await base.db.execute(sql`update outbox set next_attempt_at = now()`);
    await sweepOutbox(base.db, send);
    expect(seen.map((message) => message.payload)).toEqual([1, 1, 3]);
  });

  it('sends a signal that is due however many transactions that wake the same workflow overlap', async () => {
    const to = { project: 'default', workflowId: 'w1', name: 'annotationsArrived' };
    const makeDue = () => base.db.execute(sql`update outbox set next_attempt_at = now() where sent_at is null`);
    const { seen, send } = recorder();
    await wake(base.db, to);
    await wake(base.db, to);
    expect(await unsentCount(base.db)).toBe(1);
    for (const round of [1, 2, 3]) {
      await makeDue();
      await inTransaction(base.db, async (tx) => {
        await wake(tx, to);
        await sweepOutbox(base.db, send);
        expect(seen).toHaveLength(round);
      });
      // what this transaction had to tell is told too
      expect(await unsentCount(base.db)).toBe(1);
    }
    await makeDue();
    await wake(base.db, to);
    await wake(base.db, to);
    expect(await unsentCount(base.db)).toBe(2);
  });

  it('forgets what is old in portions, and leaves what somebody holds', async () => {
    await base.db.execute(sql`insert into outbox (id, project, kind, workflow_id, name, payload, attributes, sent_at)
      select 'out_' || n, 'default', 'signal', 'w', 'rowsArrived', '1', '{}', now() - interval '9 days'
      from generate_series(1, 1500) n`);
    await base.db.execute(sql`insert into idempotency_key (project, subject, route, key, body_digest, created_at)
      select 'default', 's', 'r', n, 'd', now() - interval '9 days' from generate_series(1, 1500) n`);
    await inTransaction(base.db, async (tx) => {
      await tx.execute(sql`select 1 from outbox where id = 'out_7' for update`);
      await tx.execute(sql`select 1 from idempotency_key where key = '7' for update`);
      await forgetOld(base.db, { messages: 7, keys: 7 });
    });
    expect([await count(base.db, 'outbox'), await count(base.db, 'idempotency_key')]).toEqual([1, 1]);
  });

  it('is done with a message whose workflow is gone', async () => {
    await enqueue(base.db, signal('w1', 1));
    await sweepOutbox(base.db, recorder(() => 'gone').send);
    expect(await count(base.db, 'outbox', sql`gone and sent_at is not null`)).toBe(1);
  });

  it('keeps a decision for a workflow that has not begun, for two minutes', async () => {
    await enqueue(base.db, { ...signal('w1', 1), name: 'decideSignal' });
    expect(await sweepOutbox(base.db, recorder(() => 'gone').send)).toEqual({ sent: 0, failed: 1 });
    await base.db.execute(sql`update outbox set created_at = now() - interval '3 minutes', next_attempt_at = now()`);
    expect(await sweepOutbox(base.db, recorder(() => 'gone').send)).toEqual({ sent: 1, failed: 0 });
    expect(await count(base.db, 'outbox', sql`gone and sent_at is not null`)).toBe(1);
  });
});
