import { expect, test } from 'vitest';
import { columnFacts } from '../../activities/training/columns.js';
import type { FittedFeatures } from '../../domain/model.js';

const number = (column: string, part: 'year' | null = null) => ({
  ...{ input: { column, part }, impute: null, mean: 0, scale: 1 },
});
const fitted: FittedFeatures = {
  ...{ version: 1, width: 4, signature: { num: [], cat: [], task: 'regression', classes: [] } },
  num: [number('price'), number('built', 'year'), number('area')],
  cat: [{ column: 'city', values: ['Seoul', '부산'], code: { missing: null } }],
};

test('trees are told which columns hold codes, and of the directions by column number', () => {
  const params = { monotone: { area: -1, price: 1, 'built.year': 1 } };
  expect(columnFacts(fitted, { type: 'trees', params })).toEqual({
    columns: {
      codes: [3],
      monotone: [
        { column: 0, direction: 1 },
        { column: 1, direction: 1 },
        { column: 2, direction: -1 },
      ],
    },
  });
  expect(columnFacts(fitted, { type: 'linear', params: {} })).toEqual({});
});

test.each(['city', 'rooms', 'built'])('a direction of %s, which is no number feature, is refused', (name) => {
  const refused = () => columnFacts(fitted, { type: 'trees', params: { monotone: { [name]: 1 } } });
  expect(refused).toThrow(`trainer.params.monotone: ${name} is no number feature; there are price, built.year, area`);
});
