import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { expectedCalibrationError } from '../../stats/calibration.js';

const softmax = (z: readonly number[]): number[] => {
  const e = z.map(Math.exp);
  const sum = e.reduce((a, b) => a + b);
  return e.map((value) => value / sum);
};

describe('expected calibration error', () => {
  const logits = [
    [2, 0, 0],
    [1.5, 1, 0],
    [0.2, 2.2, 0.1],
    [3, 0.5, 0.2],
    [0, 1, 2.5],
    [2, 1.9, 0],
    [0.1, 0.2, 3],
    [1, 2.5, 0.3],
  ];
  const labels = [0, 1, 1, 0, 2, 0, 2, 0];
  const at = (temperature: number) =>
    expectedCalibrationError(
      labels,
      logits.flatMap((z) => softmax(z.map((value) => value / temperature))),
      3,
    );

  it('has the golden values of eight rows, raw and at their best temperature', () => {
    expect(at(1)).toBeCloseTo(0.172885, 6);
    expect(at(0.820549)).toBeCloseTo(0.195465, 5);
  });

  it('is 0 where the sure are right, 1 where the sure are wrong', () => {
    const sure = [1, 0, 1, 0];
    expect(expectedCalibrationError([0, 0], sure, 2)).toBe(0);
    expect(expectedCalibrationError([1, 1], sure, 2)).toBe(1);
    // 0.75 sure and right three times of four
    expect(expectedCalibrationError([0, 0, 0, 1], [0.75, 0.25, 0.75, 0.25, 0.75, 0.25, 0.75, 0.25], 2)).toBeCloseTo(0);
  });

  it('puts an edge into the interval below it', () => {
    // with 2 intervals 0.5 belongs to the lower one, so that the two rows do not cancel out
    expect(expectedCalibrationError([0, 1], [0.5, 0.5, 0.6, 0.4], 2, 2)).toBeCloseTo((0.5 + 0.6) / 2, 12);
  });

  it('is NaN without rows or with one that is no number', () => {
    expect(expectedCalibrationError([], [], 3)).toBeNaN();
    expect(expectedCalibrationError([0], [NaN, 1], 2)).toBeNaN();
    expect(() => expectedCalibrationError([0], [1], 2)).toThrow(RangeError);
  });

  it('lies in [0, 1]', () => {
    const row = fc.tuple(
      fc.integer({ min: 0, max: 2 }),
      fc.array(fc.double({ min: -5, max: 5, noNaN: true }), { minLength: 3, maxLength: 3 }),
    );
    fc.assert(
      fc.property(fc.array(row, { minLength: 1 }), (rows) => {
        const ece = expectedCalibrationError(
          rows.map(([label]) => label),
          rows.flatMap(([, z]) => softmax(z)),
          3,
        );
        expect(ece).toBeGreaterThanOrEqual(0);
        expect(ece).toBeLessThanOrEqual(1);
      }),
    );
  });
});
