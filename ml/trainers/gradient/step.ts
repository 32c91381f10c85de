// The training step as an ONNX file: K optimiser steps in one Scan, on a flat parameter vector.
// Beside it the loss of a batch alone, for the validation part. Both emit the same forward pass and the same loss.
import type { Graph } from '../../onnx/graph.js';
import { Graph as OnnxGraph, modelBytes } from '../../onnx/graph.js';
import type { Var } from '../../onnx/autodiff.js';
import { Tape } from '../../onnx/autodiff.js';
import { crossEntropy, huber, meanSquaredError, pinball } from '../../onnx/losses.js';
import { adam, clipped, momentum } from '../../onnx/optimiser.js';
import type { Shape } from '../trainer.js';
import type { GradientModel, ParameterTensor } from './model.js';
import { parameterCount } from './model.js';
import { scalarNames } from './schedule.js';

/** State vectors besides the parameters. */
export const momentNames = (params: Shape['params']): ('m' | 'v')[] =>
  params['optimiser'] === 'sgd' ? ['m'] : ['m', 'v'];

/** Cuts a flat vector into tensors. One tensor needs no Split. */
function splitParameters(graph: Graph, flat: string, layout: readonly ParameterTensor[]): string[] {
  const sizes = layout.map((tensor) => parameterCount([tensor]));
  const parts =
    layout.length === 1 ? [flat] : graph.ops('Split', [flat, graph.ints(sizes)], layout.length, { axis: 0 });
  return parts.map((part, i) => graph.op('Reshape', [part, graph.ints(layout[i]!.dims)]));
}

function flatten(graph: Graph, parts: readonly string[]): string {
  const flat = parts.map((part) => graph.op('Reshape', [part, graph.ints([-1])]));
  return flat.length === 1 ? flat[0]! : graph.op('Concat', flat, { axis: 0 });
}

/** What the output is judged by: y [B] and row weights [B]. */
interface Aim {
  y: string;
  weights: Var;
  batch: number;
  smoothing: number;
}

function emitLoss(
  tape: Tape,
  output: Var,
  { y, weights, batch, smoothing }: Aim,
  { task, outputs, params }: Shape,
): Var {
  const { graph } = tape;
  if (task === 'classification') {
    const onOff = graph.initializer({ type: 'float', dims: [2], values: [0, 1] });
    const label = graph.op('Cast', [y], { to: 7 });
    const onehot = graph.op('OneHot', [label, graph.ints([outputs]), onOff], { axis: -1 });
    return crossEntropy(tape, output, { onehot: tape.value(onehot, [batch, outputs]), weights, smoothing });
  }
  const values = { target: tape.value(y, [batch]), weights };
  const prediction = tape.reshape(output, [batch]);
  if (params['loss'] === 'huber') return huber(tape, prediction, { ...values, delta: 1 });
  if (params['loss'] === 'pinball')
    return pinball(tape, prediction, { ...values, quantile: Number(params['quantile']) });
  return meanSquaredError(tape, prediction, values);
}

/** The parameters after decay, or the gradient with it (adam), and the gradient cut to its longest. */
function emitDecay(
  graph: Graph,
  p: string,
  tensors: readonly string[],
  gradients: readonly string[],
  shape: Shape,
  layout: readonly ParameterTensor[],
) {
  const { params } = shape;
  const decay = Number(params['weightDecay']);
  const pulled = gradients.map((name, i) => {
    if (params['optimiser'] !== 'adam' || decay === 0 || !layout[i]!.decay) return name;
    return graph.op('Add', [name, graph.op('Mul', [tensors[i]!, graph.scalar('float', decay)])]);
  });
  const flat = flatten(graph, pulled);
  const clip = Number(params['clip'] ?? 0);
  const gradient = clip > 0 ? clipped(graph, flat, clip) : flat;
  if (!scalarNames(params).includes('keep')) return { p, gradient };
  const kept = tensors.map((name, i) => (layout[i]!.decay ? graph.op('Mul', [name, 'keep_k']) : name));
  return { p: flatten(graph, kept), gradient };
}

