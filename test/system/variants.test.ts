// Serving variants and checks end to end: what was judged is what answers, bit for bit; a variant that answers otherwise is
// not served, and a check that does not hold rejects the candidate with what was measured.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { projectRoot } from '../../adapters/paths.js';
import { run as runSmallDigits } from '../../examples/09-int8/run.js';
import { Api } from '../../examples/digits/client.js';
import { numbers } from '../ml/support.js';
import { must } from '../support/person.js';
import { startTestSystem, type TestSystem } from '../support/system.js';
import { champion, ended, open, pipeline, post, promotion, type Row, rows, view } from './support.js';

let system: TestSystem;
let api: Api;
beforeAll(async () => {
  system = await startTestSystem();
  api = new Api(system.url);
});
afterAll(() => system?.stop());

interface Version {
  digest: string;
  servedVariant: string;
  variants: { name: string; file: string; sha256: string; sizeBytes: number; agreement: number; latency: object[] }[];
  files: { path: string }[];
}

/** A machine may be busy. */
const patience = 200_000;
const wide = 40;
/** Ten classes over 40 numbers, so near to each other that rounding the weights moves a few rows. */
function wideRows(count: number): Row[] {
  const drawn = numbers(7, count * wide);
  const mix = numbers(11, 10 * wide);
  return Array.from({ length: count }, (_, i) => {
    const x = drawn.slice(i * wide, (i + 1) * wide);
    const score = Array.from({ length: 10 }, (_unused, c) =>
      x.reduce((sum, value, d) => sum + value * mix[c * wide + d]!, 0),
    );
    const columns = Object.fromEntries(x.map((value, d) => [`x${d}`, value]));
    return { id: `k${i}`, ...columns, y: `c${score.indexOf(Math.max(...score))}` };
  });
}

const version = (name: string, number = 1) => must<Version>(system, 'GET', `/api/v1/models/${name}/versions/${number}`);
const predict = (name: string, asked: Row[]) =>
  must<{ predictions: { label: string; probabilities: Record<string, number> }[] }>(
    system,
    'POST',
    `/api/v1/models/${name}/predict`,
    { rows: asked },
  );

/** The registered bytes of a file, run here. */
async function direct(name: string, file: string, asked: Row[]): Promise<{ sha256: string; probabilities: number[] }> {
  const { bytes } = await api.file(`/api/v1/models/${name}/versions/1/artifacts/${file}`);
  const num = Float32Array.from(asked.flatMap((row) => Array.from({ length: wide }, (_, d) => row[`x${d}`] as number)));
  const session = await InferenceSession.create(bytes, { intraOpNumThreads: 1 });
  const { probabilities } = await session.run({ num: new Tensor('float32', num, [asked.length, wide]) });
  return {
    sha256: `sha256:${createHash('sha256').update(bytes).digest('hex')}`,
    probabilities: Array.from(probabilities?.data as Float32Array),
  };
}

