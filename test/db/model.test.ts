import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  aliasHistory,
  champion,
  championByName,
  modelVersionView,
  modelView,
  moveAlias,
  registerVersion,
  rollback,
  versionFile,
} from '../../db/model.js';
import { testDatabase, type TestDatabase } from '../support/database.js';
import {
  ask,
  count,
  digestOf,
  failureOf,
  freshName,
  makeArtifact,
  makePipeline,
  makeRun,
  makeVersion,
} from './facts.js';

let base: TestDatabase;
beforeAll(async () => {
  base = await testDatabase();
});
afterAll(() => base.close());

async function withVersions(count: number) {
  const name = freshName();
  await makePipeline(base.db, name);
  const made = [];
  for (let n = 1; n <= count; n += 1) made.push(await makeVersion(base.db, name, `run-${n}`));
  const model = made[0]!.model;
  const promote = (to: number, expectedFrom: number | null, decisionId = `promote-${to}-${expectedFrom}`) =>
    moveAlias(base.db, { ...common, model, to, expectedFrom, decisionId });
  const back = (decisionId: string, to?: number) =>
    rollback(base.db, {
      project: 'default',
      model: name,
      by: 'kim',
      verified: true,
      reason: null,
      decisionId,
      ...(to === undefined ? {} : { to }),
    });
  return { name, model, made, promote, back };
}
const common = { alias: 'champion', kind: 'promotion', by: 'kim', reason: null } as const;

describe('registerVersion', () => {
  it('gives one version per run, also for two at once', async () => {
    const { name, made } = await withVersions(1);
    const again = await Promise.all([1, 2].map(() => registerVersion(base.db, made[0]!.made)));
    expect(again.map((version) => version.version)).toEqual([1, 1]);
    expect(await count(base.db, 'model_version', sql`model = ${made[0]!.model}`)).toBe(1);
    const view = await modelVersionView(base.db, 'default', name, 1);
    expect(view.files.map((file) => file.path)).toEqual(['features.json', 'golden.json', 'model.onnx']);
    expect(view.lineage).toMatchObject({ labelCounts: { given: 2, human: 1 }, annotators: ['kim'] });
    expect(view.lineage.datasetVersions).toMatchObject([{ id: made[0]!.made.datasetVersion, rows: 3 }]);
    expect(await versionFile(base.db, 'default', name, 1, 'model.onnx')).toMatchObject({ sizeBytes: 3 });
    expect(await failureOf(versionFile(base.db, 'default', name, 1, '../etc'))).toBe('NotFound');
  });

  it('serves the variant that was judged, and no version without its files', async () => {
    const { name, model, made } = await withVersions(1);
    const { db } = base;
    const run = await makeRun(db, name, 'small');
    const [bytes, golden] = [await makeArtifact(db), await makeArtifact(db)];
    const measured = { agreement: 0.995, latency: [{ batch: 1, p50Ms: 0.1, p99Ms: 0.2 }] };
    const int8 = { variant: 'int8', model: bytes, golden, sizeBytes: 3, ...measured } as const;
    const small = {
      ...made[0]!.made,
      run: run.id,
      digest: digestOf('small'),
      served: int8.variant,
      variants: [int8],
    };
    expect(await failureOf(registerVersion(db, small))).toBe('Internal');
    const file = { sizeBytes: 3, mediaType: 'application/onnx' };
    const added = [
      { path: 'model.int8.onnx', digest: bytes, ...file },
      { path: 'golden.int8.json', digest: golden, ...file },
    ];
    const { version } = await registerVersion(db, { ...small, files: [...small.files, ...added] });
    expect(await modelVersionView(db, 'default', name, version)).toMatchObject({
      servedVariant: 'int8',
      variants: [{ name: 'int8', file: 'model.int8.onnx', sha256: bytes, served: true, ...measured }],
    });
    const move = (to: number, expectedFrom: number | null) =>
      moveAlias(db, { ...common, model, to, expectedFrom, decisionId: `move-${to}` });
    await move(version, null);
    expect(await champion(db, model)).toMatchObject({ served: 'int8', modelFile: bytes, golden });
    await move(1, version);
    expect(await champion(db, model)).toMatchObject({ served: 'float32', modelFile: made[0]!.made.card });
  });

  it('cannot name a file that the store does not know', async () => {
    const { made } = await withVersions(1);
    const other = base.db.execute(sql`update model_file set digest = ${`sha256:${'0'.repeat(64)}`}
      where model = ${made[0]!.model}`);
    await expect(other).rejects.toMatchObject({ cause: { code: '23503' } });
  });
});

