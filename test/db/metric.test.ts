import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { logMetrics, metricsOf } from '../../db/metric.js';
import { testDatabase, type TestDatabase } from '../support/database.js';

let base: TestDatabase;
beforeAll(async () => {
  base = await testDatabase({ max: 30 });
});
afterAll(() => base.close());

describe('metrics', () => {
  it('take bulk, the same step again, and numbers that are none', async () => {
    const points = Array.from({ length: 12_000 }, (_, step) => ({
      run: 'r',
      name: 'loss',
      candidate: 0,
      step,
      value: 1 / (step + 1),
    }));
    await logMetrics(base.db, points);
    await logMetrics(base.db, [
      { ...points[3]!, value: NaN },
      { ...points[4]!, value: 1 },
      { ...points[4]!, value: Infinity },
    ]);
    const stored = await metricsOf(base.db, 'r', 'loss');
    expect(stored).toHaveLength(12_000);
    expect(stored.slice(2, 5).map((point) => point.value)).toEqual([1 / 3, NaN, Infinity]);
    expect(await metricsOf(base.db, 'r', 'accuracy')).toEqual([]);
  });
});
