// Softmax regression, or linear regression on a standardised target. Both are convex and start at zero.
import { trainerParameters } from '../../domain/trainers.js';
import type { Trainer } from './trainer.js';
import { parameterCount } from './trainer.js';

export const linear: Trainer = {
  type: 'linear',
  version: '2',
  parameters: trainerParameters.linear,
  layout: ({ width, outputs }) => [
    { name: 'W', dims: [width, outputs], decay: true },
    { name: 'b', dims: [outputs], decay: false },
  ],
  initial: (shape) => new Float32Array(parameterCount(linear.layout(shape))),
  forward: (tape, [w, b], x) => tape.gemm(x, w!, b!),
};
