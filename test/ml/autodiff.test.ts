import { describe, expect, test } from 'vitest';
import { Tape } from '../../ml/onnx/autodiff.js';
import { Graph } from '../../ml/onnx/graph.js';
import { crossEntropy } from '../../ml/onnx/losses.js';
import type { GradientCase } from './gradients.js';
import { checkGradients, scalarOf } from './gradients.js';

const onehot = { dims: [3, 4], values: [0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1] };
const weights = { dims: [3], values: [1, 0, 0.5] };

const cases: Record<string, GradientCase> = {
  gemm: { shapes: { x: [3, 2], w: [2, 4], b: [4] }, loss: (t, v) => scalarOf(t, t.gemm(v['x']!, v['w']!, v['b']!)) },
  matmul: { shapes: { x: [3, 2], w: [2, 4] }, loss: (t, v) => scalarOf(t, t.matmul(v['x']!, v['w']!)) },
  'add, broadcast': { shapes: { a: [3, 4], b: [4] }, loss: (t, v) => scalarOf(t, t.add(v['a']!, v['b']!)) },
  'sub, broadcast': { shapes: { a: [3, 1], b: [3, 4] }, loss: (t, v) => scalarOf(t, t.sub(v['a']!, v['b']!)) },
  'sub, right side broadcast': {
    shapes: { a: [3, 4], b: [1, 4] },
    loss: (t, v) => scalarOf(t, t.sub(v['a']!, v['b']!)),
  },
  'mul, broadcast': { shapes: { a: [3, 4], b: [1] }, loss: (t, v) => scalarOf(t, t.mul(v['a']!, v['b']!)) },
  'a value used twice': { shapes: { a: [3, 4] }, loss: (t, v) => scalarOf(t, t.mul(v['a']!, t.add(v['a']!, v['a']!))) },
  'reduceSum over an axis': { shapes: { a: [3, 4] }, loss: (t, v) => scalarOf(t, t.reduceSum(v['a']!, [1])) },
  reshape: { shapes: { a: [3, 4] }, loss: (t, v) => scalarOf(t, t.reshape(v['a']!, [2, 6])) },
  'softmax regression with a scaled loss': {
    shapes: { x: [3, 2], w: [2, 4], b: [4] },
    data: { onehot, weights },
    loss: (t, v) =>
      t.mul(
        crossEntropy(t, t.gemm(v['x']!, v['w']!, v['b']!), { onehot: v['onehot']!, weights: v['weights']! }),
        t.scalar(1.7),
      ),
  },
};

describe('gradients match central differences in float64', () => {
  test.each(Object.keys(cases))('%s', async (name) => checkGradients(cases[name]!));

  test('a parameter that the loss does not see is an error', () => {
    const graph = new Graph();
    const tape = new Tape(graph, 'double');
    const a = tape.parameter(graph.input('a', 'double', [2]), [2]);
    const b = tape.parameter(graph.input('b', 'double', [2]), [2]);
    expect(() => tape.gradients(tape.reduceSum(a), [b])).toThrow(/does not depend on b/);
  });
});
