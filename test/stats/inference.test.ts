// Golden values: scipy 1.17.1 and statsmodels 0.15.0; each call stands beside its numbers.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  betaCdf,
  betaQuantile,
  bootstrapInterval,
  clopperPearson,
  clopperPearsonUpper,
  logGamma,
  quantile,
  wilson,
} from '../../stats/intervals.js';
import { compareAccuracy, compareLosses, holm, mcNemar, signFlip, swapTest } from '../../stats/paired.js';
import { createRandom, drawWithout, randomFromState } from '../../stats/prng.js';
import { entropy, leastConfidence, margin } from '../../stats/uncertainty.js';

/** Relative difference. */
function near(actual: number, expected: number, tolerance = 1e-10): void {
  expect(Math.abs(actual - expected)).toBeLessThanOrEqual(tolerance * Math.max(1e-300, Math.abs(expected)));
}

describe('random numbers', () => {
  it('are those of the published xoshiro128**', () => {
    // The authors' C code with s = {1, 2, 3, 4}.
    const random = randomFromState([1, 2, 3, 4]);
    expect([1, 2, 3, 4, 5, 6].map(() => random.bits())).toEqual([11520, 0, 5927040, 70819200, 2031721883, 1637235492]);
  });

  it('are the same for the same seed, others for another, high bits included', () => {
    const first = (seed: number) => createRandom(seed).uniform();
    expect(first(7)).toBe(first(7));
    expect(new Set([0, 1, 2, 2 ** 32, 2 ** 33 + 1, -1].map(first)).size).toBe(6);
  });

  it('are uniform', () => {
    const random = createRandom(1);
    const counts = new Array<number>(10).fill(0);
    for (let i = 0; i < 100_000; i += 1) {
      const drawn = random.below(10);
      counts[drawn] = (counts[drawn] ?? 0) + 1;
    }
    const chiSquare = counts.reduce((total, count) => total + (count - 10_000) ** 2 / 10_000, 0);
    expect(chiSquare).toBeLessThan(27.9); // scipy.stats.chi2.ppf(0.999, 9)
    let sum = 0;
    for (let i = 0; i < 100_000; i += 1) sum += random.uniform();
    expect(Math.abs(sum / 100_000 - 0.5)).toBeLessThan(5 * Math.sqrt(1 / 12 / 100_000));
  });

  it('draw subsets without repeats', () => {
    fc.assert(
      fc.property(fc.nat({ max: 50 }), fc.nat({ max: 60 }), fc.integer(), (n, count, seed) => {
        const drawn = drawWithout(createRandom(seed), n, count);
        expect(new Set(drawn).size).toBe(Math.min(n, count));
        expect(drawn.every((index) => index >= 0 && index < n)).toBe(true);
      }),
    );
  });
});

describe('uncertainty (people-and-statistics A1)', () => {
  it('has the golden values', () => {
    const p = [0.7, 0.2, 0.1];
    near(leastConfidence(p), 0.3);
    near(margin(p), 0.5);
    near(entropy(p), 0.8018185525433373); // scipy.stats.entropy([.7, .2, .1])
    near(entropy([1 / 3, 1 / 3, 1 / 3]), Math.log(3));
    expect([leastConfidence([]), margin([1]), entropy([]), entropy([1, 0])]).toEqual([1, 0, 0, 0]);
  });

  it('does not see the order of classes', () => {
    const p = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 2, maxLength: 6 });
    fc.assert(
      fc.property(p, (list) => {
        const reversed = [...list].reverse();
        expect(leastConfidence(reversed)).toBe(leastConfidence(list));
        expect(margin(reversed)).toBe(margin(list));
        near(entropy(reversed) + 1, entropy(list) + 1);
      }),
    );
  });
});

