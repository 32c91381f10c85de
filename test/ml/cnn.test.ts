import { expect, test } from 'vitest';
import { digitsSplit } from '../../examples/digits/split.js';
import type { TrainSpec } from '../../domain/model.js';
import type { TrainerParams } from '../../domain/trainers.js';
import { flopsPerStep, parseTrainerParams } from '../../domain/trainers.js';
import { Graph, modelBytes } from '../../ml/onnx/graph.js';
import { resumeFrom } from '../../ml/trainers/checkpoint.js';
import { cnn, cnnModel } from '../../ml/trainers/cnn.js';
import { shapeOf } from '../../ml/trainers/trainer.js';
import { learn, stateFile, type Toy, toyData, trainSpec } from './spec.js';
import { runOnce } from './support.js';

// two planes of 5 x 6 pixels: sizes that pooling does not divide
const image = { height: 5, width: 6, channels: 2, filters: [3, 4], hidden: [5] };
const [rows, width] = [90, 60];

function specOf(params: TrainerParams, stepsPerRun = 100): TrainSpec {
  const given = { ...image, epochs: 1, batch: 32, ...params };
  return trainSpec({ trainer: 'cnn', rows, width, outputs: 3, params: given, stepsPerRun });
}

test('undisturbed, one step at a time, and resumed end in the same bytes', async () => {
  const data = toyData(rows, width, 3);
  for (const params of [
    { dropout: 0.3, patience: 3 },
    { kernel: 2, activation: 'tanh' },
  ]) {
    const whole = stateFile(specOf(params), await learn(specOf(params), data));
    expect(stateFile(specOf(params, 1), await learn(specOf(params, 1), data))).toEqual(whole);
    const first = await learn(specOf(params, 3), data, { after: async ({ step }) => step < 14 });
    const resume = resumeFrom(specOf(params), stateFile(specOf(params), first));
    expect(stateFile(specOf(params, 5), await learn(specOf(params, 5), data, { resume }))).toEqual(whole);
  }
});

test('another number of features than pixels is refused, naming both', async () => {
  const data: Toy = toyData(rows, 61, 3);
  const spec = { ...specOf({}), width: 61 };
  await expect(learn(spec, data)).rejects.toMatchObject({
    failure: 'FeaturesUnfit',
    message: expect.stringContaining('channels 2 × height 5 × width 6 = 60 pixels, but the rows have 61 features'),
  });
});

test('an image that is too small to pool goes on as it is', () => {
  const parsed = parseTrainerParams('cnn', { height: 2, width: 2, filters: [4, 4, 4], hidden: [] });
  if (!('params' in parsed)) throw new Error('refused');
  const shape = { task: 'classification' as const, width: 4, outputs: 2, params: parsed.params };
  expect(cnnModel.layout(shape).at(-2)).toMatchObject({ dims: [4, 2] });
});

test('what a step costs', () => {
  const params = { height: 8, width: 8, channels: 1, kernel: 3, filters: [16, 32], hidden: [64], batch: 64 };
  const filters = [1 * 16 * 9, 16 * 32 * 9] as const;
  const products = 2 * 64 * (2 * 64 * filters[0] + 3 * 16 * filters[1] + 3 * 128 * 64 + 3 * 64 * 10);
  const adam = 14 * (filters[0] + filters[1] + 129 * 64 + 65 * 10);
  expect(flopsPerStep({ trainer: 'cnn', params, width: 64, outputs: 10 })).toBe(products + adam);
});

test('the digits, a few epochs: at least 0.95 on the fixed holdout', async () => {
  const { train, holdout, width: pixels, classes } = digitsSplit();
  const params = { epochs: 12 };
  const spec = trainSpec({
    trainer: 'cnn',
    rows: train.rows,
    width: pixels,
    outputs: classes,
    params,
    stepsPerRun: 64,
  });
  const { snapshot } = await learn(spec, train);
  const graph = new Graph();
  const logits = cnn.emit(graph, graph.input('X', 'float', ['N', pixels]), snapshot, shapeOf(spec));
  graph.output(graph.op('Softmax', [logits], { axis: -1 }, 'p'), 'float', ['N', classes]);
  const feeds = { X: { type: 'float32' as const, dims: [holdout.rows, pixels], data: holdout.x } };
  const p = (await runOnce(modelBytes(graph, { opset: 18 }), feeds))['p']!.data as Float32Array;
  const best = (row: number): number => {
    const own = [...p.subarray(row * classes, (row + 1) * classes)];
    return own.indexOf(Math.max(...own));
  };
  const right = holdout.y.filter((label, row) => label === best(row)).length;
  expect(right / holdout.rows).toBeGreaterThanOrEqual(0.95);
});
