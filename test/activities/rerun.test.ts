import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { collectArtifacts } from '../../db/artifact.js';
import { inTransaction } from '../../db/client.js';
import { moveAlias } from '../../db/model.js';
import { forgetResults } from '../../db/result.js';
import { closeRun, runView } from '../../db/run.js';
import type { Digest } from '../../domain/artifact.js';
import { Failure } from '../../domain/failures.js';
import type { RunContext } from '../../domain/run.js';
import { ask, count, failureOf, makeVersion } from '../db/facts.js';
import { csv, type Executed, openModelWorld } from './model-run.js';

let models: Awaited<ReturnType<typeof openModelWorld>>;
let world: typeof models.world;
beforeAll(async () => {
  models = await openModelWorld();
  ({ world } = models);
}, 60_000);
afterAll(() => models.close());

const faultsOf = async (work: Promise<unknown>): Promise<Record<string, string>> => {
  const error = await work.then(() => null).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(Failure);
  return Object.fromEntries((error as Failure).faults.map(({ path, message }) => [path, message]));
};

const taken = async ({ run }: RunContext): Promise<string[]> => {
  const { steps } = await runView(world.db, 'default', run);
  return steps
    .filter(({ summary }) => summary?.startsWith('taken over from run'))
    .map(({ name }) => name)
    .sort();
};

const end = (context: RunContext) => closeRun(world.db, { run: context.run, status: 'cancelled', failure: null });

describe('a run again', () => {
  let first: Executed;
  beforeAll(async () => {
    const name = await models.pipeline();
    first = await models.run(name);
    // rows that a run again must not see
    world.write(`${name}.csv`, csv(1));
  }, 60_000);

  it('takes the data over and reuses every step that did not change', async () => {
    const context = await models.openAgain(first.context);
    expect(await taken(context)).toEqual(['extract', 'validate']);
    const { rerunOf } = await runView(world.db, 'default', context.run);
    expect(rerunOf).toEqual({ run: first.context.run, number: first.context.number, from: null });
    const forked = models.children.length;
    const { results } = await models.execute(context);
    expect(models.children.length).toBe(forked);
    expect(results.evaluate['evaluation']).toEqual(first.results.evaluate['evaluation']);
    expect(results.validate['dataset']).toBe(first.results.validate['dataset']);
  }, 60_000);

  it('of a run again takes over from that, and with `fresh` computes all but the data', async () => {
    const second = await models.openAgain(first.context, { until: 'split' });
    await models.execute(second);
    const third = await models.openAgain(second, { fresh: true });
    const { results } = await models.execute(third);
    expect(await models.reusedOf(third)).toEqual(['extract', 'validate']);
    expect(results.train['state']).toBe(first.results.train['state']);
    const { steps, fresh } = await runView(world.db, 'default', third.run);
    expect(fresh).toBe(true);
    expect(steps.find(({ name }) => name === 'extract')?.summary).toMatch(/^taken over from run \d+: \d+ rows/);
  }, 60_000);

  it('begins where it is told, with other parameters', async () => {
    const overrides = { 'trainer.params.learningRate': 0.05 };
    const context = await models.openAgain(first.context, { from: 'train', overrides });
    expect(await taken(context)).toEqual(['extract', 'featurize', 'profile', 'split', 'validate']);
    const { results } = await models.execute(context);
    expect(results.train['state']).not.toBe(first.results.train['state']);
    expect(results.featurize).toMatchObject({ train: first.results.featurize['train'] });
    // the next one inherits them
    const next = await models.openAgain(context);
    const again = await models.execute(next);
    expect(again.results.train['state']).toBe(results.train['state']);
  }, 60_000);

  it('takes the verdict over when it begins behind it', async () => {
    const context = await models.openAgain(first.context, { from: 'register' });
    expect(await taken(context)).toContain('evaluate');
    const [now, then] = await Promise.all([context, first.context].map(({ run }) => runView(world.db, 'default', run)));
    expect(now).toMatchObject({ metrics: then!.metrics, verdict: then!.verdict, evaluation: then!.evaluation });
    await end(context);
  });

  it('is judged against the champion that there is now, where that is another one', async () => {
    const { context } = await models.run(await models.pipeline());
    const { model, version } = await makeVersion(world.db, context.pipeline, 'promoted');
    await inTransaction(world.db, (tx) =>
      moveAlias(tx, {
        ...{ model, alias: 'champion', to: version, expectedFrom: null, decisionId: context.run },
        ...{ kind: 'promotion', by: 'kim', reason: 'test' },
      }),
    );
    const again = await models.openAgain(context, { from: 'register' });
    expect(await taken(again)).toContain('package');
    expect(await taken(again)).not.toContain('evaluate');
    expect(await runView(world.db, 'default', again.run)).toMatchObject({ metrics: {}, verdict: null });
    await end(again);
  }, 60_000);

  it('does not count rows as read that it does not read', async () => {
    const [before] = await ask(
      world.db,
      sql`select accepted_rows_at_last_run from pipeline where name = ${first.context.pipeline}`,
    );
    await world.db.execute(
      sql`update dataset set accepted_rows = accepted_rows + 5 where name = ${first.context.pipeline}`,
    );
    await end(await models.openAgain(first.context));
    const [after] = await ask(
      world.db,
      sql`select accepted_rows_at_last_run from pipeline where name = ${first.context.pipeline}`,
    );
    expect(after).toEqual(before);
  });

  it('refuses steps that it does not know, and overrides that would do nothing, naming the way out', async () => {
    const again = (asked: Parameters<typeof models.openAgain>[1]) => models.openAgain(first.context, asked);
    expect(await faultsOf(again({ from: 'trian' }))).toEqual({
      from: 'found "trian", allowed: split, featurize, train, package, evaluate, register; did you mean train?',
    });
    expect((await faultsOf(again({ from: 'extract' })))['from']).toContain('allowed: split');
    expect((await faultsOf(again({ until: 'deploy' })))['until']).toContain('allowed: extract, profile');
    expect((await faultsOf(again({ from: 'train', until: 'split' })))['until']).toContain('comes before train');
    expect(await faultsOf(again({ overrides: { 'quarantine.maxShare': 0.5 } }))).toEqual({
      'overrides.quarantine.maxShare':
        'changes what extract, validate or label read, which a run again takes over: start a new run',
    });
    const faults = await faultsOf(again({ from: 'package', overrides: { 'trainer.seed': 3, 'gate.min': 0.1 } }));
    expect(faults).toEqual({
      'overrides.trainer.seed': 'changes what train reads, which is taken over: begin with train or before it',
    });
    expect((await faultsOf(again({ overrides: { 'gate.metric': 'nice' } })))['overrides.gate.metric']).toContain(
      'nice',
    );
  });

  it('of a run that had no data, or whose data is gone, is refused', async () => {
    const empty = await models.open(first.context.pipeline);
    expect(await failureOf(models.openAgain(empty))).toBe('RunLive');
    await end(empty);
    expect(await failureOf(models.openAgain(empty))).toBe('RerunImpossible');
    expect(await failureOf(models.openAgain({ ...empty, run: 'run_0' }))).toBe('NotFound');
    const raw = first.results.extract['raw'] as Digest;
    const files = ['artifact_reference', 'artifact'].map((table) =>
      sql.raw(`delete from ${table} where digest = '${raw}'`),
    );
    for (const statement of files) await world.db.execute(statement);
    expect(await failureOf(models.openAgain(first.context))).toBe('RerunImpossible');
  });
});

