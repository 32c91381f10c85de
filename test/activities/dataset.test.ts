import { mkdirSync, writeFileSync, symlinkSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mergeLabels } from '../../activities/dataset/merge.js';
import { partCell, partOf } from '../../activities/dataset/split.js';
import { readInputs } from '../../adapters/inputs.js';
import { sqlList } from '../../adapters/duckdb.js';
import { datasetOf, getDatasetVersion, latestDatasetVersion } from '../../db/dataset.js';
import { labelsOf } from '../../db/labeling.js';
import type { Profile } from '../../domain/dataset.js';
import type { Json } from '../../domain/json.js';
import type { FittedFeatures } from '../../domain/model.js';
import { toModelInputs } from '../../domain/signature.js';
import { featuriseReference } from '../../ml/features/reference.js';
import { type Done, documentOf, openWorld } from './dataset-run.js';

let world: Awaited<ReturnType<typeof openWorld>>;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world.close());

/** id, a (number), c (category), d (date), y (label, empty for each fifth row). */
function csv(
  rows: number,
  change: (row: number) => Partial<Record<'id' | 'a' | 'c' | 'd' | 'y', string>> = () => ({}),
): string {
  const lines = Array.from({ length: rows }, (_, row) => {
    const cells = {
      id: `k${row}`,
      a: `${row % 17}.5`,
      c: 'xyz'[row % 3] as string,
      d: `2026-01-${String((row % 28) + 1).padStart(2, '0')}`,
      y: row % 5 === 0 ? '' : `${row % 2}`,
      ...change(row),
    };
    return [cells.id, cells.a, cells.c, cells.d, cells.y].join(',');
  });
  return `id,a,c,d,y\n${lines.join('\n')}\n`;
}
const fileSource = (path: string) => ({ dataset: { source: { type: 'file', path } } });
const failing = (failure: string, detail = /.*/) =>
  expect.objectContaining({ failure, message: expect.stringMatching(detail) as string }) as unknown;

