import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { diverseBounds, pickDiverse, standardise } from '../../domain/label-diverse.js';
import { poolWithout } from '../../domain/label-pick.js';
import { type PickCandidate, pickTasks } from '../../domain/labeling.js';
import { scoredRows } from '../../domain/scored-rows.js';

const three: PickCandidate[] = [
  { key: 'sure', probabilities: [0.98, 0.01, 0.01] },
  { key: 'torn', probabilities: [0.5, 0.49, 0.01] },
  { key: 'flat', probabilities: [0.4, 0.3, 0.3] },
];

function keys(strategy: 'margin' | 'leastConfidence' | 'entropy', candidates = three): string[] {
  return pickTasks(candidates, { strategy, batchSize: 3, explore: 0, seed: 1 }).map(({ key }) => key);
}

const candidates = fc.uniqueArray(
  fc.record({
    key: fc.string({ maxLength: 6 }),
    probabilities: fc.option(fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 2, maxLength: 4 })),
  }),
  { selector: ({ key }) => key, maxLength: 40 },
);
const options = fc.record({
  strategy: fc.constantFrom('margin', 'leastConfidence', 'entropy', 'random'),
  batchSize: fc.integer({ min: 1, max: 30 }),
  explore: fc.double({ min: 0, max: 1, noNaN: true }),
  seed: fc.nat(),
});

describe('picking tasks', () => {
  it('follows the strategy', () => {
    expect(keys('margin')).toEqual(['torn', 'flat', 'sure']);
    expect(keys('leastConfidence')).toEqual(['flat', 'torn', 'sure']);
    expect(keys('entropy')).toEqual(['flat', 'torn', 'sure']);
  });

  it('breaks ties by key, and asks first what no model has scored', () => {
    const same = ['b', 'a', 'c'].map((key) => ({ key, probabilities: [0.5, 0.5] }));
    expect(keys('margin', [...same, { key: 'z', probabilities: null }])).toEqual(['z', 'a', 'b']);
  });

  it('chooses what comes first when all are sorted, equal scores included', () => {
    const coarse = fc.uniqueArray(
      fc.record({ key: fc.string({ maxLength: 4 }), score: fc.integer({ min: 0, max: 4 }) }),
      {
        selector: ({ key }) => key,
        maxLength: 30,
      },
    );
    fc.assert(
      fc.property(coarse, fc.integer({ min: 1, max: 35 }), (items, batchSize) => {
        const pool = items.map(({ key, score }) => ({ key, probabilities: [0.5 + score / 10, 0.5 - score / 10] }));
        const sorted = items.toSorted((a, b) => a.score - b.score || (a.key < b.key ? -1 : 1));
        const picks = pickTasks(pool, { strategy: 'margin', batchSize, explore: 0, seed: 1 });
        expect(picks.map(({ key }) => key)).toEqual(sorted.slice(0, batchSize).map(({ key }) => key));
      }),
    );
  });

  it('draws uniformly where there is no model, with the chance of each', () => {
    const unknown = Array.from({ length: 50 }, (_, index) => ({ key: `k${index}`, probabilities: null }));
    const picks = pickTasks(unknown, { strategy: 'margin', batchSize: 10, explore: 0.2, seed: 5 });
    expect(picks.filter(({ reason }) => reason === 'explore')).toHaveLength(2);
    expect(picks.every(({ probability, score }) => probability === 0.2 && score === null)).toBe(true);
  });

  it('every item is explored as often as any other', () => {
    const counts = new Map<string, number>();
    const items = Array.from({ length: 10 }, (_, index) => ({
      key: `k${index}`,
      probabilities: [index / 10, 1 - index / 10],
    }));
    for (let seed = 0; seed < 4000; seed += 1) {
      const picks = pickTasks(items, { strategy: 'margin', batchSize: 4, explore: 0.5, seed });
      for (const { key, reason, probability } of picks) {
        if (reason !== 'explore') continue;
        expect(probability).toBe(0.2);
        counts.set(key, (counts.get(key) ?? 0) + 1);
      }
    }
    // 4,000 draws at 0.2: 800 each, standard deviation 25; five of them either way.
    for (const count of counts.values()) expect(Math.abs(count - 800)).toBeLessThan(127);
    expect(counts.size).toBe(10);
  });

  it('gives distinct keys, as many as asked for, whatever the order of the candidates', () => {
    const shuffled = candidates.chain((list) =>
      fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length })),
    );
    fc.assert(
      fc.property(shuffled, options, ([list, other], wanted) => {
        const picks = pickTasks(list, wanted);
        expect(picks).toHaveLength(Math.min(list.length, wanted.batchSize));
        expect(new Set(picks.map(({ key }) => key)).size).toBe(picks.length);
        expect(pickTasks(other, wanted)).toEqual(picks);
        const explored = picks.filter(({ reason }) => reason === 'explore');
        expect(explored).toHaveLength(Math.round(picks.length * wanted.explore));
        for (const { probability } of explored) expect(probability).toBeGreaterThan(0);
      }),
    );
  });
});

