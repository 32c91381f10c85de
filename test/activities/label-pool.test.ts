import { join } from 'node:path';
import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { certify } from '../../activities/labeling/certify.js';
import { scorePool } from '../../activities/labeling/pool.js';
import { quickModel } from '../../activities/training/quick.js';
import { createScorer, type Scorer } from '../../adapters/scorer.js';
import { datasetOf } from '../../db/dataset.js';
import { decideBatch, openBatch } from '../../db/labeling.js';
import type { Json } from '../../domain/json.js';
import { pickTasks, type Strategy } from '../../domain/labeling.js';
import { documentOf, type Done, openWorld } from './dataset-run.js';

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

function documentFor(name: string, trainer: Record<string, Json>) {
  return documentOf(name, { trainer, dataset: { source: { type: 'file', path: world.write(`${name}.csv`, csv) } } });
}

function labelStep({ context, ...results }: Done) {
  const input = { context, node: 'labels', candidate: 0, inputs: results as unknown as Record<string, Json> };
  const training = {
    device: { provider: 'cpu' as const, name: 'cpu', note: '', threads: 1 },
    ...{
      ...world.deps,
      scorer,
      onChild: () => undefined,
      memoryLimitMb: 2000,
      checkpointEveryMs: 60_000,
      childEnv: {},
    },
    scratch: join(world.folder, 'scratch'),
  } as unknown as Parameters<typeof quickModel>[0];
  return { input, deps: { ...training, quickModel: (one: typeof input) => quickModel(training, one) } };
}

async function pooled(trainer: Record<string, Json>, strategy: Strategy) {
  const done = await world.run(documentFor(`pool-${String(trainer['type'])}-${strategy.toLowerCase()}`, trainer));
  const { context } = done;
  const { input, deps } = labelStep(done);
  const asked = { strategy, batchSize: 12, explore: 0, seed: 1 };
  const pool = await world.runStep('labels', context, () => scorePool(deps, input, asked));
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

it('a model that is to be checked has seen neither what people drew and labelled, nor what a model labelled', async () => {
  const document = documentFor('checked', { type: 'linear', params: { epochs: 20 }, seed: 1 });
  const before = await world.run(document);
  const { context } = before;
  const { input, deps } = labelStep(before);
  const asked = { strategy: 'margin' as const, batchSize: 12, explore: 0.5, seed: 1 };
  const { candidates } = await world.runStep('labels', context, () => scorePool(deps, input, asked));
  const picks = pickTasks(candidates, asked);
  const { id: dataset } = await datasetOf(world.db, 'default', 'checked');
  const answer = { annotator: 'kim', seconds: null, comment: null, source: null };
  const { id: batch } = await openBatch(world.db, {
    ...{ run: context.run, node: 'labels', project: 'default', dataset, task: 'classification', classes: null },
    deadline: new Date(Date.now() + 60_000),
    // classes that a model can know only from these rows
    tasks: picks.map((pick) => ({
      ...{ ...pick, item: {}, suggestion: null },
      answers: [{ ...answer, label: pick.reason === 'explore' ? 'drawn' : 'chosen' }],
    })),
  });
  const close = { batch, decisionId: 'd', decision: 'close' as const, by: 'kim', verified: true };
  await decideBatch(world.db, { ...close, reason: null, tasks: null });
  await world.db.execute(sql`insert into label (dataset, key, label, source, annotators)
    select ${dataset}, key, 'alone', 'auto', '[]' from jsonb_array_elements_text(${JSON.stringify(
      candidates.filter(({ key }) => !picks.some((pick) => pick.key === key)).map(({ key }) => key),
    )}::jsonb) with ordinality as c (key, n) where n <= 5`);

  const after = await world.run(document);
  const again = labelStep(after);
  const found = await world.runStep('labels', after.context, () => certify(again.deps, again.input, asked));
  expect(found?.classes).toEqual(['a', 'b', 'chosen']);
  const drawn = picks.filter(({ reason }) => reason === 'explore').map(({ key }) => key);
  expect(found?.sample.map(({ key }) => key)).toEqual(drawn.sort());
  expect(found?.sample.every(({ label, probabilities }) => label === -1 && probabilities.length === 3)).toBe(true);
  expect(found?.pool).toHaveLength(candidates.length - 12 - 5);
  expect(found?.scored.by).toContain('has not seen the 6 rows');
});
