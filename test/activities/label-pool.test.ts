import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { scorePool } from '../../activities/labeling/pool.js';
import { quickModel } from '../../activities/training/quick.js';
import { createScorer, type Scorer } from '../../adapters/scorer.js';
import type { Json } from '../../domain/json.js';
import { pickTasks, type Strategy } from '../../domain/labeling.js';
import { documentOf, openWorld } from './dataset-run.js';

let world: Awaited<ReturnType<typeof openWorld>>;
let scorer: Scorer;

beforeAll(async () => {
  world = await openWorld();
  scorer = createScorer({ deadlineMs: 60_000, memoryLimitMb: 2048, onChild: () => undefined });
});

afterAll(async () => {
  scorer.close();
  await world.close();
});

/** Every third row has a label; `gap` is missing now and then. */
const csv = [
  'id,x,gap,color,y',
  ...Array.from({ length: 240 }, (_, row) => {
    const label = row % 2 === 0 ? 'a' : 'b';
    const x = (label === 'a' ? 4 : -4) + 3 * Math.sin(row);
    return `k${row},${x},${row % 7 === 0 ? '' : row},${['red', 'blue'][row % 2]},${row % 3 === 0 ? label : ''}`;
  }),
].join('\n');

async function pooled(trainer: Record<string, Json>, strategy: Strategy) {
  const name = `pool-${String(trainer['type'])}-${strategy.toLowerCase()}`;
  const source = { type: 'file', path: world.write(`${name}.csv`, csv) };
  const done = await world.run(documentOf(name, { trainer, dataset: { source } }));
  const { context, ...results } = done;
  const input = { context, node: 'labels', candidate: 0, inputs: results as unknown as Record<string, Json> };
  const deps = { ...world.deps, scorer };
  const training = {
    ...{
      ...deps,
      scratch: join(world.folder, 'scratch'),
      memoryLimitMb: 2000,
      checkpointEveryMs: 60_000,
      childEnv: {},
    },
    device: { provider: 'cpu' as const, name: 'cpu', note: '', threads: 1 },
    onChild: () => undefined,
  };
  const model = (one: typeof input) => quickModel(training as unknown as Parameters<typeof quickModel>[0], one);
  const asked = { strategy, batchSize: 12, explore: 0, seed: 1 };
  const pool = await world.runStep('labels', context, () => scorePool({ ...deps, quickModel: model }, input, asked));
  return { pool, picks: pickTasks(pool.candidates, { ...asked, covered: pool.covered }) };
}

it.each([
  ['mlp', { hidden: [5], epochs: 3 }, 5],
  // x, gap and two places of color, scaled; trees see color as one code
  ['linear', { epochs: 3 }, 5],
  ['trees', { rounds: 3 }, 3],
] as const)('%s: rows are compared by what its last layer sees', async (type, params, width) => {
  const { pool, picks } = await pooled({ type, params: { ...params } as Json, seed: 1 }, 'kCenter');
  const vectors = [...pool.candidates.map(({ vector }) => vector!), ...pool.covered];
  expect(vectors.every((vector) => vector.length === width && vector.every(Number.isFinite))).toBe(true);
  expect(pool.covered.length).toBeGreaterThan(20);
  expect(pool.candidates.every(({ probabilities }) => probabilities?.length === 2)).toBe(true);
  expect(picks).toHaveLength(12);
  expect(picks.every(({ score }) => score !== null && score >= 0)).toBe(true);
});

it('badge needs no labelled rows, and margin no vectors', async () => {
  const badge = await pooled({ type: 'linear', params: { epochs: 3 }, seed: 1 }, 'badge');
  expect(badge.pool.covered).toEqual([]);
  expect(badge.picks.every(({ score }) => score !== null && score > 0)).toBe(true);
  const margin = await pooled({ type: 'linear', params: { epochs: 3 }, seed: 1 }, 'margin');
  expect(margin.pool.candidates.some(({ vector }) => vector)).toBe(false);
});
