// Who may call what: every operation of the document without a token and with a wrong one, roles, names, projects.
import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { allEndpoints } from '../../api/routes.js';
import { codeOf, digits, jsonOf, problemOf, testApi, type TestApi } from './support.js';

const secret = 'admin-secret-of-this-test';
const admin = { authorization: `Bearer ${secret}` };
let api: TestApi;

async function tokenFor(subject: string, role: string): Promise<Record<string, string>> {
  const made = await api.post('/api/v1/tokens', { subject, role }, admin);
  return { authorization: `Bearer ${(await jsonOf(made))['secret'] as string}` };
}

async function counts(): Promise<unknown> {
  const found = await api.database.db.execute(
    sql`select (select count(*) from pipeline) p, (select count(*) from run) r, (select count(*) from token) t,
      (select count(*) from outbox) o, (select count(*) from audit) a, (select count(*) from idempotency_key) i`,
  );
  return found.rows[0];
}

beforeAll(async () => {
  api = await testApi({ token: secret });
  await api.post('/api/v1/pipelines', digits, admin);
});
afterAll(() => api.close());

const operations = allEndpoints().map(({ spec }) => spec);
const filled = (path: string) =>
  path
    .replace('{id}', 'run_0000000000aaaaaaaaaa')
    .replace('{sha256}', 'a'.repeat(64))
    .replace('{version}', '1')
    .replace('{file}', 'model.onnx')
    .replace(/\{(name|model)\}/, 'digits');

describe('every operation', () => {
  it('is refused without a token, with a wrong one and with a wrong scheme, and writes nothing', async () => {
    const before = await counts();
    let asked = 0;
    for (const { method, path } of operations) {
      for (const authorization of [
        undefined,
        'Bearer wrong-token-0123456789',
        `Basic ${secret}`,
        'Bearer ',
        `Bearer ${secret}x`,
      ]) {
        const headers: Record<string, string> = authorization === undefined ? {} : { authorization };
        if (method === 'post') headers['content-type'] = 'application/json';
        const body = method === 'post' ? { body: '{}' } : {};
        const answer = await api.app.request(filled(path), { method: method.toUpperCase(), headers, ...body });
        expect(`${method} ${path} ${await codeOf(answer)}`).toBe(`${method} ${path} 401 unauthenticated`);
        expect(answer.headers.get('www-authenticate')).toBe('Bearer');
        asked += 1;
      }
    }
    expect(asked).toBe(operations.length * 5);
    expect(await counts()).toEqual(before);
  });

  it('is refused to every role below its own', async () => {
    const order = ['viewer', 'labeler', 'reviewer', 'operator', 'admin'];
    const tokens = await Promise.all(order.map((role) => tokenFor(role, role)));
    for (const { method, path, role } of operations) {
      const needed = order.indexOf(role);
      if (needed === 0) continue;
      const headers = { ...tokens[needed - 1]!, 'content-type': 'application/json' };
      const body = method === 'post' ? { body: '{}' } : {};
      const answer = await api.app.request(filled(path), { method: method.toUpperCase(), headers, ...body });
      expect(`${path} ${await codeOf(answer)}`).toBe(`${path} 403 forbidden`);
      const own = await api.app.request(filled(path), {
        method: method.toUpperCase(),
        headers: { ...tokens[needed]!, 'content-type': 'application/json' },
        ...body,
      });
      expect([200, 201, 202, 404, 409, 415, 422]).toContain(own.status);
    }
  });
});

describe('tokens', () => {
  it('are shown once, listed without secrets, revoked at once', async () => {
    const made = await jsonOf(await api.post('/api/v1/tokens', { subject: 'kim', role: 'labeler' }, admin));
    const own = { authorization: `Bearer ${made['secret'] as string}` };
    expect((await api.get('/api/v1/pipelines', own)).status).toBe(200);
    const listed = await (await api.get('/api/v1/tokens', admin)).text();
    expect(listed).toContain('kim');
    expect(listed).not.toContain(made['secret']);
    const path = `/api/v1/tokens/${made['id'] as string}`;
    const gone = await api.app.request(path, { method: 'DELETE', headers: admin });
    expect(gone.status).toBe(200);
    expect(await codeOf(await api.get('/api/v1/pipelines', own))).toBe('401 unauthenticated');
    const unknown = await api.app.request('/api/v1/tokens/tok_0000000000aaaaaaaaaa', {
      method: 'DELETE',
      headers: admin,
    });
    expect(await codeOf(unknown)).toBe('404 not-found');
  });

  it('keep no secret under an idempotency key', async () => {
    const headers = { ...admin, 'idempotency-key': 'one-token' };
    const body = { subject: 'lee', role: 'viewer' };
    const first = await jsonOf(await api.post('/api/v1/tokens', body, headers));
    const again = await jsonOf(await api.post('/api/v1/tokens', body, headers));
    expect(first['secret']).toMatch(/^perennial_/);
    expect(again).toEqual({ ...first, secret: null });
    const kept = await api.database.db.execute(sql`select body::text as body from idempotency_key`);
    expect(JSON.stringify(kept.rows)).not.toContain(first['secret']);
  });

  it('refuse bad ones', async () => {
    expect(await codeOf(await api.post('/api/v1/tokens', { subject: '', role: 'viewer' }, admin))).toBe(
      '422 invalid-request',
    );
    expect(await codeOf(await api.post('/api/v1/tokens', { subject: 'a', role: 'king' }, admin))).toBe(
      '422 invalid-request',
    );
  });
});

