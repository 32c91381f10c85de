import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { FittedFeatures, ModelInputs } from '../../domain/model.js';
import { featureWidth, matrixColumns } from '../../ml/features/columns.js';
import { featuriserGraph } from '../../ml/features/graph.js';
import { murmur3 } from '../../ml/features/hash.js';
import { featuriseReference } from '../../ml/features/reference.js';
import { fittedFeatures } from './fitted.js';
import type { Feed } from './support.js';
import { runOnce } from './support.js';

function feeds(fitted: FittedFeatures, inputs: ModelInputs): Record<string, Feed> {
  const { rows } = inputs;
  return {
    ...(fitted.num.length > 0 && {
      num: { type: 'float32' as const, dims: [rows, fitted.num.length], data: inputs.num },
    }),
    ...(fitted.cat.length > 0 && {
      cat: { type: 'string' as const, dims: [rows, fitted.cat.length], data: inputs.cat },
    }),
    ...(fitted.text && {
      text: { type: 'string' as const, dims: [rows, fitted.text.length], data: inputs.text ?? [] },
    }),
  };
}

async function featurise(fitted: FittedFeatures, inputs: ModelInputs): Promise<Float32Array> {
  const { X } = await runOnce(featuriserGraph(fitted), feeds(fitted, inputs));
  expect([...X!.dims]).toEqual([inputs.rows, featureWidth(fitted)]);
  return X!.data as Float32Array;
}

const word = fc.constantFrom('red', 'größe', '하나', 'Ωmega', '🙂', ' ', 'a,b', 'NaN', '0', 'x\0y');
const float = fc.float({ noNaN: true, min: -1000, max: 1000 });
const cycle = fc.record({ first: fc.constantFrom(0, 1), count: fc.integer({ min: 2, max: 31 }) });
const statistic = fc.record(
  {
    impute: fc.option(float),
    mean: fc.oneof(fc.constant(0), float),
    scale: fc.oneof(fc.constant(1), fc.float({ noNaN: true, min: 0, max: 100 })),
    indicator: fc.constant(true as const),
    cycle,
  },
  { requiredKeys: ['impute', 'mean', 'scale'] },
);
const category = fc
  .record(
    {
      values: fc
        .uniqueArray(word, { maxLength: 6 })
        .map((values) => values.map((value) => value.split('\0')[0]!).sort()),
      buckets: fc.integer({ min: 2, max: 40 }),
      code: fc.record({ missing: fc.constantFrom(null, -1) }),
    },
    { requiredKeys: ['values'] },
  )
  .map((one) => ({ ...one, values: one.buckets ? [] : [...new Set(one.values)] }));

const table = fc
  .record({ num: fc.array(statistic, { maxLength: 4 }), cat: fc.array(category, { maxLength: 3 }) })
  .filter(({ num, cat }) => num.length + cat.length > 0)
  .chain(({ num, cat }) => {
    const fitted = fittedFeatures({ num, cat });
    const cell = fc.oneof(word, fc.constant(''), fc.string({ unit: 'grapheme', maxLength: 3 }));
    const value = fc.oneof(float, fc.integer({ min: -1, max: 40 }));
    const row = fc.record({
      num: fc.tuple(...num.map(() => fc.oneof({ weight: 4, arbitrary: value }, fc.constant(NaN)))),
      cat: fc.tuple(...cat.map(() => cell)),
    });
    return fc.array(row, { minLength: 1, maxLength: 12 }).map((rows) => ({
      fitted,
      inputs: {
        rows: rows.length,
        num: Float32Array.from(rows.flatMap((r) => r.num)),
        cat: rows.flatMap((r) => r.cat),
      },
    }));
  });

test('the graph and the plain reference agree exactly on random tables', async () => {
  await fc.assert(
    fc.asyncProperty(table, async ({ fitted, inputs }) => {
      // a zero has no sign here
      const unsigned = (x: Float32Array) => x.map((value) => value + 0);
      expect(unsigned(await featurise(fitted, inputs))).toEqual(unsigned(featuriseReference(fitted, inputs)));
      const columns = matrixColumns(fitted);
      expect(columns).toHaveLength(fitted.width);
      // NaN only where the columns say so
      featuriseReference(fitted, inputs).forEach((value, at) => {
        if (Number.isNaN(value)) expect(columns[at % fitted.width]?.missing).toBe(true);
      });
    }),
    { numRuns: 150 },
  );
}, 120_000);

const script = fc.constantFrom(
  ...['Hello', 'WORLD', '나는', '학교에', '갔다.', 'e\u0301', '각', '🙂', '👨‍👩‍👧', '', ' ', '\u00a0', '\n', 'İstanbul'],
  ...['ΑΣ', 'straße', '3.14', 'it’s', '日本語', '\0', 'a\0b', '\ud800', "don't", '...', 'مرحبا', 'हिन्दी'],
);
const phrase = fc.oneof(
  fc.array(script, { maxLength: 8 }).map((words) => words.join(' ')),
  fc.array(script, { maxLength: 4 }).map((words) => words.join('')),
);
const span = (most: number) =>
  fc
    .tuple(fc.integer({ min: 1, max: most }), fc.integer({ min: 0, max: 2 }))
    .map(([from, more]): [number, number] => [from, from + more]);