describe('int8', { timeout: 300_000 }, () => {
  const trainer = { type: 'linear', params: { epochs: 10, batch: 32 }, seed: 7 };
  const gate = { metric: 'accuracy', min: 0.5 };
  const int8 = (name: string, serving: Row) => pipeline(name, { trainer, gate, serving });

  test('is judged, registered beside float32 and served from the registered bytes', async () => {
    await post(system, int8('small', { variant: 'int8', minAgreement: 0.9 }), wideRows(600));
    const run = await ended(system, await open(system, 'small'), patience);
    expect(promotion(run)).toBe(1);
    expect(run.verdict?.reasons.at(-1)).toMatch(/^int8 is served: it agrees with float32 on a share of (0\.9\d+|1) /);
    const made = await version('small');
    expect(made.servedVariant).toBe('int8');
    expect(made.variants).toMatchObject([
      { name: 'float32', file: 'model.onnx', agreement: 1, served: false },
      { name: 'int8', file: 'model.int8.onnx', served: true, latency: [{ batch: 1 }, { batch: 64 }] },
    ]);
    expect(made.files.map(({ path }) => path)).toEqual(
      expect.arrayContaining(['model.onnx', 'golden.json', 'model.int8.onnx', 'golden.int8.json', 'serving.json']),
    );
    const asked = wideRows(50);
    const { predictions } = await predict('small', asked);
    const answered = predictions.flatMap(({ probabilities }) => Object.values(probabilities));
    const registered = await direct('small', 'model.int8.onnx', asked);
    expect(registered.sha256).toBe(made.variants[1]?.sha256);
    expect(answered).toEqual(registered.probabilities);
    expect(answered).not.toEqual((await direct('small', 'model.onnx', asked)).probabilities);
    // a row has one answer, whoever asks beside it
    expect((await predict('small', asked.slice(3, 4))).predictions[0]).toMatchObject({
      probabilities: predictions[3]?.probabilities,
    });
  });

  test('demanded, but not close enough to float32: rejected with the reason, nothing registered', async () => {
    await post(system, int8('strict', { variant: 'int8', minAgreement: 1 }), wideRows(2000));
    const run = await ended(system, await open(system, 'strict'), patience);
    expect(run).toMatchObject({ status: 'rejected', modelVersion: null, verdict: { passed: false } });
    expect(run.verdict?.reasons.at(-1)).toMatch(
      /^int8 agrees with float32 on a share of 0\.9\d+ .* below the required 1$/,
    );
    expect(await champion(system, 'strict')).toBeNull();
  });

  test('wanted where it agrees: otherwise float32 is served and the version has nothing else', async () => {
    await post(system, int8('either', { variant: 'auto', minAgreement: 1 }), wideRows(2000));
    const run = await ended(system, await open(system, 'either'), patience);
    expect(promotion(run)).toBe(1);
    expect(run.verdict?.reasons.at(-1)).toMatch(/^float32 is served: int8 agrees /);
    const made = await version('either');
    expect(made).toMatchObject({ servedVariant: 'float32', variants: [{ name: 'float32', file: 'model.onnx' }] });
    expect(made.files.map(({ path }) => path)).not.toContain('model.int8.onnx');
  });

  test('example 09: a network on the digits, in fewer than half of the bytes', async () => {
    const played = await runSmallDigits(api);
    expect(played.predictions).toHaveLength(3);
    const { variants, servedVariant } = await version('small-digits', played.champion);
    expect(servedVariant).toBe('int8');
    const [float32, small] = variants;
    expect(small?.agreement).toBeGreaterThanOrEqual(0.99);
    expect((small?.sizeBytes ?? Infinity) / (float32?.sizeBytes ?? 0)).toBeLessThan(0.5);
    expect(played.run.metrics['accuracy']).toBeGreaterThan(0.95);
  });

  test('the next run is compared with what the champion serves; rollback serves what was served then', async () => {
    const name = 'both';
    await post(system, pipeline(name), rows(60));
    expect(promotion(await ended(system, await open(system, name), patience))).toBe(1);
    const second = await ended(
      system,
      await open(system, name, { 'serving.variant': 'int8', 'serving.minAgreement': 0.9 }),
      patience,
    );
    expect(promotion(second)).toBe(2);
    expect((await version(name, 2)).servedVariant).toBe('int8');
    const third = await ended(system, await open(system, name, { 'gate.champion': { notWorseBy: 0.5 } }), patience);
    expect(promotion(third)).toBe(3);
    expect((await view(system, third.id)).verdict?.reasons.join()).toContain('of champion version 2');
    const back = { by: 'lee', reason: 'test' };
    await must(system, 'POST', `/api/v1/models/${name}/rollback`, back);
    expect(await predict(name, [{ x: 5, noise: 0 }])).toMatchObject({
      modelVersion: 2,
      predictions: [{ label: 'yes' }],
    });
  });
});

/** Null, or why programs in Python cannot be run here. */
const noPython = spawnSync('python3', ['--version']).error?.message ?? null;
if (noPython !== null) console.info(`no check in Python: ${noPython}`);

interface Checked {
  name: string;
  failure?: string;
  passed: boolean;
  measured: number | null;
  reason: string;
  parts: { of: string; passed: boolean | null }[];
}

