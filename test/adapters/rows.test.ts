import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { createDuck, sqlLiteral } from '../../adapters/duckdb.js';
import { type ParsedRows, parseRows } from '../../adapters/rows.js';
import { digestOf } from '../../adapters/store/index.js';
import type { Format } from '../../domain/dataset.js';

const folder = mkdtempSync(join(tmpdir(), 'perennial-rows-'));
const duck = createDuck({ memoryLimitMb: 2048, tempFolder: join(folder, 'duck') });
afterAll(() => {
  duck.close();
  rmSync(folder, { recursive: true, force: true });
});

let number = 0;
async function parse(content: string | Buffer, format: Format | 'auto' = 'csv', key = 'id'): Promise<ParsedRows> {
  const path = join(folder, `in-${number++}`);
  writeFileSync(path, content);
  return parseRows(duck, { path, format }, { key, maxColumns: 5000, outFolder: join(folder, 'out') });
}
const rowsOf = (parsed: ParsedRows) =>
  duck.query<Record<string, string | null>>(`SELECT * FROM read_parquet(${sqlLiteral(parsed.path)})`);
async function read(content: string | Buffer, format: Format | 'auto' = 'csv') {
  return rowsOf(await parse(content, format));
}
const refused = (failure: string) => expect.objectContaining({ failure }) as unknown;

