// What a model needs so that gradient descent can learn it: tensors, their start, and a forward pass.
import type { Tape, Var } from '../../onnx/autodiff.js';
import type { Shape } from '../trainer.js';

/** One learned tensor inside the flat parameter vector, in order. `decay`: weight decay applies to it. */
export interface ParameterTensor {
  name: string;
  dims: readonly number[];
  decay: boolean;
}

/** A place in the forward pass where a share `rate` of `width` units is left out while training. */
export interface Dropout {
  width: number;
  rate: number;
}

export interface GradientModel {
  layout(shape: Shape): ParameterTensor[];
  /** Initial flat parameter vector, a function of shape and seed. */
  initial(shape: Shape, seed: number): Float32Array;
  dropouts?(shape: Shape): Dropout[];
  /** Numbers that the layers give for one row and the gradients need again, at the least. Absent: hardly any. */
  activations?(shape: Shape): number;
  /**
   * Emits x [B, width] to logits or standardised values [B, outputs], for training and for the served file alike.
   * `masks`: names of the dropout masks [B, width of each], while training only.
   */
  forward(tape: Tape, tensors: readonly Var[], x: Var, shape: Shape, masks?: readonly string[]): Var;
}

/** Length of the flat parameter vector. */
export function parameterCount(layout: readonly ParameterTensor[]): number {
  return layout.reduce((sum, { dims }) => sum + dims.reduce((product, dim) => product * dim, 1), 0);
}
