// Golden values: people-and-statistics A8 (dallascard/dawid_skene on the data of Dawid & Skene 1979, Table 1; the test of
// crowd-kit 1.4) and A9 (cleanlab 2.9.0, by goldens.py).
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type Answers, byItem, voteCounts } from '../../stats/answers.js';
import { crowdlab } from '../../stats/crowdlab.js';
import { dawidSkene, type DawidSkeneOptions } from '../../stats/dawid-skene.js';
import { createRandom } from '../../stats/prng.js';
import { argMax } from '../../stats/rank.js';
import { answersOfTable, type Goldens } from './goldens.support.js';

const goldens = JSON.parse(readFileSync(new URL('goldens.json', import.meta.url), 'utf8')) as Goldens;

/** Patients 1 to 45: three answers of observer 1, then one each of observers 2 to 5. */
const anaesthetists =
  '1111111 3334334 1122122 2223121 2223222 2223322 1222111 3333433 2222223 2322223 4444444 2223343 1111111 2223212 ' +
  '1211111 1112111 1111111 1111111 2222221 2221322 2222222 2222221 2223222 2212222 1111111 1111111 2322222 1111111 ' +
  '1111111 1121121 1111111 3333233 1111111 2222222 2223232 4334343 2212232 2323233 3333432 1111111 1111111 1212111 ' +
  '2322222 1211111 2222222';

function anaesthetistAnswers(): Answers {
  const cells = anaesthetists
    .split(' ')
    .flatMap((marks, item) =>
      [...marks].map((mark, at) => ({ item, annotator: Math.max(0, at - 2), label: Number(mark) - 1 })),
    );
  return {
    ...{ items: 45, annotators: 5, classes: 4 },
    item: cells.map(({ item }) => item),
    annotator: cells.map(({ annotator }) => annotator),
    label: cells.map(({ label }) => label),
  };
}

type Simulated = Answers & Record<'item' | 'annotator' | 'label' | 'truth', number[]>;

/** People who are right with their own chance, on items of unequal classes. */
function simulated(seed: number, { items = 60, annotators = 8, classes = 3, each = 4 } = {}): Simulated {
  const random = createRandom(seed);
  const skill = Array.from({ length: annotators }, () => 0.4 + 0.6 * random.uniform());
  const truth = Array.from({ length: items }, () => Math.floor(random.uniform() ** 2 * classes));
  const item = truth.flatMap((_, i) => new Array<number>(each).fill(i));
  const annotator = item.map(() => random.below(annotators));
  const label = item.map((i, at) => (random.uniform() < skill[annotator[at]!]! ? truth[i]! : random.below(classes)));
  return { items, annotators, classes, item, annotator, label, truth };
}

const labelsOf = ({ posteriors }: { posteriors: Float64Array }, classes: number): number[] =>
  Array.from({ length: posteriors.length / classes }, (_, i) => argMax(posteriors, i * classes, classes));

describe('answers', () => {
  it('are sorted by item and counted', () => {
    const answers = { items: 3, annotators: 2, classes: 2, item: [2, 0, 2], annotator: [1, 0, 0], label: [1, 0, 1] };
    const { start, annotator, label } = byItem(answers);
    expect([[...start], [...annotator], [...label]]).toEqual([
      [0, 1, 1, 3],
      [0, 1, 0],
      [0, 1, 1],
    ]);
    expect([...voteCounts(answers)]).toEqual([1, 0, 0, 0, 0, 2]);
    for (const wrong of [{ item: [0, 0, 3] }, { annotator: [0, 2, 0] }, { label: [0, -1, 0] }, { label: [0, 1] }]) {
      expect(() => byItem({ ...answers, ...wrong })).toThrow(RangeError);
    }
  });
});

