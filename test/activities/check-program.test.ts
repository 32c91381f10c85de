// The step `evaluate` with programs that check, as a worker runs it: what they find, what their verdicts do to the gate, what
// is taken over by a later run, and what is tried again.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { CancelledFailure } from '@temporalio/activity';
import { withStep } from '../../activities/step.js';
import { codeLimits, packFolder, readFolder } from '../../adapters/folder/index.js';
import { keepCode } from '../../db/code.js';
import type { CheckReport } from '../../domain/check.js';
import { type Digest, mediaTypes } from '../../domain/artifact.js';
import type { Json } from '../../domain/json.js';
import type { Verdict } from '../../domain/run.js';
import { csv, type Executed, openModelWorld } from './model-run.js';

let models: Awaited<ReturnType<typeof openModelWorld>>;
let world: typeof models.world;
/** Of the pipeline that all runs here are of: they share every step before `evaluate`. */
let name: string;
beforeAll(async () => {
  models = await openModelWorld();
  ({ world } = models);
  name = await models.pipeline();
}, 60_000);
afterAll(() => models.close());

async function upload(files: Record<string, string>): Promise<Digest> {
  const folder = mkdtempSync(join(world.folder, 'code-'));
  for (const [path, text] of Object.entries(files)) writeFileSync(join(folder, path), text);
  const packed = packFolder(folder, await readFolder(folder, codeLimits));
  const { digest } = await world.artifacts.putBytes(packed, mediaTypes.tar);
  await keepCode(world.db, 'default', digest);
  return digest;
}

const verdict = (text: string) => `printf '%s' '${text}' > "$PERENNIAL_JOB/verdict.json"`;
const passing = verdict('{"passed": true, "reason": "all is well", "value": 0.5}');
const command = async (lines: string | string[], given: Record<string, Json> = {}): Promise<Record<string, Json>> => ({
  code: await upload({ 'main.sh': [lines].flat().join('\n') }),
  program: ['sh', 'main.sh'],
  ...given,
});
interface Answer {
  key: string;
  truth: string;
  label: string;
  probabilities: { a: number; b: number };
}
const gate = (...checks: Record<string, Json>[]) => ({ overrides: { 'gate.checks': checks } });
const evaluated = async (...checks: Record<string, Json>[]): Promise<Executed> => models.run(name, gate(...checks));
const verdictOf = ({ results }: Executed) => results.evaluate['verdict'] as unknown as Verdict;

