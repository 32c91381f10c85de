// What every request passes: host, origin, bodies that are hostile or broken, unknown addresses, headers, open pages.
import { sql } from 'drizzle-orm';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openApiText } from '../../api/openapi.js';
import { createApp } from '../../api/app.js';
import { endpoint, type EndpointSpec } from '../../api/endpoint.js';
import { runStatuses } from '../../domain/run.js';
import { codeOf, digits, jsonOf, problemOf, testApi, type TestApi } from './support.js';

let api: TestApi;
beforeAll(async () => {
  api = await testApi();
  await api.post('/api/v1/pipelines', digits);
});
afterAll(() => api.close());

const send = (path: string, body: string | Uint8Array, headers: Record<string, string> = {}) =>
  api.app.request(path, { method: 'POST', body, headers: { 'content-type': 'application/json', ...headers } });

async function everything(): Promise<string> {
  const tables = await api.database.db.execute<{ name: string }>(
    sql`select table_name as name from information_schema.tables where table_schema = 'public'
      and table_type = 'BASE TABLE' order by 1`,
  );
  const counts = await Promise.all(
    tables.rows.map(async ({ name }) => {
      const found = await api.database.db.execute<{ n: number }>(sql.raw(`select count(*)::int as n from ${name}`));
      return `${name}=${found.rows[0]?.n}`;
    }),
  );
  return counts.join(' ');
}

describe('bodies', () => {
  const nested = (depth: number) => `${'['.repeat(depth)}${']'.repeat(depth)}`;
  const cases: [string, string | Uint8Array, string][] = [
    ['an empty one', '', '422 invalid-request'],
    ['half of an object', '{"name":', '422 invalid-request'],
    ['a word', 'null', '422 invalid-request'],
    ['a list', '[]', '422 invalid-request'],
    [
      'bytes that are not UTF-8',
      new Uint8Array([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d]),
      '422 invalid-request',
    ],
    ['a NUL', '{"name":"a\\u0000b"}', '422 invalid-request'],
    ['a NUL in a key', '{"a\\u0000b":1}', '422 invalid-request'],
    ['half of a surrogate pair', '{"name":"\\ud800"}', '422 invalid-request'],
    ['a prototype', '{"__proto__":{"admin":true}}', '422 invalid-request'],
    ['a number out of range', '{"name":1e999}', '422 invalid-request'],
    ['depth 65', `{"a":${nested(65)}}`, '422 invalid-request'],
    ['depth 100000', `{"a":${nested(100_000)}}`, '422 invalid-request'],
    ['an over-long text', JSON.stringify({ name: 'x'.repeat(100_001) }), '422 invalid-request'],
    ['more than 1 MB', JSON.stringify({ name: 'x'.repeat(1_000_001) }), '413 too-large'],
  ];
  it.each(cases)('refuses %s and keeps nothing', async (_, body, code) => {
    const before = await everything();
    for (const path of ['/api/v1/pipelines', '/api/v1/models/digits/rollback', '/api/v1/tokens']) {
      expect(await codeOf(await send(path, body))).toBe(code);
    }
    expect(await everything()).toBe(before);
  });

  it('refuses a chunked body that grows too large, without reading it all', async () => {
    let sent = 0;
    const body = new ReadableStream({
      pull(controller) {
        sent += 65_536;
        if (sent > 50_000_000) controller.close();
        else controller.enqueue(new Uint8Array(65_536).fill(32));
      },
    });
    const request = new Request('http://localhost/api/v1/pipelines', {
      method: 'POST',
      body,
      headers: { 'content-type': 'application/json' },
      duplex: 'half',
    } as RequestInit);
    expect(await codeOf(await api.app.request(request))).toBe('413 too-large');
    expect(sent).toBeLessThan(2_000_000);
  });

  it('takes JSON and nothing that a foreign form can send', async () => {
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=a']) {
      expect(await codeOf(await send('/api/v1/pipelines', '{}', { 'content-type': type }))).toBe(
        '415 unsupported-media-type',
      );
    }
  });

  it('survives a bomb of YAML aliases', async () => {
    const bomb = [
      'a: &a [x,x,x,x,x,x,x,x,x]',
      ...'bcdefghij'.split('').map((name, index) => {
        const before = 'abcdefghi'[index];
        return `${name}: &${name} [${Array.from({ length: 9 }, () => `*${before}`).join(',')}]`;
      }),
    ].join('\n');
    const answer = await send('/api/v1/pipelines', bomb, { 'content-type': 'application/yaml' });
    expect(await codeOf(answer)).toBe('422 invalid-request');
  });
});

