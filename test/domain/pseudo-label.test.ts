import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  judgePseudoLabels,
  leastGuardRows,
  planPseudoLabels,
  type PseudoPlan,
  pseudoReport,
  type PseudoRequest,
  pseudoSummary,
} from '../../domain/pseudo-label.js';
import { scoredRows } from '../../domain/scored-rows.js';
import { createRandom } from '../../stats/prng.js';

const rules = { maxError: 0.2, confidence: 0.95, weight: 0.3, perClass: 1_000 };
const classes = ['no', 'yes'];

type Asked = Omit<PseudoRequest, 'pool'> & { pool: { key: string; probabilities: number[] }[] };

function planOf({ pool, ...request }: Asked): PseudoPlan {
  return planPseudoLabels({ ...request, pool: scoredRows(pool) });
}

/** The model is right as often as it says; a quarter of the rows are for the first class. */
function drawn(seed: number, rows: number): Asked {
  const random = createRandom(seed);
  const probabilities = () => {
    const p = 0.5 + random.uniform() / 2;
    return random.uniform() < 0.25 ? [p, 1 - p] : [1 - p, p];
  };
  const pool = Array.from({ length: 800 }, (_, i) => ({ key: `k${i}`, probabilities: probabilities() }));
  const sample = Array.from({ length: rows }, () => {
    const own = probabilities();
    return { probabilities: own, label: random.uniform() < own[0]! ? 0 : 1 };
  });
  return { rules, classes, pool, sample };
}

describe('which rows get a pseudo-label', () => {
  it('the sure ones, in key order, with the class by name; at most so many of a class', () => {
    const asked = drawn(1, 400);
    const plan = planOf(asked);
    expect(plan.threshold).toBeGreaterThan(0.5);
    expect(plan.labels.length).toBeGreaterThan(100);
    const sure = asked.pool.filter(({ probabilities }) => Math.max(...probabilities) >= plan.threshold!);
    expect(plan.labels).toEqual(
      sure
        .map(({ key, probabilities: [no = 0, yes = 0] }) => ({
          ...{ key, label: no >= yes ? 'no' : 'yes', confidence: Math.max(no, yes) },
        }))
        .sort((a, b) => (a.key < b.key ? -1 : 1)),
    );
    const capped = planOf({ ...asked, rules: { ...rules, perClass: 20 } });
    for (const name of classes) {
      const own = capped.labels.filter(({ label }) => label === name);
      const all = plan.labels.filter(({ label }) => label === name);
      expect(own).toHaveLength(20);
      const least = Math.min(...own.map(({ confidence }) => confidence));
      expect(all.filter(({ confidence }) => confidence > least)).toHaveLength(19);
    }
  });

  it('the same in whatever order the rows come', () => {
    const asked = drawn(2, 200);
    const expected = planOf(asked);
    fc.assert(
      fc.property(fc.shuffledSubarray([...asked.pool], { minLength: 800 }), (pool) => {
        expect(planOf({ ...asked, pool })).toEqual(expected);
      }),
      { numRuns: 5 },
    );
  });

  it('none where nothing was shown, with the reason', () => {
    const few = planOf(drawn(3, 13));
    expect(few).toMatchObject({ threshold: null, labels: [], checked: 13, test: null });
    expect(few.why).toBe('13 checked rows can show nothing, 14 are needed');
    const wrong = drawn(4, 300);
    const sample = wrong.sample.map((item) => ({ ...item, label: -1 }));
    expect(planOf({ ...wrong, sample }).why).toContain('even the surest rows are wrong too often');
    expect(planOf({ ...wrong, pool: [] }).labels).toEqual([]);
  });
});

describe('whether a round is kept', () => {
  const rows = (right: number, of: number): boolean[] => Array.from({ length: of }, (_, row) => row < right);

  it('where it costs no row; p says how sure that is', () => {
    expect(judgePseudoLabels(rows(90, 100), rows(90, 100))).toMatchObject({ kept: true, guard: { p: 1 } });
    expect(judgePseudoLabels(rows(99, 100), rows(100, 100))).toMatchObject({ kept: false, guard: { onlyWithout: 1 } });
    const undone = judgePseudoLabels(rows(94, 100), rows(100, 100));
    expect(undone).toMatchObject({
      kept: false,
      guard: { rows: 100, onlyWith: 0, onlyWithout: 6, p: expect.closeTo(0.03125, 9) },
    });
    expect(undone.why).toContain('of 100 rows of the validation part 0 are right only with them, 6 only without');
    // as much better is no harm
    expect(judgePseudoLabels(rows(100, 100), rows(60, 100))).toMatchObject({ kept: true, guard: { onlyWith: 40 } });
  });

  it('and where there are too few rows to see a harm, it is not', () => {
    const least = leastGuardRows;
    expect(judgePseudoLabels(rows(least, least), rows(least, least)).kept).toBe(true);
    const few = judgePseudoLabels(rows(least - 1, least - 1), rows(0, least - 1));
    expect(few).toMatchObject({ kept: false, guard: { onlyWith: least - 1 } });
    expect(few.why).toContain('has 49 rows with a label of people, 50 are needed');
    expect(judgePseudoLabels([], [])).toMatchObject({ kept: false, guard: { rows: 0, p: 1 } });
  });

  it('is told in words and in numbers', () => {
    const plan = planOf(drawn(1, 400));
    const kept = pseudoReport(rules, plan, judgePseudoLabels(rows(80, 100), rows(78, 100)));
    expect(kept).toMatchObject({ kept: true, labels: plan.labels.length, weight: 0.3, checked: 400 });
    expect(pseudoSummary(kept)).toMatch(
      /^\d+ pseudo-labels of weight 0\.3 kept: \d+ of \d+ checked rows from 0\.\d+ on/,
    );
    const none = pseudoReport(rules, planOf(drawn(3, 13)), null);
    expect(none).toMatchObject({ kept: false, labels: 0, guard: null, errors: null });
    expect(pseudoSummary(none)).toBe('no pseudo-label: 13 checked rows can show nothing, 14 are needed');
  });
});
