// Rows that arrive: counted, kept once, refused whole, and nothing left of an upload that was cut.
import { sql } from 'drizzle-orm';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createPipeline } from './facts.js';
import { codeOf, jsonOf, problemOf, testApi, type TestApi } from './support.js';

let api: TestApi;
beforeAll(async () => {
  api = await testApi();
  await createPipeline(api, 'digits');
});
afterAll(() => api.close());

const csv = 'id,a,label\n1,2,no\n2,3,yes\n3,4,\n';
const upload = (body: string | Uint8Array<ArrayBuffer>, query = 'format=csv', headers: Record<string, string> = {}) =>
  api.app.request(`/api/v1/datasets/digits/files?${query}`, { method: 'POST', body, headers });

async function kept(): Promise<{ ingests: number; artifacts: number; scratch: number }> {
  const found = await api.database.db.execute<{ ingests: number; artifacts: number }>(
    sql`select (select count(*)::int from ingest) as ingests, (select count(*)::int from artifact) as artifacts`,
  );
  const scratch = join(api.home, 'tmp');
  return { ...found.rows[0]!, scratch: existsSync(scratch) ? readdirSync(scratch).length : 0 };
}

describe('POST /datasets/{name}/files', () => {
  it('accepts, plain and compressed, and tells the loop', async () => {
    const plain = await upload(csv);
    expect([plain.status, await jsonOf(plain)]).toMatchObject([202, { accepted: 3, quarantined: 0, ingest: 1 }]);
    const packed = await upload(new Uint8Array(gzipSync('id,a,label\n9,1,no\n')));
    expect(await jsonOf(packed)).toMatchObject({ accepted: 1, ingest: 2 });
    const view = await jsonOf(await api.get('/api/v1/datasets/digits'));
    expect(view).toMatchObject({ name: 'digits', key: 'id', acceptedRows: 4, lastIngest: 2 });
    expect(await kept()).toMatchObject({ ingests: 2, scratch: 0 });
    const told = await api.database.db.execute(sql`select payload from outbox where name = 'rowsArrived'`);
    expect(told.rows).toHaveLength(1);
  });

  it('keeps ragged lines apart', async () => {
    const answer = await jsonOf(await upload('id,a,label\n10,2,no\n11,3\n12,4,yes,more\n'));
    expect(answer).toMatchObject({ accepted: 1, quarantined: 2 });
  });

  it.each([
    ['the same key twice', 'id,a\n1,2\n1,3\n', 'format=csv', '422 duplicate-keys'],
    ['no rows', 'id,a\n', 'format=csv', '422 dataset-empty'],
    ['no bytes', '', 'format=csv', '422 dataset-empty'],
    ['CSV as Parquet', csv, 'format=parquet', '422 wrong-format'],
    [
      'too many columns',
      `id,${Array.from({ length: 5_001 }, (_, n) => `c${n}`).join(',')}\n`,
      'format=csv',
      '422 too-many-columns',
    ],
    ['no key column', 'a,b\n1,2\n', 'format=csv', '422 key-column-missing'],
    ['an unknown format', csv, 'format=xlsx', '422 invalid-request'],
    ['no format', csv, '', '422 invalid-request'],
  ])('refuses %s and keeps nothing', async (_, body, query, code) => {
    const before = await kept();
    expect(await codeOf(await upload(body, query))).toBe(code);
    expect(await kept()).toEqual(before);
  });

  it('names the rows of a key', async () => {
    const problem = await problemOf(await upload('id,a\n7,2\n8,1\n7,3\n'));
    expect(JSON.stringify(problem)).toContain('7');
  });

  it('leaves nothing of an upload that was cut', async () => {
    const before = await kept();
    let chunks = 0;
    const body = new ReadableStream({
      pull(controller) {
        chunks += 1;
        if (chunks > 20) controller.error(new Error('cut'));
        else controller.enqueue(new TextEncoder().encode(`id,a,label\n${chunks},1,no\n`));
      },
    });
    const request = new Request('http://localhost/api/v1/datasets/digits/files?format=csv', {
      method: 'POST',
      body,
      duplex: 'half',
    } as RequestInit);
    expect(await codeOf(await api.app.request(request))).toBe('422 invalid-request');
    expect(await codeOf(await upload(csv, 'format=csv', { 'content-length': '1000' }))).toBe('422 invalid-request');
    expect(await kept()).toEqual(before);
  });

  it('refuses more than 2 GB before reading', async () => {
    expect(await codeOf(await upload(csv, 'format=csv', { 'content-length': '3000000000' }))).toBe('413 too-large');
  });

  it('streams 20 MB', async () => {
    const line = `,${'x'.repeat(180)},no\n`;
    let row = 0;
    const body = new ReadableStream({
      pull(controller) {
        if (row === 0) controller.enqueue(new TextEncoder().encode('id,a,label\n'));
        if (row >= 110_000) return controller.close();
        const part = Array.from({ length: 1_000 }, () => `n${(row += 1)}${line}`).join('');
        controller.enqueue(new TextEncoder().encode(part));
      },
    });
    const request = new Request('http://localhost/api/v1/datasets/digits/files?format=csv', {
      method: 'POST',
      body,
      duplex: 'half',
    } as RequestInit);
    const answer = await api.app.request(request);
    expect(await jsonOf(answer)).toMatchObject({ accepted: 110_000, quarantined: 0 });
  });

  it('keeps a repeated file once', async () => {
    const headers = { 'idempotency-key': 'file-1' };
    const both = await Promise.all([
      upload('id,a\n77,1\n', 'format=csv', headers),
      upload('id,a\n77,1\n', 'format=csv', headers),
    ]);
    const [a, b] = await Promise.all(both.map((answer) => jsonOf(answer)));
    expect(a).toEqual(b);
    expect(await codeOf(await upload('id,a\n78,1\n', 'format=csv', headers))).toBe('422 idempotency-key-reused');
  });

  it('knows no other dataset', async () => {
    const answer = await api.app.request('/api/v1/datasets/none/files?format=csv', { method: 'POST', body: csv });
    expect(await codeOf(answer)).toBe('404 not-found');
  });
});

