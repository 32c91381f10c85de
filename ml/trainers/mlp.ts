// A multi-layer perceptron: dense layers from the features to the outputs.
import {
  denseActivations,
  denseDropouts,
  denseForward,
  denseInitial,
  denseLayout,
  type Stack,
} from './gradient/dense.js';
import { gradientTrainer } from './gradient/index.js';
import { type GradientModel, parameterCount } from './gradient/model.js';
import { randomSource } from './gradient/random.js';
import type { Shape } from './trainer.js';

const stackOf = ({ width, outputs, params }: Shape): Stack => ({ inputs: width, outputs, params });

export const mlpModel: GradientModel = {
  layout: (shape) => denseLayout(stackOf(shape)),
  initial: (shape, seed) => {
    const p = new Float32Array(parameterCount(mlpModel.layout(shape)));
    denseInitial(stackOf(shape), p, randomSource(seed, 0, 'initial'));
    return p;
  },
  dropouts: ({ params }) => denseDropouts(params),
  activations: ({ params }) => denseActivations(params),
  forward: (tape, tensors, x, shape, masks = []) => denseForward(tape, tensors, x, { stack: stackOf(shape), masks }),
};

export const mlp = gradientTrainer('mlp', '1', mlpModel);
