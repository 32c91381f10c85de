// Parameters of the trainer that grows trees, with defaults and ranges.
import type { TrainerParameter } from './trainers.js';

export const treesParameters: Record<string, TrainerParameter> = {
  rounds: {
    type: 'integer',
    default: 100,
    min: 1,
    max: 10_000,
    meaning: 'Trees one after another; with three classes or more, one for each class in a round',
  },
  leaves: { type: 'integer', default: 31, min: 2, max: 4_096, meaning: 'Most leaves of a tree' },
  depth: {
    type: 'integer',
    default: 0,
    min: 0,
    max: 64,
    meaning: 'Most splits between the root and a leaf; 0: as many as the leaves allow',
  },
  learningRate: { type: 'number', default: 0.1, min: 1e-4, max: 1, meaning: 'Share of each tree that is added' },
  bins: {
    type: 'integer',
    default: 255,
    min: 2,
    max: 255,
    meaning: 'Most bins of a column; a category keeps its most frequent values apart, the last bin is for all others',
  },
  minRows: { type: 'integer', default: 20, min: 1, max: 1_000_000, meaning: 'Fewest training rows of a leaf' },
  minHessian: {
    type: 'number',
    default: 0.001,
    min: 0,
    max: 1e6,
    meaning: 'Smallest sum of second derivatives of a leaf (of regression: its rows)',
  },
  minGain: { type: 'number', default: 0, min: 0, max: 1e12, meaning: 'A split that gains no more is not made' },
  lambda: { type: 'number', default: 0, min: 0, max: 1e6, meaning: 'L2 penalty of the leaves' },
  subsample: { type: 'number', default: 1, min: 0.01, max: 1, meaning: 'Share of the rows that a round sees' },
  columns: { type: 'number', default: 1, min: 0.01, max: 1, meaning: 'Share of the columns that a tree sees' },
  categorySmoothing: {
    type: 'number',
    default: 10,
    min: 0,
    max: 1e6,
    meaning: 'Pulls rare category values to the middle, and adds to lambda where categories are split',
  },
  monotone: {
    type: 'map',
    default: {},
    choices: [-1, 1],
    most: 1_000,
    meaning:
      'Number columns with which the prediction may only rise (1) or only fall (-1), all else equal; not with three classes or more',
  },
  patience: {
    type: 'integer',
    default: 0,
    min: 0,
    max: 10_000,
    meaning: 'Rounds without a better validation loss before training ends with the best round; 0: never',
  },
};
