// What a model needs so that gradient descent can learn it: tensors, their start, and a forward pass.
import type { Tape, Var } from '../../onnx/autodiff.js';
import type { Shape } from '../trainer.js';

/** One learned tensor inside the flat parameter vector, in order. `decay`: weight decay applies to it. */
export interface ParameterTensor {
  name: string;
  dims: readonly number[];
  decay: boolean;
}

export interface GradientModel {
  layout(shape: Shape): ParameterTensor[];
  /** Initial flat parameter vector, a function of shape and seed. */
  initial(shape: Shape, seed: number): Float32Array;
  /** Emits x [B, width] to logits or standardised values [B, outputs], for training and for the served file alike. */
  forward(tape: Tape, tensors: readonly Var[], x: Var, shape: Shape): Var;
}

/** Length of the flat parameter vector. */
export function parameterCount(layout: readonly ParameterTensor[]): number {
  return layout.reduce((sum, { dims }) => sum + dims.reduce((product, dim) => product * dim, 1), 0);
}