describe('POST /datasets/{name}/rows', () => {
  const push = (rows: unknown, headers = {}) => api.post('/api/v1/datasets/digits/rows', rows, headers);

  it('accepts rows of JSON', async () => {
    const answer = await push([
      { id: 'r1', a: 1.5, label: 'no' },
      { id: 'r2', a: null, label: null },
    ]);
    expect([answer.status, await jsonOf(answer)]).toMatchObject([202, { accepted: 2, quarantined: 0 }]);
  });

  it('refuses what is no row, and keeps nothing', async () => {
    const before = await kept();
    expect(await codeOf(await push([]))).toBe('422 dataset-empty');
    expect(await codeOf(await push({ id: 1 }))).toBe('422 invalid-request');
    expect(await codeOf(await push([1]))).toBe('422 invalid-request');
    expect(await codeOf(await push([{ id: 'x' }, { id: 'x' }]))).toBe('422 duplicate-keys');
    expect(await codeOf(await push([{ a: 1 }]))).toMatch(/422 (key-column-missing|wrong-format)/);
    expect(await kept()).toEqual(before);
  });
});

describe('reading', () => {
  it('lists datasets and versions', async () => {
    expect(await jsonOf(await api.get('/api/v1/datasets'))).toMatchObject({
      items: [{ name: 'digits' }],
      nextCursor: null,
    });
    expect(await jsonOf(await api.get('/api/v1/datasets/digits/versions'))).toEqual({ items: [], nextCursor: null });
    expect(await codeOf(await api.get('/api/v1/datasets/none/versions'))).toBe('404 not-found');
  });
});
