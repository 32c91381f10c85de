import { describe, expect, test } from 'vitest';
import { needsOf } from '../../ml/trainers/index.js';
import { requireMemory } from '../../ml/trainers/needs.js';
import { trainSpec } from './spec.js';

const limitMb = 4_096;
const sizes = { rows: 10_000, width: 100, outputs: 10 };
const refusal = (given: Parameters<typeof trainSpec>[0]) => () =>
  requireMemory(given.trainer ?? 'linear', needsOf(trainSpec(given)), limitMb);

describe('the memory that a training needs', () => {
  test('counts the parameters, twice with their moments, and the rows of a shard', () => {
    const spec = trainSpec({ ...sizes, trainer: 'mlp', params: { hidden: [50] } });
    const parameters = 100 * 50 + 50 + 50 * 10 + 10;
    expect(needsOf(spec)).toEqual({ parameters, bytes: 4 * (6 * parameters + 10_000 * 100 + 64 * 50) });
    const sgd = trainSpec({ ...sizes, trainer: 'mlp', params: { hidden: [50], optimiser: 'sgd' } });
    expect(needsOf(spec).bytes - needsOf(sgd).bytes).toBe(4 * 2 * parameters);
  });

  test('does not grow with rows that are read shard by shard', () => {
    const bytes = (rows: number) => needsOf(trainSpec({ ...sizes, rows })).bytes;
    expect(bytes(100_000_000)).toBe(bytes(10_000_000));
  });

  test('leaves what fits alone', () => {
    for (const trainer of ['linear', 'mlp', 'trees'] as const) expect(refusal({ ...sizes, trainer })).not.toThrow();
  });

  test.each([
    // rows that a machine of that memory holds: one hessian for regression, one score for two classes
    ['regression', 1, 170_000_000],
    ['classification', 2, 150_000_000],
  ] as const)('leaves trees on many narrow rows alone: %s', (task, outputs, rows) => {
    expect(refusal({ task, outputs, rows, width: 4, trainer: 'trees' })).not.toThrow();
    const words = /^trees on these rows takes at least/;
    expect(refusal({ task, outputs, rows: rows * 1.6, width: 4, trainer: 'trees' })).toThrow(words);
  });

  test.each([
    ['mlp', { hidden: [8192, 8192, 8192, 8192] }, sizes, /^mlp with 202,260,490 parameters takes at least 4,6\d\d MiB/],
    ['cnn', { height: 256, width: 256, filters: [512] }, { ...sizes, width: 65_536 }, /^cnn with .* parameters/],
    ['cnn', { height: 256, width: 256, filters: [64], batch: 1024 }, { ...sizes, width: 65_536 }, /^cnn with/],
    ['trees', {}, { ...sizes, rows: 300_000_000 }, /^trees on these rows takes at least/],
  ] as const)('refuses %s %j before it is begun', (trainer, params, given, words) => {
    const refused = refusal({ ...given, trainer, params: { ...params } });
    expect(refused).toThrow(words);
    expect(refused).toThrow(/the limit is 4,096 MiB \(PERENNIAL_MEMORY_MB\)$/);
    expect(refused).toThrow(expect.objectContaining({ failure: 'ModelTooLarge' }) as never);
  });

  test('of the trainer text counts its ids', () => {
    const tokens = { columns: [64, 64], ids: 1_048_576 };
    const params = { dims: 1024 };
    expect(refusal({ ...sizes, width: 228, trainer: 'text', params, tokens })).toThrow(/^text with 1,07\d,\d{3},\d{3}/);
    expect(refusal({ ...sizes, width: 228, trainer: 'mlp', tokens })).not.toThrow();
  });
});