describe('a program of the gate', () => {
  it('finds the served model, the holdout rows with the answers, the metrics and its own params', async () => {
    const kept = join(world.folder, 'found');
    mkdirSync(kept);
    const look = await command(
      [`cp "$PERENNIAL_JOB"/*.* "${kept}"; env > "${kept}/env"; pwd > "${kept}/pwd"`, passing],
      {
        params: { floor: 0.7 },
      },
    );
    const run = await evaluated({ name: 'looks', command: look });
    expect(verdictOf(run)).toMatchObject({ passed: true });
    const spec = JSON.parse(readFileSync(join(kept, 'spec.json'), 'utf8')) as Record<string, Json>;
    expect(spec).toMatchObject({
      ...{ version: 1, name: 'looks', task: 'classification', classes: ['a', 'b'], key: 'id', label: 'y' },
      columns: [
        { name: 'x', type: 'number' },
        { name: 'color', type: 'category' },
      ],
      ...{ variant: 'float32', params: { floor: 0.7 }, champion: null, metrics: run.results.evaluate['metrics'] },
      gate: { metric: 'accuracy', min: 0.5, max: null, champion: null },
      limits: { deadlineMs: 14_400_000, memoryMb: 4096, diskMb: 10_240 },
    });
    const { variants } = run.results.evaluate as unknown as { variants: { model: Digest }[] };
    const served = readFileSync(await world.artifacts.localPath(variants[0]!.model));
    expect(readFileSync(join(kept, 'model.onnx')).equals(served)).toBe(true);
    const lines = readFileSync(join(kept, 'answers.jsonl'), 'utf8').trimEnd().split('\n');
    const answers = lines.map((line) => JSON.parse(line) as Answer);
    const rows = await world.duck.query<Record<string, unknown>>(
      `SELECT * FROM read_parquet('${join(kept, 'holdout.parquet')}')`,
    );
    expect(rows.length).toBe(spec['rows']);
    expect(answers.map(({ key, truth }) => [key, truth])).toEqual(rows.map(({ id, y }) => [id, y]));
    const written = csv().split('\n');
    for (const { id, x, color } of rows)
      expect(written).toContainEqual(expect.stringContaining(`${id as string},${x as number},${color as string},`));
    const right = answers.filter(({ label, truth }) => label === truth).length / answers.length;
    expect(right).toBeCloseTo((spec['metrics'] as { accuracy: number }).accuracy, 12);
    for (const { label, probabilities } of answers) {
      const { a, b } = probabilities;
      expect(a + b).toBeCloseTo(1, 5);
      expect(label).toBe(a > b ? 'a' : 'b');
    }
    const names = readFileSync(join(kept, 'env'), 'utf8').match(/^\w+(?==)/gm) ?? [];
    expect(names).toEqual(expect.arrayContaining(['PERENNIAL_JOB', 'TMPDIR', 'CUDA_VISIBLE_DEVICES']));
    expect(names.filter((one) => /DATABASE|TOKEN|NODE/.test(one))).toEqual([]);
    expect(readFileSync(join(kept, 'pwd'), 'utf8').trim()).toMatch(/\/code$/);
  }, 120_000);

  it('of a regression finds values beside the true ones', async () => {
    const kept = join(world.folder, 'values.jsonl');
    const check = { command: await command([`cp "$PERENNIAL_JOB/answers.jsonl" "${kept}"`, passing]) };
    const regression = { dataset: { label: 'x', task: 'regression' }, gate: { metric: 'rmse', max: 100 } };
    const run = await models.run(await models.pipeline(regression), gate(check));
    expect(verdictOf(run).checks).toMatchObject([{ name: 'command sh main.sh', passed: true }]);
    const lines = readFileSync(kept, 'utf8').trimEnd().split('\n');
    const answers = lines.map((line) => JSON.parse(line) as { key: string; truth: number; value: number });
    const squares = answers.map(({ truth, value }) => (truth - value) ** 2);
    const { rmse } = run.results.evaluate['metrics'] as { rmse: number };
    expect(Math.sqrt(squares.reduce((sum, one) => sum + one, 0) / squares.length)).toBeCloseTo(rmse, 9);
  }, 60_000);

  it('passes or rejects by its verdict, beside the other checks', async () => {
    const yes = { name: 'yes', command: await command(passing) };
    const no = {
      name: 'no',
      command: await command(verdict('{"passed": false, "reason": "recall 0.2", "value": 0.2}')),
    };
    const found = verdictOf(await evaluated(yes, no, { size: { maxBytes: '1 MB' } }));
    expect(found.passed).toBe(false);
    expect(found.checks).toMatchObject([
      { name: 'yes', kind: 'command', passed: true, measured: 0.5 },
      { name: 'no', kind: 'command', passed: false, measured: 0.2 },
      { name: 'size', passed: true },
    ]);
    expect(found.reasons).toContain('no: recall 0.2; required: a passing verdict of sh main.sh; not passed');
    expect(found.checks?.some((check) => 'failure' in check)).toBe(false);
  }, 60_000);

  it('without a verdict lets nothing through, and says why', async () => {
    const cases: [Record<string, Json>, string][] = [
      [await command([passing, 'echo no such column; exit 3']), 'command-failed'],
      [await command([passing, 'sleep 60'], { deadline: '1 s' }), 'command-timed-out'],
      [await command('true'), 'command-no-verdict'],
      [await command(verdict('{"passed": "yes", "reason": "x"}')), 'command-verdict-invalid'],
      [await command([passing, 'echo postgres-password']), 'command-printed-secret'],
      [await command(verdict('{"passed": true, "reason": "it is postgres-password"}')), 'command-printed-secret'],
      [await command(passing, { program: ['no-such-program'] }), 'command-failed'],
      [{ program: ['sh', 'main.sh'], code: await upload({ 'requirements.txt': 'numpy>=1' }) }, 'environment-invalid'],
    ];
    const run = await evaluated(...cases.map(([one], at) => ({ name: `case ${at}`, command: one })));
    const found = verdictOf(run);
    expect(found.passed).toBe(false);
    const checks = found.checks as CheckReport[];
    expect(checks.map(({ failure, passed }) => [failure, passed])).toEqual(
      cases.map(([, failure]) => [failure, false]),
    );
    expect(checks[0]!.reason).toContain(
      'no verdict (command-failed): the program ended with code 3; its last lines: | no such column',
    );
    expect(JSON.stringify(run.results)).not.toContain('postgres-password');
    expect(readdirSync(world.config.scratch)).toEqual([]);
  }, 60_000);
});

it('must have been uploaded, and is no folder that is named for one run', async () => {
  const of = (where: Record<string, Json>) =>
    evaluated({ name: 'x', command: { program: ['sh', 'main.sh'], ...where } });
  await expect(of({ code: `sha256:${'0'.repeat(64)}` })).rejects.toMatchObject({
    ...{ failure: 'InvalidRequest', faults: [{ path: 'gate.checks[0].command.code' }] },
  });
  await expect(of({ directory: 'checks' })).rejects.toMatchObject({
    ...{ failure: 'InvalidRequest', faults: [{ path: 'gate.checks[0].command.directory' }] },
  });
});