describe('Dawid and Skene (A8)', () => {
  const answers = anaesthetistAnswers();

  it('has the log-likelihoods of 1979’s data', () => {
    const { history, logLikelihood } = dawidSkene(answers, { iterations: 15, tolerance: -Infinity });
    expect(history).toHaveLength(15);
    expect(history[0]).toBeCloseTo(-205.091138, 6);
    expect(history[1]).toBeCloseTo(-194.550952, 6);
    expect(history[2]).toBeCloseTo(-193.159445, 6);
    expect(history[14]).toBeCloseTo(-192.890882, 6);
    expect(logLikelihood).toBe(history[14]);
  });

  it('has their limit, prior, errors and classes', () => {
    const found = dawidSkene(answers, { iterations: 1000, tolerance: 1e-14 });
    expect(found.logLikelihood).toBeCloseTo(-192.8908812142, 9);
    [0.399555, 0.421983, 0.111795, 0.066667].forEach((p, j) => expect(found.prior[j]).toBeCloseTo(p, 6));
    const first = [0.8895, 0.1105, 0, 0, 0.0706, 0.8764, 0.053, 0, 0, 0.3388, 0.6612, 0, 0, 0, 0.5556, 0.4444];
    first.forEach((p, at) => expect(Math.abs(found.errors[at]! - p)).toBeLessThanOrEqual(5.1e-5));
    const labels = labelsOf(found, 4);
    expect(labels.map((label) => label + 1).join('')).toBe('142222132243121111222222112111131224233111212');
    expect([0, 1, 2, 3].map((j) => labels.filter((label) => label === j).length)).toEqual([18, 19, 5, 3]);
    const votes = voteCounts(answers);
    const plurality = labels.map((_, i) => argMax(votes, i * 4, 4));
    expect(labels.flatMap((label, i) => (label === plurality[i] ? [] : [i + 1]))).toEqual([2, 12, 36]);
    const tops = labels.map((label, i) => found.posteriors[i * 4 + label]!);
    expect(tops.indexOf(Math.min(...tops)) + 1).toBe(35);
    expect(Math.min(...tops)).toBeCloseTo(0.948, 4);
  });

  it('goes the first steps of crowd-kit', () => {
    // P(no) of five tasks; no is class 0. t1 has no answer of the third person.
    const table = [
      [0, 1, null, 1, 0],
      [1, 1, 1, 0, 0],
      [1, 0, 0, 1, 0],
      [1, 1, 1, 1, 1],
      [1, 0, 0, 0, 0],
    ];
    const five = answersOfTable(table, 2);
    const no = ({ posteriors }: { posteriors: Float64Array }) => [0, 2, 4, 6, 8].map((at) => posteriors[at]!);
    const rounds = (iterations: number) => dawidSkene(five, { iterations, tolerance: -Infinity, floor: 1e-10 });
    const [one, two] = [rounds(1), rounds(2)];
    // the parameters of round n are crowd-kit's after n - 1, the posteriors those after n
    [0.5, 0.4, 0.6, 0, 0.8].forEach((share, i) => {
      const votes = voteCounts(five);
      expect(votes[2 * i]! / (votes[2 * i]! + votes[2 * i + 1]!)).toBeCloseTo(share, 12);
    });
    expect(one.prior[0]).toBeCloseTo(0.46, 12);
    [0.3519, 0.2602, 0.8734, 0, 0.947].forEach((p, i) => expect(Math.abs(no(one)[i]! - p)).toBeLessThanOrEqual(5.1e-5));
    expect(two.prior[0]).toBeCloseTo(0.4865, 4);
    const ofSecond = ({ errors }: { errors: Float64Array }) => [errors[4 + 1]!, errors[4 + 3]!];
    const expected = [...[0.3913, 0.7778], ...[0.2517, 0.9301]];
    [...ofSecond(one), ...ofSecond(two)].forEach((p, at) =>
      expect(Math.abs(p - expected[at]!)).toBeLessThanOrEqual(5.1e-5),
    );
  });

  it('never loses likelihood, with and without known classes and smoothing', () => {
    for (let seed = 0; seed < 8; seed += 1) {
      const answers = simulated(seed);
      const gold = answers.truth.map((label, i) => (i % 5 === 0 ? label : -1));
      const cases: DawidSkeneOptions[] = [{}, { gold }, { smoothing: 0.5 }, { gold, smoothing: 0.01 }];
      for (const options of cases) {
        const { history, posteriors, prior, errors } = dawidSkene(answers, {
          ...options,
          iterations: 40,
          tolerance: -Infinity,
        });
        history.slice(1).forEach((value, at) => expect(value).toBeGreaterThanOrEqual(history[at]! - 1e-8));
        const sums = (values: Float64Array) =>
          Array.from(
            { length: values.length / 3 },
            (_, row) => values[3 * row]! + values[3 * row + 1]! + values[3 * row + 2]!,
          );
        for (const sum of [...sums(posteriors), ...sums(prior)]) expect(sum).toBeCloseTo(1, 12);
        for (const sum of sums(errors)) if (sum !== 0) expect(sum).toBeCloseTo(1, 12);
      }
    }
  });

  it('gives the likelihood and the posteriors of its own parameters', () => {
    const answers = simulated(4, { items: 30 });
    const { posteriors, prior, errors, logLikelihood } = dawidSkene(answers, { iterations: 7 });
    let total = 0;
    for (let i = 0; i < answers.items; i += 1) {
      const joint = [...prior].map((share, j) =>
        answers.item.reduce<number>(
          (p, item, at) => (item === i ? p * errors[(answers.annotator[at]! * 3 + j) * 3 + answers.label[at]!]! : p),
          share,
        ),
      );
      const sum = joint.reduce((a, b) => a + b);
      total += Math.log(sum);
      joint.forEach((p, j) => expect(posteriors[3 * i + j]).toBeCloseTo(p / sum, 10));
    }
    expect(logLikelihood).toBeCloseTo(total, 8);
  });

  it('holds known classes, and learns from them who is wrong', () => {
    // two people always answer the other class; votes alone would believe them
    const truth = Array.from({ length: 40 }, (_, i) => (i % 3 === 0 ? 1 : 0));
    const table = truth.map((label) => [label, 1 - label, 1 - label]);
    const answers = answersOfTable(table, 2);
    const gold = truth.map((label, i) => (i < 8 ? label : -1));
    const blind = labelsOf(dawidSkene(answers), 2);
    expect(blind).toEqual(truth.map((label) => 1 - label));
    const found = dawidSkene(answers, { gold });
    expect(labelsOf(found, 2)).toEqual(truth);
    expect([...found.errors.subarray(4, 8)].map((p) => Math.round(p))).toEqual([0, 1, 1, 0]);
    expect(found.posteriors[0]).toBe(0);
  });

  it('does better than the majority, and as well with the answers in any order', () => {
    let [ours, theirs] = [0, 0];
    for (let seed = 0; seed < 10; seed += 1) {
      const answers = simulated(seed, { items: 300, annotators: 10, each: 5 });
      const labels = labelsOf(dawidSkene(answers, { smoothing: 0.1 }), 3);
      const votes = voteCounts(answers);
      labels.forEach((label, i) => {
        if (label === answers.truth[i]) ours += 1;
        if (argMax(votes, 3 * i, 3) === answers.truth[i]) theirs += 1;
      });
      const turned = {
        ...answers,
        ...{ item: [...answers.item].reverse(), annotator: [...answers.annotator].reverse() },
        label: [...answers.label].reverse(),
      };
      expect(labelsOf(dawidSkene(turned, { smoothing: 0.1 }), 3)).toEqual(labels);
    }
    expect(ours).toBeGreaterThan(theirs);
  });

  it('takes more answers to an item than a product of shares can hold', () => {
    // 2,000 answers to each of two items, 60 % right: ln of a likelihood far below the smallest number
    const item = Array.from({ length: 4000 }, (_, at) => at % 2);
    const label = item.map((i, at) => (at % 10 < 6 ? i : 1 - i));
    const crowd = { items: 2, annotators: 1, classes: 2, item, annotator: item.map(() => 0), label };
    const perItem = 1200 * Math.log(0.6) + 800 * Math.log(0.4) + Math.log(0.5);
    for (const gold of [
      [-1, -1],
      [0, 1],
    ]) {
      const found = dawidSkene(crowd, { gold, iterations: 50, tolerance: -Infinity });
      expect(labelsOf(found, 2)).toEqual([0, 1]);
      expect(found.logLikelihood).toBeCloseTo(2 * perItem, 6);
    }
  });

  it('smoothing keeps all errors possible; what nobody answered has the prior', () => {
    const answers = {
      items: 4,
      annotators: 2,
      classes: 2,
      item: [0, 0, 1, 1, 2],
      annotator: [0, 1, 0, 1, 0],
      label: [0, 0, 0, 0, 1],
    };
    const smooth = dawidSkene(answers, { smoothing: 1 });
    expect(Math.min(...smooth.errors)).toBeGreaterThan(0.1);
    expect([...smooth.posteriors.subarray(6)]).toEqual([
      expect.closeTo(smooth.prior[0]!, 12),
      expect.closeTo(smooth.prior[1]!, 12),
    ]);
    const plain = dawidSkene(answers);
    expect([...plain.prior]).toEqual([expect.closeTo(2 / 3, 12), expect.closeTo(1 / 3, 12)]);
    const nothing = dawidSkene({ items: 2, annotators: 0, classes: 2, item: [], annotator: [], label: [] });
    expect([...nothing.posteriors]).toEqual([0.5, 0.5, 0.5, 0.5]);
    expect(() => dawidSkene(answers, { smoothing: -1 })).toThrow(RangeError);
    expect(() => dawidSkene(answers, { gold: [0] })).toThrow(RangeError);
    expect(() => dawidSkene(answers, { gold: [0, 2, -1, -1] })).toThrow(RangeError);
  });
});

