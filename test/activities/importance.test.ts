import { describe, expect, it } from 'vitest';
import { importance, importancePlan } from '../../activities/model/importance.js';
import type { ModelInputs, ModelOutputs, Signature } from '../../domain/model.js';

const rows = 600;
const signature: Signature = {
  num: [
    { column: 'a', part: null },
    { column: 'when', part: 'month' },
    { column: 'when', part: 'day' },
    { column: 'idle', part: null },
  ],
  cat: ['city'],
  text: ['note'],
  task: 'regression',
  classes: [],
};
const inputs: ModelInputs = {
  rows,
  num: Float32Array.from({ length: rows * 4 }, (_, i) => [i % 97, i % 12, (i % 12) + 1, i % 89][i % 4]!),
  cat: Array.from({ length: rows }, (_, row) => ['x', 'y', 'z'][row % 3]!),
  text: Array.from({ length: rows }, (_, row) => 'w'.repeat(row % 5)),
};
const model = { path: '', digest: 'sha256:0' as const, signature };

/** 10 a + 3 (month = day - 1) + [city = x] + length of the note / 4; the fourth number does nothing. */
function answers(_: unknown, asked: ModelInputs): Promise<ModelOutputs> {
  const value = Float32Array.from({ length: asked.rows }, (__, row) => {
    const [a = 0, month = 0, day = 0] = asked.num.subarray(4 * row, 4 * row + 4);
    const apart = month === day - 1 ? 0 : 1000;
    return 10 * a + 3 * month + apart + (asked.cat[row] === 'x' ? 1 : 0) + (asked.text?.[row]?.length ?? 0) / 4;
  });
  return Promise.resolve({ value });
}

async function measured(metric: 'rmse' | 'r2' = 'rmse') {
  const labels = [...(await answers(null, inputs)).value!].map(String);
  const { signal } = new AbortController();
  return importance({ metric, model, inputs, labels, classes: [], score: answers, signal });
}

describe('permutation importance', () => {
  it('ranks raw columns by what their shuffling costs, and repeats to the digit', async () => {
    const found = await measured();
    expect(found).toMatchObject({ metric: 'rmse', baseline: 0, rows: 500, repeats: 5, unmeasured: 0 });
    expect(found.columns.map(({ column }) => column)).toEqual(['a', 'when', 'city', 'note', 'idle']);
    const [a, when, , , idle] = found.columns;
    expect(idle).toEqual({ column: 'idle', mean: 0, sd: 0 });
    expect(a!.mean).toBeGreaterThan(100);
    expect(a!.sd).toBeGreaterThan(0);
    // the parts of a date change places together, so month and day never come apart
    expect(when!.mean).toBeLessThan(100);
    expect(await measured()).toEqual(found);
  });

  it('is positive for a metric that is better when higher, too', async () => {
    const { columns, baseline } = await measured('r2');
    expect(baseline).toBe(1);
    expect(columns[0]).toMatchObject({ column: 'a' });
    expect(columns[0]!.mean).toBeGreaterThan(1);
  });

  it('leaves the rows alone and obeys the signal', async () => {
    const before = { num: inputs.num.slice(), cat: [...inputs.cat], text: [...inputs.text!] };
    await measured();
    expect([inputs.num, inputs.cat, inputs.text]).toEqual([before.num, before.cat, before.text]);
    const signal = AbortSignal.abort(new Error('stop'));
    const request = { metric: 'rmse' as const, model, inputs, labels: [], classes: [], score: answers, signal };
    await expect(importance(request)).rejects.toThrow('stop');
  });

  it('is bounded: fewer rows, then fewer columns', () => {
    expect(importancePlan(10_000, 10, 10)).toEqual({ rows: 500, columns: 10 });
    expect(importancePlan(60, 10, 10)).toEqual({ rows: 60, columns: 10 });
    const wide = importancePlan(10_000, 5000, 5000);
    expect(wide.rows).toBe(100);
    expect(wide.columns).toBeLessThan(5000);
    expect(wide.rows * wide.columns * 5 * 5000).toBeLessThanOrEqual(3e8);
  });
});
