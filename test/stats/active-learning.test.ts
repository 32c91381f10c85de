// Golden values: people-and-statistics A1 to A4 (computed with numpy 2.4.6); A4 also cleanlab 2.9.0, by goldens.py.
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { labelledScores, unlabelledScores } from '../../stats/active-lab.js';
import { badge, gradients } from '../../stats/badge.js';
import { crowdlab } from '../../stats/crowdlab.js';
import { kCenter } from '../../stats/k-center.js';
import { createRandom } from '../../stats/prng.js';
import { argMax, highestFirst, lowestFirst } from '../../stats/rank.js';
import { entropy, leastConfidence, margin } from '../../stats/uncertainty.js';
import { answersOfTable, type Goldens } from './goldens.support.js';

const goldens = JSON.parse(readFileSync(new URL('goldens.json', import.meta.url), 'utf8')) as Goldens;

function points(rows: number, width: number, seed: number): Float64Array {
  const random = createRandom(seed);
  return Float64Array.from({ length: rows * width }, () => random.uniform());
}

describe('orders', () => {
  it('are by value, then by index, NaN last', () => {
    expect(lowestFirst([2, NaN, 1, 2, -Infinity, 1])).toEqual([4, 2, 5, 0, 3, 1]);
    expect(highestFirst([2, NaN, 1, 2, -Infinity, 1])).toEqual([0, 3, 2, 5, 4, 1]);
    expect(highestFirst([Infinity, Infinity, 3])).toEqual([0, 1, 2]);
    expect([argMax([1, 3, 3]), argMax([NaN, NaN]), argMax([9, 1, 4], 1), argMax([5, 1, 4, 9], 1, 2)]).toEqual([
      1, 0, 1, 1,
    ]);
  });

  it('pick the same items by all three measures of two classes, ties by index', () => {
    const rows = [0.5, 0.9, 0.5, 0.7, 0.3].map((p) => [p, 1 - p]);
    const order = [0, 2, 3, 4, 1];
    expect(highestFirst(rows.map(entropy))).toEqual(order);
    expect(lowestFirst(rows.map(margin).map((value) => Number(value.toFixed(12))))).toEqual(order);
    expect(highestFirst(rows.map(leastConfidence).map((value) => Number(value.toFixed(12))))).toEqual(order);
  });
});