describe('what is kept for runs to come', () => {
  const forget = async (keep: { days?: number; bytes?: number }) => {
    const gone = await forgetResults(world.db, { days: 30, bytes: 1e12, ...keep });
    const none = (digest: Digest) => world.artifacts.store.remove(digest);
    await collectArtifacts(world.db, none, { idleMs: 0 });
    return gone;
  };

  it('outlives the run, is let go when nobody uses it, and then a step beside it is made again', async () => {
    const first = await models.run(await models.pipeline());
    const x = (first.results.featurize['train'] as { x: Digest }).x;
    expect(await forget({})).toBe(0);
    expect(await world.artifacts.store.has(x)).toBe(true);
    const held = await models.openAgain(first.context, { from: 'train' });
    expect(await forget({ bytes: 0 })).toBeGreaterThan(0);
    // the open run took it over
    expect(await world.artifacts.store.has(x)).toBe(true);
    await end(held);
    await forget({ bytes: 0 });
    expect(await world.artifacts.store.has(x)).toBe(false);
    expect(await count(world.db, 'artifact_reference', sql`starts_with(owner, 'result:')`)).toBe(0);
    const again = await models.openAgain(first.context, { from: 'train' });
    expect(await taken(again)).toEqual(['extract', 'validate']);
    const { results } = await models.execute(again);
    expect(results.train['state']).toBe(first.results.train['state']);
    await world.db.execute(sql`update step_result set used_at = now() - interval '31 days'`);
    expect(await forget({})).toBeGreaterThan(0);
  }, 60_000);

  it('by size, the least recently used goes first', async () => {
    const name = await models.pipeline();
    await models.run(name);
    const { context } = await models.run(name, { overrides: { 'trainer.seed': 9 } });
    const [{ all, used } = { all: 0, used: 0 }] = await ask<{ all: number; used: number }>(
      world.db,
      sql`select sum(size_bytes)::int as all, sum(size_bytes) filter (where used_at >= (select opened_at from run
        where id = ${context.run}))::int as used from step_result`,
    );
    expect(used).toBeLessThan(all);
    await forget({ bytes: used });
    const again = await models.run(name, { overrides: { 'trainer.seed': 9 } });
    expect(await models.reusedOf(again.context)).toHaveLength(6);
  }, 60_000);
});
