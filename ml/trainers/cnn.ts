// A convolutional network for small images: convolution, activation and max pooling by 2 for each entry of `filters`, then
// dense layers. The features are the pixels: channel by channel, row by row.
import { Failure } from '../../domain/failures.js';
import type { TrainerParams } from '../../domain/trainers.js';
import type { Var } from '../onnx/autodiff.js';
import { convolution, maxPool } from '../onnx/convolution.js';
import {
  activations,
  denseActivations,
  denseDropouts,
  denseForward,
  denseInitial,
  denseLayout,
  type Stack,
} from './gradient/dense.js';
import { gradientTrainer } from './gradient/index.js';
import { type GradientModel, type ParameterTensor, parameterCount } from './gradient/model.js';
import { drawNormal, randomSource } from './gradient/random.js';
import type { Shape } from './trainer.js';

const poolWindow = 2;

interface Image {
  channels: number;
  height: number;
  width: number;
}

/** Throws FeaturesUnfit when the features are not as many as the pixels. */
function imageOf({ params, width }: Shape): Image {
  const [channels, height, wide] = ['channels', 'height', 'width'].map((name) => Number(params[name])) as [
    number,
    number,
    number,
  ];
  if (channels * height * wide === width) return { channels, height, width: wide };
  const wanted = `channels ${channels} × height ${height} × width ${wide} = ${channels * height * wide}`;
  throw new Failure('FeaturesUnfit', `trainer.params: ${wanted} pixels, but the rows have ${width} features`);
}

/** Each convolution with the image that goes in; an image too small for a pooling keeps its size. */
function convolutions(shape: Shape) {
  let image = imageOf(shape);
  const filters = shape.params['filters'] as readonly number[];
  const layers = filters.map((size) => {
    const before = image;
    const pools = Math.min(image.height, image.width) >= poolWindow;
    const by = pools ? poolWindow : 1;
    image = { channels: size, height: Math.floor(image.height / by), width: Math.floor(image.width / by) };
    return { before, size, pools };
  });
  return { layers, after: image };
}

const kernelOf = (params: TrainerParams): number => Number(params['kernel']);

function layoutOf(shape: Shape): { filters: ParameterTensor[]; stack: Stack } {
  const { layers, after } = convolutions(shape);
  const kernel = kernelOf(shape.params);
  const filters = layers.flatMap(({ before, size }, i): ParameterTensor[] => [
    { name: `F${i}`, dims: [size, before.channels, kernel, kernel], decay: true },
    { name: `c${i}`, dims: [size], decay: false },
  ]);
  const inputs = after.channels * after.height * after.width;
  return { filters, stack: { inputs, outputs: shape.outputs, params: shape.params } };
}

export const cnnModel: GradientModel = {
  layout: (shape) => {
    const { filters, stack } = layoutOf(shape);
    return [...filters, ...denseLayout(stack)];
  },

  /** Filters like dense weights whose inputs are the numbers under a kernel. */
  initial: (shape, seed) => {
    const next = randomSource(seed, 0, 'initial');
    const { filters, stack } = layoutOf(shape);
    const p = new Float32Array(parameterCount(cnnModel.layout(shape)));
    const gain = ['relu', 'gelu'].includes(String(shape.params['activation'])) ? 2 : 1;
    let at = 0;
    for (const tensor of filters) {
      const part = p.subarray(at, (at += parameterCount([tensor])));
      const [, channels, kernel] = tensor.dims;
      if (tensor.decay) drawNormal(part, Math.sqrt(gain / (channels! * kernel! * kernel!)), next);
    }
    denseInitial(stack, p.subarray(at), next);
    return p;
  },

  dropouts: ({ params }) => denseDropouts(params),

  activations: (shape) =>
    convolutions(shape).layers.reduce(
      (sum, { before, size }) => sum + size * before.height * before.width,
      denseActivations(shape.params),
    ),

  forward: (tape, tensors, x, shape, masks = []) => {
    const { stack } = layoutOf(shape);
    const { layers } = convolutions(shape);
    const activate = activations[shape.params['activation'] as keyof typeof activations];
    const { channels, height, width } = imageOf(shape);
    let value: Var = tape.reshape(x, [x.dims[0]!, channels, height, width]);
    layers.forEach(({ pools }, i) => {
      value = activate(tape, convolution(tape, value, { w: tensors[2 * i]!, bias: tensors[2 * i + 1]! }));
      if (pools) value = maxPool(tape, value, poolWindow);
    });
    const flat = tape.reshape(value, [x.dims[0]!, stack.inputs]);
    return denseForward(tape, tensors.slice(2 * layers.length), flat, { stack, masks });
  },
};

export const cnn = gradientTrainer('cnn', '1', cnnModel);