describe('addresses and queries', () => {
  it('knows what it does not know', async () => {
    expect(await codeOf(await api.get('/api/v1/nothing'))).toBe('404 not-found');
    expect(await codeOf(await api.get('/api/v1/runs/run_%2e%2e'))).toBe('404 not-found');
    expect(await codeOf(await api.get('/api/v1/runs/%ff'))).toBe('404 not-found');
    expect(await codeOf(await api.get('/api/v1/artifacts/..%2f..%2fetc%2fpasswd'))).toBe('404 not-found');
    const wrong = await api.app.request('/api/v1/pipelines', { method: 'DELETE' });
    expect(wrong.headers.get('allow')).toBe('POST, GET, HEAD');
    expect(await codeOf(wrong)).toBe('405 method-not-allowed');
  });

  it.each([
    ['order_by=id"%3bdrop table run--', 'order_by'],
    ['limit=0', 'limit'],
    ['limit=201', 'limit'],
    ['limit=-1', 'limit'],
    ['limit=1e2', 'limit'],
    ['limit=', 'limit'],
    ['limit=5&limit=6', 'limit'],
    ['cursor=bm90LWEtY3Vyc29y', 'cursor'],
    ...[
      ['abc', 'x'],
      ['2026-02-30 00:00:00+00', 'run_1'],
      ['0000-01-01 00:00:00+00', 'run_1'],
      ['2026-02-03 24:00:01+00', 'run_1'],
      ['now', 'run_1'],
      ['2026-02-03 00:00:00+00', 5],
      ['2026-02-03 00:00:00+00', 'run\0'],
      [1e20],
      'text',
    ].map((forged) => [`cursor=${Buffer.from(JSON.stringify(forged)).toString('base64url')}`, 'cursor']),
    ['status=nothing', 'status'],
    ['pipeline=a%00', 'pipeline'],
  ])('refuses ?%s', async (query, path) => {
    const problem = await problemOf(await api.get(`/api/v1/runs?${query}`));
    expect([problem.status, problem.type]).toEqual([422, '/problems/invalid-request']);
    expect(problem.errors[0]?.path).toBe(path);
  });

  it.each([[1e20], [1.5], ['1'], [null], [-3e9], {}])(
    'refuses the forged cursor %j of a numbered list',
    async (forged) => {
      const cursor = Buffer.from(JSON.stringify(Array.isArray(forged) ? forged : [forged])).toString('base64url');
      expect(await codeOf(await api.get(`/api/v1/audit?cursor=${cursor}`))).toBe('422 invalid-request');
    },
  );

  it('names the parameters it knows', async () => {
    const { detail } = await problemOf(await api.get('/api/v1/runs?page=2'));
    for (const name of ['pipeline', 'status', 'limit', 'cursor']) expect(detail).toContain(name);
  });
});

describe('faults of a request', () => {
  const faults = async (path: string, body: unknown) =>
    (await problemOf(await send(path, JSON.stringify(body)))).errors;

  it('say what was found and what is allowed, each at its own path', async () => {
    const sent = { overrides: 5, fresh: 'yes', trigger: 'cron', untli: 'train' };
    expect(await faults('/api/v1/pipelines/digits/runs', sent)).toEqual([
      { path: 'trigger', message: 'must be manual' },
      { path: 'overrides', message: 'found 5; allowed: an object' },
      { path: 'fresh', message: 'found "yes"; allowed: true or false' },
      { path: 'untli', message: expect.stringMatching(/^found an unknown field; allowed: trigger, overrides, until/) },
    ]);
    const rollback = '/api/v1/models/digits/rollback';
    expect(await faults(rollback, [])).toEqual([{ path: '', message: 'found a list of 0; allowed: an object' }]);
    const role = { path: 'role', message: expect.stringMatching(/^found "king"; allowed: .*admin/) };
    expect(await faults('/api/v1/tokens', { subject: 'kim', role: 'king' })).toContainEqual(role);
    const listed = await problemOf(await api.get('/api/v1/runs?status=nothing'));
    expect(listed.errors[0]?.message).toBe(`found "nothing"; allowed: ${runStatuses.join(', ')}`);
  });

  it('name a field that is not there', async () => {
    const missing = await faults('/api/v1/tokens', {});
    expect(missing.length).toBeGreaterThan(0);
    for (const { message } of missing) expect(message).toMatch(/^found nothing; allowed: /);
  });
});

