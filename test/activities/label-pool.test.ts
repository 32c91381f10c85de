import { join } from 'node:path';
import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { certify } from '../../activities/labeling/certify.js';
import { scorePool } from '../../activities/labeling/pool.js';
import { createLabelingSteps } from '../../activities/labeling/steps.js';
import { quickModel } from '../../activities/training/quick.js';
import { createScorer, type Scorer } from '../../adapters/scorer.js';
import { datasetOf } from '../../db/dataset.js';
import { decideBatch, leaseTasks, openBatch } from '../../db/labeling.js';
import type { Json } from '../../domain/json.js';
import { pickFrom, type Strategy } from '../../domain/labeling.js';
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
  return { pool, picks: pickFrom(pool.rows, { ...asked, covered: pool.covered }) };
}

it.each([
  ['mlp', { hidden: [5], epochs: 3 }, 5],
  // x, gap and two places of color, scaled; trees see color as one code
  ['linear', { epochs: 3 }, 5],
  ['trees', { rounds: 3 }, 3],
] as const)('%s: rows are compared by what its last layer sees', async (type, params, width) => {
  const { pool, picks } = await pooled({ type, params: { ...params } as Json, seed: 1 }, 'kCenter');
  const { keys, vector, probabilities } = pool.rows;
  const vectors = [...keys.map((_, row) => vector(row)!), ...pool.covered];
  expect(vectors.every((vector) => vector.length === width && vector.every(Number.isFinite))).toBe(true);
  expect(pool.covered.length).toBeGreaterThan(20);
  expect(keys.every((_, row) => probabilities(row)?.length === 2)).toBe(true);
  expect(picks).toHaveLength(12);
  expect(picks.every(({ score }) => score !== null && score >= 0)).toBe(true);
});

it('badge needs no labelled rows, and margin no vectors', async () => {
  const badge = await pooled({ type: 'linear', params: { epochs: 3 }, seed: 1 }, 'badge');
  expect(badge.pool.covered).toEqual([]);
  expect(badge.picks.every(({ score }) => score !== null && score > 0)).toBe(true);
  const margin = await pooled({ type: 'linear', params: { epochs: 3 }, seed: 1 }, 'margin');
  expect(margin.pool.rows.keys.some((_, row) => margin.pool.rows.vector(row))).toBe(false);
});

it('of a large pool nothing is held but keys and numbers of the model: rows come and go in pieces', async () => {
  const rows = 6_000;
  const lines = Array.from(
    { length: rows },
    (_, row) => `k${row},${row},${row % 100 === 0 ? 'ab'[(row / 100) % 2] : ''}`,
  );
  const path = world.write('large.csv', ['id,x,y', ...lines].join('\n'));
  const trainer = { type: 'linear', params: { epochs: 1 }, seed: 1 };
  const done = await world.run(documentOf('large', { trainer, dataset: { source: { type: 'file', path } } }));
  const { input, deps } = labelStep(done);
  const signature = {
    ...{ num: [{ column: 'x', part: null }], cat: [], task: 'classification' as const, classes: ['a', 'b'] },
  };
  const seen: { bytes: number; beats: number }[] = [];
  let beats = 0;
  const clock = setInterval(() => (beats += 1), 0);
  const score = ({ rows: count, num }: { rows: number; num: Float32Array }) => {
    seen.push({ bytes: num.buffer.byteLength, beats });
    const until = performance.now() + 3;
    while (performance.now() < until);
    return Promise.resolve({ probabilities: Float32Array.from({ length: 2 * count }, (_, i) => num[i >> 1]! / rows) });
  };
  const model = { by: 'a line', path: '', signature, score };
  const asked = { strategy: 'margin' as const, batchSize: 5, explore: 0, seed: 1, model };
  const pool = await world.runStep('labels', done.context, () => scorePool(deps, input, asked));
  clearInterval(clock);
  const { keys, probabilities } = pool.rows;
  expect(keys.length).toBeGreaterThan(4_100);
  expect(keys.every((key, row) => Math.fround(Number(key.slice(1)) / rows) === probabilities(row)![1])).toBe(true);
  expect(Math.max(...seen.map(({ bytes }) => bytes))).toBeLessThanOrEqual(4 * 2_048);
  // others have had their turn between any two pieces
  expect(new Set(seen.map((one) => one.beats)).size).toBe(seen.length);
});

