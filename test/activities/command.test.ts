// The train step of a program over a real database and store: what the program finds, its model taken or refused by name,
// its checkpoints, and the same bytes after it was killed.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { packageModel } from '../../activities/model/package.js';
import { type Step, withStep } from '../../activities/step.js';
import { type CommandDeps, trainCommand } from '../../activities/training/command.js';
import { createScorer, type Scorer } from '../../adapters/scorer.js';
import { codeLimits, packFolder, readFolder } from '../../adapters/folder/index.js';
import { keepCode } from '../../db/code.js';
import { metricsOf } from '../../db/metric.js';
import { runSpecification } from '../../db/run.js';
import { beginStep, stepCheckpoint } from '../../db/step.js';
import { type Digest, mediaTypes } from '../../domain/artifact.js';
import { Failure } from '../../domain/failures.js';
import type { Json } from '../../domain/json.js';
import type { CommandTrainer } from '../../domain/pipeline.js';
import type { RunContext } from '../../domain/run.js';
import { Message } from '../../ml/onnx/wire.js';
import { Graph, modelBytes } from '../../ml/onnx/graph.js';
import { type Done, documentOf, openWorld } from './dataset-run.js';

let world: Awaited<ReturnType<typeof openWorld>>;
let scorer: Scorer;
let deps: CommandDeps;
let data: Done;
const rows = Array.from({ length: 40 }, (_, i) => `${i},${i % 7},${['a', 'b'][i % 2]},${['no', 'yes'][i % 2]}`);
beforeAll(async () => {
  world = await openWorld();
  scorer = createScorer({ deadlineMs: 30_000, memoryLimitMb: 2048 });
  world.write('rows.csv', ['id,size,colour,y', ...rows].join('\n'));
  deps = {
    ...world.deps,
    ...{ scratch: world.config.scratch, memoryLimitMb: 2000, checkpointEveryMs: 1, childEnv: {}, scorer, code: 'test' },
    ...{ device: { provider: 'cpu', name: 'cpu', note: '', threads: 1 }, onChild: () => undefined },
    command: {
      ...{ python: 'python3', environments: join(world.folder, 'environments'), variables: ['COMMAND_TEST_KEY'] },
      ...{ secrets: ['postgres-password'], network: 'none', tracking: () => Promise.resolve('http://127.0.0.1:1') },
    },
  };
  data = await world.run(
    documentOf('data', { dataset: { source: { type: 'file', path: join(world.folder, 'rows.csv') } } }),
    'featurize',
  );
}, 60_000);
afterAll(async () => {
  scorer.close();
  await world.close();
});

async function upload(files: Record<string, string | Uint8Array>): Promise<Digest> {
  const folder = mkdtempSync(join(world.folder, 'code-'));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  const { digest } = await world.artifacts.putBytes(
    packFolder(folder, await readFolder(folder, codeLimits)),
    mediaTypes.tar,
  );
  await keepCode(world.db, 'default', digest);
  return digest;
}

let number = 0;
async function open(code: Digest, params: Record<string, Json> = {}): Promise<RunContext> {
  const trainer = { type: 'command', seed: 7, params: { code, program: ['sh', 'main.sh'], ...params } };
  return world.open(documentOf(`c${number++}`, { trainer, dataset: { name: 'data' } }));
}

async function attempt(context: RunContext, signal = new AbortController().signal, draining = false): Promise<Step> {
  const key = { workflowId: context.run, workflowRunId: 'w', activityId: 'train' };
  const { fence } = await beginStep(world.db, { ...key, run: context.run, node: 'train', worker: 'w', attempt: 1 });
  return {
    ...{ key, run: context.run, node: 'train', fence, previous: undefined, signal },
    ...{
      draining: () => draining,
      guard: () => Promise.resolve(),
      heartbeat: () => undefined,
      hold: () => Promise.resolve(),
    },
  };
}

const inputOf = (context: RunContext, more: Record<string, Json> = {}) => ({
  ...{ context, candidate: 0 },
  inputs: { ...(data as unknown as Record<string, Json>), ...more },
});

