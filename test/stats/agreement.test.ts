// Golden values: people-and-statistics A10 (krippendorff on PyPI, crowd-kit, the tables of Wikipedia); goldens.json has
// those of krippendorff 0.9.0, irrCAC 0.4.4 and scikit-learn 1.9.1.
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cohenKappa, fleissKappa, gwetAC, pairAgreement } from '../../stats/agreement.js';
import { voteCounts } from '../../stats/answers.js';
import { krippendorffAlpha, type Scale } from '../../stats/krippendorff.js';
import { nominalAgreement } from '../../stats/nominal-agreement.js';
import type { Goldens } from './goldens.support.js';

const goldens = JSON.parse(readFileSync(new URL('goldens.json', import.meta.url), 'utf8')) as Goldens;

/** A line per person, a mark per unit, * for none: counts of the marks 1 to `classes`. */
function counted(lines: string, classes: number): number[] {
  const people = lines.split('/').map((line) => line.trim().split(' '));
  return people[0]!.flatMap((_, unit) =>
    Array.from({ length: classes }, (_, c) => people.filter((marks) => marks[unit] === String(c + 1)).length),
  );
}

const wikipedia = counted(
  '* * * * * 3 4 1 2 1 1 3 3 * 3 / 1 * 2 1 3 3 4 3 * * * * * * * / * * 2 1 3 4 4 * 2 1 1 3 3 * 4',
  4,
);
const four = counted(
  '1 2 3 3 2 1 4 1 2 * * * / 1 2 3 3 2 2 4 1 2 5 * 3 / * 3 3 3 2 3 4 2 2 5 1 * / 1 2 3 3 2 4 4 1 2 5 1 *',
  5,
);
const whole = (classes: number) => Array.from({ length: classes }, (_, c) => c + 1);

describe('Krippendorff’s alpha', () => {
  it.each<[string, number[], number, Scale, number]>([
    ['3 people, 15 units', wikipedia, 4, 'nominal', 0.691358],
    ['3 people, 15 units', wikipedia, 4, 'interval', 0.810845],
    ['3 people, 15 units', wikipedia, 4, 'ordinal', 0.806721],
    ['3 people, 15 units', wikipedia, 4, 'ratio', 0.808944],
    ['4 people, 12 units', four, 5, 'ordinal', 0.815388],
    ['4 people, 12 units', four, 5, 'ratio', 0.797403],
    ['4 people, 12 units', four, 5, 'nominal', 0.743421],
    ['4 people, 12 units', four, 5, 'interval', 0.849107],
  ])('%s (%#)', (_, counts, classes, scale, alpha) => {
    expect(krippendorffAlpha(counts, { classes, scale, values: whole(classes) })).toBeCloseTo(alpha, 6);
  });

  it('has crowd-kit’s value and those of a larger table', () => {
    expect(krippendorffAlpha([2, 0, 0, 2, 1, 1], { classes: 2 })).toBeCloseTo(4 / 9, 12);
    const counts = goldens.agreement.counts.flat();
    for (const [scale, alpha] of Object.entries(goldens.agreement.alpha)) {
      const options = { classes: 4, scale: scale as Scale, values: [1, 2, 3, 4] };
      expect(krippendorffAlpha(counts, options)).toBeCloseTo(alpha, 12);
    }
  });

  it('does not change with unused classes, scaled intervals or units of one answer', () => {
    const alpha = krippendorffAlpha(wikipedia, { classes: 4, scale: 'interval' });
    expect(krippendorffAlpha(wikipedia, { classes: 4, scale: 'interval', values: [-3, 7, 17, 27] })).toBeCloseTo(
      alpha,
      12,
    );
    expect(krippendorffAlpha([...wikipedia, 0, 0, 1, 0], { classes: 4, scale: 'interval' })).toBeCloseTo(alpha, 12);
    const wider = wikipedia.flatMap((count, at) => (at % 4 === 3 ? [count, 0] : [count]));
    expect(krippendorffAlpha(wider, { classes: 5 })).toBeCloseTo(krippendorffAlpha(wikipedia, { classes: 4 }), 12);
  });

  it('is 1 for perfect agreement, an error where it is not defined', () => {
    expect(krippendorffAlpha([3, 0, 0, 2], { classes: 2, scale: 'ratio' })).toBe(1);
    expect(() => krippendorffAlpha([3, 0, 2, 0], { classes: 2 })).toThrow('only one value');
    expect(() => krippendorffAlpha([1, 0, 0, 1], { classes: 2 })).toThrow('no unit has two answers');
    expect(() => krippendorffAlpha([1, 1], { classes: 2, values: [1] })).toThrow(RangeError);
    expect(() => krippendorffAlpha([1, 1, 1], { classes: 2 })).toThrow(RangeError);
  });
});