describe('intervals', () => {
  it('special functions equal scipy.special', () => {
    // gammaln(x)
    const gammas = [
      [0.1, 2.252712651734206],
      [0.5, 0.5723649429247],
      [2.5, 0.2846828704729192],
      [10, 12.801827480081469],
    ];
    for (const [x = 0, expected = 0] of [...gammas, [171.5, 709.1431630309283], [1e4, 82099.71749644238]]) {
      near(logGamma(x), expected, 1e-12);
    }
    // betainc(a, b, x)
    near(betaCdf(0.3, 2, 5), 0.579825);
    near(betaCdf(0.5, 0.5, 0.5), 0.5);
    near(betaCdf(0.95, 341, 20), 0.6532390721282813);
    near(betaCdf(0.001, 1, 300), 0.25929296784390055);
    near(betaCdf(0.2, 50, 3), 9.648962201641317e-33);
    expect([betaCdf(0, 2, 3), betaCdf(1, 2, 3), betaQuantile(0, 2, 3), betaQuantile(1, 2, 3)]).toEqual([0, 1, 0, 1]);
  });

  it.each([
    // binomtest(k, n).proportion_ci(method='exact'), beta.ppf(.95, k + 1, n - k)
    [0, 10, 0, 0.30849710781876294, 0.2588655508930522],
    [0, 300, 0, 0.012220974694296421, 0.009936081944457708],
    [1, 100, 0.00025314603268189283, 0.054459385392080666, 0.046559811453538935],
    [5, 500, 0.003254721407030503, 0.023181388069659612, 0.020910322942267072],
    [50, 1000, 0.03733539760466063, 0.06539048791549365, 0.06286340351237973],
    [10, 10, 0.6915028921812371, 1, 1],
    [340, 360, 0.9155005816256492, 0.9657386662466344, 0.9628816606620547],
  ])('Clopper and Pearson, %i of %i', (hits, n, lo, hi, upper) => {
    const interval = clopperPearson(hits, n);
    near(interval.lo, lo, 1e-8);
    near(interval.hi, hi, 1e-8);
    near(clopperPearsonUpper(hits, n), upper, 1e-8);
  });

  it.each([
    // binomtest(k, n).proportion_ci(method='wilson')
    [0, 10, 0, 0.27753279986288926],
    [8, 10, 0.4901624715366418, 0.9433178485456248],
    [340, 360, 0.9157521540323448, 0.9637517953999277],
  ])('Wilson, %i of %i', (hits, n, lo, hi) => {
    const interval = wilson(hits, n);
    expect(interval.lo).toBeCloseTo(lo, 12);
    near(interval.hi, hi);
  });

  it('without rows know nothing, and refuse what is no count', () => {
    expect(clopperPearson(0, 0)).toEqual({ lo: 0, hi: 1 });
    expect(wilson(0, 0)).toEqual({ lo: 0, hi: 1 });
    for (const [hits, n] of [
      [2, 1],
      [-1, 3],
      [0.5, 1],
    ] as const)
      expect(() => clopperPearson(hits, n)).toThrow(RangeError);
  });

  it('hold the share, and mirror when hits and misses change places', () => {
    const counts = fc
      .integer({ min: 1, max: 400 })
      .chain((n) => fc.tuple(fc.integer({ min: 0, max: n }), fc.constant(n)));
    fc.assert(
      fc.property(counts, ([hits, n]) => {
        const exact = clopperPearson(hits, n);
        const mirrored = clopperPearson(n - hits, n);
        expect(exact.lo).toBeLessThanOrEqual(hits / n);
        expect(exact.hi).toBeGreaterThanOrEqual(hits / n);
        expect(exact.lo).toBeCloseTo(1 - mirrored.hi, 10);
      }),
    );
  });

  it('quantiles equal numpy’s', () => {
    // numpy.quantile([1, 2, 4, 8], [0, .1, .5, .975, 1])
    expect([0, 0.1, 0.5, 0.975, 1].map((p) => quantile([1, 2, 4, 8], p))).toEqual([
      1,
      1.3,
      3,
      expect.closeTo(7.7, 12),
      8,
    ]);
  });

  it('the bootstrap of a mean is as wide as theory says, the same for a seed, null without draws', () => {
    const mean = (rows: Uint32Array) => rows.reduce((sum, row) => sum + row + 1, 0) / rows.length;
    const interval = bootstrapInterval({ n: 50, statistic: mean, seed: 3 });
    if (!interval) throw new Error('no interval');
    // numpy.std(arange(1, 51)) / sqrt(50) = 2.0408331631958553; ± 1.96 of them around 25.5, Monte Carlo error 0.2
    expect(Math.abs(interval.lo - (25.5 - 4))).toBeLessThan(0.35);
    expect(Math.abs(interval.hi - (25.5 + 4))).toBeLessThan(0.35);
    expect(bootstrapInterval({ n: 50, statistic: mean, seed: 3 })).toEqual(interval);
    expect(bootstrapInterval({ n: 5, statistic: () => NaN, seed: 3 })).toBeNull();
    expect(bootstrapInterval({ n: 0, statistic: mean, seed: 3 })).toBeNull();
  });
});

