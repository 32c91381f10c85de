import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fitFeatures } from '../../activities/training/fit.js';
import { featurize } from '../../activities/training/featurize.js';
import { createScorer, type Scorer } from '../../adapters/scorer.js';
import { createDuck, type Duck, sqlLiteral } from '../../adapters/duckdb.js';
import { countInputs, readInputs } from '../../adapters/inputs.js';
import { mediaTypes } from '../../domain/artifact.js';
import type { Schema } from '../../domain/dataset.js';
import { filledTreatments, type WrittenTreatments } from '../../domain/features.js';
import type { Json } from '../../domain/json.js';
import type { FittedFeatures } from '../../domain/model.js';
import { signatureOf } from '../../domain/signature.js';
import { matrixColumns } from '../../ml/features/columns.js';
import { featuriseReference } from '../../ml/features/reference.js';
import { documentOf, openWorld } from './dataset-run.js';

/** Values of scikit-learn 1.9.1 (numpy 2.4.6) for r * r % 47, r = 0..29, each seventh row from the third missing. */
const sklearn = {
  standard: [-1.625099919835616, -1.545528172348373, -1.306812929886644, null, -0.3519519600397285],
  robust: [-1.054054054054054, -1, -0.8378378378378378, null, -0.1891891891891892],
  minmax: [0, 0.023809523809523808, 0.09523809523809523, null, 0.38095238095238093],
  median: 19.5,
  mean: 20.42307692,
  /** OrdinalEncoder(categories=[[S, M, L]], unknown_value=3) of M, L, S, XL. */
  ordinal: [1, 2, 0, 3],
};

