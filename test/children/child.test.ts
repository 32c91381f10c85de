import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { copyFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test, vi } from 'vitest';
import { createScorer, type Scorer, type ScoredModel, type ScorerOptions } from '../../adapters/scorer.js';
import { runTrainer, type TrainerHandlers } from '../../adapters/trainer.js';
import { startChild } from '../../adapters/fork.js';
import { projectRoot } from '../../adapters/paths.js';
import type { Digest } from '../../domain/artifact.js';
import { Failure } from '../../domain/failures.js';
import type { TrainSpec } from '../../domain/model.js';
import { oneFileModel } from '../../ml/export/one-file.js';
import { Graph, modelBytes } from '../../ml/onnx/graph.js';
import { encodeCheckpoint } from '../../ml/trainers/checkpoint.js';
import { fittedFeatures } from '../ml/fitted.js';
import { learnt, type Toy, toyData, trainSpec } from '../ml/spec.js';

const folder = mkdtempSync(join(tmpdir(), 'perennial-child-'));
const scorers: Scorer[] = [];
afterAll(() => {
  for (const scorer of scorers) scorer.close();
  rmSync(folder, { recursive: true, force: true });
});

const slow = { timeout: 60_000 };
const alive = (pid: number): boolean =>
  existsSync(`/proc/${pid}/stat`) && !readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ');
/** User and system time of a process, in seconds; Linux counts a hundred ticks in each. */
const processorSeconds = (pid: number): number => {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / 100;
};
const digestOf = (bytes: Uint8Array): Digest => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