function emitBody(body: Graph, model: GradientModel, shape: Shape, batch: number): void {
  const { params } = shape;
  const layout = model.layout(shape);
  const count = parameterCount(layout);
  const states = ['p', ...momentNames(params)].map((name) => body.input(`${name}_in`, 'float', [count]));
  const rows = body.input('idx_k', 'int32', [batch]);
  const tape = new Tape(body);
  const weights = tape.value(body.input('w_k', 'float', [batch]), [batch]);
  for (const name of scalarNames(params)) body.input(`${name}_k`, 'float', []);
  const masks = (model.dropouts?.(shape) ?? []).map(({ width }, i) =>
    body.input(`mask${i}_k`, 'uint8', [batch, width]),
  );
  const x = tape.value(body.op('Gather', ['X', rows], { axis: 0 }), [batch, shape.width]);
  const y = body.op('Gather', ['Y', rows], { axis: 0 });
  const names = splitParameters(body, states[0]!, layout);
  const tensors = names.map((name, i) => tape.parameter(name, layout[i]!.dims));
  const output = model.forward(tape, tensors, x, shape, masks);
  const smoothing = Number(params['labelSmoothing'] ?? 0);
  const loss = emitLoss(tape, output, { y, weights, batch, smoothing }, shape);
  const { p, gradient } = emitDecay(body, states[0]!, names, tape.gradients(loss, tensors), shape, layout);
  const step = { p, gradient, rate: 'rate_k' };
  const next: Record<string, string> =
    params['optimiser'] === 'sgd'
      ? momentum(body, { ...step, m: 'm_in', mu: Number(params['momentum']) })
      : adam(body, { ...step, m: 'm_in', v: 'v_in', epsilon: 'epsilon_k' });
  for (const name of ['p', ...momentNames(params)]) {
    body.output(body.op('Identity', [next[name]!], {}, `${name}_next`), 'float', [count]);
  }
  body.output(body.op('Identity', [loss.name], {}, 'loss_k'), 'float', []);
}

/**
 * Inputs: X float32 [N,width], Y float32 [N] (class index, or standardised value); p and moments float32 [P];
 * per step k: idx int32 [K,B] row numbers, w float32 [K,B] row weights (0 = padding), the scalars of schedule.ts
 * float32 [K], masks uint8 [K,B,width of the layer].
 * Outputs: p_out and the moments [P], and loss [K], each step's loss before its update. K is free from run to run, and
 * K steps in one run give the same bytes as K runs of one step. Opset 18: every node has a CUDA kernel.
 */
export function trainStepModel(model: GradientModel, shape: Shape, batch: number): Uint8Array {
  const graph = new OnnxGraph('train');
  const count = parameterCount(model.layout(shape));
  graph.input('X', 'float', ['N', shape.width]);
  graph.input('Y', 'float', ['N']);
  const names = ['p', ...momentNames(shape.params)];
  for (const name of names) graph.input(name, 'float', [count]);
  const scanned = [
    graph.input('idx', 'int32', ['K', batch]),
    graph.input('w', 'float', ['K', batch]),
    ...scalarNames(shape.params).map((name) => graph.input(name, 'float', ['K'])),
    ...(model.dropouts?.(shape) ?? []).map(({ width }, i) => graph.input(`mask${i}`, 'uint8', ['K', batch, width])),
  ];
  const body = graph.subgraph('step');
  emitBody(body, model, shape, batch);
  const outputs = [...names.map((name) => `${name}_out`), 'loss'];
  graph.ops('Scan', [...names, ...scanned], outputs, { body: { graph: body }, num_scan_inputs: scanned.length });
  for (const name of names) graph.output(`${name}_out`, 'float', [count]);
  graph.output('loss', 'float', ['K']);
  return modelBytes(graph, { opset: 18 });
}

/** Inputs p [P], X [B,width], Y [B] and w [B]; output `loss`, the mean over the rows without smoothing and dropout. */
export function lossModel(model: GradientModel, shape: Shape, batch: number): Uint8Array {
  const graph = new OnnxGraph('loss');
  const layout = model.layout(shape);
  const tape = new Tape(graph);
  const tensors = splitParameters(graph, graph.input('p', 'float', [parameterCount(layout)]), layout);
  const x = tape.value(graph.input('X', 'float', [batch, shape.width]), [batch, shape.width]);
  const y = graph.input('Y', 'float', [batch]);
  const weights = tape.value(graph.input('w', 'float', [batch]), [batch]);
  const values = tensors.map((name, i) => tape.value(name, layout[i]!.dims));
  const output = model.forward(tape, values, x, shape);
  const loss = emitLoss(tape, output, { y, weights, batch, smoothing: 0 }, shape);
  graph.output(graph.op('Identity', [loss.name], {}, 'loss'), 'float', []);
  return modelBytes(graph, { opset: 18 });
}