describe('a later run', () => {
  const told = async (run: Executed) => (await models.reusedOf(run.context)).includes('evaluate');

  it('takes a verdict over where code, environment and params are the same, and only there', async () => {
    const one = { name: 'one', command: await command(passing, { params: { floor: 1 } }) };
    expect(await told(await evaluated(one))).toBe(false);
    const again = await evaluated(one);
    expect(await told(again)).toBe(true);
    expect(verdictOf(again).passed).toBe(true);
    expect(await told(await evaluated({ ...one, command: { ...one.command, params: { floor: 2 } } }))).toBe(false);
    expect(
      await told(await evaluated({ ...one, command: await command([passing, ':'], { params: { floor: 1 } }) })),
    ).toBe(false);
    // the same document, and another file behind the program's name
    const tools = mkdtempSync(join(world.folder, 'tools-'));
    const { PATH } = process.env;
    const own = { name: 'own', command: await command(passing, { program: ['judge', 'main.sh'] }) };
    process.env['PATH'] = `${tools}:${PATH ?? ''}`;
    try {
      writeFileSync(join(tools, 'judge'), '#!/bin/sh\nexec sh "$@"\n', { mode: 0o755 });
      expect([await told(await evaluated(own)), await told(await evaluated(own))]).toEqual([false, true]);
      writeFileSync(join(tools, 'judge'), '#!/bin/sh\nexec /bin/sh "$@"\n', { mode: 0o755 });
      expect(await told(await evaluated(own))).toBe(false);
    } finally {
      process.env['PATH'] = PATH;
    }
  }, 120_000);

  it('asks again where there was no verdict', async () => {
    const flag = join(world.folder, 'flag');
    const fickle = { name: 'fickle', command: await command([`test -e "${flag}" || exit 1`, passing]) };
    expect(verdictOf(await evaluated(fickle)).passed).toBe(false);
    writeFileSync(flag, '');
    const again = await evaluated(fickle);
    expect([await told(again), verdictOf(again).passed]).toEqual([false, true]);
  }, 60_000);
});

describe('an attempt that is interrupted', () => {
  const slow = (begun: string, ready: string) => [
    `echo x >> "${begun}"; until test -e "${ready}"; do sleep 0.05; done`,
    passing,
  ];
  const times = (path: string) => {
    try {
      return readFileSync(path, 'utf8').length / 2;
    } catch {
      return 0;
    }
  };
  /** Pids of our programs' shells. */
  const programs = () =>
    readdirSync('/proc')
      .filter((pid) => /^\d+$/.test(pid))
      .map(Number)
      .filter((pid) => {
        try {
          const ours = readFileSync(`/proc/${pid}/environ`, 'utf8').includes(`PERENNIAL_JOB=${world.config.scratch}`);
          return ours && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('main.sh');
        } catch {
          return false;
        }
      });

  it('killed with -9 it simply runs again; drained and cancelled it ends the program', async () => {
    const [begun, ready] = [join(world.folder, 'begun'), join(world.folder, 'ready')];
    const options = gate({ name: 'slow', command: await command(slow(begun, ready)) });
    const { context, results } = await models.run(name);
    const next = await models.openAgain(context, { ...options, from: 'evaluate' });
    const attempt = async (draining: boolean) => {
      const abort = new AbortController();
      const step = { ...(await models.openStep(next, 'evaluate')), signal: abort.signal, draining: () => draining };
      const before = times(begun);
      const input = {
        context: next,
        node: 'evaluate',
        candidate: 0,
        inputs: results as unknown as Record<string, Json>,
      };
      const done = withStep(step, () => models.activitiesOf({}).evaluate(input as never));
      const outcome = done.then(
        (result) => result as unknown as { verdict: Verdict },
        (error: unknown) => error,
      );
      return { abort, outcome, begun: () => vi.waitFor(() => expect(times(begun)).toBe(before + 1), 10_000) };
    };
    const killed = await attempt(false);
    await killed.begun();
    for (const pid of programs()) process.kill(pid, 'SIGKILL');
    expect(await killed.outcome).toMatchObject({ failure: 'ChildDied' });
    const drained = await attempt(true);
    await drained.begun();
    drained.abort.abort();
    expect(await drained.outcome).toMatchObject({ failure: 'WorkerShutdown' });
    const cancelled = await attempt(false);
    await cancelled.begun();
    cancelled.abort.abort();
    expect(await cancelled.outcome).toBeInstanceOf(CancelledFailure);
    expect(programs()).toEqual([]);
    const last = await attempt(false);
    await last.begun();
    writeFileSync(ready, '');
    expect(await last.outcome).toMatchObject({ verdict: { passed: true } });
  }, 120_000);
});