describe('kappas', () => {
  // Wikipedia's ten units, 14 people, five classes
  const fleiss = [
    [0, 0, 0, 0, 14],
    [0, 2, 6, 4, 2],
    [0, 0, 3, 5, 6],
    [0, 3, 9, 2, 0],
    [2, 2, 8, 1, 1],
    [7, 7, 0, 0, 0],
    [3, 2, 6, 3, 0],
    [2, 5, 3, 2, 2],
    [6, 5, 2, 1, 0],
    [0, 2, 2, 3, 7],
  ].flat();

  it('of Cohen and Fleiss have the golden values', () => {
    const table = [
      [20, 5],
      [10, 15],
    ];
    expect(cohenKappa(table)).toBeCloseTo(0.4, 12);
    // two classes have one distance
    expect(cohenKappa(table, 'quadratic')).toBeCloseTo(0.4, 12);
    expect(fleissKappa(fleiss, 5)).toBeCloseTo(0.209931, 6);
  });

  it('of Cohen, weighted, equal scikit-learn', () => {
    const { table, ...kappas } = goldens.agreement.cohen;
    for (const weights of ['none', 'linear', 'quadratic'] as const) {
      expect(cohenKappa(table, weights)).toBeCloseTo(kappas[weights], 12);
    }
  });

  it('are errors where they are not defined', () => {
    expect(() => cohenKappa([])).toThrow(RangeError);
    expect(() =>
      cohenKappa([
        [0, 0],
        [0, 0],
      ]),
    ).toThrow('empty');
    expect(() =>
      cohenKappa([
        [4, 0],
        [0, 0],
      ]),
    ).toThrow('only one class');
    expect(() => fleissKappa([2, 0, 3, 0], 2)).toThrow('unequal');
    expect(() => fleissKappa([2, 0, 2, 0], 2)).toThrow('only one class');
    expect(() => fleissKappa([1, 0, 0, 1], 2)).toThrow('no unit has two answers');
  });
});

describe('Gwet’s AC and the share of pairs', () => {
  it('equal irrCAC, by weights', () => {
    const counts = goldens.agreement.counts.flat();
    for (const weights of ['none', 'linear', 'quadratic'] as const) {
      expect(gwetAC(counts, 4, weights)).toBeCloseTo(goldens.agreement.gwet[weights]!, 10);
    }
  });

  it('stay high where one class is common and kappa falls', () => {
    // 118 units both 0, one each of the mixed ones: Gwet 2008's paradox
    const counts = [...Array.from({ length: 118 }, () => [2, 0]), [1, 1], [1, 1]].flat();
    expect(pairAgreement(counts, 2)).toBeCloseTo(118 / 120, 12);
    expect(fleissKappa(counts, 2)).toBeLessThan(0);
    // shares 238/240 and 2/240; expected 2 · π (1 - π)
    const expected = (2 * 238 * 2) / 240 ** 2;
    expect(gwetAC(counts, 2)).toBeCloseTo((118 / 120 - expected) / (1 - expected), 12);
  });

  it('count near answers as half right where asked', () => {
    expect(pairAgreement([1, 1, 0, 0, 2, 0], 3)).toBe(0.5);
    expect(pairAgreement([1, 1, 0, 0, 2, 0], 3, 'linear')).toBe(0.75);
    expect(pairAgreement([1, 1, 0, 0, 2, 0], 3, 'quadratic')).toBe(0.875);
    expect(gwetAC([2, 0, 3, 0], 2)).toBe(1);
    expect(() => gwetAC([1, 0], 2)).toThrow('no unit has two answers');
    expect(() => gwetAC([2], 1)).toThrow(RangeError);
  });
});

it('nominalAgreement has the figures of the tables without a table', () => {
  const answer = fc.tuple(fc.nat(5), fc.nat(3), fc.nat(2));
  const or = (measure: () => number): number => {
    try {
      return measure();
    } catch {
      return -9;
    }
  };
  fc.assert(
    fc.property(fc.array(answer, { maxLength: 40 }), (given) => {
      const column = (place: 0 | 1 | 2) => given.map((one) => one[place]);
      const answers = { items: 6, annotators: 4, classes: 3, item: column(0), annotator: column(1), label: column(2) };
      const counts = voteCounts(answers);
      const found = nominalAgreement(answers);
      expect(found.pairs ?? -9).toBeCloseTo(
        or(() => pairAgreement(counts, 3)),
        12,
      );
      expect(found.alpha ?? -9).toBeCloseTo(
        or(() => krippendorffAlpha(counts, { classes: 3 })),
        12,
      );
      expect(found.ac1 ?? -9).toBeCloseTo(
        or(() => gwetAC(counts, 3)),
        12,
      );
    }),
    { numRuns: 300 },
  );
});
