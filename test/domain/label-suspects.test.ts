import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type JudgedRows, pickSuspects } from '../../domain/label-suspects.js';
import { createRandom } from '../../stats/prng.js';

/** Two classes; every tenth label is not what the probabilities say, the more so the later. */
function judged(n: number, seed = 1): JudgedRows {
  const random = createRandom(seed);
  const truth = Array.from({ length: n }, () => random.below(2));
  const labels = truth.map((label, row) => (row % 10 === 0 ? 1 - label : label));
  const sure = truth.map((_, row) => 0.8 + (0.19 * row) / n);
  return {
    keys: truth.map((_, row) => `k${String(row).padStart(4, '0')}`),
    labels: labels.map((label) => ['a', 'b'][label]!),
    classes: ['a', 'b'],
    probabilities: Float64Array.from(
      truth.flatMap((label, row) => [0, 1].map((k) => (k === label ? sure[row]! : 1 - sure[row]!))),
    ),
  };
}

const options = { batchSize: 10, explore: 0, seed: 1, done: new Set<string>() };
const isTurned = (key: string): boolean => Number(key.slice(1)) % 10 === 0;

describe('suspects', () => {
  it('are the labels that the models speak against, the most suspicious first', () => {
    const picks = pickSuspects(judged(100), options);
    expect(picks.map(({ key }) => key)).toEqual([
      'k0090',
      'k0080',
      'k0070',
      'k0060',
      'k0050',
      'k0040',
      'k0030',
      'k0020',
      'k0010',
      'k0000',
    ]);
    for (const { reason, given, guess, probability } of picks) {
      expect({ reason, probability }).toEqual({ reason: 'suspect', probability: null });
      expect(guess.label).not.toBe(given);
    }
  });

  it('that people have looked at are not asked about again, and where none is left nothing is asked', () => {
    const done = new Set(['k0090', 'k0050']);
    expect(pickSuspects(judged(100), { ...options, done }).map(({ key }) => key)).not.toContain('k0090');
    const all = new Set(judged(100).keys.filter(isTurned));
    expect(pickSuspects(judged(100), { ...options, explore: 0.5, done: all })).toEqual([]);
    expect(pickSuspects({ keys: [], labels: [], classes: [], probabilities: new Float64Array(0) }, options)).toEqual(
      [],
    );
  });

  it('stand beside a uniform draw of all labels that were not looked at, whose chance is told', () => {
    let turned = 0;
    for (let seed = 0; seed < 200; seed += 1) {
      const picks = pickSuspects(judged(100), { ...options, explore: 0.5, seed });
      expect(new Set(picks.map(({ key }) => key)).size).toBe(10);
      const drawn = picks.filter(({ reason }) => reason === 'explore');
      expect(drawn).toHaveLength(5);
      expect(drawn.every(({ probability }) => probability === 0.05)).toBe(true);
      turned += drawn.filter(({ key }) => isTurned(key)).length;
    }
    // 1,000 draws of which a tenth is turned: 100, with a standard deviation of 9.3
    expect(Math.abs(turned - 100)).toBeLessThan(40);
  });

  it('do not depend on the order of the rows, and are never more than asked for', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 120 }),
        fc.integer({ min: 0, max: 30 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.nat(),
        (n, batchSize, explore, seed) => {
          const rows = judged(n, seed);
          const asked = { ...options, batchSize, explore, seed };
          const picks = pickSuspects(rows, asked);
          expect(picks.length).toBeLessThanOrEqual(batchSize);
          const order = rows.keys.map((_, row) => n - 1 - row);
          const turned: JudgedRows = {
            ...{
              keys: order.map((row) => rows.keys[row]!),
              labels: order.map((row) => rows.labels[row]!),
              classes: rows.classes,
            },
            probabilities: Float64Array.from(
              order.flatMap((row) => [...rows.probabilities.subarray(2 * row, 2 * row + 2)]),
            ),
          };
          expect(pickSuspects(turned, asked)).toEqual(picks);
        },
      ),
      { numRuns: 50 },
    );
  });
});
