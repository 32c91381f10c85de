import { describe, expect, test } from 'vitest';
import type { Snapshot } from '../../domain/model.js';
import { headModel } from '../../ml/export/one-file.js';
import { calibrationOf } from '../../ml/trainers/calibrate.js';
import { fitTemperature } from '../../stats/temperature.js';
import { fittedFeatures } from './fitted.js';
import { learn, stateFile, toyData, trainSpec, type Toy } from './spec.js';
import { numbers, runOnce } from './support.js';

const [width, classes] = [6, 3];
const info = { trainer: 'linear' as const, params: {} };
const names = ['a', 'b', 'c'];

/** Toy rows, some labels of which are wrong, so that a model that fits them is too sure of itself. */
function noisy(rows: number, seed: number): Toy {
  const { x, y } = toyData(rows, width, classes);
  const noise = numbers(seed, rows);
  return { x, y: y.map((label, row) => (noise[row]! > 0.4 ? (label + 1) % classes : label)) };
}

async function trained(rows: number, validationRows: number) {
  const spec = trainSpec({ rows, width, outputs: classes, params: { epochs: 30, weightDecay: 0 } });
  const validation = validationRows > 0 ? noisy(validationRows, 9) : undefined;
  const result = await learn(spec, noisy(rows, 8), validation && { validation });
  return { spec, result, validation, calibration: calibrationOf(result.snapshot)! };
}

async function probabilities(snapshot: Snapshot, toy: Toy): Promise<Float32Array> {
  const spec = trainSpec({ rows: 1, width, outputs: classes });
  const num = Array.from({ length: width }, () => ({ impute: 0, mean: 0, scale: 1 }));
  const progress = { step: 1, totalSteps: 1, epoch: 1, epochs: 1, loss: 0, validation: null };
  const bytes = stateFile(spec, { snapshot, progress, finished: true });
  const model = headModel(fittedFeatures({ num, cat: [], classes: names }), bytes, info);
  const feed = { X: { type: 'float32' as const, dims: [toy.y.length, width], data: toy.x } };
  return (await runOnce(model, feed))['probabilities']!.data as Float32Array;
}

describe('the temperature', () => {
  test('is fitted on the validation part and divides the logits of the served file', async () => {
    const { result, validation, calibration } = await trained(60, 400);
    expect(calibration).toMatchObject({ rows: 400, reason: null });
    expect(calibration.temperature).not.toBe(1);
    const { calibration: _, ...facts } = result.snapshot.facts;
    const bare = await probabilities({ ...result.snapshot, facts }, validation!);
    // logarithms of probabilities are logits up to a constant of the row
    const logits = Float64Array.from(bare, Math.log);
    expect(fitTemperature(logits, validation!.y, { classes, prior: 10 })).toBeCloseTo(calibration.temperature, 3);
    const served = await probabilities(result.snapshot, validation!);
    for (let row = 0; row < 400; row += 1) {
      const own = [...logits.subarray(3 * row, 3 * row + 3)].map((one) => Math.exp(one / calibration.temperature));
      const sum = own.reduce((a, b) => a + b);
      own.forEach((one, c) => expect(served[3 * row + c]).toBeCloseTo(one / sum, 5));
    }
  });

  test('is 1, with the reason, where there is no validation part or a small one', async () => {
    expect((await trained(60, 0)).calibration).toEqual({
      ...{ temperature: 1, rows: 0, reason: 'the split has no validation part' },
    });
    const few = (await trained(60, 49)).calibration;
    expect(few).toEqual({ temperature: 1, rows: 0, reason: 'the validation part has 49 rows, 50 are needed' });
  });

  test('comes at the end alone, so that a stopped training goes on to the same bytes', async () => {
    const { spec, result } = await trained(200, 100);
    const [data, validation] = [noisy(200, 8), noisy(100, 9)];
    const half = await learn(spec, data, { validation, after: ({ step }) => Promise.resolve(step < 40) });
    expect(half.finished).toBe(false);
    expect(calibrationOf(half.snapshot)).toBeNull();
    const resumed = await learn(spec, data, { validation, resume: half.snapshot });
    expect(stateFile(spec, resumed)).toEqual(stateFile(spec, result));
    const again = await learn(spec, data, { validation, resume: result.snapshot });
    expect(stateFile(spec, again)).toEqual(stateFile(spec, result));
  });

  test('a regression has none', async () => {
    const spec = trainSpec({ task: 'regression', rows: 100, width, outputs: 1, params: { epochs: 2 } });
    const { snapshot } = await learn(spec, toyData(100, width, 1), { validation: toyData(100, width, 1) });
    expect(calibrationOf(snapshot)).toBeNull();
  });
});