describe('from a file to a split', () => {
  let done: Done;
  beforeAll(async () => {
    world.write('first.csv', csv(400));
    done = await world.run(documentOf('first', fileSource('first.csv')), 'featurize');
  });

  it('makes a typed version, ordered by key, with its facts', async () => {
    expect(done.validate).toMatchObject({ kind: 'ok', rows: 400, labelled: 320, quarantined: 0 });
    const dataset = await datasetOf(world.db, 'default', 'first');
    const version = await latestDatasetVersion(world.db, dataset.id);
    expect(version).toMatchObject({ version: 1, rows: 400, labelCounts: { given: 320, human: 0 }, parents: [] });
    expect(dataset.schema).toEqual({
      key: 'id',
      label: 'y',
      task: 'classification',
      columns: [
        { name: 'a', type: 'number' },
        { name: 'c', type: 'category' },
        { name: 'd', type: 'date' },
      ],
    });
    if (done.validate.kind !== 'ok') throw new Error('not ok');
    const rows = await world.rows(done.validate.file);
    expect(Object.keys(rows[0] ?? {})).toEqual(['id', 'y', 'a', 'c', 'd']);
    const keys = rows.map((row) => String(row['id']));
    expect(keys).toEqual([...keys].sort());
    expect(rows[0]).toMatchObject({ id: 'k0', y: null, a: 0.5, c: 'x' });
  });

  it('gives the same bytes for the same rows, in whatever order they come', async () => {
    const [header, ...lines] = csv(400).trimEnd().split('\n');
    world.write('again.csv', [header, ...lines.reverse()].join('\r\n'));
    const again = await world.run(documentOf('again', fileSource('again.csv')), 'featurize');
    expect(again.extract.raw).toBe(done.extract.raw);
    for (const key of ['profile', 'schema'] as const) expect(again.profile[key]).toBe(done.profile[key]);
    expect(again.validate).toEqual(done.validate);
    expect(again.split).toEqual(done.split);
    expect(again.featurize).toEqual(done.featurize);
  });

  it('runs every step twice with the same result, and reads no file twice', async () => {
    const second = await world.run(documentOf('first', fileSource('first.csv')), 'featurize');
    expect(second.extract).toMatchObject({ raw: done.extract.raw, newRows: 0 });
    expect({ ...second.validate, parents: 0 }).toEqual({ ...done.validate, parents: 0 });
    const dataset = await datasetOf(world.db, 'default', 'first');
    expect(await latestDatasetVersion(world.db, dataset.id)).toMatchObject({ version: 1 });
  });

  it('profiles exactly and reports without a script', async () => {
    const profile = await world.artifacts.readJson<Profile>(done.profile.profile);
    expect(profile.rows).toBe(400);
    expect(profile.columns[0]).toMatchObject({
      name: 'a',
      type: 'number',
      count: 400,
      missing: 0,
      distinct: 17,
      min: 0.5,
      max: 16.5,
    });
    expect(profile.columns[0]?.histogram?.counts.reduce((sum, n) => sum + n, 0)).toBe(400);
    expect(profile.columns[1]?.top?.[0]).toEqual({ value: 'x', count: 134 });
    expect(profile.columns[2]).toMatchObject({
      type: 'date',
      min: '2026-01-01T00:00:00Z',
      max: '2026-01-28T00:00:00Z',
    });
    expect(profile.label).toMatchObject({ type: 'category', count: 320, missing: 80, distinct: 2 });
    const html = (await world.artifacts.readBytes(done.profile.report)).toString('utf8');
    expect(html).not.toMatch(/<script|https?:|src=|href=/);
    expect(html).toContain('<svg');
  });

  it('splits by key alone, SQL as TypeScript', async () => {
    const parts = await world.rows(done.split.split);
    const shares = { holdout: 0.2, validation: 0.1 };
    expect(parts.map(({ part }) => part)).toEqual(parts.map(({ key }) => partOf(1, String(key), shares)));
    expect(done.split.counts.holdout).toBeGreaterThan(50);
    const odd = ['', '가', "o'brien", 'a:b', '\n', ...Array.from({ length: 2000 }, (_, index) => `${index}`)];
    const cells = await world.duck.query<{ part: string }>(
      `SELECT ${partCell(-7, 'key', shares)} AS part FROM (SELECT unnest(${sqlList(odd)}) AS key)`,
    );
    expect(cells.map(({ part }) => part)).toEqual(odd.map((key) => partOf(-7, key, shares)));
  });

  it('makes matrices with the served nodes', async () => {
    const { features, train, validation, holdoutRows, outputs } = done.featurize;
    const fitted = await world.artifacts.readJson<FittedFeatures>(features);
    expect(fitted.signature.classes).toEqual(['0', '1']);
    expect(outputs).toBe(2);
    expect(fitted.width).toBe(7 + 4);
    if (done.validate.kind !== 'ok') throw new Error('not ok');
    const file = await world.artifacts.localPath(done.validate.file);
    const split = await world.artifacts.localPath(done.split.split);
    const rows = await readInputs(world.duck, {
      file,
      split,
      part: 'train',
      labelled: true,
      signature: fitted.signature,
      columns: ['c', 'id'],
    });
    expect(rows.extra['id']).toEqual(rows.keys);
    expect(rows.extra['c']).toEqual(rows.inputs.cat);
    const bytes = readFileSync(await world.artifacts.localPath(train.x));
    const x = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
    expect(x).toEqual(featuriseReference(fitted, rows.inputs));
    expect(train.rows + (validation?.rows ?? 0) + holdoutRows).toBe(320);
    // The same rows as JSON give the same inputs.
    const cells = rows.keys
      .map((key) => Number(key.slice(1)))
      .map((row) => ({
        a: `${row % 17}.5`,
        c: 'xyz'[row % 3],
        d: `2026-01-${String((row % 28) + 1).padStart(2, '0')}`,
      }));
    expect(toModelInputs(fitted.signature, cells)).toEqual({ inputs: rows.inputs });
    const few = await readInputs(world.duck, { file, split, part: 'train', signature: fitted.signature, limit: 5 });
    expect(few.keys).toHaveLength(5);
    const open = await readInputs(world.duck, {
      file,
      split,
      part: 'train',
      labelled: false,
      signature: fitted.signature,
    });
    expect(open.labels.every((label) => label === null)).toBe(true);
  });
});