describe('statistics of the training part', () => {
  let folder: string;
  let duck: Duck;
  const schema: Schema = {
    key: 'id',
    label: 'y',
    task: 'classification',
    columns: [
      { name: 'a', type: 'number' },
      { name: 'whole', type: 'number' },
      { name: 'half', type: 'number' },
      { name: 'size', type: 'category' },
      { name: 'at', type: 'date' },
    ],
  };
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'perennial-fit-'));
    duck = createDuck({ memoryLimitMb: 256, tempFolder: join(folder, 'duck') });
    // rows beyond the 30 are no training rows and must not count
    await duck.run(`COPY (SELECT lpad(r::VARCHAR, 3, '0') AS id, (r % 2)::VARCHAR AS y,
        CASE WHEN r >= 30 THEN 1e6 WHEN r % 7 <> 3 THEN r * r % 47 END::DOUBLE AS a, r::DOUBLE AS whole,
        CASE WHEN r < 6 THEN r ELSE 0 END::DOUBLE AS half, ['M', 'L', 'S', 'XL'][r % 4 + 1] AS size,
        TIMESTAMP '2026-01-01' + INTERVAL (r) DAY AS at
      FROM range(40) t(r) ORDER BY id) TO ${sqlLiteral(join(folder, 'file'))} (FORMAT parquet)`);
    await duck.run(`COPY (SELECT lpad(r::VARCHAR, 3, '0') AS key, CASE WHEN r < 30 THEN 'train' ELSE 'holdout' END AS part
      FROM range(40) t(r)) TO ${sqlLiteral(join(folder, 'split'))} (FORMAT parquet)`);
  });
  afterAll(() => {
    duck.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it('what a model said is no truth of the holdout', async () => {
    const [file, split, sources] = ['file', 'split', 'sources'].map((name) => join(folder, name)) as [
      string,
      string,
      string,
    ];
    await duck.run(`COPY (SELECT * FROM (VALUES ('001', 'auto'), ('031', 'auto'), ('032', 'pseudo'), ('033', 'truth'))
      AS t(key, source)) TO ${sqlLiteral(sources)} (FORMAT parquet)`);
    const signature = { num: [], cat: [], task: 'classification' as const, classes: [] };
    const rows = { file, split, sources, labelled: true, signature };
    const counts = ['train', 'holdout'].map((part) =>
      countInputs(duck, { ...rows, part: part as 'train' | 'holdout' }),
    );
    expect(await Promise.all(counts)).toEqual([30, 8]);
  });

  async function fitted(written: Partial<WrittenTreatments>, trainers = ['linear']) {
    const all = { numbers: {}, categories: {}, dates: {}, text: {}, columns: {}, ...written };
    const features = { include: null, exclude: [], types: {}, ...filledTreatments(all, trainers) };
    const place = { file: join(folder, 'file'), split: join(folder, 'split'), schema };
    const request = { place, signature: signatureOf(schema, features, ['0', '1']), features };
    const found = await duck.session({ exact: true }, (session) => fitFeatures(session, request));
    const rows = await readInputs(duck, { ...place, part: 'train', signature: found.fitted.signature });
    const x = featuriseReference(found.fitted, rows.inputs);
    const names = matrixColumns(found.fitted).map(({ name }) => name);
    const column = (name: string) => rows.keys.map((_, row) => x[row * found.fitted.width + names.indexOf(name)]!);
    return { ...found, names, column };
  }

  it.each(['standard', 'robust', 'minmax'] as const)('scaled %s as scikit-learn does', async (scale) => {
    const { column } = await fitted({ numbers: { scale } });
    sklearn[scale].forEach((value, row) => value !== null && expect(column('a')[row]).toBeCloseTo(value, 5));
  });

  it('imputed as scikit-learn does, with an indicator where values are missing', async () => {
    for (const impute of ['median', 'mean'] as const) {
      const { column, names } = await fitted({ numbers: { impute, scale: 'none', indicator: 'auto' } });
      expect(column('a')[3]).toBeCloseTo(sklearn[impute], 5);
      expect(column('a missing').slice(0, 5)).toEqual([0, 0, 0, 1, 0]);
      expect(names).not.toContain('whole missing');
    }
    const forced = await fitted({
      numbers: { impute: 'zero', scale: 'none' },
      columns: { whole: { indicator: 'always' } },
    });
    expect(forced.column('a')[3]).toBe(0);
    expect(forced.column('whole missing')).toEqual(new Array(30).fill(0));
    const constant = await fitted({ columns: { a: { impute: -7, scale: 'none' } } });
    expect(constant.column('a')[3]).toBe(-7);
  });

  it('scaled by the deviation where the interquartile range is 0', async () => {
    const { column } = await fitted({ numbers: { scale: 'robust' } });
    expect(column('half')[29]).toBe(0);
    expect(column('half')[5]).toBeCloseTo(5 / 1.2583, 2);
  });

  it('ordinal in the order that is given, with "other" behind', async () => {
    const { column } = await fitted({ columns: { size: { encode: 'ordinal', values: ['S', 'M', 'L'] } } });
    expect(column('size').slice(0, 4)).toEqual(sklearn.ordinal);
  });

  it('dates: chosen parts, and circles', async () => {
    const { column, names } = await fitted({ dates: { parts: ['year', 'weekday'], cyclic: true } });
    expect(names.filter((name) => name.startsWith('at'))).toEqual(['at.year', 'at.weekday.sin', 'at.weekday.cos']);
    // Thursday, 2026-01-01
    expect(column('at.weekday.sin')[0]).toBeCloseTo(Math.sin((2 * Math.PI * 3) / 7), 6);
    expect(column('at.weekday.cos')[7]).toBe(column('at.weekday.cos')[0]);
  });

  it('plain for trees: missing stays missing, categories are codes', async () => {
    const { column, fitted: features } = await fitted({}, ['trees']);
    expect(column('a').slice(0, 5)).toEqual([0, 1, 4, NaN, 16]);
    const columns = matrixColumns(features);
    expect(columns.find(({ source }) => source === 'size')).toEqual({
      ...{ source: 'size', name: 'size', kind: 'code', places: 5, missing: true },
    });
    expect(features.cat[0]).toMatchObject({ values: ['L', 'M', 'S', 'XL'], code: { missing: null } });
    const hashed = await fitted({ categories: { encode: 'hash', buckets: 8 } }, ['trees']);
    expect(hashed.fitted.cat[0]).toEqual({ column: 'size', values: [], buckets: 8, code: { missing: null } });
  });
});