async function train(context: RunContext, step?: Step) {
  const { document } = await runSpecification(world.db, context.run);
  const input = { ...inputOf(context), node: 'train' };
  return withStep(step ?? (await attempt(context)), () =>
    trainCommand({ ...deps, code: context.run }, input, document.trainers[0] as CommandTrainer),
  );
}

async function failureOf(code: Digest, params: Record<string, Json> = {}): Promise<string> {
  const error: unknown = await train(await open(code, params)).then(
    () => new Error('it was taken'),
    (reason: unknown) => reason,
  );
  if (!(error instanceof Failure)) throw error;
  return `${error.failure}: ${error.message}`;
}

/** A model of the program: sums of X through a softmax, spoilt as asked. */
function model(given: { x?: string; y?: string; scale?: number; softmax?: boolean; fixed?: boolean } = {}): Uint8Array {
  const { x = 'X', y = 'probabilities', scale = 1, softmax = true } = given;
  const { width } = data.featurize.train;
  const graph = new Graph('theirs');
  graph.input(x, 'float', ['N', width]);
  const values = Array.from({ length: width * 2 }, (_, i) => Math.fround(Math.cos(i) * scale));
  const logits = graph.op('MatMul', [x, graph.initializer({ type: 'float', dims: [width, 2], values })]);
  const flat = given.fixed ? graph.op('Reshape', [logits, graph.ints([1, 2])]) : logits;
  graph.output(softmax ? graph.op('Softmax', [flat], { axis: 1 }, y) : graph.op('Identity', [flat], {}, y), 'float', [
    'N',
    2,
  ]);
  return modelBytes(graph, { opset: 18 });
}
const copying = (bytes: Uint8Array | string, line = '') => ({
  'main.sh': `${line}\ncp model.onnx "$PERENNIAL_JOB/"\n`,
  'model.onnx': bytes,
});

describe('a program that does its work', () => {
  const script = [
    'for name in spec.json train.parquet train.x.f32 train.y.f32 validation.x.f32; do test -s "$PERENNIAL_JOB/$name" || exit 9; done',
    'test "$MLFLOW_TRACKING_URI" = http://127.0.0.1:1 || exit 8',
    'test "$COMMAND_TEST_KEY" = "a key of the operator" || exit 7',
    'env | grep -c DATABASE_URL && exit 6',
    'echo "{\\"step\\": 3, \\"loss\\": 0.25, \\"totalSteps\\": 9, \\"auc\\": 0.9}" >> "$PERENNIAL_JOB/metrics.jsonl"',
  ].join('\n');

  it('finds rows and matrices, gives a model that is packaged and served as any', async () => {
    process.env['COMMAND_TEST_KEY'] = 'a key of the operator';
    const context = await open(await upload(copying(model(), script)), { params: { depth: 3 } });
    const trained = await train(context);
    expect(trained).toMatchObject({ trainer: 'command', steps: 3, loss: 0.25, resumedFromStep: 0, device: 'cpu' });
    expect(trained.summary).toBe('command: 3 steps, loss 0.2500 on cpu (what the host has)');
    const curve = await metricsOf(world.db, context.run);
    expect(curve.map(({ name, step, value }) => [name, step, value])).toEqual([
      ['auc', 3, 0.9],
      ['loss', 3, 0.25],
    ]);
    const packaged = await world.runStep('package', context, () =>
      packageModel(
        { ...world.deps, scorer },
        { ...inputOf(context, { train: trained as unknown as Json }), node: 'package' },
      ),
    );
    expect(packaged.variants.map(({ variant }) => variant)).toEqual(['float32']);
    const path = await world.artifacts.localPath(packaged.variants[0]!.model);
    const signature = await world.artifacts.readJson<never>(packaged.signature);
    const inputs = { rows: 2, num: Float32Array.from([1, NaN]), cat: ['a', ''] };
    const answers = await scorer.score({ path, digest: packaged.variants[0]!.model, signature }, inputs);
    expect([...(answers.label ?? [])].every((label) => ['no', 'yes'].includes(label))).toBe(true);
    expect(readdirSync(world.config.scratch)).toEqual(expect.not.arrayContaining([expect.stringContaining('program')]));
  });

  it('is told task, classes, columns, seed, limits and its own parameters', async () => {
    const code = await upload(copying(model(), 'cp "$PERENNIAL_JOB/spec.json" "$COMMAND_TEST_KEY"'));
    process.env['COMMAND_TEST_KEY'] = join(world.folder, 'told.json');
    await train(await open(code, { params: { depth: 3 }, deadline: '10 minutes' }));
    delete process.env['COMMAND_TEST_KEY'];
    const told = JSON.parse(readFileSync(join(world.folder, 'told.json'), 'utf8')) as Record<string, unknown>;
    expect(told).toMatchObject({
      ...{
        version: 1,
        task: 'classification',
        classes: ['no', 'yes'],
        key: 'id',
        label: 'y',
        seed: 7,
        inputs: 'features',
      },
      ...{ params: { depth: 3 }, resumedFromStep: 0, width: data.featurize.train.width },
      train: { rows: data.featurize.train.rows, parquet: 'train.parquet', x: 'train.x.f32', y: 'train.y.f32' },
      limits: { deadlineMs: 600_000, memoryMb: 4096, diskMb: 10_240 },
      paths: { model: 'model.onnx', metrics: 'metrics.jsonl', checkpoint: 'checkpoint' },
    });
    expect(told['columns']).toEqual([
      { name: 'size', type: 'number' },
      { name: 'colour', type: 'category' },
    ]);
  });
});

