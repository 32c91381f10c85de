import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { FittedFeatures, ModelInputs } from '../../domain/model.js';
import { featureWidth, featuriserGraph } from '../../ml/features/graph.js';
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
  };
}

async function featurise(fitted: FittedFeatures, inputs: ModelInputs): Promise<Float32Array> {
  const { X } = await runOnce(featuriserGraph(fitted), feeds(fitted, inputs));
  expect([...X!.dims]).toEqual([inputs.rows, featureWidth(fitted)]);
  return X!.data as Float32Array;
}

const word = fc.constantFrom('red', 'größe', '하나', 'Ωmega', '🙂', ' ', 'a,b', 'NaN', '0');
const float = fc.float({ noNaN: true, min: -1000, max: 1000 });
const statistic = fc.record({ impute: float, mean: float, scale: fc.float({ noNaN: true, min: 0, max: 100 }) });

const table = fc
  .record({
    num: fc.array(statistic, { maxLength: 4 }),
    cat: fc.array(fc.uniqueArray(word, { maxLength: 6 }), { maxLength: 3 }),
  })
  .filter(({ num, cat }) => num.length + cat.length > 0)
  .chain(({ num, cat }) => {
    const fitted = fittedFeatures({ num, cat: cat.map((values) => values.sort()) });
    const cell = fc.oneof(word, fc.constant(''), fc.string({ unit: 'grapheme', maxLength: 3 }));
    const row = fc.record({
      num: fc.tuple(...num.map(() => fc.oneof({ weight: 4, arbitrary: float }, fc.constant(NaN)))),
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
      expect(await featurise(fitted, inputs)).toEqual(featuriseReference(fitted, inputs));
    }),
    { numRuns: 150 },
  );
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
