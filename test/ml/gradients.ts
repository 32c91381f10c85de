// Finite differences: whether the gradients that a tape emits are those of the loss that it computes.
import { InferenceSession, type Tensor } from 'onnxruntime-node';
import { expect } from 'vitest';
import type { Var } from '../../ml/onnx/autodiff.js';
import { Tape } from '../../ml/onnx/autodiff.js';
import { Graph, modelBytes } from '../../ml/onnx/graph.js';
import type { Feed } from './support.js';
import { numbers, tensor } from './support.js';

export interface GradientCase {
  shapes: Record<string, number[]>;
  /** Fixed data: not differentiated. Real numbers unless `type` says otherwise. */
  data?: Record<string, { dims: number[]; values: number[]; type?: 'int32' | 'uint8' }>;
  loss(tape: Tape, v: Record<string, Var>): Var;
}

const sizeOf = (dims: readonly number[]): number => dims.reduce((product, dim) => product * dim, 1);

/** Makes a scalar whose gradient differs everywhere: Σ (y·y·pattern). */
export function scalarOf(tape: Tape, y: Var): Var {
  const dims = y.dims.map(Number);
  const pattern = tape.graph.initializer({ type: tape.type, dims, values: numbers(99, sizeOf(dims)) });
  return tape.reduceSum(tape.mul(tape.mul(y, y), tape.value(pattern, dims)));
}

function build(c: GradientCase, type: 'float' | 'double'): { bytes: Uint8Array; feeds: Record<string, Feed> } {
  const graph = new Graph();
  const tape = new Tape(graph, type);
  const real = type === 'float' ? ('float32' as const) : ('float64' as const);
  const feeds: Record<string, Feed> = {};
  const vars: Record<string, Var> = {};
  Object.entries(c.shapes).forEach(([name, dims], i) => {
    vars[name] = tape.parameter(graph.input(name, type, dims), dims);
    feeds[name] = { type: real, dims, data: numbers(i + 1, sizeOf(dims)) };
  });
  for (const [name, { dims, values, type: whole }] of Object.entries(c.data ?? {})) {
    vars[name] = tape.value(graph.input(name, whole ?? type, dims), dims);
    feeds[name] = { type: whole ?? real, dims, data: values };
  }
  const loss = c.loss(tape, vars);
  const names = Object.keys(c.shapes);
  const gradients = tape.gradients(
    loss,
    names.map((name) => vars[name]!),
  );
  graph.output(graph.op('Identity', [loss.name], {}, 'loss'), type, []);
  names.forEach((name, i) => {
    graph.output(graph.op('Identity', [gradients[i]!], {}, `d_${name}`), type, c.shapes[name]!);
  });
  return { bytes: modelBytes(graph, { opset: 18 }), feeds };
}

/** In float64 to seven decimals; in float32, where onnxruntime has no float64 kernel, to two. */
export async function checkGradients(c: GradientCase, type: 'float' | 'double' = 'double'): Promise<void> {
  const { bytes, feeds } = build(c, type);
  const session = await InferenceSession.create(bytes, { intraOpNumThreads: 1, logSeverityLevel: 3 });
  const run = (given: Record<string, Feed>): Promise<Record<string, Tensor>> =>
    session.run(Object.fromEntries(Object.entries(given).map(([name, feed]) => [name, tensor(feed)])));
  const at = await run(feeds);
  const [h, digits] = type === 'double' ? [1e-5, 7] : [1e-2, 2];
  for (const [input, dims] of Object.entries(c.shapes)) {
    const gradient = at[`d_${input}`]!;
    expect([...gradient.dims]).toEqual(dims);
    const values = feeds[input]!.data as number[];
    for (let i = 0; i < values.length; i++) {
      const shifted = async (by: number): Promise<number> => {
        const data = values.map((value, k) => (k === i ? value + by : value));
        const result = await run({ ...feeds, [input]: { ...feeds[input]!, data } });
        return Number(result['loss']!.data[0]);
      };
      const numeric = ((await shifted(h)) - (await shifted(-h))) / (2 * h);
      expect(Number(gradient.data[i]), `d_${input}[${i}]`).toBeCloseTo(numeric, digits);
    }
  }
}