describe('a model that is refused', () => {
  it('has a name for each fault', async () => {
    const cases: [string, Uint8Array | string][] = [
      ["CommandModelBroken: the program's model.onnx is no ONNX file", 'no model at all'],
      ["CommandModelBroken: the program's model.onnx is no ONNX file", model().subarray(0, 100)],
      ["CommandModelInputs: the program's model must take X", model({ x: 'input' })],
      ["CommandModelOutputs: the program's model must give probabilities", model({ y: 'y' })],
      ["CommandModelOutputs: the program's model gives probabilities", model({ softmax: false })],
      ["CommandModelNotFinite: the program's model answers probabilities NaN", model({ scale: Number.NaN })],
      ['CommandModelBroken: for 1 rows, model', brokenGraph()],
      ['CommandModelBroken: for 28 rows, the model does not run', model({ fixed: true })],
      ["CommandModelExternal: the program's model keeps tensors in files beside it", external()],
    ];
    const rowsForm = "CommandModelInputs: the program's model must take num float [N, 1]";
    const all = [
      ...cases.map(([expected, bytes]) => async () => [expected, await failureOf(await upload(copying(bytes)))]),
      async () => ['CommandNoModel: ', await failureOf(await upload({ 'main.sh': 'echo done' }))],
      async () => [rowsForm, await failureOf(await upload(copying(model())), { inputs: 'rows' })],
    ] as (() => Promise<[string, string]>)[];
    // some at a time: each is mostly the start of processes
    for (let from = 0; from < all.length; from += 4) {
      for (const [expected, found] of await Promise.all(all.slice(from, from + 4).map((one) => one()))) {
        const counted = (text: string) => text.replace(/for \d+ rows/, 'for n rows');
        expect(counted(found.slice(0, expected.length))).toBe(counted(expected));
      }
    }
  });

  /** A graph that is whole, with a node that no runtime knows. */
  function brokenGraph(): Uint8Array {
    const graph = new Graph('theirs');
    graph.input('X', 'float', ['N', data.featurize.train.width]);
    graph.output(graph.op('NoSuchOperator', ['X'], {}, 'probabilities'), 'float', ['N', 2]);
    return modelBytes(graph, { opset: 18 });
  }

  function external(): Uint8Array {
    const outside = new Message().text(8, 'w').message(13, new Message().text(1, 'location').text(2, '/etc/passwd'));
    return new Message().varint(1, 8).message(7, new Message().message(5, outside)).finish();
  }
});

