import { describe, expect, it } from 'vitest';
import type { Check } from '../../domain/check.js';
import { requireFit, unfitChanges, unknownColumns, unknownElsewhere } from '../../domain/schema-fit.js';
import { parsed, regression } from './document.support.js';

const schema = {
  ...{ key: 'id', label: 'price', task: 'regression' as const },
  columns: [
    { name: 'region', type: 'category' as const },
    { name: 'surface', type: 'number' as const },
    { name: 'built', type: 'date' as const },
  ],
};

describe('a document and the columns of its data', () => {
  it('fit where every named column is there, key and label among them', () => {
    const features = { include: ['region'], exclude: ['id', 'price'], types: { built: 'date' as const } };
    expect(unknownColumns(schema, features)).toEqual([]);
    expect(() => requireFit([])).not.toThrow();
  });

  it('do not fit where one is not: each name with the column that was probably meant', () => {
    const features = { include: ['Regoin'], exclude: ['surfce'], types: { xyz: 'text' as const } };
    const faults = unknownColumns(schema, features);
    expect(faults).toEqual([
      { path: 'features.include[0]', message: expect.stringMatching(/^found "Regoin".*did you mean "region"\?$/) },
      { path: 'features.exclude[0]', message: expect.stringMatching(/^found "surfce".*did you mean "surface"\?$/) },
      { path: 'features.types.xyz', message: 'found "xyz"; allowed: a column of the data: region, surface, built' },
    ]);
    expect(() => requireFit(faults)).toThrow(/^features\.include\[0\]: found "Regoin"/);
    expect(() => requireFit(faults)).toThrow(expect.objectContaining({ failure: 'SchemaMismatch', faults }) as never);
  });

  it('do not fit where the rest of the document names one that is not there', () => {
    const document = parsed(
      regression({
        features: { columns: { bult: { parts: ['year'] } } },
        evaluation: { slices: ['region', 'regions'] },
        trainer: [{ type: 'linear' }, { type: 'trees', params: { monotone: { surface: 1, srface: -1 } } }],
      }),
    );
    expect(unknownElsewhere(schema, document)).toEqual([
      { path: 'features.columns.bult', message: expect.stringContaining('did you mean "built"') },
      { path: 'evaluation.slices[1]', message: expect.stringContaining('did you mean "region"') },
      { path: 'trainer[1].params.monotone.srface', message: expect.stringContaining('did you mean "surface"') },
    ]);
  });

  it('do not fit where a change has no meaning for a feature', () => {
    const { features } = parsed(regression({ features: { exclude: ['built'] } }));
    const invariance = (column: string, ...changes: Extract<Check, { kind: 'invariance' }>['changes']) => ({
      ...{ kind: 'invariance' as const, name: column, column, changes, min: 1, rows: 1 },
    });
    const checks = [
      invariance('region', { kind: 'set', value: 'red' }, { kind: 'upper' }),
      invariance('surface', { kind: 'shuffle' }, { kind: 'missing' }, { kind: 'set', value: '12.5' }),
      invariance('surface', { kind: 'spaces' }),
      invariance('built', { kind: 'upper' }),
    ];
    expect(unfitChanges(schema, features, checks)).toEqual([
      {
        path: 'gate.checks[2].invariance.changes',
        message: expect.stringContaining('a number has no form "with spaces around"'),
      },
    ]);
  });
});
