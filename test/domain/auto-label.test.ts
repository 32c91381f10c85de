import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  auditQuota,
  type AutoPlan,
  type AutoRequest,
  type AutoRules,
  type CheckedItem,
  coveredItems,
  deltaOf,
  judgeAudit,
  mixAudit,
  planAutoLabels,
} from '../../domain/auto-label.js';
import { scoredRows } from '../../domain/scored-rows.js';
import { createRandom, drawWithout } from '../../stats/prng.js';

const rules: AutoRules = { maxError: 0.05, confidence: 0.9, auditShare: 0.1 };

type Item = Parameters<typeof scoredRows>[0][number];

function planOf({ pool, ...request }: Omit<AutoRequest, 'pool'> & { pool: Item[] }): AutoPlan {
  return planAutoLabels({ ...request, pool: scoredRows(pool) });
}

/** Two classes; the model is right as often as it says. */
function drawn(seed: number, rows: number): { pool: Item[]; sample: CheckedItem[] } {
  const random = createRandom(seed);
  const probabilities = () => {
    const p = 0.5 + random.uniform() / 2;
    return random.uniform() < 0.5 ? [p, 1 - p] : [1 - p, p];
  };
  const pool = Array.from({ length: 2_000 }, (_, i) => ({ key: `k${i}`, probabilities: probabilities() }));
  const sample = Array.from({ length: rows }, () => {
    const own = probabilities();
    return { probabilities: own, label: random.uniform() < own[0]! ? 0 : 1 };
  });
  return { pool, sample };
}

describe('what is labelled alone', () => {
  it('only what is sure enough, with a share for people to check', () => {
    const { pool, sample } = drawn(1, 2_000);
    const loose = { ...rules, maxError: 0.1 };
    const plan = planOf({ rules: loose, batch: 1, pool, sample, seed: 3 });
    expect(plan.threshold).toBeGreaterThan(0.7);
    expect(plan.labels.length / pool.length).toBeCloseTo(plan.coverage, 10);
    expect(plan.labels.every(({ confidence }) => confidence >= plan.threshold!)).toBe(true);
    expect(plan.audit).toHaveLength(Math.ceil(plan.labels.length / 10));
    expect(new Set(plan.audit).size).toBe(plan.audit.length);
    const keys = new Set(plan.labels.map(({ key }) => key));
    expect(plan.audit.every((key) => keys.has(key))).toBe(true);
    expect(planOf({ rules: loose, batch: 1, pool: [...pool].reverse(), sample, seed: 3 })).toEqual(plan);
  });

  it('nothing where too few were checked, or the model is wrong too often', () => {
    const { pool, sample } = drawn(2, 2_000);
    const few = planOf({ rules, batch: 1, pool, sample: sample.slice(0, 50), seed: 1 });
    expect(few).toMatchObject({ threshold: null, labels: [], audit: [] });
    expect(few.why).toBe(`50 checked items can show nothing, ${few.leastSample} are needed`);
    const strangers = sample.map((item) => ({ ...item, label: -1 }));
    expect(planOf({ rules, batch: 1, pool, sample: strangers, seed: 1 }).threshold).toBeNull();
  });

  it('keeps the promise over all batches of a campaign', () => {
    const deltas = Array.from({ length: 50 }, (_, i) => deltaOf(rules, i + 1));
    expect(deltas.reduce((sum, delta) => sum + delta, 0)).toBeLessThan(0.1);
    let broken = 0;
    for (let seed = 0; seed < 60; seed += 1) {
      const { threshold } = planOf({ rules, batch: 1, ...drawn(seed, 600), seed });
      // above t it errs by (1 - t) / 2
      if (threshold !== null && (1 - threshold) / 2 > rules.maxError) broken += 1;
    }
    // 60 x 0.05 = 3, standard deviation 1.7
    expect(broken).toBeLessThanOrEqual(8);
  });
});