describe('a program that is stopped', () => {
  /** Ten steps, each published; the model says nothing of how often it was begun anew. */
  const steps = (pause: string) => ({
    'main.sh': [
      'cd "$PERENNIAL_JOB"; mkdir -p checkpoint; trap "exit 0" TERM',
      'last=$(ls checkpoint | sort -n | tail -1); i=${last:-0}',
      'while [ $i -lt 10 ]; do i=$((i+1)); echo "{\\"step\\": $i}" >> metrics.jsonl',
      `echo $i > checkpoint.tmp; mv checkpoint.tmp checkpoint/$i; ${pause}; done`,
      'cp "$OLDPWD/model.onnx" .',
    ].join('\n'),
    'model.onnx': model(),
  });

  it('killed in the middle, it goes on from the stored checkpoint to the same bytes', async () => {
    const code = await upload(steps('sleep 0.15'));
    const whole = await train(await open(code));
    const context = await open(code);
    const first = await attempt(context);
    const killed = train(context, first).catch((error: unknown) => error);
    await reached(first, 3);
    for (const pid of programs()) process.kill(pid, 'SIGKILL');
    expect(await killed).toMatchObject({ failure: 'ChildDied' });
    const again = await train(context, await attempt(context));
    expect(again.resumedFromStep).toBeGreaterThanOrEqual(3);
    expect([again.state, again.steps]).toEqual([whole.state, 10]);
    const next = (await metricsOf(world.db, context.run)).map(({ step }) => step);
    expect(next).toEqual([]);
  });

  it('drained, it has its time for a checkpoint; cancelled, it is cancelled', async () => {
    const code = await upload(steps('sleep 0.3'));
    const stopped = async (draining: boolean): Promise<unknown> => {
      const context = await open(code);
      const abort = new AbortController();
      const step = await attempt(context, abort.signal, draining);
      const done = train(context, step).catch((error: unknown) => error);
      await reached(step, 1);
      abort.abort();
      return done;
    };
    const [drained, cancelled] = await Promise.all([stopped(true), stopped(false)]);
    expect(drained).toMatchObject({ failure: 'WorkerShutdown' });
    expect(String(cancelled)).toContain('the run was cancelled');
    expect(programs()).toEqual([]);
  });

  it('goes on from no checkpoint of another code, and says so', async () => {
    const context = await open(await upload(steps('sleep 0.02')));
    const step = await attempt(context);
    await train(context, step);
    expect((await stepCheckpoint(world.db, step.key))?.step).toBeGreaterThan(0);
    const { document } = await runSpecification(world.db, context.run);
    const trainer = document.trainers[0] as CommandTrainer;
    const other = { ...trainer, params: { ...trainer.params, params: { depth: 4 } } };
    const input = { ...inputOf(context), node: 'train' };
    const next = { ...step, fence: step.fence };
    const again = await withStep(next, () => trainCommand(deps, input, other));
    expect(again.resumedFromStep).toBe(0);
    expect(again.device).toContain('from zero: the stored checkpoint cannot be used: inputsDigest is');
  });

  const reached = (step: Step, at: number) =>
    vi.waitFor(async () => expect((await stepCheckpoint(world.db, step.key))?.step).toBeGreaterThanOrEqual(at), 10_000);

  /** Pids of our programs' shells. */
  function programs(): number[] {
    mkdirSync(world.config.scratch, { recursive: true });
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map(Number)
      .filter((pid) => {
        try {
          const mine = readFileSync(`/proc/${pid}/environ`, 'utf8').includes(`PERENNIAL_JOB=${world.config.scratch}`);
          return mine && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('main.sh');
        } catch {
          return false;
        }
      });
  }
});

it('code of another project is no code here', async () => {
  const folder = mkdtempSync(join(world.folder, 'code-'));
  writeFileSync(join(folder, 'main.sh'), 'true # of somebody else');
  const { digest } = await world.artifacts.putBytes(
    packFolder(folder, await readFolder(folder, codeLimits)),
    mediaTypes.tar,
  );
  expect(await failureOf(digest)).toContain('InvalidPipeline: no directory was uploaded as');
});

it('an image without a container runtime is a named failure that says what was looked for', async () => {
  const { PATH } = process.env;
  process.env['PATH'] = '/nowhere';
  const image = `python@sha256:${'a'.repeat(64)}`;
  const code = await upload({ 'main.sh': 'true' });
  const found = await failureOf(code, { image }).finally(() => (process.env['PATH'] = PATH));
  expect(found).toBe(
    'ContainerUnavailable: the document names an image, but docker is not on the PATH; podman is not on the PATH',
  );
});