describe('pushes and changed files', () => {
  it('replace rows by key, never erase a label, and add up', async () => {
    const document = documentOf('pushes');
    await world
      .open(document)
      .then((context) =>
        import('../../db/run.js').then(({ closeRun }) =>
          closeRun(world.db, { run: context.run, status: 'cancelled', failure: null }),
        ),
      );
    await world.push('pushes', csv(200));
    await world.run(document);
    await world.push('pushes', 'id,a,c,d,y\nk1,99,z,2026-02-01,\nk999,1,x,2026-02-01,1\n');
    await world.push('pushes', 'id,a,c,d,y\nk0,5,x,2026-02-01,1\n');
    const done = await world.run(document);
    expect(done.extract).toMatchObject({ rows: 201, newRows: 3, watermark: { ingest: 3 } });
    const raw = new Map((await world.rows(done.extract.raw)).map((row) => [row['id'], row]));
    expect(raw.get('k1')).toEqual({ id: 'k1', a: '99', c: 'z', d: '2026-02-01', y: '1' });
    expect(raw.get('k0')).toMatchObject({ a: '5', y: '1' });
    const dataset = await datasetOf(world.db, 'default', 'pushes');
    if (done.validate.kind !== 'ok') throw new Error('not ok');
    const version = await getDatasetVersion(world.db, dataset.id, done.validate.dataset);
    expect(version.parents).toHaveLength(1);
    // The raw file of before is gone: the same rows are read again from the start.
    const { raw: kept } = version.watermark as unknown as { raw: `sha256:${string}` };
    await world.artifacts.store.remove(kept);
    const again = await world.run(document);
    expect(again.extract.raw).toBe(done.extract.raw);
    expect(again.extract.newRows).toBe(203);
  });

  it('reads globs, changed files alone, and all formats', async () => {
    mkdirSync(join(world.folder, 'parts'));
    world.write('parts/a.csv', csv(60));
    world.write('parts/b.jsonl', '{"id":"j1","a":1,"c":"x","d":"2026-01-01","y":1}\n');
    const document = documentOf('globs', fileSource('parts/*'));
    expect((await world.run(document)).extract).toMatchObject({ rows: 61, newRows: 61 });
    world.write('parts/b.jsonl', '{"id":"j2","a":1,"c":"x","d":"2026-01-01","y":0}\n');
    expect((await world.run(document)).extract).toMatchObject({ rows: 62, newRows: 1 });
  });

  it.each([
    ['nowhere.csv', 'SourceNotFound', undefined],
    ['no/*.csv', 'SourceNotFound', undefined],
    ['../outside.csv', 'SourceNotAllowed', 'inside'],
    ['/etc/passwd', 'SourceNotAllowed', 'inside'],
    ['inside/link.csv', 'SourceNotAllowed', 'inside'],
  ])('refuse the source %s with %s', async (path, failure, sources) => {
    mkdirSync(join(world.folder, 'inside'), { recursive: true });
    try {
      symlinkSync('/etc/passwd', join(world.folder, 'inside/link.csv'));
    } catch {
      // There already.
    }
    world.config.sources = sources;
    try {
      await expect(world.run(documentOf('sources', fileSource(path)))).rejects.toEqual(failing(failure));
    } finally {
      world.config.sources = undefined;
    }
  });
});

