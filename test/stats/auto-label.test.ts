// Golden values: people-and-statistics A6 (scipy 1.17.1: binomtest(k, n).proportion_ci(method='exact'), beta.ppf).
import { describe, expect, it } from 'vitest';
import { auditBounds } from '../../stats/audit.js';
import { autoLabelThreshold, leastSample } from '../../stats/auto-label.js';
import { clopperPearson, clopperPearsonLower, clopperPearsonUpper } from '../../stats/intervals.js';
import { createRandom, drawWithout, type Random } from '../../stats/prng.js';
import { pseudoLabels } from '../../stats/self-training.js';

describe('Clopper and Pearson (A6)', () => {
  it.each([
    [0, 10, 0, 0.308497, 0.258866],
    [0, 59, NaN, NaN, 0.049508],
    [0, 299, NaN, NaN, 0.009969],
    [0, 300, 0, 0.012221, 0.009936],
    [1, 100, 0.000253, 0.054459, 0.04656],
    [2, 100, 0.002431, 0.070384, 0.061619],
    [3, 200, 0.003104, 0.043208, 0.03831],
    [5, 500, 0.003255, 0.023181, 0.02091],
    [10, 1000, 0.004806, 0.018313, 0.016903],
    [50, 1000, 0.037335, 0.06539, 0.062863],
  ])('%i of %i', (hits, n, lo, hi, upper) => {
    if (!Number.isNaN(lo)) {
      expect(clopperPearson(hits, n).lo).toBeCloseTo(lo, 6);
      expect(clopperPearson(hits, n).hi).toBeCloseTo(hi, 6);
    }
    expect(clopperPearsonUpper(hits, n)).toBeCloseTo(upper, 6);
    // a one-sided bound is the end of the two-sided interval at twice the error
    expect(clopperPearsonLower(hits, n)).toBeCloseTo(clopperPearson(hits, n, 0.9).lo, 12);
    expect(clopperPearsonLower(n - hits, n)).toBeCloseTo(1 - clopperPearsonUpper(hits, n), 9);
  });

  it('needs the golden numbers of rows', () => {
    const least = (rate: number) => [0, 1, 2, 5].map((errors) => leastSample(errors, rate));
    expect(least(0.01)).toEqual([299, 473, 628, 1049]);
    expect(least(0.02)).toEqual([149, 236, 313, 523]);
    expect(least(0.05)).toEqual([59, 93, 124, 208]);
    for (const rate of [0.003, 0.04, 0.3]) {
      for (const delta of [0.001, 0.05, 0.2]) {
        expect(leastSample(0, rate, delta)).toBe(Math.ceil(Math.log(delta) / Math.log(1 - rate)));
        const n = leastSample(7, rate, delta);
        expect(clopperPearsonUpper(7, n, 1 - delta)).toBeLessThanOrEqual(rate);
        expect(clopperPearsonUpper(7, n - 1, 1 - delta)).toBeGreaterThan(rate);
      }
    }
    expect(() => leastSample(0, 0)).toThrow(RangeError);
    expect(() => leastSample(0, 0.1, 1)).toThrow(RangeError);
  });
});

/** Rows of a model that keeps its word: confidence uniform in [0.5, 1], wrong with the chance that is left. */
function calibrated(random: Random, rows: number) {
  const confidences = Float64Array.from({ length: rows }, () => 0.5 + random.uniform() / 2);
  return { confidences, wrong: Uint8Array.from(confidences, (confidence) => (random.uniform() < confidence ? 0 : 1)) };
}

describe('the threshold of automatic labels', () => {
  const promise = { rate: 0.05, delta: 0.05 };

  it('keeps its promise in more than 95 % of campaigns, and covers what it can', () => {
    let [broken, covered] = [0, 0];
    for (let seed = 0; seed < 100; seed += 1) {
      const random = createRandom(seed);
      const { confidences: pool } = calibrated(random, 2000);
      const { threshold, coverage, tests } = autoLabelThreshold({ pool, ...calibrated(random, 5000), ...promise });
      // the error rate above t is (1 - t) / 2
      if (threshold !== null && (1 - threshold) / 2 > promise.rate) broken += 1;
      covered += coverage / 100;
      tests.forEach(({ passed, upper, n, errors }, at) => {
        expect(passed).toBe(upper <= promise.rate);
        expect(upper).toBe(clopperPearsonUpper(errors, n));
        expect(passed || at === tests.length - 1).toBe(true);
      });
    }
    // measured by the reference in 1,000 runs: 0.008 broken, coverage 0.116 of 0.2 at best
    expect(broken).toBeLessThanOrEqual(5);
    expect(covered).toBeGreaterThan(0.8 * 0.116);
    expect(covered).toBeLessThan(0.15);
  });

  it('takes its thresholds from the pool alone', () => {
    const random = createRandom(3);
    const { confidences: pool } = calibrated(random, 2000);
    const sample = calibrated(random, 3000);
    const [one, other] = [sample.wrong, sample.wrong.map((_, i) => (i % 2 === 0 ? 0 : 1))].map((wrong) =>
      autoLabelThreshold({ pool, confidences: sample.confidences, wrong, ...promise }).tests.map(
        (test) => test.threshold,
      ),
    );
    expect(one!.length).toBeGreaterThan(1);
    expect(other).toEqual(one!.slice(0, other!.length));
    // the first has about 2 · 59 of 3,000 rows above it
    const share = pool.filter((confidence) => confidence >= one![0]!).length / pool.length;
    expect(share).toBeCloseTo(118 / 3000, 3);
  });

  it('labels all where nothing is wrong, nothing where too few rows or too many errors show', () => {
    const pool = Float64Array.from({ length: 500 }, (_, i) => 0.5 + i / 1000);
    const sample = (rows: number, wrong: number) => ({
      confidences: Float64Array.from({ length: rows }, (_, i) => 0.5 + i / (2 * rows)),
      wrong: new Uint8Array(rows).fill(wrong),
    });
    expect(autoLabelThreshold({ pool, ...sample(500, 0), ...promise })).toMatchObject({ threshold: 0.5, coverage: 1 });
    expect(autoLabelThreshold({ pool, ...sample(59, 0), ...promise })).toMatchObject({ threshold: 0.5, coverage: 1 });
    expect(autoLabelThreshold({ pool, ...sample(58, 0), ...promise })).toMatchObject({ threshold: null, coverage: 0 });
    expect(autoLabelThreshold({ pool, ...sample(500, 1), ...promise })).toMatchObject({ threshold: null, coverage: 0 });
    expect(autoLabelThreshold({ pool, confidences: [], wrong: [], ...promise }).threshold).toBeNull();
    // half of the pool has no number: it is never covered
    const holes = pool.map((confidence, i) => (i % 2 === 0 ? NaN : confidence));
    expect(autoLabelThreshold({ pool: holes, ...sample(500, 0), ...promise })).toMatchObject({ coverage: 0.5 });
    expect(autoLabelThreshold({ pool: [], ...sample(90, 0), ...promise })).toMatchObject({
      threshold: null,
      tests: [],
    });
    expect(() => autoLabelThreshold({ pool, confidences: [1], wrong: [], ...promise })).toThrow(RangeError);
    expect(() => autoLabelThreshold({ pool, ...sample(9, 0), rate: 0.05, delta: 0 })).toThrow(RangeError);
  });
});