describe('trainer', slow, () => {
  const data = toyData(2000, 20, 3);
  const params = { epochs: 300, batch: 32 };
  let next = 0;

  function prepare(
    given: Partial<TrainSpec> = {},
    { x, y, weights }: Toy = data,
  ): { spec: TrainSpec; file: string; out: string } {
    const out = mkdtempSync(join(folder, `run-${next++}-`));
    const spec = trainSpec({
      rows: 2000,
      width: 20,
      outputs: 3,
      params,
      stepsPerRun: 50,
      checkpointEveryMs: 20,
      ...given,
    });
    spec.paths = { checkpoint: null, ...given.paths, x: join(out, 'x.f32'), y: join(out, 'y.f32'), out };
    writeFileSync(spec.paths.x, new Uint8Array(x.buffer));
    writeFileSync(spec.paths.y, new Uint8Array(y.buffer));
    if (weights) writeFileSync((spec.paths.weights = join(out, 'weights.f32')), new Uint8Array(weights.buffer));
    const file = join(out, 'spec.json');
    writeFileSync(file, JSON.stringify(spec));
    return { spec, file, out };
  }

  const on = (given: Partial<TrainerHandlers> = {}): TrainerHandlers => ({
    started: () => undefined,
    progress: () => undefined,
    checkpoint: async () => undefined,
    ...given,
  });
  const options = { deadlineMs: 30_000, memoryLimitMb: 2000 };
  let whole: Promise<Uint8Array> | null = null;
  const undisturbed = (spec: TrainSpec): Promise<Uint8Array> => (whole ??= learnt({ ...spec, stepsPerRun: 500 }, data));
  const resumeSpec = (checkpoint: string) => prepare({ paths: { x: '', y: '', checkpoint, out: '' } });

  /** Runs until the first checkpoint is stored, then does something to the run. */
  async function disturb(
    what: (run: ReturnType<typeof runTrainer>) => void,
  ): Promise<{ kept: string; failure: unknown }> {
    const { file, out } = prepare();
    const kept = join(out, 'kept.state');
    const run = runTrainer(
      file,
      on({
        checkpoint: async ({ path }) => {
          await copyFile(path, kept);
          what(run);
        },
      }),
      options,
    );
    const failure = await run.done.catch((error: unknown) => error);
    return { kept, failure };
  }

  test('trains to the end, reports in order, and the child is gone', async () => {
    const { spec, file } = prepare();
    const [steps, states]: [number[], boolean[]] = [[], []];
    const started = vi.fn();
    const progress = vi.fn();
    const run = runTrainer(
      file,
      on({ started, progress, checkpoint: async ({ step, path }) => void (existsSync(path) && steps.push(step)) }),
      { ...options, onChild: (_, up) => states.push(up) },
    );
    const result = await run.done;
    expect(result.steps).toBe(18_900);
    expect(readFileSync(result.path)).toEqual(Buffer.from(await undisturbed(spec)));
    expect(started).toHaveBeenCalledExactlyOnceWith({ type: 'started', step: 0, totalSteps: 18_900, provider: 'cpu' });
    expect(progress).toHaveBeenLastCalledWith(expect.objectContaining({ step: 18_900, epoch: 300, loss: result.loss }));
    expect(steps.length).toBeGreaterThan(0);
    expect(steps).toEqual([...steps].sort((a, b) => a - b));
    expect(states).toEqual([true, false]);
    expect(alive(run.pid)).toBe(false);
  });

  test('rows that count less count less in the child', async () => {
    const weighed = { ...data, weights: data.y.map((_, row) => (row % 2 === 0 ? 0.3 : 1)) };
    const { spec, file } = prepare({ params: { epochs: 1 } }, weighed);
    const { path } = await runTrainer(file, on(), options).done;
    expect(readFileSync(path)).toEqual(Buffer.from(await learnt(spec, weighed)));
    expect(readFileSync(path)).not.toEqual(Buffer.from(await learnt(spec, data)));
  });

  test('killed after a checkpoint and resumed from it: the same bytes as undisturbed', async () => {
    const { kept, failure } = await disturb((run) => process.kill(run.pid, 'SIGKILL'));
    expect(failure).toMatchObject({ failure: 'ChildDied' });
    const { spec, file } = resumeSpec(kept);
    const started = vi.fn();
    const { path } = await runTrainer(file, on({ started }), options).done;
    expect(started.mock.calls[0]![0].step).toBeGreaterThan(0);
    expect(readFileSync(path)).toEqual(Buffer.from(await undisturbed(spec)));
  });

  test.each([1, 3])('trees, %i outputs: killed at any checkpoint and resumed, the same bytes', async (outputs) => {
    const toy = toyData(2000, 20, outputs);
    const task = outputs === 1 ? 'regression' : 'classification';
    const given = { trainer: 'trees', task, outputs, checkpointEveryMs: 0, params: { rounds: 30 } } as const;
    const { spec, file, out } = prepare(given, toy);
    const wanted = Buffer.from(await learnt(spec, toy));
    let from: string | null = null;
    for (const kill of [2, 11]) {
      const kept = join(out, `kept-${kill}.state`);
      writeFileSync(file, JSON.stringify({ ...spec, paths: { ...spec.paths, checkpoint: from } }));
      const pids: number[] = [];
      const checkpoint: TrainerHandlers['checkpoint'] = async ({ step, path }) => {
        if (step < kill || existsSync(kept)) return;
        await copyFile(path, kept);
        process.kill(pids[0]!, 'SIGKILL');
      };
      const run = runTrainer(file, on({ checkpoint }), options);
      pids.push(run.pid);
      await expect(run.done).rejects.toMatchObject({ failure: 'ChildDied' });
      from = kept;
    }
    writeFileSync(file, JSON.stringify({ ...spec, paths: { ...spec.paths, checkpoint: from } }));
    const started = vi.fn();
    const { path, steps } = await runTrainer(file, on({ started }), options).done;
    expect(started.mock.calls[0]![0].step).toBeGreaterThanOrEqual(11);
    expect(steps).toBe(30);
    expect(digestOf(readFileSync(path))).toBe(digestOf(wanted));
  });

  test('drained: stores a checkpoint, ends as WorkerShutdown, and goes on elsewhere to the same bytes', async () => {
    let stopped: Promise<void> | undefined;
    const { kept, failure } = await disturb((run) => {
      stopped ??= run.stop();
    });
    await stopped;
    expect(failure).toMatchObject({ failure: 'WorkerShutdown' });
    const { spec, file } = resumeSpec(kept);
    const { path } = await runTrainer(file, on(), options).done;
    expect(readFileSync(path)).toEqual(Buffer.from(await undisturbed(spec)));
  });

  test('held in the middle: waits after the first stored checkpoint, goes on when the file is removed', async () => {
    const { spec, file, out } = prepare({ checkpointEveryMs: 60_000, stepsPerRun: 100_000 });
    const env = { NODE_ENV: 'test', PERENNIAL_HOLD: 'train:middle', PERENNIAL_HOME: out };
    const steps: number[] = [];
    const run = runTrainer(file, on({ checkpoint: async ({ step }) => void steps.push(step) }), { ...options, env });
    const held = join(out, 'hold', 'train.middle');
    await vi.waitFor(() => expect(existsSync(held)).toBe(true), { timeout: 10_000 });
    expect(steps).toEqual([1]);
    expect(alive(run.pid)).toBe(true);
    rmSync(held);
    const { path } = await run.done;
    expect(readFileSync(path)).toEqual(Buffer.from(await undisturbed(spec)));
  });

  test.each([
    ['a checkpoint of other inputs', 'CheckpointMismatch', () => resumeOther()],
    [
      'a number that is none',
      'TrainingDiverged',
      async () => prepare({}, { ...data, x: data.x.map((v, i) => (i === 9 ? NaN : v)) }).file,
    ],
    ['a provider that is not there', 'Unavailable', async () => prepare({ provider: 'cuda' }).file],
    ['no such spec', 'Internal', async () => join(folder, 'none.json')],
  ] as const)('%s is %s', async (_, failure, make) => {
    await expect(runTrainer(await make(), on(), options).done).rejects.toMatchObject({ failure });
  });

  async function resumeOther(): Promise<string> {
    const { kept } = await disturb((run) => run.kill());
    const inputsDigest: Digest = `sha256:${'1'.repeat(64)}`;
    return prepare({ inputsDigest, paths: { x: '', y: '', checkpoint: kept, out: '' } }).file;
  }

  test('limits: deadline, memory, and a parent that cannot keep a checkpoint', async () => {
    const endless = prepare({ params: { epochs: 10_000, batch: 1 } }).file;
    const late = runTrainer(endless, on(), { ...options, deadlineMs: 700 });
    await expect(late.done).rejects.toMatchObject({ failure: 'DeadlineExceeded' });
    await expect(runTrainer(endless, on(), { ...options, memoryLimitMb: 70 }).done).rejects.toMatchObject({
      failure: 'OutOfMemory',
    });
    const full = async () => Promise.reject(new Failure('StoreFull', 'no space'));
    const run = runTrainer(endless, on({ checkpoint: full }), options);
    await expect(run.done).rejects.toMatchObject({ failure: 'StoreFull' });
    expect([late.pid, run.pid].some(alive)).toBe(false);
  });

  test('a child without its parent ends by itself, also in the middle of a run', async () => {
    const endless = prepare({ params: { epochs: 10_000, batch: 1 }, stepsPerRun: 5000 }).file;
    const child = startChild('workers/trainer.ts', [endless], { memoryLimitMb: 2000 });
    await new Promise((resolve) => child.process.once('message', resolve));
    const exit = new Promise((resolve) => child.process.once('exit', resolve));
    child.process.disconnect();
    expect(await exit).toBe(1);
  });
});