describe('strategies that compare rows', () => {
  // two far clusters, and rows in doubt in each
  const both = ['kCenter', 'badge'] as const;
  const pool = Array.from({ length: 40 }, (_, i) => ({
    key: `k${String(i).padStart(2, '0')}`,
    probabilities: i % 4 === 0 ? [0.5, 0.5] : [0.99, 0.01],
    vector: Float32Array.from([i < 20 ? -10 : 10, i / 40]),
  }));
  const of = (strategy: 'kCenter' | 'badge', more: object = {}) =>
    pickTasks(pool, { strategy, batchSize: 4, explore: 0, seed: 3, ...more });

  it('kCenter asks in every region', () => {
    const sides = new Set(of('kCenter').map(({ key }) => Number(key.slice(1)) < 20));
    expect(sides.size).toBe(2);
  });

  it('kCenter leaves alone what is covered already, and tells the distance', () => {
    const covered = [Float32Array.from([-10, 0.25])];
    const [first] = of('kCenter', { covered });
    expect(Number(first?.key.slice(1))).toBeGreaterThanOrEqual(20);
    expect(first?.score).toBeCloseTo(Math.hypot(20, 39 / 40 - 0.25), 5);
    expect(first?.probability).toBeNull();
  });

  it('badge begins with the row whose gradient is the longest, which is one in doubt', () => {
    const [first] = of('badge');
    expect(first?.key).toBe('k36');
    expect(first?.score).toBeCloseTo(Math.sqrt(0.5) * Math.hypot(10, 0.9), 5);
  });

  it('compares only rows that have a vector, and draws uniformly where none has', () => {
    const some = pool.map(({ vector, ...bare }, i) => (i % 2 === 0 ? { ...bare, vector } : bare));
    const picks = pickTasks(some, { strategy: 'kCenter', batchSize: 10, explore: 0, seed: 1 });
    expect(picks.every(({ key }) => Number(key.slice(1)) % 2 === 0)).toBe(true);
    const all = pickTasks(some, { strategy: 'kCenter', batchSize: 30, explore: 0, seed: 1 });
    expect(new Set(all.map(({ key }) => key)).size).toBe(30);
    const none = pool.map(({ vector: _, ...bare }) => bare);
    const drawn = pickTasks(none, { strategy: 'badge', batchSize: 10, explore: 0, seed: 1 });
    expect(drawn.every(({ probability }) => probability === 0.25)).toBe(true);
  });

  it.each(both)('%s gives the same tasks in any order of the candidates', (strategy) => {
    fc.assert(
      fc.property(
        fc.shuffledSubarray(pool, { minLength: pool.length }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (other, explore) => {
          const options = { strategy, batchSize: 12, explore, seed: 8 };
          const picks = pickTasks(other, options);
          expect(picks).toEqual(pickTasks(pool, options));
          expect(new Set(picks.map(({ key }) => key)).size).toBe(12);
        },
      ),
      { numRuns: 20 },
    );
  });

  it('bounds what is compared', () => {
    expect(diverseBounds({ rows: 1_000, labelled: 500, width: 64, batchSize: 60 })).toEqual({
      pool: 1_000,
      covered: 500,
    });
    const large = diverseBounds({ rows: 5_000_000, labelled: 1_000_000, width: 64, batchSize: 60 });
    expect(large).toEqual({ pool: 15_625, covered: 1_000 });
    expect(diverseBounds({ rows: 5_000_000, labelled: 0, width: 1_000, batchSize: 10_000 }).pool).toBe(20_000);
  });

  it('chooses a batch that is too large for one comparison in parts', () => {
    const items = Array.from({ length: 1_200 }, (_, i) => ({
      ...{ key: `k${i}`, probabilities: [0.5, 0.5] },
      vector: new Float32Array(1_000).fill(i),
    }));
    const picks = pickDiverse(items, { strategy: 'kCenter', count: 1_000, seed: 1, covered: [] });
    expect(new Set(picks.map(({ index }) => index)).size).toBe(1_000);
  });

  it('standardises columns, missing values at the mean', () => {
    const vectors = [Float32Array.from([1, 5, NaN]), Float32Array.from([3, 5, 2]), Float32Array.from([NaN, 5, 4])];
    standardise(vectors);
    expect(vectors.map((vector) => [...vector])).toEqual([
      [-1, 0, 0],
      [1, 0, -1],
      [0, 0, 1],
    ]);
  });
});

it('rows that are out leave the others as they were', () => {
  const vectors = ['a', 'b', 'c'].map((_, place) => Float32Array.of(place));
  const rows = scoredRows(['a', 'b', 'c'].map((key, place) => ({ key, probabilities: [place, 1] })));
  const pool = { ...rows, vector: (row: number) => vectors[row] };
  const left = poolWithout(pool, new Set(['b', 'z']));
  expect(left.keys).toEqual(['a', 'c']);
  expect([left.probabilities(0), left.probabilities(1)]).toEqual([
    [0, 1],
    [2, 1],
  ]);
  expect([left.vector(0), left.vector(1)]).toEqual([vectors[0], vectors[2]]);
  expect(poolWithout(pool, new Set()).keys).toEqual(rows.keys);
});