describe('CROWDLAB (A9)', () => {
  it('equals cleanlab', () => {
    const { table, probabilities, consensus, quality, annotatorWeights, modelWeight } = goldens.crowdlab;
    const crowd = crowdlab(answersOfTable(table, 3), probabilities.flat());
    expect([...crowd.consensus]).toEqual(consensus);
    crowd.quality.forEach((q, i) => expect(q).toBeCloseTo(quality[i]!, 10));
    crowd.annotatorWeights.forEach((w, j) => expect(w).toBeCloseTo(annotatorWeights[j]!, 10));
    expect(crowd.modelWeight).toBeCloseTo(modelWeight, 10);
  });

  it('has posteriors that sum to 1, whatever the weights', () => {
    for (let seed = 0; seed < 10; seed += 1) {
      const answers = simulated(seed, { each: 3 });
      const random = createRandom(seed);
      const probabilities = answers.truth.flatMap(() => {
        const row = [random.uniform(), random.uniform(), random.uniform()];
        return row.map((p) => p / (row[0]! + row[1]! + row[2]!));
      });
      const { posteriors, annotatorWeights, quality, consensus } = crowdlab(answers, probabilities);
      for (let i = 0; i < answers.items; i += 1) {
        expect(posteriors[3 * i]! + posteriors[3 * i + 1]! + posteriors[3 * i + 2]!).toBeCloseTo(1, 12);
        expect(quality[i]).toBe(posteriors[3 * i + consensus[i]!]);
      }
      expect(Math.min(...annotatorWeights)).toBeGreaterThan(0);
    }
  });

  it('breaks ties by the model, then by the rarer class', () => {
    const tie = { items: 2, annotators: 2, classes: 2, item: [0, 0, 1], annotator: [0, 1, 0], label: [0, 1, 0] };
    expect(crowdlab(tie, [0.3, 0.7, 0.5, 0.5]).consensus[0]).toBe(1);
    expect(crowdlab(tie, [0.5, 0.5, 0.9, 0.1]).consensus[0]).toBe(1);
  });

  it('refuses what it cannot weigh', () => {
    const answers = { items: 2, annotators: 1, classes: 2, item: [0], annotator: [0], label: [0] };
    expect(() => crowdlab(answers, [1, 0, 1, 0])).toThrow('item 1 has no answer');
    expect(() => crowdlab({ ...answers, items: 1 }, [1, 0, 1, 0])).toThrow(RangeError);
    expect(() => crowdlab({ ...answers, items: 1, classes: 1 }, [1])).toThrow(RangeError);
  });
});
