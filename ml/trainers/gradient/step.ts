// The training step as an ONNX file: K optimiser steps in one Scan, on a flat parameter vector.
// Optimiser: AdamW (Loshchilov & Hutter 2019, algorithm 2) with unscaled moments m' = m/(1-β1), v' = v/(1-β2);
// the caller folds bias correction, schedule and scaling into three scalars a step (batches.ts), in float64.
import type { Graph } from '../../onnx/graph.js';
import { Graph as OnnxGraph, modelBytes } from '../../onnx/graph.js';
import type { Var } from '../../onnx/autodiff.js';
import { Tape } from '../../onnx/autodiff.js';
import type { Shape } from '../trainer.js';
import type { GradientModel, ParameterTensor } from './model.js';
import { parameterCount } from './model.js';

export const beta1 = 0.9;
export const beta2 = 0.999;

/** Cuts a flat vector into tensors. One tensor needs no Split. */
export function splitParameters(graph: Graph, flat: string, layout: readonly ParameterTensor[]): string[] {
  const sizes = layout.map((tensor) => parameterCount([tensor]));
  const parts =
    layout.length === 1 ? [flat] : graph.ops('Split', [flat, graph.ints(sizes)], layout.length, { axis: 0 });
  return parts.map((part, i) => graph.op('Reshape', [part, graph.ints(layout[i]!.dims)]));
}

function flatten(graph: Graph, parts: readonly string[]): string {
  const flat = parts.map((part) => graph.op('Reshape', [part, graph.ints([-1])]));
  return flat.length === 1 ? flat[0]! : graph.op('Concat', flat, { axis: 0 });
}

function emitLoss(tape: Tape, output: Var, y: string, weights: Var, shape: Shape, batch: number): Var {
  const graph = tape.graph;
  if (shape.task === 'regression') {
    return tape.meanSquaredError(tape.reshape(output, [batch]), tape.value(y, [batch]), weights);
  }
  const onOff = graph.initializer({ type: 'float', dims: [2], values: [0, 1] });
  const onehot = graph.op('OneHot', [graph.op('Cast', [y], { to: 7 }), graph.ints([shape.outputs]), onOff], {
    axis: -1,
  });
  return tape.crossEntropy(output, tape.value(onehot, [batch, shape.outputs]), weights);
}

/** p·keep on decayed tensors, minus rate · m / (√v + ε). */
function emitUpdate(
  graph: Graph,
  layout: readonly ParameterTensor[],
  tensors: readonly string[],
  moments: { m: string; v: string },
  scalars: { rate: string; epsilon: string; keep: string },
): string {
  const decayed = tensors.map((name, i) => (layout[i]!.decay ? graph.op('Mul', [name, scalars.keep]) : name));
  const divisor = graph.op('Add', [graph.op('Sqrt', [moments.v]), scalars.epsilon]);
  const change = graph.op('Mul', [graph.op('Div', [moments.m, divisor]), scalars.rate]);
  return graph.op('Sub', [flatten(graph, decayed), change]);
}

function emitBody(body: Graph, model: GradientModel, shape: Shape, batch: number): void {
  const layout = model.layout(shape);
  const count = parameterCount(layout);
  const [p, m, v] = ['p', 'm', 'v'].map((name) => body.input(`${name}_in`, 'float', [count])) as [
    string,
    string,
    string,
  ];
  const rows = body.input('idx_k', 'int32', [batch]);
  const tape = new Tape(body);
  const weights = tape.value(body.input('w_k', 'float', [batch]), [batch]);
  const [rate, epsilon, keep] = ['rate_k', 'epsilon_k', 'keep_k'].map((name) => body.input(name, 'float', [])) as [
    string,
    string,
    string,
  ];
  const x = tape.value(body.op('Gather', ['X', rows], { axis: 0 }), [batch, shape.width]);
  const y = body.op('Gather', ['Y', rows], { axis: 0 });
  const names = splitParameters(body, p, layout);
  const tensors = names.map((name, i) => tape.parameter(name, layout[i]!.dims));
  const loss = emitLoss(tape, model.forward(tape, tensors, x, shape), y, weights, shape, batch);
  const gradient = flatten(body, tape.gradients(loss, tensors));
  const decay = (name: string, beta: number, add: string): string =>
    body.op('Add', [body.op('Mul', [name, body.scalar('float', beta)]), add]);
  const moments = { m: decay(m, beta1, gradient), v: decay(v, beta2, body.op('Mul', [gradient, gradient])) };
  const next = emitUpdate(body, layout, names, moments, { rate, epsilon, keep });
  const results: [string, string][] = [
    ['p_next', next],
    ['m_next', moments.m],
    ['v_next', moments.v],
  ];
  for (const [name, value] of results) body.output(body.op('Identity', [value], {}, name), 'float', [count]);
  body.output(body.op('Identity', [loss.name], {}, 'loss_k'), 'float', []);
}

/**
 * Inputs: X float32 [N,width], Y float32 [N] (class index, or standardised value); p, m, v float32 [P];
 * per step k: idx int32 [K,B] row numbers, w float32 [K,B] row weights (0 = padding), rate, epsilon, keep float32 [K].
 * Outputs: p_out, m_out, v_out [P] and loss [K], each step's loss before its update. K is free from run to run, and
 * K steps in one run give the same bytes as K runs of one step. Opset 18: every node has a CUDA kernel.
 */
export function trainStepModel(model: GradientModel, shape: Shape, batch: number): Uint8Array {
  const graph = new OnnxGraph('train');
  const count = parameterCount(model.layout(shape));
  graph.input('X', 'float', ['N', shape.width]);
  graph.input('Y', 'float', ['N']);
  const states = ['p', 'm', 'v'].map((name) => graph.input(name, 'float', [count]));
  const scanned = [
    graph.input('idx', 'int32', ['K', batch]),
    graph.input('w', 'float', ['K', batch]),
    ...['rate', 'epsilon', 'keep'].map((name) => graph.input(name, 'float', ['K'])),
  ];
  const body = graph.subgraph('step');
  emitBody(body, model, shape, batch);
  const outputs = ['p_out', 'm_out', 'v_out', 'loss'];
  graph.ops('Scan', [...states, ...scanned], outputs, { body: { graph: body }, num_scan_inputs: scanned.length });
  for (const name of outputs.slice(0, 3)) graph.output(name, 'float', [count]);
  graph.output('loss', 'float', ['K']);
  return modelBytes(graph, { opset: 18 });
}