describe('CSV', () => {
  it('is read as text, with NULL for empty', async () => {
    expect(await read('id,a,b\n1,x,\n2,"",1.50\n')).toEqual([
      { id: '1', a: 'x', b: null },
      { id: '2', a: null, b: '1.50' },
    ]);
  });
  it('leaves ragged lines out and counts them', async () => {
    const parsed = await parse('id,a\n1,x\n2\n3,y,z\n4,w\n');
    expect(parsed).toMatchObject({ rows: 2, quarantined: 2, columns: ['id', 'a'] });
    expect(parsed.faults).toEqual([
      { row: 2, message: 'has 1 cells, the header has 2' },
      { row: 3, message: 'has 3 cells, the header has 2' },
    ]);
    expect((await rowsOf(parsed)).map((row) => row['id'])).toEqual(['1', '4']);
  });
  it('takes quotes, quotes in quotes, line breaks and delimiters in cells', async () => {
    expect(await read('id,a\n1,"x, ""y""\nz"\n2,"\r\n"\n3,a"b\n4, "x"\n')).toEqual([
      { id: '1', a: 'x, "y"\nz' },
      { id: '2', a: '\r\n' },
      { id: '3', a: 'a"b' },
      { id: '4', a: 'x' },
    ]);
  });
  it.each([
    ['CRLF', 'id,a\r\n1,x\r\n2,y\r\n'],
    ['CR', 'id,a\r1,x\r2,y'],
    ['mixed line ends and blank lines', 'id,a\n\n1,x\r\n\r\n2,y'],
    ['a byte order mark', '\ufeffid,a\n1,x\n2,y\n'],
    ['semicolons', 'id;a\n1;x\n2;y\n'],
    ['tabs', 'id\ta\n1\tx\n2\ty\n'],
  ])('takes %s', async (_name, content) => {
    expect(await read(content)).toEqual([
      { id: '1', a: 'x' },
      { id: '2', a: 'y' },
    ]);
  });
  it('takes names that are not ASCII', async () => {
    expect(await read('id,이름,"a ""b"", c"\n1,김,é\n')).toEqual([{ id: '1', 이름: '김', 'a "b", c': 'é' }]);
  });
  it('reads large integers to the digit', async () => {
    expect(await read('id,n\n9007199254740993,18446744073709551616123\n')).toEqual([
      { id: '9007199254740993', n: '18446744073709551616123' },
    ]);
  });
  it('quarantines rows without a key', async () => {
    expect(await parse('id,a\n1,x\n,y\n')).toMatchObject({ rows: 1, quarantined: 1 });
  });
  it('names duplicate keys with their rows', async () => {
    await expect(parse('id,a\n1,x\n2\n2,y\n1,z\n3,w\n')).rejects.toMatchObject({
      failure: 'DuplicateKeys',
      members: { keys: [{ key: '1', rows: [1, 4] }] },
    });
    const many = Array.from({ length: 60 }, (_, index) => `${index % 30}`).join('\n');
    await expect(parse(`id\n${many}`)).rejects.toSatisfy(
      (error: { members: { keys: unknown[] } }) => error.members.keys.length === 20,
    );
  });
  it.each([
    ['0 bytes', '', 'DatasetEmpty'],
    ['a header alone', 'id,a\n', 'DatasetEmpty'],
    ['rows without any key', 'id,a\n,x\n', 'DatasetEmpty'],
    ['a repeated name', 'id,a,a\n1,2,3\n', 'WrongFormat'],
    ['names that differ in case', 'id,a,A\n1,2,3\n', 'WrongFormat'],
    ['an unnamed column', 'id,,b\n1,2,3\n', 'WrongFormat'],
    ['a quote that stays open', 'id,a\n1,"x\n2,y\n', 'WrongFormat'],
    ['JSON', '{"id":1}\n', 'WrongFormat'],
    ['rows that are all ragged', 'id,a\n1\n2\n', 'WrongFormat'],
    ['no key column', 'a,b\n1,2\n', 'KeyColumnMissing'],
    ['UTF-16', Buffer.from('\ufeffid,a\n1,x\n', 'utf16le'), 'WrongFormat'],
    ['Latin-1', Buffer.from('id,a\n1,é\n', 'latin1'), 'WrongFormat'],
    ['a picture', Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex'), 'WrongFormat'],
  ])('refuses %s', async (_name, content, failure) => {
    await expect(parse(content)).rejects.toEqual(refused(failure));
  });
  it('refuses 10,000 columns before it makes any', async () => {
    const header = ['id', ...Array.from({ length: 9999 }, (_, index) => `c${index}`)].join(',');
    const started = Date.now();
    await expect(parse(`${header}\n${'1,'.repeat(9999)}1\n`)).rejects.toEqual(refused('TooManyColumns'));
    expect(Date.now() - started).toBeLessThan(1000);
  });
  it('takes 5,000 columns', async () => {
    const header = ['id', ...Array.from({ length: 4999 }, (_, index) => `c${index}`)].join(',');
    expect(await parse(`${header}\n${'1,'.repeat(4999)}1\n`)).toMatchObject({ rows: 1 });
  });
  it('finds bad text far into a file, and rows across chunks', async () => {
    const lines = Array.from(
      { length: 60_000 },
      (_, index) => `${index},"cell ""${index}""\nof two lines, ${'x'.repeat(index % 40)}"`,
    );
    const parsed = await parse(`id,a\n${lines.join('\n')}\n`);
    expect(parsed).toMatchObject({ rows: 60_000, quarantined: 0 });
    const [last] = await duck.query(`SELECT a FROM read_parquet(${sqlLiteral(parsed.path)}) WHERE id = '59999'`);
    expect(last).toEqual({ a: `cell "59999"\nof two lines, ${'x'.repeat(39)}` });
    const bad = Buffer.concat([Buffer.from(`id,a\n${lines.join('\n')}\n70000,`), Buffer.from([0xff, 0x0a])]);
    await expect(parse(bad)).rejects.toThrow(/UTF-8, near byte \d{7}/);
  });
  it('gives back whatever was written', async () => {
    const cell = fc.string({
      unit: fc.constantFrom('a', '"', ',', '\n', '\r', ' ', '가', ';', '\t', "'"),
      maxLength: 6,
    });
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(cell, cell), { minLength: 1, maxLength: 8 }), async (cells) => {
        const quoted = (text: string) => `"${text.replaceAll('"', '""')}"`;
        const lines = cells.map(([a, b], index) => `${index},${quoted(a)},${quoted(b)}`);
        const rows = await read(`id,a,b\n${lines.join('\r\n')}`);
        expect(rows).toEqual(cells.map(([a, b], index) => ({ id: `${index}`, a: a || null, b: b || null })));
      }),
      { numRuns: 60 },
    );
  });
});

