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

interface Crowd {
  items: number;
  classes: number;
  /** Answers of each item, of different people. */
  each: number;
  /** How often each person is right. */
  shares: number[];
  /** Who is wrong gives the class that this person mistakes it for; else any other. */
  mistake?: boolean;
  seed: number;
}

function drawn({ items, classes, each, shares, mistake, seed }: Crowd) {
  const random = createRandom(seed);
  const mistaken = shares.map(() => Array.from({ length: classes }, () => 1 + random.below(classes - 1)));
  const truth = new Map<string, string>();
  const answers: BatchAnswer[] = [];
  for (let i = 0; i < items; i += 1) {
    const right = random.below(classes);
    truth.set(`t${i}`, `c${right}`);
    const people = new Set<number>();
    while (people.size < each) people.add(random.below(shares.length));
    for (const who of people) {
      const by = mistake ? mistaken[who]![right]! : 1 + random.below(classes - 1);
      const label = random.uniform() < shares[who]! ? right : (right + by) % classes;
      answers.push(answer(`t${i}`, `p${who}`, `c${label}`));
    }
  }
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
      const together = rightShare(batchConsensus(answers, 3), truth);
      expect(together).toBeGreaterThan(0.88);
      expect(together).toBeGreaterThan(majorityShare(answers, truth) + 0.05);
    }
  });

  it('does not depend on the order of answers, and gives probabilities', () => {
    const { answers } = simulated([0.9, 0.7, 0.6], 3);
    const found = batchConsensus(answers, 3);
    fc.assert(
      fc.property(fc.shuffledSubarray(answers, { minLength: answers.length }), (shuffled) => {
        for (const [task, { label, confidence }] of batchConsensus(shuffled, 3)) {
          expect(found.get(task)!.label).toBe(label);
          expect(found.get(task)!.confidence).toBeCloseTo(confidence!, 9);
          expect(confidence).toBeGreaterThan(0);
          expect(confidence).toBeLessThanOrEqual(1);
        }
      }),
      { numRuns: 5 },
    );
  });

  const mean = (values: number[]) => values.reduce((sum, one) => sum + one, 0) / values.length;
  /** Shares of wrong labels over some draws, together and by majority. */
  function errors(crowd: Omit<Crowd, 'seed'>, draws = 20) {
    const found = Array.from({ length: draws }, (_, seed) => {
      const { answers, truth } = drawn({ ...crowd, seed });
      const together = rightShare(batchConsensus(answers, crowd.classes), truth);
      return [1 - together, 1 - majorityShare(answers, truth)] as const;
    });
    return { together: mean(found.map(([one]) => one)), majority: mean(found.map(([, one]) => one)) };
  }
  const alike = (share: number, people: number) => Array.from({ length: people }, () => share);

  it('is no worse than the majority where answers are few', () => {
    for (const people of [5, 15]) {
      const { together, majority } = errors({ items: 60, classes: 10, each: 2, shares: alike(0.95, people) });
      expect(together).toBeLessThan(majority + 0.005);
      expect(together).toBeLessThan(0.06);
    }
    const three = errors({ items: 200, classes: 2, each: 3, shares: alike(0.8, 15) });
    expect(three.together).toBeLessThan(three.majority + 0.005);
  });

  it('is better where people differ and answer much, also in the classes that they mistake', () => {
    const shares = [0.5, 0.6, 0.7, 0.9, 0.95];
    const few = errors({ items: 60, classes: 10, each: 3, shares });
    expect(few.together).toBeLessThan(0.8 * few.majority);
    const own = errors({ items: 1000, classes: 3, each: 3, shares, mistake: true }, 5);
    expect(own.together).toBeLessThan(0.6 * own.majority);
  });

  it('never changes a label that all agree on, in whatever pairs they answer', () => {
    const pairs = Array.from({ length: 60 }, (_, i) => [`p${i % 30}`, `p${(i + 1 + Math.floor(i / 30)) % 30}`]);
    const agreed = pairs.flatMap(([x = '', y = ''], i) => [
      answer(`t${i}`, x, `c${i % 10}`),
      answer(`t${i}`, y, `c${i % 10}`),
    ]);
    for (const [task, { label, confidence }] of batchConsensus(agreed, 10)) {
      expect(label).toBe(`c${Number(task.slice(1)) % 10}`);
      expect(confidence).toBeGreaterThan(0.9);
    }
    const one = fc.record({ task: fc.nat(8), person: fc.nat(5), label: fc.nat(4), gold: fc.boolean() });
    fc.assert(
      fc.property(fc.array(one, { minLength: 1, maxLength: 60 }), (drawnAnswers) => {
        const given = drawnAnswers.map(({ task, person, label, gold }) =>
          answer(gold ? `g${task}` : `t${task}`, `p${person}`, `c${label}`, gold ? `c${task % 5}` : null),
        );
        const found = batchConsensus(given, 5);
        for (const task of new Set(given.map((each) => each.task))) {
          const labels = given.filter((each) => each.task === task).map(({ label }) => label);
          if (task.startsWith('g')) expect(found.get(task)!.label).toBe(`c${Number(task.slice(1)) % 5}`);
          else expect(labels).toContain(found.get(task)!.label);
          if (task.startsWith('t') && new Set(labels).size === 1) expect(found.get(task)!.label).toBe(labels[0]);
          expect(found.get(task)!.confidence).toBeGreaterThan(0);
        }
      }),
      { numRuns: 200 },
    );
  });

  it('is as each item alone where nothing is known of people but gold items', () => {
    const given = [
      ...['a', 'a', 'a', 'a', 'a', 'a'].map((label, i) => answer(`g${i}`, 'kim', label, 'a')),
      ...['b', 'b', 'b', 'b', 'b', 'b'].map((label, i) => answer(`g${i}`, 'lee', label, 'a')),
      ...[answer('t', 'kim', 'c'), answer('t', 'lee', 'b')],
    ];
    expect(batchConsensus(given, 3).get('t')).toMatchObject({ label: 'c' });
  });

  it('is done in a moment with many classes, and leaves alone what is too much', () => {
    const many = drawn({ items: 10_000, classes: 300, each: 3, shares: alike(0.8, 40), seed: 1 });
    const before = process.cpuUsage();
    expect(rightShare(batchConsensus(many.answers, 300), many.truth)).toBeGreaterThan(0.9);
    const agreed = batchAgreement(many.answers)!;
    const used = process.cpuUsage(before);
    expect(agreed.pairs).toBeCloseTo(0.64, 1);
    // below 1 s each on a quiet machine; with a table of items x classes² 17 s
    expect((used.user + used.system) / 1e6).toBeLessThan(5);
    const texts = Array.from({ length: 101 * 100 }, (_, at) =>
      answer(`t${Math.floor(at / 101)}`, `p${at % 101}`, `text ${at}`),
    );
    expect(batchConsensus(texts, null).size).toBe(0);
    expect(batchConsensus(texts.slice(0, 101 * 20), null).size).toBe(20);
  });

  it('holds gold items at their answer', () => {
    const found = batchConsensus([answer('t', 'kim', 'b', 'a'), answer('t', 'lee', 'b', 'a')], 2);
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