describe('moveAlias', () => {
  it('moves by compare-and-set: of many at once one wins', async () => {
    const { model, promote } = await withVersions(3);
    expect(await champion(base.db, model)).toBeNull();
    const race = await Promise.all([1, 2, 3].map((to) => failureOf(promote(to, null))));
    expect(race.sort()).toEqual(['ChampionMoved', 'ChampionMoved', null].sort());
    expect(await count(base.db, 'alias', sql`model = ${model}`)).toBe(1);
    expect(await count(base.db, 'alias_history', sql`model = ${model}`)).toBe(1);
  });

  it('gives the same answer to the same decision', async () => {
    const { name, model, promote } = await withVersions(2);
    const same = await Promise.all([promote(1, null, 'd'), promote(1, null, 'd')]);
    expect(same).toEqual([1, 2].map(() => ({ version: 1 })));
    await promote(2, 1);
    expect(await promote(1, null, 'd')).toEqual({ version: 1 });
    expect((await championByName(base.db, 'default', name))?.version).toBe(2);
    expect(await count(base.db, 'alias_history', sql`model = ${model}`)).toBe(2);
    expect(await count(base.db, 'audit', sql`action = 'model.promoted' and subject like ${`${name}/%`}`)).toBe(2);
  });

  it('is refused for a version that is not there', async () => {
    const { promote } = await withVersions(1);
    expect(await failureOf(promote(9, null))).toBe('NotFound');
  });
});

describe('rollback', () => {
  it('goes to the champion before the present promotion; rollbacks do not count', async () => {
    const { name, promote, back } = await withVersions(4);
    expect(await failureOf(back('r0'))).toBe('NothingToRollBackTo');
    await promote(1, null);
    expect(await failureOf(back('r0'))).toBe('NothingToRollBackTo');
    await promote(2, 1);
    await promote(3, 2);
    expect(await back('r1')).toEqual({ champion: 2 });
    expect(await back('r1')).toEqual({ champion: 2 });
    await promote(4, 2);
    expect(await back('r2')).toEqual({ champion: 2 });
    expect(await back('r3')).toEqual({ champion: 1 });
    expect(await failureOf(back('r4'))).toBe('NothingToRollBackTo');
    const { items } = await aliasHistory(base.db, 'default', name, { limit: 10, cursor: null });
    expect(items.map(({ from, to, kind }) => [from, to, kind])).toEqual([
      [2, 1, 'rollback'],
      [4, 2, 'rollback'],
      [2, 4, 'promotion'],
      [3, 2, 'rollback'],
      [2, 3, 'promotion'],
      [1, 2, 'promotion'],
      [null, 1, 'promotion'],
    ]);
  });

  it('takes a named version only when it was champion before', async () => {
    const { name, promote, back } = await withVersions(3);
    await promote(1, null);
    await promote(2, 1);
    expect(await failureOf(back('a', 3))).toBe('NothingToRollBackTo');
    expect(await failureOf(back('b', 2))).toBe('NothingToRollBackTo');
    expect(await back('c', 1)).toEqual({ champion: 1 });
    expect((await modelView(base.db, 'default', name)).aliases).toEqual({ champion: 1 });
  });

  it('races with promotions, and there is one champion at each moment', async () => {
    const { model, promote, back } = await withVersions(3);
    await promote(1, null);
    await promote(2, 1);
    await Promise.all([failureOf(promote(3, 2)), failureOf(back('x')), failureOf(back('y')), failureOf(promote(3, 1))]);
    const moves = await ask<{ from_version: number | null; to_version: number }>(
      base.db,
      sql`select from_version, to_version from alias_history where model = ${model} order by number`,
    );
    moves.slice(1).forEach((move, place) => expect(move.from_version).toBe(moves[place]!.to_version));
    expect((await champion(base.db, model))?.version).toBe(moves.at(-1)!.to_version);
  });
});

describe('the split', () => {
  it('stays as it is while there is a champion: seed, shares and what it goes by', async () => {
    const { name, promote } = await withVersions(1);
    const other = { split: { holdout: 0.2, validation: 0.1, seed: 99 } };
    expect((await makePipeline(base.db, name, other)).outcome).toBe('changed');
    await promote(1, null);
    for (const change of [{ seed: 3 }, { holdout: 0.3 }, { validation: 0.2 }, { by: { time: 'taken' } }]) {
      await expect(makePipeline(base.db, name, { split: { ...other.split, ...change } })).rejects.toMatchObject({
        failure: 'InvalidPipeline',
        faults: [{ path: `split.${Object.keys(change)[0]}` }],
      });
    }
    const gate = { metric: 'accuracy', min: 0.6 };
    expect((await makePipeline(base.db, name, { ...other, gate })).outcome).toBe('changed');
  });
});