describe('paired tests', () => {
  it.each([
    // statsmodels mcnemar([[0, b], [c, 0]], exact=True).pvalue
    [10, 4, 0.1795654296875],
    [0, 6, 0.03125],
    [25, 25, 1],
    [3, 12, 0.03515625],
    [121, 59, 4.4344492637551645e-6],
    [0, 0, 1],
  ])('McNemar, %i against %i', (b, c, p) => {
    near(mcNemar(b, c), p);
    near(mcNemar(c, b), p);
  });

  it('sign flips come near the exact test and repeat by seed', () => {
    const differences = [1.2, -0.3, 0.8, 0.5, 2.0, -0.1, 0.9, 0.4];
    // permutation_test((d,), np.sum, permutation_type='samples', n_resamples=inf).pvalue = 0.0390625; 4 standard errors
    const p = signFlip(differences, { seed: 1 });
    expect(Math.abs(p - 0.0390625)).toBeLessThan(4 * Math.sqrt((0.039 * 0.961) / 4999));
    expect(signFlip(differences, { seed: 1 })).toBe(p);
    expect(signFlip([0, 0, 0], { seed: 1 })).toBe(1);
    expect(signFlip([], { seed: 1 })).toBe(1);
    const swapped = swapTest({
      n: differences.length,
      difference: (mask) => differences.reduce((sum, d, i) => sum + (mask[i] ? -d : d), 0),
      seed: 2,
    });
    expect(Math.abs(swapped - 0.0390625)).toBeLessThan(0.011);
  });

  it('two models with equal quality differ at 5 % about 5 % of the time', () => {
    let rejected = 0;
    for (let seed = 0; seed < 300; seed += 1) {
      const random = createRandom(seed);
      const differences = Array.from({ length: 30 }, () => random.uniform() - 0.5);
      if (signFlip(differences, { seed, repetitions: 199 }) <= 0.05) rejected += 1;
    }
    // Binomial(300, 0.05): 15 ± 4 standard deviations of 3.8
    expect(rejected).toBeGreaterThan(0);
    expect(rejected).toBeLessThan(30);
  });

  it('comparisons give difference, interval and p', () => {
    const first = Array.from({ length: 100 }, (_, i) => (i < 90 ? 1 : 0));
    const second = Array.from({ length: 100 }, (_, i) => (i < 78 ? 1 : 0));
    const compared = compareAccuracy(first, second, { seed: 1 });
    near(compared.value, 0.12);
    near(compared.p, 2 / 2 ** 12); // mcnemar([[0, 12], [0, 0]], exact=True)
    expect(compared.lo).toBeGreaterThan(0.05);
    expect(compared.hi).toBeLessThan(0.2);
    const losses = compareLosses([1, 2, 3], [1, 2, 3], { seed: 1 });
    expect(losses).toEqual({ value: 0, lo: 0, hi: 0, p: 1 });
  });

  it('Holm equals statsmodels and keeps the order of p-values', () => {
    // multipletests([.01, .04, .03, .005], method='holm')[1]
    expect(holm([0.01, 0.04, 0.03, 0.005])).toEqual([0.03, 0.06, 0.06, 0.02]);
    expect(holm([])).toEqual([]);
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 12 }), (ps) => {
        const adjusted = holm(ps);
        ps.forEach((p, i) => {
          expect(adjusted[i]).toBeGreaterThanOrEqual(p);
          expect(adjusted[i]).toBeLessThanOrEqual(1);
          ps.forEach((q, j) => expect(p <= q ? (adjusted[i] ?? 0) <= (adjusted[j] ?? 0) : true).toBe(true));
        });
      }),
    );
  });
});
