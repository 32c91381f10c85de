import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  accuracyOf,
  consensusOf,
  intersectionOverUnion,
  isRight,
  posterior,
  wantedAfter,
} from '../../domain/consensus.js';

const said = (...labels: string[]) => labels.map((label) => ({ label, accuracy: 0.8 }));
const list = (value: unknown) => JSON.stringify(value);

describe('posterior', () => {
  it('is Bayes over classes with one coin per person', () => {
    const found = posterior([...said('a', 'b'), { label: 'b', accuracy: 0.6 }], 3);
    const [a, b, c] = [0.8 * 0.1 * 0.2, 0.1 * 0.8 * 0.6, 0.1 * 0.1 * 0.2];
    expect(found.get('a')).toBeCloseTo(a / (a + b + c), 12);
    expect(found.get('b')).toBeCloseTo(b / (a + b + c), 12);
  });

  it('sums to at most 1, does not depend on order, and believes the better of two', () => {
    const answer = fc.record({
      label: fc.constantFrom('a', 'b', 'c'),
      accuracy: fc.double({ min: 0.35, max: 1, noNaN: true }),
    });
    fc.assert(
      fc.property(
        fc.array(answer, { minLength: 1, maxLength: 12 }),
        fc.integer({ min: 3, max: 50 }),
        (answers, classes) => {
          const found = posterior(answers, classes);
          const total = [...found.values()].reduce((sum, value) => sum + value, 0);
          expect(total).toBeLessThanOrEqual(1 + 1e-9);
          for (const [label, value] of posterior([...answers].reverse(), classes))
            expect(found.get(label)).toBeCloseTo(value, 9);
        },
      ),
    );
    expect(
      consensusOf(
        'single',
        [
          { label: 'a', accuracy: 0.9 },
          { label: 'b', accuracy: 0.7 },
        ],
        2,
      ).label,
    ).toBe('a');
  });
});

it('starts from four of five, and learns from gold items', () => {
  expect([accuracyOf(0, 0), accuracyOf(10, 10), accuracyOf(0, 10)]).toEqual([0.8, 14 / 15, 4 / 15]);
});

it('asks one more while there is doubt, to the cap and no further', () => {
  const rule = { min: 2, max: 3, confidence: 0.9 };
  expect(wantedAfter(rule, 2, { label: 'a', confidence: 0.5 })).toBe(3);
  expect(wantedAfter(rule, 3, { label: 'a', confidence: 0.5 })).toBe(3);
  expect(wantedAfter(rule, 2, { label: 'a', confidence: 0.95 })).toBe(2);
  expect(wantedAfter(rule, 2, { label: '1', confidence: null })).toBe(2);
});

describe('consensusOf', () => {
  it('takes the median of numbers', () => {
    expect(consensusOf('number', said('1', '10', '2'), null)).toEqual({ label: '2', confidence: null });
    expect(consensusOf('number', said('1', '2'), null).label).toBe('1.5');
  });

  it('keeps the parts that most people named', () => {
    const sets = said(list(['a', 'b']), list(['b']), list(['b', 'c']));
    expect(consensusOf('multiple', sets, 3).label).toBe('["b"]');
    const [one, two] = [
      { end: 4, label: 'x', start: 0 },
      { end: 9, label: 'x', start: 5 },
    ];
    expect(consensusOf('span', said(list([one]), list([one, two]), list([one])), null).label).toBe(list([one]));
  });

  it('takes overlapping boxes of most people as one, at the median of their edges', () => {
    const box = (x: number, label = 'cat') => ({ height: 0.5, label, width: 0.5, x, y: 0 });
    const found = consensusOf('box', said(list([box(0)]), list([box(0.1)]), list([box(0.05), box(0.5, 'dog')])), null);
    const [only, ...others] = JSON.parse(found.label) as { x: number; width: number; label: string }[];
    expect(others).toEqual([]);
    expect(only!.x).toBeCloseTo(0.05, 12);
    expect(only!.width).toBeCloseTo(0.5, 12);
  });
});

it('measures how far boxes overlap', () => {
  const box = (x: number, y: number) => ({ x, y, width: 0.2, height: 0.2, label: 'a' });
  expect(intersectionOverUnion(box(0, 0), box(0, 0))).toBeCloseTo(1, 12);
  expect(intersectionOverUnion(box(0, 0), box(0.1, 0))).toBeCloseTo(1 / 3, 12);
  expect(intersectionOverUnion(box(0, 0), box(0.2, 0))).toBe(0);
});

it('judges answers to gold items', () => {
  const box = (x: number) => list([{ height: 0.5, label: 'cat', width: 0.5, x, y: 0 }]);
  expect(isRight('single', 'a', 'a')).toBe(true);
  expect(isRight('single', 'e\u0301', 'é')).toBe(true);
  expect(isRight('number', '1.0', '1')).toBe(true);
  expect(isRight('box', box(0), box(0.1))).toBe(true);
  expect(isRight('box', box(0), box(0.4))).toBe(false);
  expect(isRight('box', box(0), '[]')).toBe(false);
});