describe('a second batch of the same campaign', () => {
  const loose = { ...rules, maxError: 0.1 };
  /** Of its labels, by what the model says of itself, which is the truth here. */
  const errorRate = (labels: readonly { confidence: number }[]) =>
    labels.reduce((sum, { confidence }) => sum + 1 - confidence, 0) / labels.length;

  /** How many of 30 campaigns label more than 10 % wrong in the second batch, from the sample that `remains`. */
  function broken(remains: (sample: CheckedItem[], covered: CheckedItem[]) => CheckedItem[]): number {
    let found = 0;
    for (let seed = 0; seed < 30; seed += 1) {
      const { pool, sample } = drawn(seed, 4_000);
      // few of them have an answer yet, so that it dares little
      const first = planOf({ rules: loose, batch: 1, pool, sample: sample.slice(0, 500), seed });
      const gone = new Set(first.labels.map(({ key }) => key));
      const rest = pool.filter(({ key }) => !gone.has(key));
      const left = remains(sample, coveredItems(sample, first));
      const { labels } = planOf({ rules: loose, batch: 2, pool: rest, sample: left, seed });
      if (labels.length > 0 && errorRate(labels) > loose.maxError) found += 1;
    }
    return found;
  }

  it('keeps the promise by what its own rows are like, once the sure ones have left pool and sample', () => {
    expect(broken((sample, covered) => sample.filter((item) => !covered.includes(item)))).toBeLessThanOrEqual(2);
  });

  it('would break it if sure rows that are gone still vouched for the others', () => {
    expect(broken((sample) => sample)).toBeGreaterThan(10);
  });

  it('costs a number only where something could be shown', () => {
    const { pool, sample } = drawn(3, 200);
    const of = (rows: number) => planOf({ rules, batch: 1, pool, sample: sample.slice(0, rows), seed: 1 });
    const { leastSample } = of(0);
    expect(of(leastSample - 1).tested).toBe(false);
    expect(of(leastSample).tested).toBe(true);
    expect(coveredItems(sample, of(0))).toEqual([]);
    expect([1, 2, 60].map(auditQuota)).toEqual([1, 1, 30]);
  });
});

describe('the audit', () => {
  it('revokes when the rate is above the promise, and not before', () => {
    expect(judgeAudit({ population: 1_000, audited: 100, errors: 5 }, rules).revoked).toBe(false);
    expect(judgeAudit({ population: 1_000, audited: 100, errors: 20 }, rules).revoked).toBe(true);
    expect(judgeAudit({ population: 0, audited: 0, errors: 0 }, rules).revoked).toBe(false);
    // all looked at: the rate itself decides
    expect(judgeAudit({ population: 100, audited: 100, errors: 5 }, rules)).toEqual({
      lo: 0.05,
      hi: 0.05,
      revoked: false,
    });
    expect(judgeAudit({ population: 100, audited: 100, errors: 6 }, rules).revoked).toBe(true);
  });

  it('looked at after every answer, seldom revokes a batch that keeps the promise', () => {
    let revoked = 0;
    for (let seed = 0; seed < 100; seed += 1) {
      const order = drawWithout(createRandom(seed), 300, 120);
      let errors = 0;
      const ever = order.some((item, i) => {
        if (item < 15) errors += 1;
        return judgeAudit({ population: 300, audited: i + 1, errors }, rules).revoked;
      });
      if (ever) revoked += 1;
    }
    expect(revoked).toBeLessThanOrEqual(10);
  });

  it('is mixed in at any place, nothing lost and both in order', () => {
    fc.assert(
      fc.property(fc.nat(30), fc.nat(30), fc.nat(), (tasks, audit, seed) => {
        const plain = Array.from({ length: tasks }, (_, i) => i);
        const checked = Array.from({ length: audit }, (_, i) => 100 + i);
        const mixed = mixAudit(plain, checked, seed);
        expect(mixed.filter((one) => one < 100)).toEqual(plain);
        expect(mixed.filter((one) => one >= 100)).toEqual(checked);
      }),
    );
    const first = Array.from({ length: 1_000 }, (_, seed) => mixAudit([1], [2], seed)[0]);
    const share = first.filter((one) => one === 2).length / 1_000;
    // five standard deviations
    expect(Math.abs(share - 0.5)).toBeLessThan(0.08);
  });
});
