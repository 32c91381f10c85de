import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { batchAgreement, batchConsensus, type BatchAnswer } from '../../domain/batch-answers.js';
import { createRandom } from '../../stats/prng.js';

const answer = (task: string, annotator: string, label: string, gold: string | null = null): BatchAnswer => ({
  ...{ task, annotator, label, gold },
});

/** 200 items of three classes: four people, of whom `share` says how often each is right. */
function simulated(shares: number[], seed: number): { answers: BatchAnswer[]; truth: Map<string, string> } {
  const random = createRandom(seed);
  const classes = ['a', 'b', 'c'];
  const truth = new Map(Array.from({ length: 200 }, (_, i) => [`t${i}`, classes[random.below(3)]!]));
  const answers = [...truth].flatMap(([task, right]) =>
    shares.map((share, who) => {
      const others = classes.filter((name) => name !== right);
      return answer(task, `p${who}`, random.uniform() < share ? right : others[random.below(2)]!);
    }),
  );
  return { answers, truth };
}

const rightShare = (found: Map<string, { label: string }>, truth: Map<string, string>): number =>
  [...truth].filter(([task, label]) => found.get(task)?.label === label).length / truth.size;

/** Of the vote: a tie between two is right by half. */
function majorityShare(answers: BatchAnswer[], truth: Map<string, string>): number {
  const votes = new Map([...truth.keys()].map((task) => [task, new Map<string, number>()]));
  for (const { task, label } of answers) votes.get(task)!.set(label, (votes.get(task)!.get(label) ?? 0) + 1);
  const right = [...truth].map(([task, label]) => {
    const of = votes.get(task)!;
    const most = Math.max(...of.values());
    return of.get(label) === most ? 1 / [...of.values()].filter((count) => count === most).length : 0;
  });
  return right.reduce((sum, one) => sum + one, 0) / truth.size;
}

describe('batchConsensus', () => {
  it('believes those who are right more often, without being told who they are', () => {
    for (const seed of [1, 2, 3]) {
      const { answers, truth } = simulated([0.4, 0.4, 0.4, 0.95, 0.9], seed);
      const together = rightShare(batchConsensus(answers), truth);
      expect(together).toBeGreaterThan(0.88);
      expect(together).toBeGreaterThan(majorityShare(answers, truth) + 0.05);
    }
  });

  it('does not depend on the order of answers, and gives probabilities', () => {
    const { answers } = simulated([0.9, 0.7, 0.6], 3);
    const found = batchConsensus(answers);
    fc.assert(
      fc.property(fc.shuffledSubarray(answers, { minLength: answers.length }), (shuffled) => {
        for (const [task, { label, confidence }] of batchConsensus(shuffled)) {
          expect(found.get(task)!.label).toBe(label);
          expect(found.get(task)!.confidence).toBeCloseTo(confidence!, 9);
          expect(confidence).toBeGreaterThan(0);
          expect(confidence).toBeLessThanOrEqual(1);
        }
      }),
      { numRuns: 5 },
    );
  });

  it('holds gold items at their answer', () => {
    const found = batchConsensus([answer('t', 'kim', 'b', 'a'), answer('t', 'lee', 'b', 'a')]);
    expect(found.get('t')).toEqual({ label: 'a', confidence: 1 });
  });
});

describe('batchAgreement', () => {
  it('is nothing where no two answered the same', () => {
    expect(batchAgreement([])).toBeNull();
    expect(batchAgreement([answer('1', 'kim', 'a'), answer('2', 'lee', 'a')])).toBeNull();
  });

  it('counts pairs, and agreement beyond chance', () => {
    const given = ['aa', 'aa', 'bb', 'ab'].flatMap(([x = '', y = ''], i) => [
      answer(String(i), 'kim', x),
      answer(String(i), 'lee', y),
    ]);
    const found = batchAgreement(given)!;
    expect(found).toMatchObject({ answers: 8, items: 4, pairs: 0.75 });
    // 8 values, 5 a and 3 b: 1 - 7 · 2 / (8 · ... ) by hand: observed 2/8, expected 2·5·3/(8·7)
    expect(found.alpha).toBeCloseTo(1 - 0.25 / (30 / 56), 12);
    // chance 2 · 5/8 · 3/8
    expect(found.ac1).toBeCloseTo((0.75 - 30 / 64) / (1 - 30 / 64), 12);
  });

  it('has no chance to compare with where everybody always says the same', () => {
    const same = [answer('1', 'kim', 'a'), answer('1', 'lee', 'a')];
    expect(batchAgreement(same)).toEqual({ answers: 2, items: 1, pairs: 1, alpha: null, ac1: null });
  });
});