describe('names', () => {
  it('must be one’s own, unless an admin says for whom', async () => {
    const operator = await tokenFor('olga', 'operator');
    const pause = (body: object, headers: Record<string, string>) =>
      api.post('/api/v1/pipelines/digits/pause', body, headers);
    expect((await pause({}, operator)).status).toBe(200);
    expect((await pause({ by: 'olga' }, operator)).status).toBe(200);
    expect(await codeOf(await pause({ by: 'kim' }, operator))).toBe('403 not-you');
    expect(await codeOf(await pause({ onBehalfOf: 'kim' }, operator))).toBe('403 not-you');
    expect(await codeOf(await pause({ by: 'kim' }, admin))).toBe('403 not-you');
    expect((await pause({ onBehalfOf: 'kim' }, admin)).status).toBe(200);
    const audit = await jsonOf<{ items: { action: string; actor: string; details: object }[] }>(
      await api.get('/api/v1/audit?limit=1', admin),
    );
    expect(audit.items[0]).toMatchObject({
      action: 'identity.acted-for',
      actor: 'admin',
      details: { onBehalfOf: 'kim' },
    });
    expect(await jsonOf(await api.get('/api/v1/audit/check', admin))).toMatchObject({ intact: true });
  });
});

describe('programs', () => {
  const program = { program: ['sh', '-c', 'true'], code: `sha256:${'0'.repeat(64)}` };
  const trained = { ...digits, name: 'trained', trainer: { type: 'command', params: program } };
  const gate = { metric: 'accuracy', min: 0.5, checks: [{ size: { maxBytes: 1 } }, { command: program }] };

  it('are posted by an admin alone, as a trainer and as a check', async () => {
    const operator = await tokenFor('olga', 'operator');
    for (const body of [trained, { ...trained, trainer: [{ type: 'linear' }, trained.trainer] }, { ...digits, gate }]) {
      expect(await codeOf(await api.post('/api/v1/pipelines', body, operator))).toBe('403 forbidden');
      // an admin may, and then hears that no such code was uploaded
      expect(await codeOf(await api.post('/api/v1/pipelines', body, admin))).toBe('422 invalid-pipeline');
    }
    expect((await api.post('/api/v1/pipelines', { ...digits, name: 'olga' }, operator)).status).toBe(201);
  });

  it('are chosen for a run by an admin alone, however the path is written', async () => {
    const operator = await tokenFor('oleg', 'operator');
    const ask = async (overrides: Record<string, unknown>, who: Record<string, string>) =>
      (await api.post('/api/v1/pipelines/olga/runs', { overrides }, who)).status;
    const chosen: Record<string, unknown>[] = [
      { trainer: trained.trainer },
      { 'trainer.params.program': ['sh'] },
      { '[trainer].params.program': ['sh'] },
      { '.trainer.type': 'command' },
      { gate },
      { 'gate.checks': gate.checks },
      { '[gate][checks]': gate.checks },
      { 'gate.checks[0]': { command: program } },
      { 'gate.checks[0].command': program },
      { 'gate.checks[0].command.program[1]': 'x' },
      { 'gate.checks[0].command.code': program.code },
      { 'gate.checks[0].command.image': 'x' },
    ];
    for (const overrides of chosen) {
      expect(await ask(overrides, operator), JSON.stringify(overrides)).toBe(403);
      expect(await ask(overrides, admin), JSON.stringify(overrides)).not.toBe(403);
    }
    const others = [
      { 'trainer.params.params.depth': 3 },
      { 'gate.checks[0].command.params.code': 3 },
      { 'gate.checks[0].command.deadline': '1 s' },
      { 'gate.checks': [{ slice: { column: 'code', min: 0.5 } }] },
    ];
    for (const overrides of others) expect(await ask(overrides, operator), JSON.stringify(overrides)).not.toBe(403);
  });
});

describe('projects', () => {
  it('hide from each other what they have', async () => {
    await api.database.db.execute(sql`insert into project (name) values ('other')`);
    const { createToken } = await import('../../db/token.js');
    const other = await createToken(api.database.db, { project: 'other', subject: 'eve', role: 'admin', by: 'test' });
    const eve = { authorization: `Bearer ${other.secret}` };
    const opened = await jsonOf(await api.post('/api/v1/pipelines/digits/runs', {}, admin));
    const run = (opened['id'] ?? opened['run']) as string;
    const paths = [
      '/pipelines/digits',
      `/runs/${run}`,
      `/runs/${run}/events`,
      `/runs/${run}/metrics`,
      '/datasets/digits',
      '/models/digits',
    ];
    for (const path of paths) {
      expect(`${path} ${await codeOf(await api.get(`/api/v1${path}`, eve))}`).toBe(`${path} 404 not-found`);
    }
    expect(await codeOf(await api.post(`/api/v1/runs/${run}/cancel`, {}, eve))).toBe('404 not-found');
    const mine = await problemOf(await api.get('/api/v1/runs/run_0000000000aaaaaaaaaa', eve));
    const theirs = await problemOf(await api.get(`/api/v1/runs/${run}`, eve));
    expect(theirs.detail.replace(run, '…')).toBe(mine.detail.replace('run_0000000000aaaaaaaaaa', '…'));
    expect(await jsonOf(await api.get('/api/v1/runs', eve))).toEqual({ items: [], nextCursor: null });
  });
});

describe('the open addresses', () => {
  it('say nothing of anybody', async () => {
    for (const path of ['/healthz', '/readyz', '/openapi.json', '/docs', '/']) {
      const answer = await api.get(path);
      expect(answer.status).toBe(200);
      if (path === '/') expect(await answer.text()).not.toContain('digits');
    }
    expect(await codeOf(await api.get('/metrics'))).toBe('401 unauthenticated');
    expect(await (await api.get('/', admin)).text()).toContain('digits');
  });
});
