// Golden values: scikit-learn 1.9.1; each call stands beside its numbers.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { accuracy, classScores, confusionMatrix, logLoss, macroF1 } from '../../stats/classification.js';
import { mae, r2, rmse } from '../../stats/regression.js';

const truth = [0, 1, 2, 2, 1, 0, 2, 1];
const predicted = [0, 2, 2, 2, 1, 0, 1, 1];

const rows = fc.array(fc.tuple(fc.nat({ max: 3 }), fc.nat({ max: 3 })), { minLength: 1, maxLength: 40 });
const values = fc.array(fc.tuple(fc.integer({ min: -99, max: 99 }), fc.integer({ min: -99, max: 99 })), {
  minLength: 2,
});

function columns(pairs: [number, number][]): [number[], number[]] {
  return [pairs.map(([a]) => a), pairs.map(([, b]) => b)];
}

describe('classification', () => {
  it('equals scikit-learn', () => {
    expect(accuracy(truth, predicted)).toBe(0.75); // accuracy_score(truth, predicted)
    expect(macroF1(truth, predicted, 3)).toBeCloseTo(0.7777777777777777, 15); // f1_score(…, average='macro')
    const counts = confusionMatrix(truth, predicted, 3); // confusion_matrix(truth, predicted)
    expect(counts).toEqual([
      [2, 0, 0],
      [0, 2, 1],
      [0, 1, 2],
    ]);
    const third = 2 / 3; // precision_recall_fscore_support(truth, predicted)
    expect(classScores(counts)).toEqual([
      { precision: 1, recall: 1, f1: 1, support: 2 },
      { precision: third, recall: third, f1: third, support: 3 },
      { precision: third, recall: third, f1: third, support: 3 },
    ]);
    // f1_score([0, 0, 1], [0, 2, 0], average='macro', zero_division=0); a class that never occurs changes nothing
    expect(macroF1([0, 0, 1], [0, 2, 0], 5)).toBeCloseTo(0.16666666666666666, 15);
    const probabilities = [0.7, 0.2, 0.1, 0.1, 0.6, 0.3, 0.2, 0.2, 0.6, 0.05, 0.9, 0.05];
    expect(logLoss([0, 1, 2, 0], probabilities, 3)).toBeCloseTo(1.0935146162561762, 14); // log_loss(…, labels=[0, 1, 2])
  });

  it('has no answer without rows and refuses classes that are none', () => {
    expect([accuracy([], []), macroF1([], [], 2), logLoss([], [], 2)]).toEqual([NaN, NaN, NaN]);
    expect(() => confusionMatrix([2], [0], 2)).toThrow(RangeError);
    expect(() => confusionMatrix([0], [-1], 2)).toThrow(RangeError);
    expect(() => accuracy([0], [])).toThrow(RangeError);
    expect(() => logLoss([0], [0.5], 2)).toThrow(RangeError);
    expect(logLoss([0], [0, 1], 2)).toBeCloseTo(-Math.log(1e-15), 10);
    expect(logLoss([0], [NaN, 1], 2)).toBeNaN();
  });

  it('lies between its bounds and does not see the order of rows', () => {
    const shuffled = rows.chain((list) =>
      fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length })),
    );
    fc.assert(
      fc.property(shuffled, ([first, second]) => {
        const [t, p] = columns(first);
        const [t2, p2] = columns(second);
        expect(accuracy(t2, p2)).toBe(accuracy(t, p));
        expect(confusionMatrix(t2, p2, 4)).toEqual(confusionMatrix(t, p, 4));
        for (const share of [accuracy(t, p), macroF1(t, p, 4)]) {
          expect(share).toBeGreaterThanOrEqual(0);
          expect(share).toBeLessThanOrEqual(1);
        }
        expect(macroF1(t, t, 4)).toBe(1);
      }),
    );
  });
});

describe('regression', () => {
  it('equals scikit-learn', () => {
    const y = [3, -0.5, 2, 7];
    const guess = [2.5, 0, 2, 8];
    expect(rmse(y, guess)).toBeCloseTo(0.6123724356957945, 15); // root_mean_squared_error
    expect(mae(y, guess)).toBe(0.5); // mean_absolute_error
    expect(r2(y, guess)).toBeCloseTo(0.9486081370449679, 15); // r2_score
  });

  it('handles constant truth as r2_score does, and no rows', () => {
    expect([r2([1, 1], [1, 1]), r2([1, 1], [1, 2]), r2([1], [1]), rmse([], []), mae([], [])]).toEqual([
      1,
      0,
      NaN,
      NaN,
      NaN,
    ]);
    expect(() => rmse([1], [])).toThrow(RangeError);
  });

  it('lies between its bounds', () => {
    fc.assert(
      fc.property(values, (pairs) => {
        const [y, guess] = columns(pairs);
        expect(rmse(y, guess)).toBeGreaterThanOrEqual(mae(y, guess) - 1e-9);
        expect(mae(y, guess)).toBeGreaterThanOrEqual(0);
        expect(r2(y, guess)).toBeLessThanOrEqual(1);
        expect(r2(y, y)).toBe(1);
      }),
    );
  });
});
