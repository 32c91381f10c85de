import { sql } from 'drizzle-orm';
import { connect, createServer, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDb, inTransaction, row, rows, type DbOptions } from '../../db/client.js';
import { addIngest } from '../../db/dataset.js';
import { newId } from '../../db/id.js';
import { logMetrics } from '../../db/metric.js';
import { testDatabase, type TestDatabase } from '../support/database.js';
import { ask, failureOf } from './facts.js';

let base: TestDatabase;
beforeAll(async () => {
  base = await testDatabase({ max: 30 });
});
afterAll(() => base.close());

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

/** A way to the database that can be stopped: what is sent then arrives when it goes on. */
async function throughProxy(options: DbOptions) {
  const { hostname, port, pathname, username, password } = new URL(base.url);
  const pairs: Socket[] = [];
  let held = false;
  const server = createServer((near) => {
    const far = connect(Number(port || 5432), hostname);
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      from.pipe(to);
      from.on('error', () => to.destroy());
      from.on('close', () => to.destroy());
    }
    pairs.push(near);
    if (held) near.pause();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port: own } = server.address() as { port: number };
  const { db, close } = createDb(`postgres://${username}:${password}@127.0.0.1:${own}${pathname}`, options);
  return {
    db,
    hold: () => {
      held = true;
      for (const near of pairs) near.pause().unpipe();
    },
    go: () => {
      held = false;
    },
    close: async () => {
      for (const near of pairs) near.destroy();
      await close();
      server.close();
    },
  };
}

describe('a connection that fails', () => {
  beforeAll(() => base.db.execute(sql`create table scratch (name text primary key)`));
  const put = (tx: Parameters<typeof rows>[0], name: string) => rows(tx, sql`insert into scratch values (${name})`);
  const names = async () =>
    (await ask<{ name: string }>(base.db, sql`select name from scratch order by name`)).map(({ name }) => name);

  it('takes its half transaction with it, also where the client gave up first', async () => {
    const { db, close } = createDb(base.url, { max: 1, statementTimeoutMs: 200 });
    const stuck = inTransaction(db, async (tx) => {
      await rows(tx, sql`set local statement_timeout = 0`);
      await put(tx, 'a');
      await rows(tx, sql`select pg_sleep(2)`);
    });
    expect(await failureOf(stuck)).toBe('Unavailable');
    await inTransaction(db, (tx) => put(tx, 'c'));
    await new Promise((resolve) => setTimeout(resolve, 1_200));
    expect(await names()).toEqual(['c']);
    await close();
  });

  it('has a server that ends a statement which takes too long, in and outside of transactions', async () => {
    const { db, close } = createDb(base.url, { max: 1, statementTimeoutMs: 200 });
    expect(await failureOf(rows(db, sql`select pg_sleep(5)`))).toBe('Unavailable');
    expect(await failureOf(inTransaction(db, (tx) => rows(tx, sql`select pg_sleep(5)`)))).toBe('Unavailable');
    expect(await row(db, sql`select current_setting('idle_in_transaction_session_timeout') as idle`)).toEqual({
      idle: '1min',
    });
    const running = sql`select 1 from pg_stat_activity where query like '%pg_sleep%' and pid <> pg_backend_pid()
      and datname = current_database() and state = 'active'`;
    expect(await ask(base.db, running)).toEqual([]);
    await close();
  });

  it('does not commit what a swallowed error has undone', async () => {
    const kept = inTransaction(base.db, async (tx) => {
      await put(tx, 'd');
      await put(tx, 'd').catch(() => undefined);
    });
    await expect(kept).rejects.toThrow('25P02');
    expect(await names()).not.toContain('d');
  });

  it('is not given back: neither after begin nor after a single statement is the pool drained', async () => {
    const { db, hold, go, close } = await throughProxy({ max: 1, statementTimeoutMs: 100 });
    await rows(db, sql`select 1`);
    for (const work of [() => inTransaction(db, (tx) => put(tx, 'e')), () => rows(db, sql`select 2`)]) {
      hold();
      expect(await failureOf(work())).toBe('Unavailable');
      go();
      expect(await row(db, sql`select 3 as n`)).toEqual({ n: 3 });
    }
    expect(await names()).not.toContain('e');
    await close();
  });
});
