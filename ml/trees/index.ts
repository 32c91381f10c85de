// Trainer `trees`: histogram gradient boosting (Friedman 2001; Ke et al. 2017), grown leaf-wise on binned features.
// Numbers are split at edges, categories into two sets, missing values go the better way; served as one TreeEnsembleRegressor.
import { trainerParameters } from '../../domain/trainers.js';
import type { Trainer } from '../trainers/trainer.js';
import { emitTrees } from './emit.js';
import { fitTrees } from './fit.js';
import { memoryWords } from './matrix.js';
import { stateOf } from './model.js';
import { columnsOf, treesParams } from './params.js';

/** In memory of a training row: its target, its gradient and hessian, its number twice; and a score for each output. */
const rowBytes = 20;
const scoreBytes = 4;

export const trees: Trainer = {
  type: 'trees',
  version: '1',
  parameters: trainerParameters.trees,
  sizes: ({ width, outputs }) => JSON.stringify([width, outputs]),
  needs: ({ rows, width, outputs }) => ({
    parameters: null,
    bytes: rows * (rowBytes + scoreBytes * outputs) + 4 * Math.min(memoryWords, rows * Math.ceil(width / 4)),
  }),
  fit: (spec, data, start, hooks) =>
    fitTrees({ spec, params: treesParams(spec.params), columns: columnsOf(spec), memoryWords }, data, start, hooks),
  emit: (graph, x, snapshot, shape) => emitTrees(graph, x, stateOf(snapshot), shape),
};