describe('JSON Lines', () => {
  it('writes cells as decimal text', async () => {
    const lines = [
      '{"id":1,"n":1,"big":9007199254740993,"huge":-18446744073709551616123,"half":0.5,"flag":true}',
      '{"id":2,"n":null,"late":"가","half":1e3,"list":[1,{"a":null}],"flag":false}',
      '{"late":"","id":"3"}',
    ];
    expect(await read(`${lines.join('\n')}\n`, 'jsonl')).toEqual([
      {
        id: '1',
        n: '1',
        big: '9007199254740993',
        huge: '-18446744073709551616123',
        half: '0.5',
        flag: 'true',
        late: null,
        list: null,
      },
      { id: '2', n: null, big: null, huge: null, half: '1000', flag: 'false', late: '가', list: '[1,{"a":null}]' },
      { id: '3', n: null, big: null, huge: null, half: null, flag: null, late: null, list: null },
    ]);
  });
  it('takes an array of objects', async () => {
    const rows = [
      { id: 'a', x: '},{[' },
      { id: 'b', x: '"\n\\' },
    ];
    expect(await read(` ${JSON.stringify(rows, null, 1)}\n`, 'jsonl')).toEqual(rows);
    await expect(parse('[{"id":1}', 'jsonl')).rejects.toEqual(refused('WrongFormat'));
    await expect(parse('[{"id":1}] x', 'jsonl')).rejects.toEqual(refused('WrongFormat'));
    await expect(parse('[]', 'jsonl')).rejects.toEqual(refused('DatasetEmpty'));
  });
  it('leaves out lines that are no object', async () => {
    const parsed = await parse('{"id":1}\r\n{"id":2\n3\n\n{"id":"\\ud800"}\n{"a":1}\n', 'jsonl');
    expect(parsed).toMatchObject({ rows: 1, quarantined: 4 });
  });
  it('names duplicate keys with their rows', async () => {
    await expect(parse('{"id":1}\n{\n{"id":"1"}\n', 'jsonl')).rejects.toMatchObject({
      members: { keys: [{ key: '1', rows: [1, 3] }] },
    });
  });
  it.each([
    ['CSV', 'id,a\n1,2\n', 'WrongFormat'],
    ['blank lines alone', '\n \n', 'DatasetEmpty'],
    [
      '10,000 columns',
      `{"id":1,${Array.from({ length: 9999 }, (_, index) => `"c${index}":1`).join(',')}}\n`,
      'TooManyColumns',
    ],
  ])('refuses %s', async (_name, content, failure) => {
    await expect(parse(content, 'jsonl')).rejects.toEqual(refused(failure));
  });
});

