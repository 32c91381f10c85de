import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type PickCandidate, pickTasks } from '../../domain/labeling.js';

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