describe('host and origin', () => {
  it('answers under its own names only', async () => {
    for (const host of ['localhost:8420', '127.0.0.1', '[::1]:8420']) {
      expect((await api.get('/healthz', { host })).status).toBe(200);
    }
    for (const host of ['evil.example', 'localhost.evil.example', '127.0.0.1.evil.example', 'a b', '']) {
      expect(await codeOf(await api.get('/healthz', { host }))).toBe('421 foreign-host');
    }
  });

  it('knows its own port', async () => {
    const app = createApp({ ...api.deps, config: { ...api.deps.config, port: 8420 } });
    const status = async (host: string) => (await app.request('/healthz', { headers: { host } })).status;
    expect(await status('localhost:8420')).toBe(200);
    expect(await status('localhost:8421')).toBe(421);
    expect(await status('localhost')).toBe(421);
  });

  it('off loopback answers under the name it was given', async () => {
    const app = createApp({ ...api.deps, config: { ...api.deps.config, host: 'api.example' } });
    const status = async (host: string) => (await app.request('/healthz', { headers: { host } })).status;
    expect(await status('api.example:8420')).toBe(200);
    expect(await status('evil.example')).toBe(421);
  });

  it('takes unsafe requests from its own pages and from programs', async () => {
    const post = (headers: Record<string, string>) =>
      api.post('/api/v1/pipelines/digits/resume', {}, { host: 'localhost:8420', ...headers });
    expect((await post({ origin: 'http://localhost:8420' })).status).toBe(200);
    expect((await post({})).status).toBe(200);
    for (const origin of ['http://evil.example', 'null', 'http://localhost:9999']) {
      expect(await codeOf(await post({ origin }))).toBe('403 foreign-origin');
    }
    expect(await codeOf(await post({ 'sec-fetch-site': 'cross-site' }))).toBe('403 foreign-origin');
    const deletion = api.app.request('/api/v1/tokens/tok_1', {
      method: 'DELETE',
      headers: { origin: 'http://evil.example' },
    });
    expect(await codeOf(await deletion)).toBe('403 foreign-origin');
  });
});

describe('answers', () => {
  it('carry a request id and guards, and nothing of the inside', async () => {
    const answer = await api.get('/api/v1/pipelines');
    expect(answer.headers.get('x-request-id')).toMatch(/^req_/);
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
    expect(answer.headers.get('content-security-policy')).toContain("default-src 'none'");
    const broken = createApp({ ...api.deps, ready: () => Promise.reject(new Error('/secret/path select 1')) });
    const problem = await problemOf(await broken.request('/readyz'));
    expect(problem).toMatchObject({ status: 500, type: '/problems/internal' });
    expect(problem.detail).toContain(problem.requestId);
    expect(JSON.stringify(problem)).not.toContain('secret');
  });

  it('say 503 with Retry-After while the database is away', async () => {
    const away = await testApi();
    await away.close();
    const answer = await away.get('/api/v1/pipelines');
    expect(answer.status).toBeGreaterThanOrEqual(500);
    expect(await problemOf(answer)).toMatchObject({ errors: [] });
  });

  it('has pages without any outside request', async () => {
    for (const path of ['/', '/docs']) {
      const page = await api.get(path);
      const text = await page.text();
      expect(page.headers.get('content-type')).toContain('text/html');
      expect(text).not.toMatch(
        /<script(?! type="module" src="\/assets\/)|<script[^>]*>[^<]|src="(?!\/assets\/)|@import|url\(/,
      );
      expect(text).not.toMatch(/\[object Object\]|undefined/);
    }
    expect(await (await api.get('/')).text()).toContain('digits');
    expect(await (await api.get('/docs')).text()).toContain('/api/v1/pipelines/{name}/runs');
  });

  it('counts by route pattern', async () => {
    await api.get('/api/v1/pipelines/digits');
    const text = await (await api.get('/metrics')).text();
    expect(text).toMatch(/perennial_http_request_duration_seconds_count\{[^}]*route="\/api\/v1\/pipelines\/\{name\}"/);
    expect(text).not.toContain('route="/api/v1/pipelines/digits"');
    expect(text).toContain('process_cpu_seconds_total');
  });

  it('answers health and readiness', async () => {
    expect(await jsonOf(await api.get('/healthz'))).toEqual({ ok: true });
    expect((await api.get('/readyz')).status).toBe(200);
    const down = createApp({
      ...api.deps,
      ready: async () => ({ ok: false, checks: { temporal: 'does not answer' } }),
    });
    const answer = await down.request('/readyz');
    expect([answer.status, await jsonOf(answer)]).toEqual([
      503,
      { ok: false, checks: { temporal: 'does not answer' } },
    ]);
  });
});

describe('the document', () => {
  it('is docs/openapi.json', () => {
    const kept = readFileSync(new URL('../../docs/openapi.json', import.meta.url), 'utf8');
    expect(JSON.parse(openApiText())).toEqual(JSON.parse(kept));
  });

  it('is served as it is', async () => {
    expect(await jsonOf(await api.get('/openapi.json'))).toEqual(JSON.parse(openApiText()));
  });

  it('has no operation without a role', () => {
    const spec = { method: 'get', path: '/x', tag: 'x', summary: 'x', answers: {} } as unknown as EndpointSpec<
      Record<string, never>,
      Record<string, never>,
      never
    >;
    expect(() => endpoint(spec, async () => ({ status: 200, body: {} }))).toThrow('declares no role');
  });
});