describe('Parquet and compression', () => {
  const make = async (sql: string): Promise<Buffer> => {
    const path = join(folder, `made-${number++}.parquet`);
    await duck.run(`COPY (${sql}) TO ${sqlLiteral(path)} (FORMAT parquet)`);
    return readFileSync(path);
  };
  it('reads Parquet as text', async () => {
    const bytes = await make(
      `SELECT 1 AS id, 1.0::DOUBLE AS one, 0.1::DOUBLE AS tenth, 0.1::FLOAT AS single, 9007199254740993::BIGINT AS big, 'NaN'::DOUBLE AS nan,
       true AS flag, TIMESTAMP '2026-01-02 03:04:05' AS at, [1, 2] AS list, '' AS empty, 1.50::DECIMAL(4,2) AS money`,
    );
    expect(await read(bytes, 'parquet')).toEqual([
      {
        id: '1',
        one: '1',
        tenth: '0.1',
        single: '0.1',
        big: '9007199254740993',
        nan: 'nan',
        flag: 'true',
        at: '2026-01-02 03:04:05',
        list: '[1,2]',
        empty: null,
        money: '1.50',
      },
    ]);
    expect(await parse(bytes, 'auto')).toMatchObject({ rows: 1 });
    await expect(parse(bytes, 'csv')).rejects.toEqual(refused('WrongFormat'));
    await expect(parse(bytes, 'jsonl')).rejects.toEqual(refused('WrongFormat'));
    await expect(parse(bytes.subarray(0, bytes.length - 20), 'parquet')).rejects.toEqual(refused('WrongFormat'));
  });
  it('refuses CSV sent as Parquet, 10,000 columns and duplicates', async () => {
    await expect(parse('id,a\n1,2\n', 'parquet')).rejects.toEqual(refused('WrongFormat'));
    const wide = await make(`SELECT ${Array.from({ length: 10_000 }, (_, index) => `1 AS c${index}`).join(', ')}`);
    await expect(parse(wide, 'parquet')).rejects.toEqual(refused('TooManyColumns'));
    const twice = await make('SELECT unnest([1, 2, 1]) AS id');
    await expect(parse(twice, 'parquet')).rejects.toMatchObject({ members: { keys: [{ key: '1', rows: [1, 3] }] } });
  });
  it('recognises gzip and zstd by their bytes', async () => {
    const expected = [{ id: '1', a: 'x, "y"' }];
    expect(await read(gzipSync('id,a\n1,"x, ""y"""\n'), 'csv')).toEqual(expected);
    expect(await read(gzipSync('{"id":1,"a":"x, \\"y\\""}'), 'auto')).toEqual(expected);
    const path = join(folder, 'made.csv.zst');
    await duck.run(`COPY (SELECT 1 AS id, 'x, "y"' AS a) TO ${sqlLiteral(path)} (FORMAT csv, COMPRESSION zstd)`);
    expect(await read(readFileSync(path), 'csv')).toEqual(expected);
    await duck.run(`COPY (SELECT 1 AS id, 'x, "y"' AS a) TO ${sqlLiteral(path)} (FORMAT json, COMPRESSION zstd)`);
    expect(await read(readFileSync(path), 'auto')).toEqual(expected);
  });
  it('refuses gzip and zstd that expand beyond measure, and leaves no file', async () => {
    await expect(parse(gzipSync(Buffer.alloc(130e6, '0')))).rejects.toEqual(refused('TooLarge'));
    const path = join(folder, 'bomb.zst');
    await duck.run(
      `COPY (SELECT repeat('0', 999) AS id FROM range(300000)) TO ${sqlLiteral(path)} (FORMAT csv, COMPRESSION zstd)`,
    );
    await expect(parse(readFileSync(path))).rejects.toEqual(refused('TooLarge'));
    expect(readdirSync(join(folder, 'out')).filter((name) => name.startsWith('parse-'))).toEqual([]);
  });
  it('stops expanding when it is asked to', async () => {
    const path = join(folder, 'stopped.gz');
    writeFileSync(path, gzipSync('id\n1\n'));
    const work = {
      key: 'id',
      maxColumns: 5,
      outFolder: join(folder, 'out'),
      signal: AbortSignal.abort(new Error('enough')),
    };
    await expect(parseRows(duck, { path, format: 'csv' }, work)).rejects.toThrow('enough');
  });
  it('refuses gzip and zstd that are cut off', async () => {
    const text = Array.from({ length: 5000 }, (_, index) => `${index},${Math.sin(index)}`).join('\n');
    const gzip = gzipSync(`id,a\n${text}`);
    await expect(parse(gzip.subarray(0, gzip.length - 9))).rejects.toEqual(refused('WrongFormat'));
    await expect(parse(gzip.subarray(0, 40))).rejects.toEqual(refused('WrongFormat'));
    const path = join(folder, 'long.csv.zst');
    await duck.run(
      `COPY (SELECT i AS id, sin(i) AS a FROM range(20000) t(i)) TO ${sqlLiteral(path)} (FORMAT csv, COMPRESSION zstd)`,
    );
    const zstd = readFileSync(path);
    expect(await parse(zstd)).toMatchObject({ rows: 20_000 });
    for (const cut of [1, 1000, zstd.length >> 1, zstd.length - 6]) {
      await expect(parse(zstd.subarray(0, zstd.length - cut))).rejects.toEqual(refused('WrongFormat'));
    }
  });
  it('repeats its bytes and leaves nothing behind', async () => {
    const text = Array.from({ length: 5000 }, (_, index) => `${index},${Math.sin(index)}`).join('\n');
    const parsed = [await parse(`id,a\n${text}`), await parse(`id,a\n${text}`)];
    const digests = parsed.map((item) => digestOf(readFileSync(item.path)));
    expect(digests[0]).toBe(digests[1]);
    expect(readdirSync(join(folder, 'out')).filter((name) => !name.endsWith('.parquet'))).toEqual([]);
  });
});
