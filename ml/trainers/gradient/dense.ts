// A stack of dense layers with an activation between them, dropout and layer norm where wanted: the whole of `mlp`, the
// end of `cnn`.
import type { TrainerParams } from '../../../domain/trainers.js';
import { gelu, relu, sigmoid, tanh } from '../../onnx/activations.js';
import type { Tape, Var } from '../../onnx/autodiff.js';
import { dropout, layerNorm } from '../../onnx/layers.js';
import type { Dropout, ParameterTensor } from './model.js';
import { drawNormal } from './random.js';

export const activations = { relu, gelu, tanh, sigmoid };

/** Sizes from the inputs to the outputs; `params` are those of a trainer with `hidden`. */
export interface Stack {
  inputs: number;
  outputs: number;
  params: TrainerParams;
}

export const hiddenSizes = (params: TrainerParams): readonly number[] => params['hidden'] as readonly number[];

/** The last layer has neither norm nor activation. */
function layersOf({ params, inputs, outputs }: Stack) {
  const sizes = [inputs, ...hiddenSizes(params), outputs];
  return sizes.slice(1).map((size, i) => {
    const last = i === sizes.length - 2;
    return { inputs: sizes[i]!, size, last, norm: params['layerNorm'] === true && !last };
  });
}

export function denseLayout(stack: Stack): ParameterTensor[] {
  return layersOf(stack).flatMap(({ inputs, size, norm }, i): ParameterTensor[] => [
    { name: `W${i}`, dims: [inputs, size], decay: true },
    { name: `b${i}`, dims: [size], decay: false },
    ...(norm ? ['gain', 'shift'].map((name) => ({ name: `${name}${i}`, dims: [size], decay: false })) : []),
  ]);
}

/**
 * Fills the front of `p`: weights with deviation √(2/inputs) before relu and gelu (He et al. 2015), √(1/inputs)
 * elsewhere; biases and shifts 0, gains 1.
 */
export function denseInitial(stack: Stack, p: Float32Array, next: () => number): void {
  const rectified = ['relu', 'gelu'].includes(String(stack.params['activation']));
  let at = 0;
  for (const { inputs, size, last, norm } of layersOf(stack)) {
    const weights = p.subarray(at, (at += inputs * size));
    drawNormal(weights, Math.sqrt((rectified && !last ? 2 : 1) / inputs), next);
    at += size;
    if (norm) p.fill(1, at, at + size);
    if (norm) at += 2 * size;
  }
}

/** Of one row: what every hidden layer gives. */
export const denseActivations = (params: TrainerParams): number =>
  hiddenSizes(params).reduce((sum, size) => sum + size, 0);

export function denseDropouts(params: TrainerParams): Dropout[] {
  const rate = Number(params['dropout']);
  return rate > 0 ? hiddenSizes(params).map((width) => ({ width, rate })) : [];
}

/** `tensors` are those of the layout, in order. */
export function denseForward(
  tape: Tape,
  tensors: readonly Var[],
  x: Var,
  { stack, masks }: { stack: Stack; masks: readonly string[] },
): Var {
  const activate = activations[stack.params['activation'] as keyof typeof activations];
  const rate = Number(stack.params['dropout']);
  let next = 0;
  const take = (): Var => tensors[next++]!;
  let value = x;
  layersOf(stack).forEach(({ last, norm }, i) => {
    value = tape.gemm(value, take(), take());
    if (last) return;
    if (norm) value = layerNorm(tape, value, { gain: take(), bias: take() });
    value = activate(tape, value);
    if (masks[i] !== undefined) value = dropout(tape, value, { mask: masks[i], rate });
  });
  return value;
}
