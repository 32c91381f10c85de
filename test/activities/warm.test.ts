import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Step, withStep } from '../../activities/step.js';
import { train, type TrainDeps } from '../../activities/training/train.js';
import { addDatasetVersion } from '../../db/dataset.js';
import { modelVersionView, moveAlias, registerVersion } from '../../db/model.js';
import { closeRun, runSpecification } from '../../db/run.js';
import { beginStep } from '../../db/step.js';
import { type Digest, mediaTypes } from '../../domain/artifact.js';
import type { Json } from '../../domain/json.js';
import type { FittedFeatures } from '../../domain/model.js';
import type { RunContext } from '../../domain/run.js';
import type { TrainResult } from '../../domain/steps.js';
import { decodeCheckpoint } from '../../ml/trainers/checkpoint.js';
import { digestOf, versionOf } from '../db/facts.js';
import { toyData } from '../ml/spec.js';
import { documentOf, openWorld } from './dataset-run.js';

const size = { rows: 60, width: 5, outputs: 3 };
const data = toyData(size.rows, size.width, size.outputs);
const num = ['a', 'b', 'c', 'd', 'e'].map((column) => ({ column, part: null }));
const fitted = (columns: typeof num): FittedFeatures => ({
  ...{ version: 1, num: [], cat: [], width: 5 },
  signature: { num: columns, cat: [], task: 'classification', classes: ['x', 'y', 'z'] },
});

let world: Awaited<ReturnType<typeof openWorld>>;
let deps: TrainDeps;
let inputs: { [key: string]: Json };
beforeAll(async () => {
  world = await openWorld();
  const bytes = (numbers: Float32Array) => world.artifacts.putBytes(new Uint8Array(numbers.buffer), mediaTypes.binary);
  const [x, y] = [await bytes(data.x), await bytes(data.y)];
  const features = (await world.artifacts.putJson(fitted(num))).digest;
  const matrix = { rows: size.rows, width: size.width, x: x.digest, y: y.digest };
  inputs = { featurize: { features, train: matrix, validation: null, outputs: size.outputs } };
  deps = {
    ...world.deps,
    ...{ scratch: world.config.scratch, memoryLimitMb: 2000, checkpointEveryMs: 1e9, childEnv: {} },
    device: { provider: 'cpu', name: 'cpu', note: '', threads: 1 },
    onChild: () => undefined,
  };
}, 60_000);
afterAll(() => world.close());

async function trainIn(context: RunContext): Promise<TrainResult> {
  const key = { workflowId: context.run, workflowRunId: 'w', activityId: randomUUID() };
  const { fence } = await beginStep(world.db, { ...key, run: context.run, node: 'train', worker: 'w', attempt: 1 });
  const step: Step = {
    ...{ key, run: context.run, node: 'train', fence, previous: undefined, draining: () => false },
    signal: new AbortController().signal,
    guard: () => Promise.resolve(),
    heartbeat: () => undefined,
    hold: () => Promise.resolve(),
  };
  return withStep(step, () => train(deps, { context, node: 'train', candidate: 0, inputs }));
}

/** Makes what was trained the champion of the run's model. */
async function promote(context: RunContext, trained: TrainResult, features: FittedFeatures): Promise<void> {
  const { db, artifacts } = world;
  const { model, dataset, document } = await runSpecification(db, context.run);
  const named: [string, Digest][] = [
    ['model.onnx', (await artifacts.putBytes(Buffer.from(context.run), mediaTypes.onnx)).digest],
    ['golden.json', (await artifacts.putJson({})).digest],
    ['features.json', (await artifacts.putJson(features)).digest],
    ['checkpoint.state', trained.state],
  ];
  const files = named.map(([path, digest]) => ({ path, digest, sizeBytes: 1, mediaType: mediaTypes.binary }));
  const of = await addDatasetVersion(db, {
    ...versionOf(dataset, context.run),
    files: [{ digest: trained.state, rows: 3 }],
  });
  const code = { parameters: document.trainers[0]!.params as Json, warmStart: (trained.warm ?? null) as Json };
  const made = {
    model,
    run: context.run,
    digest: digestOf(context.run),
    files,
    metrics: {},
    datasetVersion: of.digest,
  };
  const { version } = await registerVersion(db, { ...made, details: { code }, card: named[0]![1] });
  const move = { model, alias: 'champion', to: version, kind: 'promotion', by: 'kim', reason: null } as const;
  await moveAlias(db, { ...move, expectedFrom: version === 1 ? null : version - 1, decisionId: context.run });
}

