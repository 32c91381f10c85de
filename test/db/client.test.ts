import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { addIngest } from '../../db/dataset.js';
import { newId } from '../../db/id.js';
import { logMetrics } from '../../db/metric.js';
import { testDatabase, type TestDatabase } from '../support/database.js';
import { failureOf } from './facts.js';

let base: TestDatabase;
beforeAll(async () => {
  base = await testDatabase({ max: 30 });
});
afterAll(() => base.close());

describe('ids and errors', () => {
  it('sort by time and say what they name', async () => {
    const first = newId('run');
    await new Promise((resolve) => setTimeout(resolve, 3));
    expect(first < newId('run')).toBe(true);
    expect(first).toMatch(/^run_[0-9a-hjkmnp-tv-z]{20}$/);
  });

  it('show neither statement nor values', async () => {
    const twice = () =>
      addIngest(base.db, {
        dataset: 'ds_x',
        artifact: 'sha256:secret',
        rows: 1,
        quarantined: 0,
        format: 'csv',
        columns: [],
        by: '',
      });
    expect(await failureOf(twice())).toBe('NotFound');
    const nul = logMetrics(base.db, [{ run: 'a\0b', name: 'secret', candidate: 0, step: 0, value: 0 }]);
    expect(await failureOf(nul)).toBe('InvalidRequest');
    const error = await logMetrics(base.db, [{ run: 'r', name: 'secret', candidate: 0.5, step: 0, value: 0 }]).catch(
      (e: Error) => e,
    );
    expect(String(error)).not.toMatch(/secret|insert/);
  });
});
