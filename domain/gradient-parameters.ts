// Parameters of the trainers that learn by gradient descent, with defaults and ranges.
import type { TrainerParameter } from './trainers.js';

type Table = Record<string, TrainerParameter>;

/** What an optimiser step costs and how the steps go on. */
const descent = {
  epochs: {
    type: 'integer',
    default: 40,
    min: 1,
    max: 10_000,
    meaning: 'Passes over the training rows; over fewer than 1,000 rows, several each',
  },
  batch: { type: 'integer', default: 64, min: 1, max: 65_536, meaning: 'Rows of one optimiser step' },
  learningRate: {
    type: 'number',
    default: 0.01,
    min: 1e-8,
    max: 10,
    meaning: 'Step size; with a schedule the largest',
  },
  weightDecay: {
    type: 'number',
    default: 0.0001,
    min: 0,
    max: 10,
    meaning: 'Decay of the weights, not of the biases; decoupled from the gradient unless the optimiser is adam',
  },
  optimiser: {
    type: 'choice',
    default: 'adamw',
    choices: ['adamw', 'adam', 'sgd'],
    meaning: 'AdamW, Adam, or stochastic gradient descent with momentum',
  },
  momentum: { type: 'number', default: 0.9, min: 0, max: 0.999, meaning: 'Of sgd; the others take no notice' },
  schedule: {
    type: 'choice',
    default: 'cosine',
    choices: ['constant', 'cosine', 'one-cycle'],
    meaning: 'Learning rate over the run: the same, a half cosine down to 0, or up for 30 % of it and down again',
  },
  warmup: {
    type: 'number',
    default: 0,
    min: 0,
    max: 0.9,
    meaning: 'Share of the steps in which the rate rises from 0 in a line; one-cycle has its own',
  },
  clip: {
    type: 'number',
    default: 0,
    min: 0,
    max: 1e6,
    meaning: 'Longest gradient, all tensors taken together; 0: any',
  },
} satisfies Table;

const aims = {
  classWeight: {
    type: 'choice',
    default: 'none',
    choices: ['none', 'balanced'],
    meaning: 'balanced: every class counts the same, however many rows it has',
  },
  labelSmoothing: {
    type: 'number',
    default: 0,
    min: 0,
    max: 0.5,
    meaning: 'Share of each label spread over all classes',
  },
  loss: {
    type: 'choice',
    default: 'mse',
    choices: ['mse', 'huber', 'pinball'],
    meaning: 'Of regression: squared error, Huber’s (squared up to one standard deviation), or the quantile’s',
  },
  quantile: {
    type: 'number',
    default: 0.5,
    min: 0.001,
    max: 0.999,
    meaning: 'Which quantile the loss pinball looks for',
  },
  patience: {
    type: 'integer',
    default: 0,
    min: 0,
    max: 10_000,
    meaning: 'Epochs without a better validation loss before training ends with the best state; 0: never',
  },
} satisfies Table;

export const linearParameters: Table = { ...descent, ...aims };

const dense = {
  hidden: {
    type: 'list',
    default: [128, 64],
    min: 1,
    max: 8_192,
    longest: 8,
    meaning: 'Sizes of the hidden layers, from the inputs to the outputs',
  },
  activation: {
    type: 'choice',
    default: 'relu',
    choices: ['relu', 'gelu', 'tanh', 'sigmoid'],
    meaning: 'Behind each hidden layer',
  },
  layerNorm: { type: 'flag', default: false, meaning: 'Normalise each hidden layer before its activation' },
  dropout: { type: 'number', default: 0, min: 0, max: 0.95, meaning: 'Share of each hidden layer left out in a step' },
} satisfies Table;

export const mlpParameters: Table = {
  ...dense,
  ...descent,
  learningRate: { ...descent.learningRate, default: 0.003 },
  weightDecay: { ...descent.weightDecay, default: 0.01 },
  ...aims,
};

export const textParameters: Table = {
  dims: { type: 'integer', default: 32, min: 1, max: 1_024, meaning: 'Numbers that stand for one n-gram' },
  hidden: { type: 'integer', default: 0, min: 0, max: 8_192, meaning: 'Size of a hidden layer; 0: none' },
  dropout: {
    type: 'number',
    default: 0,
    min: 0,
    max: 0.95,
    meaning: 'Share of each text’s numbers left out in a step',
  },
  ...descent,
  ...aims,
};

const side = (meaning: string): TrainerParameter => ({ type: 'integer', default: 8, min: 1, max: 256, meaning });

export const cnnParameters: Table = {
  height: side('Rows of the image'),
  width: side('Columns of the image'),
  channels: {
    type: 'integer',
    default: 1,
    min: 1,
    max: 16,
    meaning: 'Planes of the image; the features are channel by channel, row by row',
  },
  filters: {
    type: 'list',
    default: [16, 32],
    min: 1,
    max: 512,
    longest: 6,
    meaning: 'Filters of each convolution, every one followed by its activation and a max pooling by 2',
  },
  kernel: { type: 'integer', default: 3, min: 1, max: 11, meaning: 'Height and width of a filter' },
  ...mlpParameters,
  hidden: { ...dense.hidden, default: [64], meaning: 'Sizes of the dense layers behind the convolutions' },
};