describe('bad data', () => {
  let number = 0;
  const run = (content: string, more: Record<string, unknown> = {}, last: 'split' | 'featurize' = 'split') => {
    const name = `bad${number++}`;
    writeFileSync(join(world.folder, `${name}.csv`), content);
    return world.run(documentOf(name, { ...more, ...fileSource(`${name}.csv`) } as never), last);
  };

  it.each([
    ['no label column', 'id,a\n1,2\n', 'LabelColumnMissing'],
    ['one class', csv(50, () => ({ y: 'same' })), 'OneClass'],
    ['no label at all', csv(50, () => ({ y: '' })), 'NoLabels'],
    ['no key column', 'a,y\n1,2\n', 'KeyColumnMissing'],
    ['0 bytes', '', 'DatasetEmpty'],
    ['duplicate keys', `${csv(20)}k3,1,x,2026-01-01,1\n`, 'DuplicateKeys'],
  ])('ends with its own failure: %s', async (_name, content, failure) => {
    await expect(run(content)).rejects.toEqual(failing(failure));
  });

  it('goes to quarantine with its reasons, and the words NaN and Infinity with it', async () => {
    const content = csv(1000, (row) =>
      row === 3 ? { a: 'NaN' } : row === 4 ? { a: '-Infinity' } : row === 5 ? { c: 'q' } : {},
    );
    const done = await run(content, {
      expectations: [
        { column: 'c', in: ['x', 'y', 'z'] },
        { column: 'a', min: 0 },
      ],
    });
    expect(done.validate).toMatchObject({ rows: 997, quarantined: 3 });
    if (done.validate.kind !== 'ok' || !done.validate.quarantine) throw new Error('not ok');
    const rows = await world.rows(done.validate.quarantine);
    expect(rows.map(({ id, reasons }) => [id, reasons])).toEqual([
      ['k3', ['a is not finite']],
      ['k4', ['a is not finite']],
      ['k5', ['c is none of the allowed values']],
    ]);
  });

  it('stops past the tolerance and says why', async () => {
    const content = csv(100, (row) => (row < 5 ? { a: '-1' } : {}));
    await expect(run(content, { expectations: [{ column: 'a', min: 0 }] })).rejects.toEqual(
      failing('QuarantineExceeded', /5 of 100 rows are bad.*a is below 0 \(5, as in k0, k1, k2\).*sha256:/),
    );
  });

  it('checks the table and uniqueness', async () => {
    await expect(run(csv(50), { expectations: [{ rows: { min: 100 } }] })).rejects.toEqual(
      failing('ExpectationFailed', /50 good rows/),
    );
    await expect(run(csv(50), { expectations: [{ column: 'c', unique: true }] })).rejects.toEqual(
      failing('QuarantineExceeded', /c is not unique/),
    );
    await expect(run(csv(50), { expectations: [{ column: 'nope', notNull: true }] })).rejects.toEqual(
      failing('SchemaMismatch'),
    );
  });

  it('lacks columns that the features name: all are told, before anything is computed', async () => {
    const features = { exclude: ['id', 'aa'], types: { when: 'date', c: 'category' } };
    await expect(run(csv(50), { features })).rejects.toEqual(
      failing('SchemaMismatch', /features\.exclude\[1\]: found "aa".*; features\.types\.when: found "when"/),
    );
    await expect(run(csv(50), { features: ['b'] })).rejects.toEqual(
      failing('SchemaMismatch', /features\.include\[0\]/),
    );
  });

  it('is of another type than the document states, in words that say so', async () => {
    await expect(run(csv(50), { features: { types: { c: 'number' } } })).rejects.toEqual(
      failing('SchemaMismatch', /c is not a number in 50 of 50 rows: features\.types says number/),
    );
    await expect(run(csv(50), { expectations: [{ column: 'c', min: 0 }] })).rejects.toEqual(
      failing('SchemaMismatch', /c is not a number in 50 of 50 rows: expectations bound it/),
    );
  });

  it('has types that a change of an invariance check has no form for: said before training', async () => {
    const changes = { set: ['1', 'red'] };
    const gate = { metric: 'accuracy', min: 0.5, checks: [{ invariance: { column: 'a', changes } }] };
    await expect(run(csv(50), { gate })).rejects.toEqual(
      failing(
        'SchemaMismatch',
        /gate\.checks\[0\]\.invariance\.changes: found a change without meaning \("red" must be a number/,
      ),
    );
  });

  it('escapes what it shows', async () => {
    const done = await run(csv(60, () => ({ c: '<img src=x onerror=alert(1)>' })));
    const html = (await world.artifacts.readBytes(done.profile.report)).toString('utf8');
    expect(html).not.toContain('<img');
  });

  it('keeps names that are not ASCII, and large integers as categories or numbers', async () => {
    const done = await run('id,이름,y\n9007199254740993,"가, ""나""\n다",1\n9007199254740992,b,0\n', {
      split: { holdout: 0.5, validation: 0, seed: 2 },
    });
    if (done.validate.kind !== 'ok') throw new Error('not ok');
    expect(await world.rows(done.validate.file)).toEqual([
      { id: '9007199254740992', y: '0', 이름: 'b' },
      { id: '9007199254740993', y: '1', 이름: '가, "나"\n다' },
    ]);
  });

  it('needs labels on both sides of the split, and features', async () => {
    await expect(
      run(
        csv(40, (row) => ({
          y: partOf(1, `k${row}`, { holdout: 0.2, validation: 0.1 }) === 'holdout' ? '' : `${row % 2}`,
        })),
        {},
        'featurize',
      ),
    ).rejects.toEqual(failing('NoLabels', /holdout/));
    await expect(run(csv(40), { features: { exclude: ['a', 'c', 'd'] } }, 'featurize')).rejects.toEqual(
      failing('FeaturesUnfit'),
    );
  });

  it('is warned about', async () => {
    const done = await run(
      csv(300, (row) => ({ a: '1', c: row % 2 ? 'odd' : 'even', y: `${row % 2}` })),
      {},
      'featurize',
    );
    expect(done.featurize.warnings).toEqual(['constant in the training part: a', 'may give the label away: c']);
  });
});

describe('the schema', () => {
  it('asks a person about a new column, and takes it when approved', async () => {
    world.write('grow.csv', csv(100));
    const document = documentOf('grow', fileSource('grow.csv'));
    await world.run(document);
    const withExtra = (text: string) =>
      text
        .split('\n')
        .map((line, row) => (line ? `${line},${row === 0 ? 'extra' : row}` : line))
        .join('\n');
    world.write('grow.csv', withExtra(csv(100)));
    const asked = await world.run(document, 'validate');
    expect(asked.validate).toMatchObject({ kind: 'ask', newColumns: ['extra'] });
    const done = await world.run(document, 'validate', { 'schema:answer': 'approve' });
    expect(done.validate).toMatchObject({ kind: 'ok', rows: 100 });
    expect((await datasetOf(world.db, 'default', 'grow')).schema?.columns.at(-1)).toEqual({
      name: 'extra',
      type: 'number',
    });
    world.write('grow.csv', withExtra(csv(100, (row) => ({ id: `n${row}`, a: 'text' }))));
    await expect(world.run(document)).rejects.toEqual(failing('SchemaMismatch', /a is not a number/));
  });

  it('refuses a column that is gone', async () => {
    world.write('shrink.csv', csv(100));
    const name = 'shrink';
    await world.run(documentOf(name, fileSource('shrink.csv')));
    const document = documentOf(name, fileSource('shrink2.csv'));
    world.write('shrink2.csv', 'id,y\nk1,1\n');
    await expect(world.run(document)).rejects.toEqual(failing('SchemaMismatch', /missing: a, c, d/));
    // Rows that a later file replaces do not count.
    world.write('shrink3.csv', csv(100));
    const done = await world.run(documentOf(name, fileSource('shrink[23].csv')));
    expect(done.validate).toMatchObject({ kind: 'ok', rows: 100 });
  });
});

describe('other splits', () => {
  it('keep a group together', async () => {
    world.write(
      'groups.csv',
      csv(300, (row) => ({ c: `g${row % 40}` })),
    );
    const done = await world.run(
      documentOf('groups', { ...fileSource('groups.csv'), split: { holdout: 0.3, validation: 0.2, seed: 3, by: 'c' } }),
    );
    const parts = new Map((await world.rows(done.split.split)).map((row) => [row['key'], row['part']]));
    const groups = new Map<number, Set<unknown>>();
    for (let row = 0; row < 300; row++)
      groups.set(row % 40, (groups.get(row % 40) ?? new Set()).add(parts.get(`k${row}`)));
    expect([...groups.values()].every((found) => found.size === 1)).toBe(true);
    expect(new Set(parts.values()).size).toBe(3);
  });

  it('cut by time, equal times together', async () => {
    const day = (row: number) => `2026-01-${String((row % 20) + 1).padStart(2, '0')}`;
    world.write(
      'times.csv',
      csv(201, (row) => ({ d: row === 200 ? '' : day(row) })),
    );
    const done = await world.run(
      documentOf('times', {
        ...fileSource('times.csv'),
        split: { holdout: 0.2, validation: 0.1, seed: 3, by: { time: 'd' } },
      }),
    );
    const parts = new Map((await world.rows(done.split.split)).map((row) => [row['key'], row['part']]));
    for (let row = 0; row < 201; row++) {
      const of = row === 200 ? 0 : (row % 20) + 1;
      expect(parts.get(`k${row}`)).toBe(of > 16 ? 'holdout' : of > 14 ? 'validation' : 'train');
    }
  });
});

it('labels of people make a new version, and replace given ones where they were asked again', async () => {
  world.write('people.csv', csv(100));
  const document = documentOf('people', fileSource('people.csv'));
  const done = await world.run(document);
  if (done.validate.kind !== 'ok') throw new Error('not ok');
  const dataset = await datasetOf(world.db, 'default', 'people');
  const input = {
    context: done.context,
    node: 'label',
    candidate: 0,
    inputs: { profile: done.profile as unknown as Json, validate: done.validate as unknown as Json },
  };
  const merge = () =>
    world.runStep('label', done.context, () => mergeLabels(world.deps, input, { batch: null, counts: null }));
  expect(await merge()).toMatchObject({ dataset: done.validate.dataset, file: done.validate.file, labelled: 80 });
  for (const [key, label] of [
    ['k0', '1'],
    ['k5', "it's"],
    ['k1', '0'],
    ['gone', '1'],
  ] as const) {
    await world.db.execute(
      sql`insert into label (dataset, key, label, source, annotators) values (${dataset.id}, ${key}, ${label}, 'human', '["kim"]'::jsonb)`,
    );
  }
  // asked about again: k2 is changed, k3 confirmed, k10 had its label from people before
  for (const [key, label] of [
    ['k2', '1'],
    ['k3', '1'],
    ['k10', '0'],
  ] as const) {
    await world.db.execute(
      sql`insert into label (dataset, key, label, source, annotators, relabel)
        values (${dataset.id}, ${key}, ${label}, 'human', '["lee"]'::jsonb, true)`,
    );
  }
  const merged = await merge();
  expect(merged).toMatchObject({
    labelled: 83,
    summary: '3 labels are new, 1 are other than before, 83 of 100 rows are labelled',
  });
  expect(await merge()).toEqual(merged);
  const rows = new Map((await world.rows(merged.file)).map((row) => [row['id'], row['y']]));
  const expected = { k0: '1', k5: "it's", k1: '1', k2: '1', k3: '1', k10: '0' };
  expect(Object.fromEntries(Object.keys(expected).map((key) => [key, rows.get(key)]))).toEqual(expected);
  const version = await getDatasetVersion(world.db, dataset.id, merged.dataset);
  expect(version).toMatchObject({
    parents: [done.validate.dataset],
    annotators: ['kim', 'lee'],
    labelCounts: { given: 78, human: 5 },
  });
  expect((await labelsOf(world.db, dataset.id)).length).toBe(7);
  // The next run finds the same rows and labels, and therefore the same version.
  const next = await world.run(document);
  expect(next.validate).toMatchObject({ dataset: merged.dataset, labelled: 83 });
  // the label that came stays in the data as it came
  const raw = await world.rows(next.extract.raw);
  expect(raw.find((row) => row['id'] === 'k2')).toMatchObject({ y: '0' });
});
