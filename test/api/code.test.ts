// Code directories over HTTP: uploaded as tar, known by their content, pinned by pipelines, kept from the collector.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { collectArtifacts } from '../../db/artifact.js';
import { pipelineView } from '../../db/pipeline.js';
import { codeOf, digits, jsonOf, problemOf, testApi, type TestApi } from './support.js';

let api: TestApi;
beforeAll(async () => {
  api = await testApi();
});
afterAll(() => api.close());

function directory(text = 'print(1)\n'): string {
  const folder = mkdtempSync(join(api.home, 'code-'));
  mkdirSync(join(folder, 'lib'));
  writeFileSync(join(folder, 'train.py'), text);
  writeFileSync(join(folder, 'lib/data.bin'), Buffer.alloc(2_000_000, text));
  return folder;
}

function archive(folder: string, ...flags: string[]): Buffer {
  return execFileSync('tar', [...flags, '-c', '-C', folder, '.'], { maxBuffer: 1e8 });
}

async function send(body: Buffer | string, headers: Record<string, string> = {}): Promise<Response> {
  return api.app.request('/api/v1/code', { method: 'POST', body: body as never, headers });
}

const code = async (folder: string) => (await jsonOf<{ digest: string }>(await send(archive(folder)))).digest;
const pipeline = (name: string, params: Record<string, unknown>) => ({
  ...digits,
  name,
  trainer: { type: 'command', params: { program: ['python3', 'train.py'], ...params } },
});

describe('POST /code', () => {
  it('answers the same digest for the same content, zipped or not', async () => {
    const [one, two] = [directory(), directory()];
    utimesSync(join(two, 'train.py'), 1, 1);
    const made = await send(archive(one));
    expect(made.status).toBe(201);
    const body = await jsonOf(made);
    expect(body).toEqual({ digest: expect.stringMatching(/^sha256:[0-9a-f]{64}$/), files: 2, sizeBytes: 2_000_009 });
    const again = await send(archive(two, '-z', '--format=pax'));
    expect([again.status, await jsonOf(again)]).toEqual([200, body]);
    expect(await code(directory('print(2)\n'))).not.toBe(body['digest']);
    expect(readdirSync(join(api.home, 'tmp'))).toEqual([]);
  });

  it('refuses a body that says it is no archive, and keeps nothing', async () => {
    for (const type of ['application/json', 'application/yaml; charset=utf-8', 'multipart/form-data; boundary=a']) {
      const problem = await problemOf(await send('{"files": []}', { 'content-type': type }));
      expect([problem.status, problem.type]).toEqual([415, '/problems/unsupported-media-type']);
      expect(problem.detail).toMatch(/found (application|multipart)\/[a-z-]+; allowed: a tar archive/);
    }
    const form = { 'content-type': 'application/x-www-form-urlencoded' };
    expect((await send(archive(directory('print(0)\n')), form)).status).toBe(201);
  });

  it('answers a repeat with the same key once', async () => {
    const body = archive(directory('print(3)\n'));
    const first = await send(body, { 'idempotency-key': 'a-key' });
    const second = await send(body, { 'idempotency-key': 'a-key' });
    expect([first.status, second.status, second.headers.get('idempotent-replay')]).toEqual([201, 201, 'true']);
    expect(await codeOf(await send(archive(directory('4')), { 'idempotency-key': 'a-key' }))).toBe(
      '422 idempotency-key-reused',
    );
  });

  it('refuses what is no tar, leads out, links, is empty or is cut', async () => {
    const linked = directory();
    symlinkSync('/etc/passwd', join(linked, 'lib/passwd'));
    const outside = execFileSync('tar', ['-c', '-C', directory(), '--transform=s,^,../,', 'train.py']);
    const zipped = archive(directory(), '-z');
    const bodies = [
      Buffer.from('no tar'.repeat(200)),
      archive(linked),
      outside,
      '',
      zipped.subarray(0, 500),
      archive(mkdtempSync(join(api.home, 'none-'))),
    ];
    for (const body of bodies) expect(await codeOf(await send(body))).toBe('422 code-refused');
    expect((await problemOf(await send(outside))).detail).toBe('"../train.py" leads out of the directory');
    expect(readdirSync(join(api.home, 'tmp'))).toEqual([]);
    const long = { 'content-length': String(1024 ** 3) };
    expect(await codeOf(await send(archive(directory()), long))).toBe('413 too-large');
  });

  it('is kept from the collector and given to its own project', async () => {
    const digest = await code(directory('kept'));
    await api.database.db.execute(sql`update artifact set touched_at = now() - interval '1 day'`);
    await collectArtifacts(api.database.db, async (old) => api.deps.artifacts.store.remove(old));
    expect((await api.get(`/api/v1/artifacts/${digest}`)).status).toBe(200);
  });
});