describe('k-center (A2)', () => {
  const eight = [0, 0, 1, 0, 0, 1, 5, 5, 5, 6, 9, 0, 0, 9, 4, 4];

  it('has the golden picks, distances and radius', () => {
    const { picks, distances, radius } = kCenter(eight, { width: 2, count: 4, labelled: [0] });
    expect(picks).toEqual([5, 6, 3, 7]);
    [9, 9, Math.sqrt(41), Math.SQRT2].forEach((distance, i) => expect(distances[i]).toBeCloseTo(distance, 12));
    expect(radius).toBeCloseTo(1, 12);
  });

  it('starts at the medoid, takes no labelled point, ends with all points', () => {
    // the mean is (3, 3.125); 7 at (4, 4) is the nearest to it
    const all = kCenter(eight, { width: 2, count: 99 });
    expect(all.picks[0]).toBe(7);
    expect(all.distances[0]).toBe(Infinity);
    expect([...all.picks].sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(all.radius).toBe(0);
    expect(kCenter(eight, { width: 2, count: 99, labelled: [1, 7, 7] }).picks.sort()).toEqual([0, 2, 3, 4, 5, 6]);
    expect(kCenter([1, 1, 1], { width: 1, count: 3 }).picks).toEqual([0, 1, 2]);
    expect(kCenter([], { width: 2, count: 3 })).toEqual({ picks: [], distances: [], radius: 0 });
    expect(kCenter([1], { width: 1, count: 0 }).radius).toBe(Infinity);
    expect(() => kCenter([1, 2, 3], { width: 2, count: 1 })).toThrow(RangeError);
    expect(() => kCenter([1, 2], { width: 2, count: 1, labelled: [1] })).toThrow(RangeError);
    expect(() => kCenter([1, NaN], { width: 1, count: 1 })).toThrow('row 1');
  });

  it('has at most twice the best radius, and ever smaller steps', () => {
    for (let seed = 0; seed < 20; seed += 1) {
      const own = points(9, 2, seed);
      const { picks, distances, radius } = kCenter(own, { width: 2, count: 3 });
      let best = Infinity;
      for (let a = 0; a < 9; a += 1)
        for (let b = a + 1; b < 9; b += 1)
          for (let c = b + 1; c < 9; c += 1)
            best = Math.min(best, kCenter(own, { width: 2, count: 0, labelled: [a, b, c] }).radius);
      expect(radius).toBeLessThanOrEqual(2 * best);
      expect(new Set(picks).size).toBe(3);
      expect(distances[1]!).toBeGreaterThanOrEqual(distances[2]!);
      expect(distances[2]!).toBeGreaterThanOrEqual(radius);
    }
  });
});

describe('BADGE (A3)', () => {
  const four = {
    ...{ embeddings: [1, 0, 0, 2, 1, 1, 0.5, 0.5], width: 2, classes: 2 },
    probabilities: [0.6, 0.4, 0.5, 0.5, 0.9, 0.1, 0.34, 0.66],
  };

  it('has the golden norms, distances and chances', () => {
    const { norms, nearer } = gradients(four);
    [0.32, 2, 0.04, 0.1156].forEach((norm, i) => expect(norms[i]).toBeCloseTo(norm, 12));
    const nearest = new Float64Array(4).fill(Infinity);
    nearer(1, nearest);
    [2.32, 0, 1.64, 2.7956].forEach((distance, i) => expect(nearest[i]).toBeCloseTo(distance, 12));
    const sum = nearest.reduce((a, b) => a + b);
    [0.343419, 0, 0.242762, 0.41382].forEach((chance, i) => expect(nearest[i]! / sum).toBeCloseTo(chance, 6));
  });

  it('picks the longest gradient first, then by these chances', () => {
    const second = [0, 0, 0, 0];
    for (let seed = 0; seed < 2000; seed += 1) {
      const [first, next] = badge(four, { count: 2, seed });
      expect(first).toBe(1);
      second[next!]! += 1;
    }
    // five standard errors of a share of 2,000
    [0.343419, 0, 0.242762, 0.41382].forEach((chance, i) => {
      expect(Math.abs(second[i]! / 2000 - chance)).toBeLessThanOrEqual(5 * Math.sqrt((chance * (1 - chance)) / 2000));
    });
  });

  it('has the distances of gradients that are built', () => {
    const [rows, width, classes] = [12, 3, 4];
    const logits = points(rows * classes, 1, 5);
    const probabilities = logits.map((z, at) => {
      const start = at - (at % classes);
      return z / logits.subarray(start, start + classes).reduce((a, b) => a + b);
    });
    const embeddings = points(rows, width, 6);
    const built = Array.from({ length: rows }, (_, i) => {
      const p = probabilities.subarray(i * classes, (i + 1) * classes);
      const r = p.map((value, k) => (k === argMax(p) ? 1 : 0) - value);
      return [...r].flatMap((part) => [...embeddings.subarray(i * width, (i + 1) * width)].map((h) => part * h));
    });
    const { nearer } = gradients({ embeddings, width, probabilities, classes });
    for (let row = 0; row < rows; row += 1) {
      const found = new Float64Array(rows).fill(Infinity);
      nearer(row, found);
      built.forEach((g, i) => {
        const squared = g.reduce((sum, part, at) => sum + (part - built[row]![at]!) ** 2, 0);
        expect(found[i]).toBeCloseTo(squared, 12);
      });
    }
  });

  it('repeats by seed, picks each row once, uniformly where all gradients are one', () => {
    const same = { embeddings: [1, 1, 1, 1, 1], width: 1, probabilities: new Array<number>(10).fill(0.5), classes: 2 };
    const counts = [0, 0, 0, 0, 0];
    for (let seed = 0; seed < 2000; seed += 1) counts[badge(same, { count: 2, seed })[1]!]! += 1;
    expect(counts[0]).toBe(0);
    for (const count of counts.slice(1)) expect(Math.abs(count - 500)).toBeLessThan(5 * Math.sqrt(2000 * 0.25 * 0.75));
    fc.assert(
      fc.property(fc.integer(), fc.nat({ max: 7 }), (seed, count) => {
        const picks = badge(four, { count, seed });
        expect(new Set(picks).size).toBe(Math.min(4, count));
        expect(badge(four, { count, seed })).toEqual(picks);
      }),
    );
    expect(() => badge({ ...four, width: 4 }, { count: 1, seed: 1 })).toThrow(RangeError);
  });
});

describe('ActiveLab (A4)', () => {
  it('equals cleanlab', () => {
    const { table, probabilities, unlabelled, scores, unlabelledScores: free } = goldens.activeLab;
    const answers = answersOfTable(table, 3);
    const crowd = crowdlab(answers, probabilities.flat());
    labelledScores(answers, crowd).forEach((score, i) => expect(score).toBeCloseTo(scores[i]!, 10));
    unlabelledScores(unlabelled.flat(), 3, crowd).forEach((score, i) => expect(score).toBeCloseTo(free[i]!, 10));
  });

  it('equals cleanlab where every item has one answer', () => {
    const { table, probabilities, scores } = goldens.activeLabSingle;
    const answers = answersOfTable(table, 3);
    const crowd = crowdlab(answers, probabilities.flat());
    labelledScores(answers, crowd).forEach((score, i) => expect(score).toBeCloseTo(scores[i]!, 10));
  });

  it('puts what nobody is sure of first, and a contested item before a new sure one', () => {
    const answers = {
      items: 2,
      annotators: 2,
      classes: 2,
      item: [0, 0, 1, 1],
      annotator: [0, 1, 0, 1],
      label: [0, 1, 1, 1],
    };
    const crowd = { annotatorWeights: [1, 1], modelWeight: 1, quality: Float64Array.from([0.5, 0.9]) };
    const weights = { ...crowd, annotatorWeights: Float64Array.from(crowd.annotatorWeights) };
    // (3 · 0.5 + 0.5) / 4, (3 · 0.9 + 0.5) / 4 and (0.8 + 0.5) / 2
    const [contested, agreed] = labelledScores(answers, weights);
    const [fresh] = unlabelledScores([0.2, 0.8], 2, weights);
    expect([contested, agreed, fresh].map((score) => Number(score!.toFixed(12)))).toEqual([0.5, 0.8, 0.65]);
  });
});
