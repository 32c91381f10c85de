import { describe, expect, test } from 'vitest';
import type { Var } from '../../ml/onnx/autodiff.js';
import { Tape } from '../../ml/onnx/autodiff.js';
import { Graph, modelBytes } from '../../ml/onnx/graph.js';
import type { Feed } from './support.js';
import { numbers, runOnce } from './support.js';

interface Case {
  shapes: Record<string, number[]>;
  /** Fixed data: not differentiated. */
  data?: Record<string, { dims: number[]; values: number[] }>;
  loss(tape: Tape, v: Record<string, Var>): Var;
}

/** Makes a scalar whose gradient differs everywhere: Σ (y·y·pattern). */
function scalarOf(tape: Tape, y: Var): Var {
  const size = y.dims.reduce<number>((product, dim) => product * Number(dim), 1);
  const dims = y.dims.map(Number);
  const pattern = tape.graph.initializer({ type: 'double', dims, values: numbers(99, size) });
  return tape.reduceSum(tape.mul(tape.mul(y, y), tape.value(pattern, dims)));
}

const onehot = { dims: [3, 4], values: [0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1] };
const weights = { dims: [3], values: [1, 0, 0.5] };

const cases: Record<string, Case> = {
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
  'weighted cross-entropy': {
    shapes: { z: [3, 4] },
    data: { onehot, weights },
    loss: (t, v) => t.crossEntropy(v['z']!, v['onehot']!, v['weights']!),
  },
  'weighted mean squared error': {
    shapes: { z: [3] },
    data: { target: { dims: [3], values: [0.3, -2, 1] }, weights },
    loss: (t, v) => t.meanSquaredError(v['z']!, v['target']!, v['weights']!),
  },
  'softmax regression with a scaled loss': {
    shapes: { x: [3, 2], w: [2, 4], b: [4] },
    data: { onehot, weights },
    loss: (t, v) =>
      t.mul(t.crossEntropy(t.gemm(v['x']!, v['w']!, v['b']!), v['onehot']!, v['weights']!), t.scalar(1.7)),
  },
};

function build(c: Case): { bytes: Uint8Array; feeds: Record<string, Feed> } {
  const graph = new Graph();
  const tape = new Tape(graph, 'double');
  const feeds: Record<string, Feed> = {};
  const vars: Record<string, Var> = {};
  Object.entries(c.shapes).forEach(([name, dims], i) => {
    vars[name] = tape.parameter(graph.input(name, 'double', dims), dims);
    feeds[name] = {
      type: 'float64',
      dims,
      data: numbers(
        i + 1,
        dims.reduce((a, b) => a * b, 1),
      ),
    };
  });
  for (const [name, { dims, values }] of Object.entries(c.data ?? {})) {
    vars[name] = tape.value(graph.input(name, 'double', dims), dims);
    feeds[name] = { type: 'float64', dims, data: values };
  }
  const loss = c.loss(tape, vars);
  const names = Object.keys(c.shapes);
  const gradients = tape.gradients(
    loss,
    names.map((name) => vars[name]!),
  );
  graph.output(graph.op('Identity', [loss.name], {}, 'loss'), 'double', []);
  names.forEach((name, i) => {
    graph.output(graph.op('Identity', [gradients[i]!], {}, `d_${name}`), 'double', c.shapes[name]!);
  });
  return { bytes: modelBytes(graph, { opset: 18 }), feeds };
}

describe('gradients match central differences in float64', () => {
  test.each(Object.keys(cases))('%s', async (name) => {
    const c = cases[name]!;
    const { bytes, feeds } = build(c);
    const at = await runOnce(bytes, feeds);
    const h = 1e-5;
    for (const [input, dims] of Object.entries(c.shapes)) {
      const gradient = at[`d_${input}`]!;
      expect([...gradient.dims]).toEqual(dims);
      const values = feeds[input]!.data as number[];
      for (let i = 0; i < values.length; i++) {
        const shifted = async (by: number): Promise<number> => {
          const data = values.map((value, k) => (k === i ? value + by : value));
          const result = await runOnce(bytes, { ...feeds, [input]: { ...feeds[input]!, data } });
          return (result['loss']!.data as Float64Array)[0]!;
        };
        const numeric = ((await shifted(h)) - (await shifted(-h))) / (2 * h);
        expect((gradient.data as Float64Array)[i]).toBeCloseTo(numeric, 7);
      }
    }
  });

  test('a parameter that the loss does not see is an error', () => {
    const graph = new Graph();
    const tape = new Tape(graph, 'double');
    const a = tape.parameter(graph.input('a', 'double', [2]), [2]);
    const b = tape.parameter(graph.input('b', 'double', [2]), [2]);
    expect(() => tape.gradients(tape.reduceSum(a), [b])).toThrow(/does not depend on b/);
  });
});