it('a model that is to be checked has seen neither what people drew and labelled, nor what a model labelled', async () => {
  const document = documentFor('checked', { type: 'linear', params: { epochs: 20 }, seed: 1 });
  const before = await world.run(document);
  const { context } = before;
  const { input, deps } = labelStep(before);
  const asked = { strategy: 'margin' as const, batchSize: 12, explore: 0.5, seed: 1 };
  const { rows } = await world.runStep('labels', context, () => scorePool(deps, input, asked));
  const picks = pickFrom(rows, asked);
  // people do not get to it, or do not know
  const left = picks.find(({ reason }) => reason === 'explore');
  const { id: dataset } = await datasetOf(world.db, 'default', 'checked');
  const answer = { annotator: 'kim', seconds: null, comment: null, source: null };
  const { id: batch } = await openBatch(world.db, {
    ...{ run: context.run, node: 'labels', project: 'default', dataset, task: 'classification', classes: null },
    deadline: new Date(Date.now() + 60_000),
    // classes that a model can know only from these rows
    tasks: picks.map((pick) => ({
      ...{ ...pick, item: {}, suggestion: null },
      answers: pick === left ? [] : [{ ...answer, label: pick.reason === 'explore' ? 'drawn' : 'chosen' }],
    })),
  });
  const close = { batch, decisionId: 'd', decision: 'close' as const, by: 'kim', verified: true };
  await decideBatch(world.db, { ...close, reason: null, tasks: null });
  await world.db.execute(sql`insert into label (dataset, key, label, source, annotators)
    select ${dataset}, key, 'alone', 'auto', '[]' from jsonb_array_elements_text(${JSON.stringify(
      rows.keys.filter((key) => !picks.some((pick) => pick.key === key)),
    )}::jsonb) with ordinality as c (key, n) where n <= 5`);

  const after = await world.run(document);
  const again = labelStep(after);
  const found = await world.runStep('labels', after.context, () => certify(again.deps, again.input, asked));
  expect(found?.classes).toEqual(['a', 'b', 'chosen']);
  const drawn = picks.filter(({ reason }) => reason === 'explore').map(({ key }) => key);
  expect(found?.sample.map(({ key }) => key)).toEqual(drawn.sort());
  expect(found?.sample.every(({ label, probabilities }) => label === -1 && probabilities.length === 3)).toBe(true);
  expect(found?.scored.rows.keys).toHaveLength(rows.keys.length - 11 - 5);
  expect(found?.scored.by).toContain('has not seen the 6 rows');
});

it('a test of labelers has a guess like every other item of its batch, and nobody hears how sure it is', async () => {
  const labeling = { strategy: 'margin', batchSize: 6, explore: 0, deadline: '1 hour', gold: { share: 0.25 } };
  const done = await world.run({
    ...documentFor('tests', { type: 'linear', params: { epochs: 3 }, seed: 1 }),
    labeling,
  });
  // the steps before have ended it
  await world.db.execute(sql`update run set status = 'running', finished_at = null where id = ${done.context.run}`);
  const { input, deps } = labelStep(done);
  const steps = createLabelingSteps(deps as unknown as Parameters<typeof createLabelingSteps>[0]);
  const { batch } = await world.runStep('labels', done.context, () => steps.openLabels(input));
  const { rows } = await world.db.execute<{ gold: boolean; sure: number }>(sql`select gold is not null as gold,
    (suggestion ->> 'confidence')::float8 as sure from label_task where batch = ${batch!.id}`);
  expect(rows.filter(({ gold }) => gold)).toHaveLength(4);
  expect(rows.every(({ sure }) => sure > 0)).toBe(true);
  const leased = await leaseTasks(world.db, { project: 'default', batch: batch!.id, labeler: 'kim', count: 6 });
  expect(leased.map(({ suggestion }) => suggestion?.confidence)).toEqual(Array(6).fill(null));
});
