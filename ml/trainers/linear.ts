// Softmax regression, or linear regression on a standardised target. Both are convex and start at zero.
import { gradientTrainer } from './gradient/index.js';
import { parameterCount, type GradientModel } from './gradient/model.js';

export const linearModel: GradientModel = {
  layout: ({ width, outputs }) => [
    { name: 'W', dims: [width, outputs], decay: true },
    { name: 'b', dims: [outputs], decay: false },
  ],
  initial: (shape) => new Float32Array(parameterCount(linearModel.layout(shape))),
  forward: (tape, [w, b], x) => tape.gemm(x, w!, b!),
};

export const linear = gradientTrainer('linear', '4', linearModel);