describe('featurize', () => {
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

  const words = ['학교에', '갔다', 'river', '🙂', 'Quick', 'fox', '나는', 'über', 'the', 'lazy'];
  const sentence = (row: number) =>
    Array.from({ length: 6 }, (_, i) => words[(row * 7 + i * row) % 10]).join(' ') + ` ${row}`;
  function table(rows: number): string {
    const lines = Array.from({ length: rows }, (_, row) =>
      [row, row % 3 === 0 ? '' : row % 11, ['Seoul', 'Busan', ''][row % 3], sentence(row), row % 2].join(','),
    );
    return `id,n,city,review,y\n${lines.join('\n')}\n`;
  }
  const document = (name: string, features: Json) =>
    documentOf(name, { dataset: { source: { type: 'file', path: `${name}.csv` } }, features });

  it('takes long free text for text, and computes every treatment with the served nodes', async () => {
    world.write('many.csv', table(300));
    const done = await world.run(
      document('many', {
        numbers: { indicator: 'auto', scale: 'robust' },
        categories: { encode: 'hash', buckets: 16 },
        text: { words: [1, 2], characters: [2, 2], hashes: 64 },
      }),
      'featurize',
    );
    const fitted = await world.artifacts.readJson<FittedFeatures>(done.featurize.features);
    expect(fitted.signature).toMatchObject({ num: [{ column: 'n' }], cat: ['city'], text: ['review'] });
    expect(fitted.width).toBe(2 + 16 + 64);
    if (done.validate.kind !== 'ok') throw new Error('not ok');
    const rows = await readInputs(world.duck, {
      file: await world.artifacts.localPath(done.validate.file),
      split: await world.artifacts.localPath(done.split.split),
      ...{ part: 'train', labelled: true, signature: fitted.signature },
    });
    const bytes = readFileSync(await world.artifacts.localPath(done.featurize.train.x));
    const x = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
    const expected = featuriseReference(fitted, rows.inputs);
    expect(x).toHaveLength(expected.length);
    x.forEach((value, at) => expect(Math.abs(value - expected[at]!)).toBeLessThan(1e-6));
  });

  it('keeps short or repeated phrases categories', async () => {
    const phrases = (row: number) => `the quick brown fox jumps ${row % 5}`;
    const lines = Array.from({ length: 100 }, (_, row) => [row, phrases(row), `a b ${row}`, row % 2].join(','));
    world.write('phrases.csv', `id,p,q,y\n${lines.join('\n')}\n`);
    const done = await world.run(document('phrases', {}), 'featurize');
    const fitted = await world.artifacts.readJson<FittedFeatures>(done.featurize.features);
    expect(fitted.signature).toMatchObject({ num: [], cat: ['p', 'q'] });
    expect(fitted.signature.text).toBeUndefined();
  });

  it.each([
    [
      { columns: { city: { scale: 'none' } } },
      'FeaturesUnfit',
      /columns\.city\.scale: the column is of type category; allowed: encode/,
    ],
    [{ columns: { town: { encode: 'hash' } } }, 'SchemaMismatch', /^features\.columns\.town: found "town"/],
  ])('says which treatment fits no column: %j', async (features, failure, message) => {
    world.write('odd.csv', table(60));
    await expect(world.run(document('odd', features), 'featurize')).rejects.toMatchObject({
      ...{ failure, message: expect.stringMatching(message) as string },
    });
  });

  it('holds a few thousand rows of a part, however many it has', async () => {
    const width = 100;
    const names = Array.from({ length: width }, (_, i) => `c${i}`);
    const lines = Array.from({ length: 60 }, (_, row) =>
      [row, ...names.map((_, i) => (row * i) % 13), row % 2].join(','),
    );
    world.write('wide.csv', `id,${names.join(',')},y\n${lines.join('\n')}\n`);
    const regression = { task: 'regression', source: { type: 'file', path: 'wide.csv' } };
    const done = await world.run(
      documentOf('wide', { dataset: regression, gate: { metric: 'rmse', max: 1 } }),
      'split',
    );
    const rows = 150_000;
    const put = async (name: string, sql: string) => {
      await world.duck.run(`COPY (${sql}) TO ${sqlLiteral(join(world.folder, name))} (FORMAT parquet)`);
      return (await world.artifacts.putFile(join(world.folder, name), mediaTypes.parquet)).digest;
    };
    const key = `lpad(r::VARCHAR, 7, '0')`;
    const cells = names.map((name, i) => `((r * ${i + 1}) % 1009)::DOUBLE AS ${name}`).join(', ');
    const file = await put(
      'large',
      `SELECT ${key} AS id, (r % 2)::VARCHAR AS y, ${cells} FROM range(${rows}) t(r) ORDER BY id`,
    );
    const parts = `CASE WHEN r % 100 = 0 THEN 'holdout' ELSE 'train' END`;
    const split = await put('parts', `SELECT ${key} AS key, ${parts} AS part FROM range(${rows}) t(r) ORDER BY key`);
    const inputs = { validate: { ...done.validate, file }, split: { ...done.split, split } } as unknown as Record<
      string,
      Json
    >;
    const held = () => process.memoryUsage().arrayBuffers + process.memoryUsage().heapUsed;
    const before = held();
    let most = 0;
    const watch = setInterval(() => (most = Math.max(most, held() - before)), 5);
    const input = { context: done.context, node: 'featurize', candidate: 0, inputs };
    const work = () => featurize({ ...world.deps, scorer }, input);
    const result = await world.runStep('featurize', done.context, work).finally(() => clearInterval(watch));
    expect(result.train).toMatchObject({ rows: rows * 0.99, width });
    const matrixMb = (rows * 0.99 * width * 4) / 1e6;
    console.info(`a matrix of ${matrixMb.toFixed(0)} MB with ${(most / 1e6).toFixed(0)} MB at most beside it`);
    // what waits for the garbage collector counts too
    expect(most).toBeLessThan(0.9e6 * matrixMb);
  }, 240_000);
});
