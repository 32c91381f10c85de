import { describe, expect, it } from 'vitest';
import { defaultPolicy, isFit, isGoldPlace, needsReview, policyOf, unfitness } from '../../domain/label-policy.js';

describe('isGoldPlace', () => {
  it.each([0.05, 0.1, 0.2, 0.5])('gives any 100 items their share of %s, give or take one', (share) => {
    const places = Array.from({ length: 1_000 }, (_, place) => isGoldPlace(share, 'bat_1/kim', place));
    for (let from = 0; from <= 900; from += 1) {
      const gold = places.slice(from, from + 100).filter(Boolean).length;
      expect(Math.abs(gold - 100 * share)).toBeLessThanOrEqual(1);
    }
  });

  it('comes at other places for other people, and never without a share', () => {
    const places = (who: string) => Array.from({ length: 200 }, (_, place) => isGoldPlace(0.1, who, place));
    expect(places('bat_1/kim')).not.toEqual(places('bat_1/lee'));
    expect(places('bat_1/kim')).toEqual(places('bat_1/kim'));
    expect(isGoldPlace(0, 'kim', 0)).toBe(false);
  });
});

it('pauses below the score, once enough was asked', () => {
  const policy = policyOf({ gold: { share: 0.1, minScore: 0.7, after: 5 } });
  expect([isFit(policy, 4, 0), isFit(policy, 5, 3), isFit(policy, 5, 4), isFit(policy, 10, 7)]).toEqual([
    true,
    false,
    true,
    true,
  ]);
});

it('has reviewers look at a share of the labels and at those in doubt', () => {
  const policy = policyOf({
    review: { share: 0.2, self: false },
    overlap: { min: 2, max: 3, confidence: 0.9 },
  });
  const chosen = Array.from({ length: 5_000 }, (_, n) => needsReview(policy, `task_${n}`, 0.95)).filter(Boolean);
  // 1,000 expected; six standard deviations are 170
  expect(Math.abs(chosen.length - 1_000)).toBeLessThan(170);
  expect(needsReview(policy, 'task_1', 0.5)).toBe(true);
  expect(needsReview(defaultPolicy, 'task_1', 0.5)).toBe(false);
});

it('says what a labeler lacks', () => {
  const policy = policyOf({ requires: { skills: ['x-ray'], languages: ['ko', 'en'] } });
  expect(unfitness(policy, { skills: [], languages: ['en'] })).toBe('the skill x-ray and the language ko');
  expect(unfitness(policy, { skills: ['x-ray'], languages: ['en', 'ko'] })).toBeNull();
});