describe('the running audit (A6)', () => {
  it.each([
    [50, 0, 0, 126],
    [100, 0, 0, 69],
    [100, 2, 2, 108],
    [200, 2, 2, 56],
    [300, 3, 3, 43],
    [500, 5, 5, 30],
  ])('%i looked at, %i wrong, of 1,000', (audited, errors, lo, hi) => {
    expect(auditBounds({ population: 1000, audited, errors })).toEqual({ lo, hi });
  });

  it('equals the whole list of posteriors', () => {
    const choose = (n: number, k: number): number => {
      let value = 1;
      for (let i = 1; i <= k; i += 1) value *= (n - k + i) / i;
      return k > n ? 0 : value;
    };
    const population = 40;
    for (let audited = 0; audited <= population; audited += 4) {
      for (let errors = 0; errors <= audited; errors += 1) {
        const kept = Array.from({ length: population + 1 }, (_, wrong) => wrong).filter((wrong) => {
          const ways = choose(wrong, errors) * choose(population - wrong, audited - errors);
          return ways / choose(population + 1, audited + 1) > 0.1 / (population + 1);
        });
        const bounds = auditBounds({ population, audited, errors }, 0.1);
        expect(bounds).toEqual({ lo: kept[0], hi: kept.at(-1) });
        expect(kept).toHaveLength(bounds.hi - bounds.lo + 1);
      }
    }
  });

  it('knows nothing before and everything after, and refuses what is no audit', () => {
    expect(auditBounds({ population: 7, audited: 0, errors: 0 })).toEqual({ lo: 0, hi: 7 });
    expect(auditBounds({ population: 7, audited: 7, errors: 3 })).toEqual({ lo: 3, hi: 3 });
    for (const counts of [
      { population: 5, audited: 6, errors: 0 },
      { population: 5, audited: 2, errors: 3 },
      { population: 0, audited: 0, errors: 0 },
      { population: 5.5, audited: 1, errors: 0 },
    ])
      expect(() => auditBounds(counts)).toThrow(RangeError);
    expect(() => auditBounds({ population: 5, audited: 1, errors: 0 }, 0)).toThrow(RangeError);
  });

  it('holds the truth at every look in at least 95 % of audits', () => {
    const [population, wrong, runs] = [300, 15, 150];
    let missed = 0;
    for (let seed = 0; seed < runs; seed += 1) {
      let errors = 0;
      const inside = drawWithout(createRandom(seed), population, population).every((label, at) => {
        if (label < wrong) errors += 1;
        const { lo, hi } = auditBounds({ population, audited: at + 1, errors });
        return lo <= wrong && wrong <= hi;
      });
      if (!inside) missed += 1;
    }
    // the reference measured 0.013 over 600 runs
    expect(missed / runs).toBeLessThanOrEqual(0.05);
  });
});

describe('pseudo-labels (A7)', () => {
  const probabilities = [0.9, 0.1, 0.2, 0.8, 0.95, 0.05, 0.75, 0.25, 0.74, 0.26, NaN, 1, 0.95, 0.05];

  it('are the surest rows of each class, from the threshold on', () => {
    const picked = (perClass?: number) =>
      pseudoLabels(probabilities, { classes: 2, threshold: 0.75, ...(perClass === undefined ? {} : { perClass }) });
    expect(picked()).toEqual([
      { row: 2, label: 0, confidence: 0.95 },
      { row: 6, label: 0, confidence: 0.95 },
      { row: 0, label: 0, confidence: 0.9 },
      { row: 1, label: 1, confidence: 0.8 },
      { row: 3, label: 0, confidence: 0.75 },
    ]);
    expect(picked(2).map(({ row }) => row)).toEqual([2, 6, 1]);
    expect(picked(0)).toEqual([]);
    expect(() => pseudoLabels([1, 2, 3], { classes: 2, threshold: 0.5 })).toThrow(RangeError);
  });
});
