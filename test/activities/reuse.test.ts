import { rmSync } from 'node:fs';
import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { reusing } from '../../activities/reuse.js';
import { withStep } from '../../activities/step.js';
import { metricsOf } from '../../db/metric.js';
import { runView } from '../../db/run.js';
import type { Digest } from '../../domain/artifact.js';
import type { Json } from '../../domain/json.js';
import { type PureStep, pureSteps } from '../../domain/reuse.js';
import { count } from '../db/facts.js';
import { csv, openModelWorld } from './model-run.js';

let models: Awaited<ReturnType<typeof openModelWorld>>;
let world: typeof models.world;
beforeAll(async () => {
  models = await openModelWorld();
  ({ world } = models);
}, 60_000);
afterAll(() => models.close());

/** Without what tells one computation from another of the same: what was measured by the clock, and what holds that. */
const content = (result: Json): Json => {
  const timed = ['summary', 'seconds', 'latency', 'evaluation'];
  return JSON.parse(JSON.stringify(result, (key, value: Json) => (timed.includes(key) ? null : value))) as Json;
};

describe('a step with the inputs of an earlier one', () => {
  it('takes its result over, equal to what a fresh computation gives, and forks no trainer', async () => {
    const name = await models.pipeline();
    const first = await models.run(name);
    const forked = models.children.length;
    const again = await models.run(name);
    expect(await models.reusedOf(again.context)).toEqual(pureSteps);
    expect(models.children.length).toBe(forked);
    const fresh = await models.run(name, { fresh: true });
    expect(await models.reusedOf(fresh.context)).toEqual([]);
    expect(models.children.length).toBe(forked + 1);
    for (const node of pureSteps) {
      expect(content(again.results[node]), node).toEqual(content(fresh.results[node]));
      expect(content(first.results[node]), node).toEqual(content(fresh.results[node]));
      expect(again.results[node].summary).toBe(
        `reused from run ${first.context.number}: ${first.results[node].summary}`,
      );
    }
    const [left, right] = await Promise.all(
      [again, fresh].map(({ context }) => runView(world.db, 'default', context.run)),
    );
    expect(left).toMatchObject({ metrics: right!.metrics, verdict: right!.verdict });
    const evaluations = await Promise.all(
      [left, right].map((view) => world.artifacts.readJson<Json>(view!.evaluation!)),
    );
    expect(content(evaluations[0]!)).toEqual(content(evaluations[1]!));
    expect(left!.evaluation).toBe(first.results.evaluate['evaluation']);
    expect(left!.metrics).not.toEqual({});
    const curves = await Promise.all([again, fresh].map(({ context }) => metricsOf(world.db, context.run)));
    const points = curves.map((curve) => curve.map(({ name: of, step, value }) => ({ of, step, value })));
    expect(points[0]!.length).toBeGreaterThan(0);
    expect(points[0]!.at(-1)).toEqual(points[1]!.at(-1));
  }, 120_000);

  it('is computed when anything that it reads has changed, and only then', async () => {
    const name = await models.pipeline();
    await models.run(name);
    const changed = async (overrides: Record<string, Json>, code?: string) =>
      models.reusedOf((await models.run(name, { overrides, ...(code === undefined ? {} : { code }) })).context);
    const until = (node: PureStep) => pureSteps.slice(0, pureSteps.indexOf(node));
    expect(await changed({ 'trainer.params.learningRate': 0.02 })).toEqual(until('train'));
    expect(await changed({ 'trainer.seed': 8 })).toEqual(until('train'));
    expect(await changed({ 'gate.min': 0.4 })).toEqual(until('evaluate'));
    expect(await changed({ evaluation: { slices: ['color'] } })).toEqual(until('evaluate'));
    expect(await changed({ 'features.exclude': ['color'] })).toEqual(['split']);
    expect(await changed({ expectations: [{ column: 'x', min: -100 }] })).toEqual(
      until('train').slice(1).concat('train', 'package', 'evaluate'),
    );
    expect(await changed({}, 'another')).toEqual([]);
    const latency = { 'gate.checks': [{ latency: { p99Ms: 1e6 } }] };
    await models.run(name, { overrides: latency });
    // a demand on the clock is measured anew
    expect(await changed(latency)).toEqual(until('evaluate'));
    // approval and triggers are read by no step that computes
    expect(await changed({ approval: { quorum: 1, deadline: '1 day', onDeadline: 'reject' } })).toEqual(pureSteps);
    world.write(`${name}.csv`, csv(0.5));
    expect(await changed({})).toEqual([]);
  }, 240_000);

  it('is computed when the bytes of the result are gone', async () => {
    const name = await models.pipeline();
    const { results } = await models.run(name);
    const state = results.train['state'] as Digest;
    rmSync(await world.artifacts.localPath(state));
    const again = await models.run(name);
    expect(await models.reusedOf(again.context)).toEqual(pureSteps.filter((step) => step !== 'train'));
    expect(again.results.train['state']).toBe(state);
  }, 120_000);

  it('is not stored when what it depends on changed meanwhile', async () => {
    const context = await models.open(await models.pipeline());
    const champions = [1, 2];
    const step = await models.openStep(context, 'evaluate');
    const input = { context, node: 'evaluate', candidate: 0, inputs: {} };
    const pure = {
      step: 'evaluate' as const,
      facts: () => Promise.resolve(champions.shift() ?? 2),
      work: () => Promise.resolve({ summary: 'done' }),
    };
    await withStep(step, () => reusing({ ...world.deps }, input, pure));
    const kept = () => count(world.db, 'step_result', sql`run = ${context.run}`);
    expect(await kept()).toBe(0);
    // the champion stays now
    await withStep(step, () => reusing({ ...world.deps }, input, pure));
    expect(await kept()).toBe(1);
  });
});
