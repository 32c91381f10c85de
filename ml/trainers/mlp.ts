// A multi-layer perceptron: dense layers with an activation between them, dropout and layer norm where wanted.
import type { TrainerParams } from '../../domain/trainers.js';
import { gelu, relu, sigmoid, tanh } from '../onnx/activations.js';
import type { Var } from '../onnx/autodiff.js';
import { dropout, layerNorm } from '../onnx/layers.js';
import { gradientTrainer } from './gradient/index.js';
import { type GradientModel, type ParameterTensor, parameterCount } from './gradient/model.js';
import { drawNormal, randomSource } from './gradient/random.js';
import type { Shape } from './trainer.js';

const activations = { relu, gelu, tanh, sigmoid };

const hiddenSizes = (params: TrainerParams): readonly number[] => params['hidden'] as readonly number[];

/** Dense layers from the inputs to the outputs, the last one without norm. */
function layersOf({ params, width, outputs }: Pick<Shape, 'params' | 'width' | 'outputs'>) {
  const sizes = [width, ...hiddenSizes(params), outputs];
  return sizes.slice(1).map((size, i) => ({
    inputs: sizes[i]!,
    size,
    last: i === sizes.length - 2,
    norm: params['layerNorm'] === true && i < sizes.length - 2,
  }));
}

export const mlpModel: GradientModel = {
  layout: (shape) =>
    layersOf(shape).flatMap(({ inputs, size, norm }, i): ParameterTensor[] => [
      { name: `W${i}`, dims: [inputs, size], decay: true },
      { name: `b${i}`, dims: [size], decay: false },
      ...(norm
        ? [
            { name: `gain${i}`, dims: [size], decay: false },
            { name: `shift${i}`, dims: [size], decay: false },
          ]
        : []),
    ]),

  /** Weights with deviation √(2/inputs) before relu and gelu (He et al. 2015), √(1/inputs) elsewhere; biases 0, gains 1. */
  initial: (shape, seed) => {
    const next = randomSource(seed, 0, 'initial');
    const p = new Float32Array(parameterCount(mlpModel.layout(shape)));
    const rectified = ['relu', 'gelu'].includes(String(shape.params['activation']));
    let at = 0;
    for (const { inputs, size, last, norm } of layersOf(shape)) {
      const weights = p.subarray(at, (at += inputs * size));
      drawNormal(weights, Math.sqrt((rectified && !last ? 2 : 1) / inputs), next);
      at += size;
      if (norm) p.fill(1, at, at + size);
      if (norm) at += 2 * size;
    }
    return p;
  },

  dropouts: ({ params }) => {
    const rate = Number(params['dropout']);
    return rate > 0 ? hiddenSizes(params).map((width) => ({ width, rate })) : [];
  },

  forward: (tape, tensors, x, shape, masks = []) => {
    const activate = activations[shape.params['activation'] as keyof typeof activations];
    const rate = Number(shape.params['dropout']);
    let next = 0;
    const take = (): Var => tensors[next++]!;
    let value = x;
    layersOf(shape).forEach(({ last, norm }, i) => {
      value = tape.gemm(value, take(), take());
      if (last) return;
      if (norm) value = layerNorm(tape, value, { gain: take(), bias: take() });
      value = activate(tape, value);
      if (masks[i] !== undefined) value = dropout(tape, value, { mask: masks[i], rate });
    });
    return value;
  },
};

export const mlp = gradientTrainer('mlp', '1', mlpModel);
