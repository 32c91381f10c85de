// What a trainer is: parameters, tensors to learn, and a forward pass. The optimiser step, the loop, the checkpoint
// and the export are the same for all of them (step.ts, fit.ts, checkpoint.ts, ../export/one-file.ts).
import type { Task } from '../../domain/dataset.js';
import type { TrainerType, TrainSpec } from '../../domain/model.js';
import type { TrainerParameter, TrainerParams } from '../../domain/trainers.js';
import type { Tape, Var } from '../onnx/autodiff.js';

/** What the graph depends on: sizes, not data. */
export interface Shape {
  task: Task;
  /** Width of the featurised matrix. */
  width: number;
  /** Number of classes; 1 for regression. */
  outputs: number;
  params: TrainerParams;
}

/** One learned tensor inside the flat parameter vector, in order. `decay`: weight decay applies to it. */
export interface ParameterTensor {
  name: string;
  dims: readonly number[];
  decay: boolean;
}

export interface Trainer {
  readonly type: TrainerType;
  /** Part of what a result depends on: changes whenever the same spec would give other bytes. */
  readonly version: string;
  /** Names, defaults, ranges and meanings. */
  readonly parameters: Record<string, TrainerParameter>;
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

export function shapeOf(spec: Pick<TrainSpec, keyof Shape>): Shape {
  return { task: spec.task, width: spec.width, outputs: spec.outputs, params: spec.params };
}