describe('scorer', slow, () => {
  const fitted = fittedFeatures({
    num: [{ impute: 0, mean: 0, scale: 1 }],
    cat: [['rot', 'grün']],
    classes: ['nein', '네'],
  });

  function modelOf(scale: number): ScoredModel {
    const spec = trainSpec({ rows: 2, width: 4, outputs: 2 });
    const p = Float32Array.of(0, scale, 0, 1, 1, 0, 0, 0, 0, 0);
    const zero = new Float32Array(10);
    const facts = { lossSum: 0, lossRows: 0, epochLoss: 0, target: { mean: 0, scale: 1 } };
    const state = encodeCheckpoint(spec, { epoch: 1 }, { step: 1, facts, arrays: { p, m: zero, v: zero } });
    const bytes = oneFileModel(fitted, state, { trainer: 'linear', params: {} });
    const path = join(folder, `model-${scale}.onnx`);
    writeFileSync(path, bytes);
    return { path, digest: digestOf(bytes), signature: fitted.signature };
  }

  function open(deadlineMs = 10_000, more: Partial<ScorerOptions> = {}): Scorer {
    const scorer = createScorer({ deadlineMs, memoryLimitMb: 2000, ...more });
    scorers.push(scorer);
    return scorer;
  }

  const rows = { rows: 2, num: Float32Array.of(3, -3), cat: ['grün', ''] };
  const rowsOfGolden = { rows: 2, num: [3, -3], cat: ['grün', ''] };

  /** Half a minute of matrix products in one run. */
  const endlessModel = (): { path: string; digest: Digest } => slowModel(400);

  function slowModel(products: number): { path: string; digest: Digest } {
    const graph = new Graph();
    const x = graph.input('x', 'float', [1]);
    let y = graph.op('Expand', [x, graph.ints([2048, 2048])]);
    for (let i = 0; i < products; i++) y = graph.op('MatMul', [y, y]);
    graph.output(graph.op('Identity', [y], {}, 'y'), 'float', [2048, 2048]);
    const bytes = modelBytes(graph, { opset: 18 });
    const path = join(folder, `slow-${products}.onnx`);
    writeFileSync(path, bytes);
    return { path, digest: digestOf(bytes) };
  }

  test('answers, in order, many at once, and no rows', async () => {
    const scorer = open();
    expect(scorer.pid).toBeNull();
    const answer = await scorer.score(modelOf(2), rows);
    expect(answer.label).toEqual(['네', 'nein']);
    expect(answer.probabilities).toHaveLength(4);
    const many = await Promise.all(Array.from({ length: 100 }, () => scorer.score(modelOf(2), rows)));
    for (const one of many) expect(one).toEqual(answer);
    const none = await scorer.score(modelOf(2), { rows: 0, num: new Float32Array(0), cat: [] });
    expect(none).toEqual({ label: [], probabilities: new Float32Array(0) });
  });

  test('times as many rows at once as asked, from few', async () => {
    const scorer = open();
    const timed = await scorer.time(modelOf(2), rows, [1, 64]);
    expect(timed.map(({ batch }) => batch)).toEqual([1, 64]);
    for (const { p50Ms, p99Ms } of timed) {
      expect(p50Ms).toBeGreaterThan(0);
      expect(p99Ms).toBeGreaterThanOrEqual(p50Ms);
    }
    const wrong = { ...modelOf(2), golden: { inputs: rowsOfGolden, outputs: { label: ['nein', 'nein'] } } };
    await expect(scorer.time(wrong, rows, [1])).rejects.toMatchObject({ failure: 'ModelInvalid' });
  });

  test('more models than sessions, and a round trip of a small model', async () => {
    const scorer = open();
    const models = Array.from({ length: 70 }, (_, i) => modelOf(i + 1));
    const first = await scorer.score(models[0]!, rows);
    for (const model of models) await scorer.score(model, rows);
    // The child has forgotten it; the parent tells it again.
    expect(await scorer.score(models[0]!, rows)).toEqual(first);
    const times: number[] = [];
    for (let i = 0; i < 300; i++) {
      const start = performance.now();
      await scorer.score(models[0]!, rows);
      times.push(performance.now() - start);
    }
    const median = times.sort((a, b) => a - b)[150]!;
    console.log(`scorer round trip, 2 rows: median ${median.toFixed(3)} ms`);
    expect(median).toBeLessThan(5);
  });

  test('golden rows are checked bit for bit', async () => {
    const model = modelOf(2);
    const scorer = open();
    const outputs = await scorer.score(model, rows);
    const inputs = { rows: 2, num: [3, -3], cat: rows.cat };
    const golden = { inputs, outputs: { label: outputs.label!, probabilities: [...outputs.probabilities!] } };
    expect(await open().score({ ...model, golden: JSON.parse(JSON.stringify(golden)) }, rows)).toEqual(outputs);
    golden.outputs.probabilities[1]! += 1e-6;
    await expect(open().score({ ...model, golden }, rows)).rejects.toMatchObject({ failure: 'ModelInvalid' });
    // as on another machine: told once, however often the model is loaded, and exact where that is asked for
    const onDrift = vi.fn();
    const elsewhere = open(10_000, { onDrift });
    const served = { ...model, golden, goldenTolerance: 1e-5 };
    for (let i = 0; i < 2; i++) {
      expect(await elsewhere.score(served, rows)).toEqual(outputs);
      process.kill(elsewhere.pid!, 'SIGKILL');
      await vi.waitFor(() => expect(elsewhere.pid).toBeNull());
    }
    expect(onDrift).toHaveBeenCalledExactlyOnceWith(model.digest, expect.closeTo(1e-6, 7));
    await elsewhere.score(served, rows);
    await expect(elsewhere.score({ ...model, golden }, rows)).rejects.toMatchObject({ failure: 'ModelInvalid' });
    golden.outputs.probabilities[1]! += 1e-4;
    await expect(elsewhere.score(structuredClone(served), rows)).resolves.toEqual(outputs);
    await expect(open().score(served, rows)).rejects.toMatchObject({ failure: 'ModelBroken' });
  });

  test('other bytes, external data, no ONNX, and wrong sizes are refused; the scorer goes on', async () => {
    const scorer = open();
    const model = modelOf(2);
    const other = { ...model, digest: modelOf(3).digest };
    await expect(scorer.score(other, rows)).rejects.toMatchObject({ failure: 'ArtifactCorrupt' });
    await expect(scorer.score({ ...model, path: join(folder, 'none') }, rows)).rejects.toMatchObject({
      failure: 'ArtifactCorrupt',
    });
    // graph { initializer { data_location: EXTERNAL } }
    for (const bytes of [Uint8Array.of(0x3a, 4, 0x2a, 2, 0x70, 1), Buffer.from('no model')]) {
      const path = join(folder, 'bad.onnx');
      writeFileSync(path, bytes);
      await expect(scorer.run({ path, digest: digestOf(bytes) }, {})).rejects.toMatchObject({
        failure: 'ModelInvalid',
      });
    }
    await expect(scorer.score(model, { ...rows, rows: 3 })).rejects.toMatchObject({ failure: 'InvalidRequest' });
    expect((await scorer.score(model, rows)).label).toHaveLength(2);
  });

  test('a killed child is replaced and nobody notices', async () => {
    const scorer = open();
    const model = modelOf(2);
    const before = await scorer.score(model, rows);
    const pid = scorer.pid!;
    const waiting = Array.from({ length: 20 }, () => scorer.score(model, rows));
    process.kill(pid, 'SIGKILL');
    for (const answer of await Promise.all(waiting)) expect(answer).toEqual(before);
    expect(scorer.pid).not.toBe(pid);
  });

  test('a model that takes too long is killed at the deadline; the requests behind it are answered', async () => {
    const model = endlessModel();
    const scorer = open(2500);
    await scorer.score(modelOf(2), rows);
    const endless = scorer.run(model, { x: { type: 'float32', dims: [1], data: Float32Array.of(0) } });
    const behind = scorer.score(modelOf(2), rows);
    await expect(endless).rejects.toMatchObject({ failure: 'DeadlineExceeded' });
    expect((await behind).label).toEqual(['네', 'nein']);
  });

  test('requests that only wait have no clock, and only so many wait', async () => {
    const model = modelOf(2);
    const feeds = { x: { type: 'float32' as const, dims: [1], data: Float32Array.of(0) } };
    const warm = open();
    const time = async () => {
      const start = performance.now();
      await warm.run(slowModel(2), feeds);
      return performance.now() - start;
    };
    const oneMs = Math.max(await time(), await time());
    const deadlineMs = 4 * oneMs + 500;
    const scorer = open(deadlineMs);
    const start = performance.now();
    const slow = Array.from({ length: 12 }, () => scorer.run(slowModel(2), feeds));
    const waiting = Array.from({ length: 988 }, () => scorer.score(model, rows));
    await expect(scorer.score(model, rows)).rejects.toMatchObject({ failure: 'Unavailable' });
    await Promise.all([...slow, ...waiting]);
    expect(performance.now() - start).toBeGreaterThan(deadlineMs);
  });

  test.runIf(existsSync('/proc/self/stat'))('a parent killed while a model runs takes the scorer with it', async () => {
    const { path, digest } = endlessModel();
    // Forking a child has built dist/, which a plain Node process can import.
    await open().score(modelOf(2), rows);
    const feeds = { x: { type: 'float32', dims: [1], data: [0] } };
    const script = `import { createScorer } from ${JSON.stringify(join(projectRoot, 'dist/adapters/scorer.js'))};
      const scorer = createScorer({ deadlineMs: 60000, memoryLimitMb: 2000 });
      const feeds = ${JSON.stringify(feeds)};
      feeds.x.data = Float32Array.from(feeds.x.data);
      const answer = scorer.run(${JSON.stringify({ path, digest })}, feeds);
      console.log(scorer.pid);
      await answer;`;
    const parent = spawn(process.execPath, ['--input-type=module', '-e', script]);
    const pid = await new Promise<number>((resolve) => parent.stdout.once('data', (text) => resolve(Number(text))));
    // loading takes less than so much of the processor: the model runs
    await vi.waitFor(() => expect(processorSeconds(pid)).toBeGreaterThan(1.5), { timeout: 60_000, interval: 50 });
    parent.kill('SIGKILL');
    await vi.waitFor(() => expect(alive(pid)).toBe(false), { timeout: 3000, interval: 50 });
  });

  test('closed: under way and later requests are WorkerShutdown', async () => {
    const scorer = open();
    const pending = scorer.score(modelOf(2), rows);
    scorer.close();
    await expect(pending).rejects.toMatchObject({ failure: 'WorkerShutdown' });
    await expect(scorer.score(modelOf(2), rows)).rejects.toMatchObject({ failure: 'WorkerShutdown' });
  });
});