const close = (context: RunContext) => closeRun(world.db, { run: context.run, status: 'succeeded', failure: null });

const stateOf = async (digest: Digest) => decodeCheckpoint(await world.artifacts.readBytes(digest)).snapshot;

it('begins with what the champion has learnt, as pinned by the first attempt; says why where it cannot', async () => {
  const name = `w${randomUUID().slice(0, 8)}`;
  const open = (params: { [key: string]: Json }) =>
    world.open(documentOf(name, { trainer: { type: 'mlp', seed: 7, warmStart: 'champion', params } }), { fresh: true });
  const params = { hidden: [6], epochs: 2 };

  const first = await open(params);
  const zero = await trainIn(first);
  expect(zero.warm).toBeUndefined();
  expect(zero.summary).toContain('(no warm start: there is no champion)');
  await promote(first, zero, fitted(num));
  await close(first);

  // a rate of nearly nothing: the result is what it began with
  const second = await open({ ...params, learningRate: 1e-8, weightDecay: 0 });
  const warm = await trainIn(second);
  expect(warm.warm).toEqual({ version: 1, state: zero.state });
  expect(warm.summary).toContain('(warm start from version 1)');
  const [before, after] = [await stateOf(zero.state), await stateOf(warm.state)];
  (after.arrays['p'] as Float32Array).forEach((value, i) => expect(value).toBeCloseTo(before.arrays['p']![i]!, 5));
  await promote(second, warm, fitted(num));
  await close(second);
  const view = await modelVersionView(world.db, 'default', name, 2);
  expect(view.lineage.warmStart).toEqual(warm.warm);
  expect((await modelVersionView(world.db, 'default', name, 1)).lineage.warmStart).toBe(null);

  // the champion moves between two attempts of one run: what the first found stays
  const third = await open(params);
  const one = await trainIn(third);
  await promote(third, one, fitted(num));
  expect(one.warm?.version).toBe(2);
  const again = await trainIn(third);
  expect([again.warm, again.state]).toEqual([one.warm, one.state]);
  await close(third);

  const larger = await open({ hidden: [7], epochs: 1 });
  expect((await trainIn(larger)).summary).toContain('no warm start: what version 3 has learnt is of another size');
  await close(larger);

  const line = await world.open(documentOf(name, { trainer: { type: 'linear', warmStart: 'champion' } }));
  const flat = await trainIn(line);
  expect(flat.summary).toContain('no warm start: version 3 was trained by mlp');
  await promote(line, flat, fitted([...num].reverse()));
  await close(line);
  const other = await world.open(documentOf(name, { trainer: { type: 'linear', warmStart: 'champion' } }), {
    fresh: true,
  });
  expect((await trainIn(other)).summary).toContain('no warm start: version 4 has other inputs or classes');
}, 120_000);

it('trees go on from those of the champion, where the features were fitted alike', async () => {
  const name = `w${randomUUID().slice(0, 8)}`;
  const params = { rounds: 3, minRows: 1 };
  const open = () =>
    world.open(documentOf(name, { trainer: { type: 'trees', warmStart: 'champion', params } }), { fresh: true });
  const first = await open();
  const zero = await trainIn(first);
  await promote(first, zero, fitted(num));
  await close(first);
  const second = await open();
  const warm = await trainIn(second);
  expect(warm.warm).toEqual({ version: 1, state: zero.state });
  const [before, after] = [await stateOf(zero.state), await stateOf(warm.state)];
  const count = before.arrays['value']!.length;
  expect(after.arrays['value']!.length).toBeGreaterThan(count);
  expect(after.arrays['value']!.slice(0, count)).toEqual(before.arrays['value']);
  await promote(second, warm, { ...fitted(num), cat: [{ column: 'city', values: ['Seoul'] }] });
  await close(second);
  expect((await trainIn(await open())).summary).toContain(
    'no warm start: the features of version 2 were fitted otherwise',
  );
}, 120_000);