const reading = fc
  .record({
    words: fc.option(span(3)),
    characters: fc.option(span(4)),
    lower: fc.boolean(),
    counts: fc.constantFrom('log' as const, 'plain' as const, 'binary' as const),
    hashes: fc.constantFrom(0, 16, 61),
    tokens: fc.option(fc.record({ length: fc.integer({ min: 1, max: 9 }), ids: fc.constantFrom(16, 1_048_576) })),
  })
  .filter(({ words, characters, hashes, tokens }) => (words || characters) !== null && (hashes > 0 || tokens !== null))
  .map(({ tokens, ...rest }) => ({ ...rest, ...(tokens && { tokens }) }));

test('texts of any script: the graph and the reference agree', async () => {
  const texts = fc.tuple(
    fc.array(reading, { minLength: 1, maxLength: 2 }),
    fc.array(fc.tuple(phrase, phrase), { maxLength: 6 }),
  );
  await fc.assert(
    fc.asyncProperty(texts, async ([text, rows]) => {
      const fitted = fittedFeatures({ num: [{ impute: 0, mean: 0, scale: 1 }], cat: [], text });
      const inputs = {
        rows: rows.length,
        num: new Float32Array(rows.length),
        cat: [],
        text: rows.flatMap((row) => row.slice(0, text.length)),
      };
      const [found, expected] = [await featurise(fitted, inputs), featuriseReference(fitted, inputs)];
      expect(found).toHaveLength(expected.length);
      found.forEach((value, at) => expect(Math.abs(value - expected[at]!)).toBeLessThanOrEqual(2e-7));
      expect(matrixColumns(fitted)).toHaveLength(fitted.width);
    }),
    { numRuns: 40 },
  );
}, 120_000);

test('a very long text, alone and beside short ones, gives the same bits', async () => {
  const text = [
    {
      words: [1, 2] as [number, number],
      characters: [2, 3] as [number, number],
      lower: true,
      counts: 'log' as const,
      hashes: 64,
    },
  ];
  const fitted = fittedFeatures({ num: [], cat: [], text });
  const long = '긴 글 이야기 '.repeat(2500);
  const alone = await featurise(fitted, { rows: 1, num: new Float32Array(0), cat: [], text: [long] });
  const beside = await featurise(fitted, { rows: 3, num: new Float32Array(0), cat: [], text: ['짧다', long, ''] });
  expect(beside.subarray(64, 128)).toEqual(alone);
  expect([...beside.subarray(128)]).toEqual(new Array(64).fill(0));
  const expected = featuriseReference(fitted, { rows: 1, num: new Float32Array(0), cat: [], text: [long] });
  alone.forEach((value, at) => expect(value).toBeCloseTo(expected[at]!, 6));
});

// Values of the reference implementation of MurmurHash3_x86_32, seed 0 (smhasher's own verification strings).
test('the hash is MurmurHash3', () => {
  const known: [string, number][] = [
    ['', 0],
    ['hello', 0x248bfa47],
    ['hello, world', 0x149bbb7f],
    ['The quick brown fox jumps over the lazy dog', 0x2e4ff723],
  ];
  for (const [text, hash] of known) expect(murmur3(text)).toBe(hash);
});

test('a known value, an unknown one, a missing one; a number, a missing number, a constant column', async () => {
  const fitted = fittedFeatures({
    num: [
      { impute: 5, mean: 3, scale: 0.5 },
      { impute: 7, mean: 7, scale: 0 },
    ],
    cat: [['blau', 'rot']],
  });
  const inputs = { rows: 3, num: Float32Array.of(1, 7, NaN, 9, 3, NaN), cat: ['rot', 'grün', ''] };
  const expected = [-1, 0, 0, 1, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0];
  expect([...(await featurise(fitted, inputs))]).toEqual(expected);
  expect([...featuriseReference(fitted, inputs)]).toEqual(expected);
});

test('no rows give no rows', async () => {
  const fitted = fittedFeatures({ num: [{ impute: 0, mean: 0, scale: 1 }], cat: [['a']] });
  expect(await featurise(fitted, { rows: 0, num: new Float32Array(0), cat: [] })).toEqual(new Float32Array(0));
});

test('the bytes depend on the statistics alone, and no column at all is refused', () => {
  const make = (mean: number): Uint8Array =>
    featuriserGraph(fittedFeatures({ num: [{ impute: 0, mean, scale: 1 }], cat: [['a']] }));
  expect(make(1)).toEqual(make(1));
  expect(make(1)).not.toEqual(make(2));
  expect(() => featuriserGraph(fittedFeatures({ num: [], cat: [] }))).toThrow(/no column/);
});
