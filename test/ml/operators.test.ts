import { describe, expect, test } from 'vitest';
import { gelu, relu, sigmoid, tanh } from '../../ml/onnx/activations.js';
import { Tape } from '../../ml/onnx/autodiff.js';
import { averagePool, convolution, maxPool } from '../../ml/onnx/convolution.js';
import { Graph } from '../../ml/onnx/graph.js';
import { dropout, embedding, embeddingBag, layerNorm } from '../../ml/onnx/layers.js';
import { crossEntropy, huber, meanSquaredError, pinball } from '../../ml/onnx/losses.js';
import type { GradientCase } from './gradients.js';
import { checkGradients, scalarOf } from './gradients.js';

const onehot = { dims: [3, 4], values: [0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1] };
const weights = { dims: [3], values: [1, 0, 0.5] };
const target = { dims: [3], values: [0.3, -2, 1] };
const index = { dims: [2, 3], values: [4, 0, 4, 2, 2, 1], type: 'int32' as const };

const cases: Record<string, GradientCase> = {
  relu: { shapes: { x: [3, 4] }, loss: (t, v) => scalarOf(t, relu(t, v['x']!)) },
  tanh: { shapes: { x: [3, 4] }, loss: (t, v) => scalarOf(t, tanh(t, v['x']!)) },
  sigmoid: { shapes: { x: [3, 4] }, loss: (t, v) => scalarOf(t, sigmoid(t, v['x']!)) },
  layerNorm: {
    shapes: { x: [3, 4], gain: [4], bias: [4] },
    loss: (t, v) => scalarOf(t, layerNorm(t, v['x']!, { gain: v['gain']!, bias: v['bias']! })),
  },
  dropout: {
    shapes: { x: [2, 3] },
    data: { mask: { dims: [2, 3], values: [1, 0, 1, 1, 1, 0], type: 'uint8' } },
    loss: (t, v) => scalarOf(t, dropout(t, v['x']!, { mask: 'mask', rate: 0.3 })),
  },
  'embedding, with a row named twice': {
    shapes: { table: [5, 2] },
    data: { index },
    loss: (t, v) => scalarOf(t, embedding(t, v['table']!, v['index']!)),
  },
  'embedding bag, with one empty bag': {
    shapes: { table: [5, 2] },
    data: { index, shares: { dims: [2, 3], values: [1, 2, 0.5, 0, 0, 0] } },
    loss: (t, v) => scalarOf(t, embeddingBag(t, v['table']!, { index: v['index']!, weights: v['shares']! })),
  },
  'max pooling with a rest': { shapes: { x: [2, 2, 5, 4] }, loss: (t, v) => scalarOf(t, maxPool(t, v['x']!, 2)) },
  'cross-entropy with smoothing': {
    shapes: { z: [3, 4] },
    data: { onehot, weights },
    loss: (t, v) => crossEntropy(t, v['z']!, { onehot: v['onehot']!, weights: v['weights']!, smoothing: 0.1 }),
  },
  'cross-entropy': {
    shapes: { z: [3, 4] },
    data: { onehot, weights },
    loss: (t, v) => crossEntropy(t, v['z']!, { onehot: v['onehot']!, weights: v['weights']! }),
  },
  'mean squared error': {
    shapes: { z: [3] },
    data: { target, weights },
    loss: (t, v) => meanSquaredError(t, v['z']!, { target: v['target']!, weights: v['weights']! }),
  },
  'huber, on both sides of delta': {
    shapes: { z: [3] },
    data: { target, weights: { dims: [3], values: [1, 2, 0.5] } },
    loss: (t, v) => huber(t, v['z']!, { target: v['target']!, weights: v['weights']!, delta: 0.9 }),
  },
  'pinball, on both sides of the target': {
    shapes: { z: [3] },
    data: { target, weights: { dims: [3], values: [1, 2, 0.5] } },
    loss: (t, v) => pinball(t, v['z']!, { target: v['target']!, weights: v['weights']!, quantile: 0.9 }),
  },
};

/** Operators without a float64 kernel in onnxruntime 1.30 on the CPU. */
const single: Record<string, GradientCase> = {
  'gelu (no float64 Erf)': { shapes: { x: [3, 4] }, loss: (t, v) => scalarOf(t, gelu(t, v['x']!)) },
  'convolution 3 × 3 (no float64 Conv)': {
    shapes: { x: [2, 2, 4, 3], w: [3, 2, 3, 3], b: [3] },
    loss: (t, v) => scalarOf(t, convolution(t, v['x']!, { w: v['w']!, bias: v['b']! })),
  },
  'convolution 2 × 2 (no float64 Conv)': {
    shapes: { x: [2, 1, 3, 4], w: [2, 1, 2, 2], b: [2] },
    loss: (t, v) => scalarOf(t, convolution(t, v['x']!, { w: v['w']!, bias: v['b']! })),
  },
  'average pooling with a rest (no float64 AveragePool)': {
    shapes: { x: [2, 2, 5, 4] },
    loss: (t, v) => scalarOf(t, averagePool(t, v['x']!, 2)),
  },
  'average pooling without a rest (no float64 AveragePool)': {
    shapes: { x: [1, 2, 4, 6] },
    loss: (t, v) => scalarOf(t, averagePool(t, v['x']!, 2)),
  },
};

describe('gradients match central differences in float64', () => {
  test.each(Object.keys(cases))('%s', async (name) => checkGradients(cases[name]!));
});

describe('gradients match central differences in float32', () => {
  test.each(Object.keys(single))('%s', async (name) => checkGradients(single[name]!, 'float'));
});

test('sizes that cannot be are refused', () => {
  const tape = new Tape(new Graph());
  const image = tape.value('x', ['N', 1, 3, 3]);
  expect(() => maxPool(tape, image, 4)).toThrow(/no window of 4/);
});

test('float32 stands above for want of a kernel alone', async () => {
  for (const c of Object.values(single)) {
    await expect(checkGradients(c, 'double')).rejects.toThrow(/NOT_IMPLEMENTED|Could not find an implementation/);
  }
});
