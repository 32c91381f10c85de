import { describe, expect, it } from 'vitest';
import { expectedCalibrationError } from '../../stats/calibration.js';
import { brierScore, fitTemperature, temperedLoss, withoutTemperature } from '../../stats/temperature.js';

// Values of scipy 1.17.1 (bounded minimisation of scikit-learn 1.9.1's log_loss), ECE by hand with 15 bins.
const logits = [
  [2, 0, 0],
  [1.5, 1, 0],
  [0.2, 2.2, 0.1],
  [3, 0.5, 0.2],
  [0, 1, 2.5],
  [2, 1.9, 0],
  [0.1, 0.2, 3],
  [1, 2.5, 0.3],
].flat();
const truth = [0, 1, 1, 0, 2, 0, 2, 0];

function softmax(temperature: number): Float64Array {
  const all = new Float64Array(logits.length);
  for (let row = 0; row < truth.length; row += 1) {
    const own = logits.slice(3 * row, 3 * row + 3).map((logit) => Math.exp(logit / temperature));
    const sum = own.reduce((a, b) => a + b);
    all.set(
      own.map((one) => one / sum),
      3 * row,
    );
  }
  return all;
}

describe('temperature', () => {
  it('minimises the loss as scipy does', () => {
    expect(fitTemperature(logits, truth, { classes: 3 })).toBeCloseTo(0.820549, 5);
    expect(temperedLoss(logits, truth, 3, 1)).toBeCloseTo(0.5729666627, 10);
    expect(temperedLoss(logits, truth, 3, 0.8205490917)).toBeCloseTo(0.5621027566, 10);
  });

  it('finds the temperature that made the labels, and stays inside its bounds', () => {
    const rows = 4000;
    const own = Array.from({ length: rows }, (_, i) => [Math.sin(i * 12.9898) * 3, Math.cos(i * 78.233) * 3]);
    const drawn = own.map(([a = 0, b = 0], i) => {
      const chance = 1 / (1 + Math.exp((a - b) / 2.5));
      return (((Math.sin(i * 43.7585) * 43758.5453) % 1) + 1) % 1 < chance ? 1 : 0;
    });
    expect(Math.abs(fitTemperature(own.flat(), drawn, { classes: 2 }) - 2.5)).toBeLessThan(0.3);
    const sure = own.map(([a = 0, b = 0]) => (a > b ? 0 : 1));
    expect(fitTemperature(own.flat(), sure, { classes: 2 })).toBeCloseTo(0.05, 6);
    expect(
      fitTemperature(
        own.flat(),
        sure.map((one) => 1 - one),
        { classes: 2 },
      ),
    ).toBeCloseTo(20, 4);
    expect(fitTemperature([], [], { classes: 2 })).toBe(1);
    expect(fitTemperature([NaN, 1], [0], { classes: 2 })).toBe(1);
  });

  it('does not make few right answers surer than they are; many rows outweigh the prior', () => {
    // 50 rows, all right, with 99 % on the label: without a prior as far as floating point goes
    const gap = Math.log(99);
    const right = Array.from({ length: 50 }, () => [gap, 0]).flat();
    const zeros = new Array<number>(50).fill(0);
    expect(fitTemperature(right, zeros, { classes: 2 })).toBeLessThan(0.2);
    const held = fitTemperature(right, zeros, { classes: 2, prior: 10 });
    expect(held).toBeGreaterThan(0.8);
    expect(held).toBeLessThan(1);
    // the condition of the minimum: 50 · p · gap = 10 · (1 - T), p the probability of the wrong class
    const wrong = 1 / (1 + Math.exp(gap / held));
    expect(50 * wrong * gap).toBeCloseTo(10 * (1 - held), 4);
    const many = Array.from({ length: 5000 }, (_, i) => [i % 5 === 0 ? -4 : 4, 0]).flat();
    const own = fitTemperature(many, new Array<number>(5000).fill(0), { classes: 2 });
    expect(own).toBeCloseTo(4 / Math.log(4), 4);
    expect(
      Math.abs(fitTemperature(many, new Array<number>(5000).fill(0), { classes: 2, prior: 10 }) - own),
    ).toBeLessThan(0.02);
  });

  it('is taken back from the probabilities alone', () => {
    const found = withoutTemperature(softmax(0.82), 3, 0.82);
    softmax(1).forEach((value, at) => expect(found[at]).toBeCloseTo(value, 12));
    expect([...withoutTemperature([1, 0], 2, 3)]).toEqual([1, 0]);
  });
});

describe('measures', () => {
  it('expected calibration error, before and after: it may rise where the loss falls', () => {
    expect(expectedCalibrationError(truth, softmax(1), 3)).toBeCloseTo(0.172885, 6);
    expect(expectedCalibrationError(truth, softmax(0.820549), 3)).toBeCloseTo(0.195465, 6);
    expect(expectedCalibrationError([], [], 3)).toBeNaN();
    expect(expectedCalibrationError([0, 1], [1, 0, 1, 0], 2)).toBe(0.5);
  });

  it('Brier score over all classes, as scikit-learn with scale_by_half=False', () => {
    expect(brierScore(truth, softmax(1), 3)).toBeCloseTo(0.34283030440756346, 12);
    expect(brierScore([0], [0, 1], 2)).toBe(2);
    expect(() => brierScore([0], [0, 1, 0], 2)).toThrow(RangeError);
  });
});
