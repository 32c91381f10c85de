// Golden values: people-and-statistics A11 (cleanlab's own tests) and goldens.json (cleanlab 2.9.0).
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  calibratedJoint,
  confidentJoint,
  confidentThresholds,
  labelErrorMethods,
  labelErrors,
  normalizedMargin,
  selfConfidence,
} from '../../stats/label-errors.js';
import { createRandom } from '../../stats/prng.js';
import type { Goldens } from './goldens.support.js';

const goldens = JSON.parse(readFileSync(new URL('goldens.json', import.meta.url), 'utf8')) as Goldens;

const planted = {
  labels: [0, 0, 0, 0, 1, 2, 2, 2],
  probabilities: [
    [0.9, 0.1, 0],
    [0.8, 0.1, 0.1],
    [0.1, 0, 0.9],
    [0.9, 0, 0.1],
    [0.1, 0.3, 0.6],
    ...Array.from({ length: 3 }, () => [0.1, 0, 0.9]),
  ].flat(),
  classes: 3,
};

describe('confident learning', () => {
  it('has the golden thresholds and joint of eight rows', () => {
    [0.675, 0.3, 0.9].forEach((t, k) => expect(confidentThresholds(planted)[k]).toBeCloseTo(t, 12));
    const { counts, confident } = confidentJoint(planted);
    expect([...counts]).toEqual([3, 0, 1, 0, 1, 0, 0, 0, 3]);
    expect([...confident]).toEqual([0, 0, 2, 0, 1, 2, 2, 2]);
    expect([...labelErrors(planted)]).toEqual([0, 0, 1, 0, 0, 0, 0, 0]);
  });

  it('finds the same row by five methods where a class has no row', () => {
    const rows = {
      labels: [0, 0, 2, 2],
      classes: 4,
      probabilities: [0.9, 0, 0.1, 0, 0.8, 0, 0.2, 0, 0.1, 0, 0.9, 0, 0.95, 0, 0.05, 0],
    };
    expect([...confidentThresholds(rows)]).toEqual([expect.closeTo(0.85, 12), 2, expect.closeTo(0.475, 12), 2]);
    for (const method of ['noiseRate', 'class', 'both', 'confident', 'predicted'] as const) {
      expect([method, ...labelErrors(rows, method)]).toEqual([method, 0, 0, 0, 1]);
    }
  });

  it('has the identity as joint where nothing is confident', () => {
    // some row always reaches the mean of its class, so only rows without numbers are confident of nothing
    const rows = { labels: [0, 1, 2], classes: 3, probabilities: new Array<number>(9).fill(NaN) };
    expect([...confidentJoint(rows).counts]).toEqual([1, 0, 0, 0, 1, 0, 0, 0, 1]);
    expect([...confidentJoint(rows).confident]).toEqual([-1, -1, -1]);
  });

  it.each(goldens.labelErrors.map((golden, at) => [at, golden] as const))('equals cleanlab, table %i', (_, golden) => {
    const classes = golden.thresholds.length;
    const rows = { labels: golden.labels, probabilities: golden.probabilities.flat(), classes };
    confidentThresholds(rows).forEach((t, k) => expect(t).toBeCloseTo(golden.thresholds[k]!, 12));
    const { counts } = confidentJoint(rows);
    expect([...counts]).toEqual(golden.joint.flat());
    expect([...calibratedJoint(rows, counts)]).toEqual(golden.calibrated.flat());
    selfConfidence(rows).forEach((score, i) => expect(score).toBeCloseTo(golden.selfConfidence[i]!, 12));
    normalizedMargin(rows).forEach((score, i) => expect(score).toBeCloseTo(golden.normalizedMargin[i]!, 12));
    for (const method of labelErrorMethods) {
      const found = [...labelErrors(rows, method)].flatMap((mark, i) => (mark ? [i] : []));
      expect([method, found]).toEqual([method, golden.found[method]]);
    }
  });

  it('finds most planted errors and few others', () => {
    const random = createRandom(2);
    const [n, classes] = [2000, 4];
    const truth = Array.from({ length: n }, () => random.below(classes));
    const labels = truth.map((label) =>
      random.uniform() < 0.1 ? (label + 1 + random.below(classes - 1)) % classes : label,
    );
    const probabilities = truth.flatMap((label) => {
      const row = Array.from({ length: classes }, (_, k) => Math.exp(2 * random.uniform() + (k === label ? 3.5 : 0)));
      const sum = row.reduce((a, b) => a + b);
      return row.map((p) => p / sum);
    });
    const wrong = labels.map((label, i) => label !== truth[i]);
    for (const method of labelErrorMethods) {
      const marks = labelErrors({ labels, probabilities, classes }, method);
      const found = marks.filter((mark, i) => mark === 1 && wrong[i]).length;
      expect(found / wrong.filter(Boolean).length).toBeGreaterThan(0.85);
      expect(found / marks.filter((mark) => mark === 1).length).toBeGreaterThan(0.85);
    }
  });

  it('refuses labels and probabilities that do not fit', () => {
    expect(() => labelErrors({ labels: [0], probabilities: [1, 0, 1, 0], classes: 2 })).toThrow(RangeError);
    expect(() => labelErrors({ labels: [2], probabilities: [1, 0], classes: 2 })).toThrow('row 0');
    expect([...labelErrors({ labels: [], probabilities: [], classes: 2 })]).toEqual([]);
  });
});
