// A worker that is told to stop while it trains: the checkpoint is stored, the next attempt goes on from it, and the model
// has the same bytes as one that nobody disturbed.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestSystem, type TestSystem, until } from '../support/system.js';
import { ended, open, pipeline, post, promotion, rows } from './support.js';

let system: TestSystem;

beforeAll(async () => {
  system = await startTestSystem();
});
afterAll(() => system?.stop());

const trainer = { type: 'linear', params: { epochs: 300, batch: 4 }, seed: 7 };

interface TrainStep {
  progress: { step?: number } | null;
  result: { steps: number; resumedFromStep: number } | null;
  fence: number;
}

async function trainStep(run: string): Promise<TrainStep | undefined> {
  const [step] = await system.sql<TrainStep>(
    `select progress, result, fence::int from step where run = $1 and node = 'train'`,
    [run],
  );
  return step;
}

async function modelFile(name: string): Promise<string> {
  const path = `/api/v1/models/${name}/versions/1/artifacts/model.onnx`;
  const { status, headers } = await system.call('HEAD', path);
  expect(status).toBe(200);
  return headers.get('etag') ?? '';
}

test('SIGTERM to the worker while it trains: resumed from its checkpoint, the same bytes', async () => {
  await post(system, pipeline('calm', { trainer }), rows(90));
  const calm = await open(system, 'calm');
  promotion(await ended(system, calm));
  const undisturbed = await trainStep(calm);
  expect(undisturbed?.result?.resumedFromStep).toBe(0);

  await post(system, pipeline('drained', { trainer }), rows(90));
  const run = await open(system, 'drained');
  await until('progress', async () => ((await trainStep(run))?.progress?.step ?? 0) > 0);
  const { pids } = await system.running();
  const worker = pids.cpu ?? 0;
  process.kill(worker, 'SIGTERM');
  await until('another worker', async () => {
    const { cpu } = (await system.running()).pids;
    return cpu !== null && cpu !== worker;
  });
  promotion(await ended(system, run));
  const drained = await trainStep(run);
  expect(drained?.result?.resumedFromStep).toBeGreaterThan(0);
  expect(drained?.result?.steps).toBe(undisturbed?.result?.steps);
  expect(drained?.fence).toBeGreaterThan(1);
  expect(await modelFile('drained')).toBe(await modelFile('calm'));
}, 90_000);
