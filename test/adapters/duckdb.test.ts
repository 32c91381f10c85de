import { afterAll, describe, expect, it } from 'vitest';
import { createDuck, identifier, sqlList, sqlLiteral } from '../../adapters/duckdb.js';

const duck = createDuck({ threads: 2, memoryLimitMb: 256 });
afterAll(() => duck.close());

describe('DuckDB', () => {
  it('gives plain values', async () => {
    const sql = `SELECT 1::BIGINT AS small, 9007199254740993::BIGINT AS large, 0.5::DOUBLE AS half, NULL AS nothing, [1, 2]::BIGINT[] AS list, ? AS text`;
    expect(await duck.query(sql, ["o'brien"])).toEqual([
      { small: 1, large: '9007199254740993', half: 0.5, nothing: null, list: [1, 2], text: "o'brien" },
    ]);
  });

  it('takes any name and any text', async () => {
    const name = 'a "b"; DROP TABLE x -- 가';
    expect(await duck.query(`SELECT ${sqlLiteral("it's")} AS ${identifier(name)}`)).toEqual([{ [name]: "it's" }]);
    expect(await duck.query(`SELECT ${sqlList(['a', "b'"])} AS list`)).toEqual([{ list: ['a', "b'"] }]);
  });

  it('writes doubles so that they come back to the last bit', async () => {
    const doubles = Array.from({ length: 2000 }, (_, index) => Math.sin(index) * 10 ** ((index % 40) - 20));
    const [row] = await duck.query<{ list: number[] }>(`SELECT ${sqlList(doubles)} AS list`);
    expect(row?.list).toEqual(doubles);
  });

  it('interrupts a running query', async () => {
    const abort = new AbortController();
    const endless = duck.query('SELECT count(*) FROM range(100000000000) a, range(1000) b', [], {
      signal: abort.signal,
    });
    setTimeout(() => abort.abort(new Error('cancelled')), 50);
    await expect(endless).rejects.toThrow('cancelled');
    expect(await duck.query('SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });

  it('runs two queries at once and the others after them', async () => {
    let running = 0;
    let most = 0;
    const work = () =>
      duck.session({}, async () => {
        most = Math.max(most, ++running);
        await new Promise((resolve) => setTimeout(resolve, 5));
        running--;
      });
    await Promise.all(Array.from({ length: 10 }, work));
    expect(most).toBe(2);
  });

  it('gives its place back after an error', async () => {
    for (let index = 0; index < 5; index++) await expect(duck.query('SELECT nonsense')).rejects.toThrow();
    expect(await duck.query('SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });

  it('loads no extension', async () => {
    await expect(duck.run('LOAD postgres')).rejects.toThrow();
  });
});