describe('a pipeline with a program', () => {
  const versionOf = async (body: unknown) =>
    (await jsonOf<{ version: number }>(await api.post('/api/v1/pipelines', body)))['version'];

  it('has a new version when the content of its directory changes, and the same one when only a time does', async () => {
    const folder = directory('version');
    expect(await versionOf(pipeline('local', { directory: folder }))).toBe(1);
    utimesSync(join(folder, 'train.py'), 1, 1);
    mkdirSync(join(folder, '__pycache__'));
    writeFileSync(join(folder, '__pycache__/x'), '');
    expect(await versionOf(pipeline('local', { directory: folder }))).toBe(1);
    expect(await versionOf(pipeline('local', { code: await code(folder) }))).toBe(1);
    writeFileSync(join(folder, 'train.py'), 'print(9)\n');
    expect(await versionOf(pipeline('local', { directory: folder }))).toBe(2);
    const { document } = await pipelineView(api.deps.db, 'default', 'local');
    expect((document as { trainer: { params: unknown } }).trainer.params).toEqual({
      program: ['python3', 'train.py'],
      code: await code(folder),
    });
  });

  it('names what is wrong with the directory or the code', async () => {
    const post = async (params: Record<string, unknown>) =>
      problemOf(await api.post('/api/v1/pipelines', pipeline('wrong', params)));
    const absent = await post({ directory: 'no/such/folder' });
    expect([absent.type, absent.errors[0]?.path]).toEqual(['/problems/source-not-found', 'trainer.params.directory']);
    const unknown = await post({ code: `sha256:${'0'.repeat(64)}` });
    expect([unknown.type, unknown.errors[0]?.path]).toEqual(['/problems/invalid-pipeline', 'trainer.params.code']);
    const neither = await post({});
    expect(neither.errors).toEqual([
      { path: 'trainer.params.directory', message: 'found neither directory nor code; allowed: one of the two' },
    ]);
    const faults = await post({
      directory: '.',
      code: 'x',
      program: [],
      image: 'python:3',
      deadline: '3 years',
      prams: {},
    });
    expect(faults.errors.map(({ path }) => path.replace('trainer.params.', '')).sort()).toEqual([
      'code',
      'deadline',
      'image',
      'prams',
      'program',
    ]);
    const linked = directory('links');
    symlinkSync('/etc/passwd', join(linked, 'lib/passwd'));
    expect((await post({ directory: linked })).type).toBe('/problems/code-refused');
  });

  it('off loopback takes directories below the allowed folder only', async () => {
    const sources = directory('inside');
    const far = await testApi({ host: '0.0.0.0', token: 'an-admin-token-of-tests', sources });
    const headers = { authorization: 'Bearer an-admin-token-of-tests' };
    const answers = await Promise.all(
      [join(sources, 'lib'), api.home].map((folder) =>
        far.post('/api/v1/pipelines', pipeline('far', { directory: folder }), headers),
      ),
    );
    const [inside, outside] = answers as [Response, Response];
    expect(inside.status).toBe(201);
    expect(await codeOf(outside)).toBe('422 source-not-allowed');
    await far.close();
  });

  it('takes another code for one run, but no directory', async () => {
    const folder = directory('run');
    await versionOf(pipeline('over', { directory: folder }));
    const refused = await api.post('/api/v1/pipelines/over/runs', {
      overrides: { 'trainer.params.directory': folder },
    });
    expect(await codeOf(refused)).toBe('422 invalid-request');
    rmSync(folder, { recursive: true });
    const opened = await api.post('/api/v1/pipelines/over/runs', { overrides: { 'trainer.params.params.depth': 3 } });
    expect(opened.status).toBe(202);
  });
});

describe('a check with a program', () => {
  const gated = (name: string, ...checks: Record<string, unknown>[]) => ({
    ...{ ...digits, name },
    gate: { metric: 'accuracy', min: 0.5, checks },
  });
  const post = (body: unknown) => api.post('/api/v1/pipelines', body);

  it('has its directory packed and kept with the version, which changes with its content', async () => {
    const folder = directory('judge');
    const command = { directory: folder, program: ['python3', 'train.py'] };
    const body = gated('judged', { size: { maxBytes: 1 } }, { name: 'mine', command });
    expect(await jsonOf(await post(body))).toMatchObject({ version: 1 });
    expect(await jsonOf(await post(body))).toMatchObject({ version: 1 });
    const { document } = await pipelineView(api.deps.db, 'default', 'judged');
    const packed = await code(folder);
    expect((document as { gate: { checks: unknown } }).gate.checks).toEqual([
      { size: { maxBytes: 1 } },
      { name: 'mine', command: { program: ['python3', 'train.py'], code: packed } },
    ]);
    expect(
      await jsonOf(await post(gated('by-code', { command: { ...command, directory: undefined, code: packed } }))),
    ).toMatchObject({ version: 1 });
    writeFileSync(join(folder, 'train.py'), 'print(10)\n');
    expect(await jsonOf(await post(body))).toMatchObject({ version: 2 });
  });

  it('names what is wrong with the directory or the code', async () => {
    const size = { size: { maxBytes: 1 } };
    const faultOf = async (command: Record<string, unknown>) => {
      const answer = await problemOf(await post(gated('wrong', size, { command: { program: ['x'], ...command } })));
      return [answer.type, answer.errors[0]?.path];
    };
    expect(await faultOf({ directory: 'no/such/folder' })).toEqual([
      '/problems/source-not-found',
      'gate.checks[1].command.directory',
    ]);
    expect(await faultOf({ code: `sha256:${'0'.repeat(64)}` })).toEqual([
      '/problems/invalid-pipeline',
      'gate.checks[1].command.code',
    ]);
  });
});
