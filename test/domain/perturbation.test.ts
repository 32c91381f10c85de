import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Change } from '../../domain/check.js';
import type { ModelInputs, Signature } from '../../domain/model.js';
import { changeColumn, isInput } from '../../domain/perturbation.js';
import { createRandom } from '../../stats/prng.js';

const signature: Signature = {
  num: [
    { column: 'age', part: null },
    { column: 'day', part: 'year' },
    { column: 'day', part: 'month' },
  ],
  cat: ['colour', 'town'],
  text: ['note'],
  task: 'classification',
  classes: ['a', 'b'],
};
const rows = 40;
const inputs: ModelInputs = {
  rows,
  num: Float32Array.from({ length: rows * 3 }, (_, i) => i),
  text: Array.from({ length: rows }, (_, i) => `Note ${i}`),
  cat: Array.from({ length: rows * 2 }, (_, i) => (i === 4 ? '' : `Value ${i}`)),
};

function changed(column: string, change: Change): ModelInputs {
  const made = changeColumn(inputs, signature, { column, change, random: createRandom(3) });
  if ('fault' in made) throw new Error(made.fault);
  return made.inputs;
}
const numbers = (of: ModelInputs, place: number) => Array.from({ length: rows }, (_, row) => of.num[row * 3 + place]!);
const texts = (of: ModelInputs, place: number) => Array.from({ length: rows }, (_, row) => of.cat[row * 2 + place]!);

describe('a changed column', () => {
  it('keeps its values when shuffled, and the parts of a date together', () => {
    const ages = numbers(changed('age', { kind: 'shuffle' }), 0);
    expect(ages).not.toEqual(numbers(inputs, 0));
    expect([...ages].sort((a, b) => a - b)).toEqual(numbers(inputs, 0));
    const days = changed('day', { kind: 'shuffle' });
    numbers(days, 1).forEach((year, row) => expect(numbers(days, 2)[row]).toBe(year + 1));
    expect(new Set(texts(changed('town', { kind: 'shuffle' }), 1))).toEqual(new Set(texts(inputs, 1)));
  });

  it('can be missing, set, in other letters, with spaces', () => {
    expect(numbers(changed('day', { kind: 'missing' }), 2).every(Number.isNaN)).toBe(true);
    expect(new Set(numbers(changed('age', { kind: 'set', value: '7.5' }), 0))).toEqual(new Set([7.5]));
    const days = changed('day', { kind: 'set', value: '2024-05-06' });
    expect([numbers(days, 1)[0], numbers(days, 2)[0]]).toEqual([2024, 5]);
    expect(new Set(texts(changed('colour', { kind: 'set', value: 'red' }), 0))).toEqual(new Set(['red']));
    expect(texts(changed('colour', { kind: 'upper' }), 0)[0]).toBe('VALUE 0');
    expect(texts(changed('colour', { kind: 'lower' }), 0)[0]).toBe('value 0');
    expect(texts(changed('colour', { kind: 'spaces' }), 0).slice(0, 3)).toEqual([' Value 0 ', ' Value 2 ', '']);
    expect(new Set(texts(changed('colour', { kind: 'missing' }), 0))).toEqual(new Set(['']));
    expect(changed('note', { kind: 'upper' }).text?.[3]).toBe('NOTE 3');
  });

  it('leaves all other columns and the given rows as they are', () => {
    const kinds: Change[] = [{ kind: 'shuffle' }, { kind: 'missing' }, { kind: 'set', value: '2020-01-01' }];
    const before = JSON.stringify([[...inputs.num], inputs.cat]);
    fc.assert(
      fc.property(fc.constantFrom('day', 'colour'), fc.constantFrom(...kinds), (column, change) => {
        const after = changed(column, change);
        expect(numbers(after, 0)).toEqual(numbers(inputs, 0));
        expect(texts(after, 1)).toEqual(texts(inputs, 1));
        if (column === 'day') expect(after.cat).toEqual(inputs.cat);
        else expect(after.num).toEqual(inputs.num);
        expect(JSON.stringify([[...inputs.num], inputs.cat])).toBe(before);
      }),
    );
  });

  it('is refused where the change means nothing', () => {
    const fault = (column: string, change: Change) =>
      changeColumn(inputs, signature, { column, change, random: createRandom(1) });
    expect(fault('age', { kind: 'upper' })).toEqual({ fault: 'a number has no form "in capitals"' });
    expect(fault('age', { kind: 'set', value: 'red' })).toEqual({ fault: '"red" must be a number or null' });
    expect(fault('day', { kind: 'set', value: 'red' })).toMatchObject({ fault: expect.stringContaining('ISO 8601') });
  });

  it('is one that the model is told', () => {
    const columns = ['age', 'day', 'town', 'note', 'id'];
    expect(columns.filter((column) => isInput(signature, column))).toEqual(columns.slice(0, 4));
  });
});
