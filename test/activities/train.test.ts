import { randomUUID } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Step, withStep } from '../../activities/step.js';
import { lossCurve } from '../../activities/training/curve.js';
import { train, type TrainDeps } from '../../activities/training/train.js';
import { metricsOf } from '../../db/metric.js';
import { beginStep, setStepProgress, stepCheckpoint } from '../../db/step.js';
import { type Digest, mediaTypes } from '../../domain/artifact.js';
import { Failure } from '../../domain/failures.js';
import type { Json } from '../../domain/json.js';
import type { TrainSpec } from '../../domain/model.js';
import type { RunContext } from '../../domain/run.js';
import { encodeCheckpoint } from '../../ml/trainers/checkpoint.js';
import { ask } from '../db/facts.js';
import { learn, toyData, trainSpec } from '../ml/spec.js';
import { documentOf, openWorld } from './dataset-run.js';

const size = { rows: 60, width: 5, outputs: 3 };
const data = toyData(size.rows, size.width, size.outputs);
const bytesOf = (numbers: Float32Array) => new Uint8Array(numbers.buffer);

let world: Awaited<ReturnType<typeof openWorld>>;
let deps: TrainDeps;
let matrix: { rows: number; width: number; x: Digest; y: Digest };
beforeAll(async () => {
  world = await openWorld();
  const [x, y] = await Promise.all(
    [data.x, data.y].map((part) => world.artifacts.putBytes(bytesOf(part), mediaTypes.binary)),
  );
  matrix = { rows: size.rows, width: size.width, x: x!.digest, y: y!.digest };
  deps = {
    ...world.deps,
    ...{ scratch: world.config.scratch, memoryLimitMb: 2000, checkpointEveryMs: 1, childEnv: {} },
    device: { provider: 'cpu', name: 'cpu', note: '', threads: 1 },
    onChild: () => undefined,
  };
}, 60_000);
afterAll(() => world.close());

async function attempt(context: RunContext, previous?: Json): Promise<Step> {
  const key = { workflowId: context.run, workflowRunId: 'w', activityId: 'train' };
  const { fence } = await beginStep(world.db, { ...key, run: context.run, node: 'train', worker: 'w', attempt: 1 });
  return {
    ...{ key, run: context.run, node: 'train', fence, previous },
    signal: new AbortController().signal,
    draining: () => false,
    guard: () => Promise.resolve(),
    heartbeat: () => undefined,
    hold: () => Promise.resolve(),
  };
}

const inputOf = (context: RunContext) => ({
  ...{ context, node: 'train', candidate: 0 },
  inputs: { featurize: { train: matrix, validation: null, outputs: size.outputs } as unknown as Json },
});

/** A checkpoint of step 10 of something else. */
async function foreign(given: Partial<TrainSpec>): Promise<Digest> {
  const spec = trainSpec(size);
  const { snapshot } = await learn(spec, data, { after: ({ step }) => Promise.resolve(step < 10) });
  const bytes = encodeCheckpoint({ ...spec, ...given }, { epoch: 1 }, snapshot);
  return (await world.artifacts.putBytes(bytes, mediaTypes.binary)).digest;
}

it('passes over a checkpoint of another device or version, says so, and goes on from its own', async () => {
  const document = documentOf(`t${randomUUID().slice(0, 8)}`, { trainer: { type: 'linear', seed: 7 } });
  const context = await world.open(document, { fresh: true });
  const first = await attempt(context);
  const checkpoint = { digest: await foreign({ provider: 'cuda' }), step: 10 };
  await setStepProgress(world.db, { ...first.key, fence: first.fence, progress: {}, checkpoint });
  const whole = await withStep(first, () => train(deps, inputOf(context)));
  expect(whole.resumedFromStep).toBe(0);
  expect(whole.device).toContain('from zero: the stored checkpoint cannot be used: inputsDigest is');

  // the same inputs, trained by an earlier version
  const own = await stepCheckpoint(world.db, first.key);
  expect(own?.step).toBeGreaterThan(0);
  const second = await attempt(context, { checkpoint: { digest: await foreign({}), step: 1e6 } });
  const again = await withStep(second, () => train(deps, inputOf(context)));
  expect(again.resumedFromStep).toBe(own?.step);
  expect(again.state).toBe(whole.state);
  expect(readdirSync(deps.scratch)).toEqual([]);
  const [kept] = await ask(
    world.db,
    sql`select count(*)::int as n from artifact_reference where digest = ${whole.state} and role = 'state'`,
  );
  expect(kept).toEqual({ n: 1 });
}, 60_000);

it('a curve that cannot be written is written later, and decides nothing', async () => {
  const context = await world.open(documentOf(`t${randomUUID().slice(0, 8)}`));
  let away = true;
  const step = await attempt(context);
  step.guard = () => (away ? Promise.reject(new Failure('Unavailable', 'as told')) : Promise.resolve());
  const curve = await withStep(step, () => Promise.resolve(lossCurve(deps, inputOf(context))));
  const point = { totalSteps: 3, epoch: 1, epochs: 1, loss: 0.5, validation: null };
  for (const at of [1, 2]) curve.add({ ...point, step: at });
  await curve.flush();
  expect(await metricsOf(world.db, context.run)).toEqual([]);
  away = false;
  curve.add({ ...point, step: 3 });
  await curve.flush();
  expect((await metricsOf(world.db, context.run)).map((one) => one.step)).toEqual([1, 2, 3]);
  const events = await ask(world.db, sql`select 1 from event where run = ${context.run} and type = 'step.progress'`);
  expect(events).toHaveLength(1);
});