describe('checks of the gate', { timeout: 300_000 }, () => {
  /** `x` decides, `noise` and `colour` do not; `site` is excluded from the model. */
  const table = rows(300).map((row, i) => ({
    ...row,
    colour: ['red', 'Blue'][i % 3 === 0 ? 0 : 1],
    site: `s${i % 4}`,
  }));
  const checked = (name: string, checks: Row[]) =>
    pipeline(name, {
      features: { exclude: ['site'] },
      trainer: { type: 'linear', params: { epochs: 40, batch: 32, learningRate: 0.05 }, seed: 7 },
      gate: { metric: 'accuracy', min: 0.9, checks },
    });
  const checksOf = async (id: string): Promise<Checked[]> =>
    ((await view(system, id)).verdict as unknown as { checks: Checked[] }).checks;

  test('that hold are told with what was measured, in the run and in the model card', async () => {
    const name = 'checked';
    await post(
      system,
      checked(name, [
        { slice: { column: 'site', min: 0.8, minRows: 10 } },
        {
          invariance: {
            column: 'colour',
            changes: { shuffle: true, missing: true, case: true, set: ['green'] },
            min: 0.95,
          },
        },
        { name: 'site plays no part', invariance: { column: 'site' } },
        { latency: { p99Ms: 500, batch: 8 } },
        { size: { maxBytes: '1 MB' } },
        { calibration: { maxEce: 0.2 } },
      ]),
      table,
    );
    const run = await ended(system, await open(system, name), patience);
    expect(promotion(run)).toBe(1);
    const checks = await checksOf(run.id);
    expect(checks.map((check) => [check.name, check.passed])).toEqual([
      ['slice site', true],
      ['invariance colour', true],
      ['site plays no part', true],
      ['latency', true],
      ['size', true],
      ['calibration', true],
    ]);
    expect(checks[0]?.parts.map(({ of }) => of).sort()).toEqual(['site = s0', 'site = s1', 'site = s2', 'site = s3']);
    expect(checks[1]?.parts).toHaveLength(5);
    expect(run.verdict?.reasons).toHaveLength(1 + checks.length);
    const { card } = await must<{ card: string }>(system, 'GET', `/api/v1/models/${name}/versions/1`);
    expect(await api.text(`/api/v1/artifacts/${card}`)).toMatch(/### Checks[\s\S]*\| slice site \| 1 \|/);
  });

  test('that do not hold, or cannot be measured, reject with their reasons', async () => {
    const name = 'refused';
    await post(
      system,
      checked(
        name,
        [
          { slice: { column: 'site', min: 0.8, minRows: 200 } },
          { slice: { column: 'nowhere', min: 0.8 } },
          { invariance: { column: 'x', changes: { shuffle: true } } },
          { latency: { p99Ms: 0.000001 } },
          { size: { maxBytes: 10 } },
          { calibration: { maxEce: 0 } },
        ].map((check, i) => ({ ...check, name: `c${i}` })),
      ),
      table,
    );
    const run = await ended(system, await open(system, name), patience);
    expect(run).toMatchObject({ status: 'rejected', modelVersion: null, failure: null });
    const checks = await checksOf(run.id);
    expect(checks.map(({ passed }) => passed)).toEqual(checks.map(() => false));
    expect(checks.map(({ reason }) => reason)).toEqual([
      expect.stringContaining('c0: no value of site has 200 rows in the holdout'),
      expect.stringContaining('c1: could not be measured: the dataset has no column nowhere'),
      expect.stringMatching(/^c2: same answers on a share of \d+ rows, x shuffled: 0\.\d+; /),
      expect.stringMatching(/^c3: p99 .* ms, p50 /),
      expect.stringMatching(/^c4: \d+ bytes; required: at most 10 bytes; not passed$/),
      expect.stringMatching(/^c5: expected calibration error 0\.\d+ on \d+ rows/),
    ]);
    expect(run.verdict?.reasons.slice(1)).toEqual(checks.map(({ reason }) => reason));
  });

  test.skipIf(noPython !== null)('a program of one’s own, that of example 06, lets through or rejects', async () => {
    const directory = join(projectRoot, 'examples/06-command-sklearn/check');
    const command = { directory, program: ['python3', 'recall.py'], deadline: '1 minute', params: { floor: 0.7 } };
    await post(system, checked('own', [{ name: 'recall', command }]), table);
    const first = await open(system, 'own');
    expect(promotion(await ended(system, first, patience))).toBe(1);
    const [held] = await checksOf(first);
    expect(held).toMatchObject({ name: 'recall', passed: true });
    expect(held).not.toHaveProperty('failure');
    expect(held!.measured).toBeGreaterThanOrEqual(0.7);
    expect(held!.reason).toMatch(
      /^recall: (yes|no) is found in a share of [\d.]+; required: a passing verdict of python3 /,
    );
    const second = await open(system, 'own', { 'gate.checks[0].command.params': { floor: 1.1 } });
    expect(await ended(system, second, patience)).toMatchObject({ status: 'rejected', verdict: { passed: false } });
    const third = await open(system, 'own', { 'gate.checks[0].command.params': {} });
    expect(await ended(system, third, patience)).toMatchObject({ status: 'rejected', verdict: { passed: false } });
    const [none] = await checksOf(third);
    expect(none).toMatchObject({ passed: false, measured: null, failure: 'command-failed' });
    expect(none!.reason).toContain("KeyError: 'floor'");
    expect(await champion(system, 'own')).toBe(1);
  });
});
