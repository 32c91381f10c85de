import { describe, expect, it } from 'vitest';
import type { Schema } from '../../domain/dataset.js';
import { digits, parsed } from './document.support.js';
import { signatureOf, toModelInputs } from '../../domain/signature.js';

const schema: Schema = {
  key: 'id',
  label: 'y',
  task: 'classification',
  columns: [
    { name: 'a', type: 'number' },
    { name: 'when', type: 'date' },
    { name: 'b', type: 'category' },
    { name: 'c', type: 'number' },
  ],
};
const all = parsed(digits({ features: {} })).features;
const signature = signatureOf(schema, { ...all, exclude: ['when'] }, ['0', '1']);

function inputsOf(rows: Record<string, unknown>[], of = signature) {
  const read = toModelInputs(of, rows);
  if ('faults' in read) throw new Error(JSON.stringify(read.faults));
  return { num: [...read.inputs.num], cat: read.inputs.cat };
}

describe('signature', () => {
  it('keeps the order of the schema, dates as parts', () => {
    expect(signatureOf(schema, all).num.map(({ column, part }) => part ?? column)).toEqual([
      'a',
      'year',
      'month',
      'day',
      'weekday',
      'hour',
      'epochDays',
      'c',
    ]);
    expect(signatureOf(schema, { ...all, include: ['b', 'c'], exclude: ['c'] })).toEqual({
      num: [],
      cat: ['b'],
      task: 'classification',
      classes: [],
    });
  });
});

describe('rows of JSON', () => {
  it('may have their columns in any order, and others', () => {
    expect(inputsOf([{ c: 2, y: 'secret', b: 'x', id: 7, a: 1 }])).toEqual({ num: [1, 2], cat: ['x'] });
  });
  it('may miss values', () => {
    expect(inputsOf([{ a: null, b: null, c: '' }])).toEqual({ num: [NaN, NaN], cat: [''] });
  });
  it('may write numbers as text and categories as numbers', () => {
    expect(
      inputsOf([
        { a: '1e2', b: 3, c: ' -.5 ' },
        { a: 0, b: true, c: '+1.' },
      ]),
    ).toEqual({ num: [100, -0.5, 0, 1], cat: ['3', 'true'] });
  });
  it('take dates apart', () => {
    const dates = signatureOf(schema, { ...all, include: ['when'] });
    expect(inputsOf([{ when: '2026-03-01T23:00:00-02:00' }, { when: null }], dates).num).toEqual([
      2026,
      3,
      2,
      1,
      1,
      20514,
      NaN,
      NaN,
      NaN,
      NaN,
      NaN,
      NaN,
    ]);
    expect(toModelInputs(dates, [{ when: '2026-02-30' }])).toEqual({
      faults: [{ path: 'rows[0].when', message: 'must be an ISO 8601 date or time, or null' }],
    });
  });
  it('name every fault', () => {
    const rows = [
      { a: 'NaN', b: {}, c: 1e39 },
      { b: 'x', c: 1 },
      5 as unknown as Record<string, unknown>,
      { a: true, b: 'x', c: '0x10' },
    ];
    expect(toModelInputs(signature, rows)).toEqual({
      faults: [
        { path: 'rows[0].a', message: 'must be a number or null' },
        { path: 'rows[0].c', message: 'is too large: the model computes in 32 bits' },
        { path: 'rows[0].b', message: 'must be a text or null' },
        { path: 'rows[1].a', message: 'is missing; null stands for an unknown value' },
        { path: 'rows[2]', message: 'must be an object of columns' },
        { path: 'rows[3].a', message: 'must be a number or null' },
        { path: 'rows[3].c', message: 'must be a number or null' },
      ],
    });
  });
  it('do not take a column from the prototype', () => {
    const odd = signatureOf({ ...schema, columns: [{ name: 'constructor', type: 'category' }] }, all);
    expect(toModelInputs(odd, [{}])).toMatchObject({ faults: [{ path: 'rows[0].constructor' }] });
  });
});
