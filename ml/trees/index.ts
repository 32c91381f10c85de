// Trainer `trees`: histogram gradient boosting (Friedman 2001; Ke et al. 2017), grown leaf-wise on binned features.
// Numbers are split at edges, categories into two sets, missing values go the better way; served as one TreeEnsembleRegressor.
import { trainerParameters } from '../../domain/trainers.js';
import type { Trainer } from '../trainers/trainer.js';
import { emitTrees } from './emit.js';
import { fitTrees } from './fit.js';
import { memoryWords } from './matrix.js';
import { stateOf } from './model.js';
import { columnsOf, treesParams } from './params.js';

export const trees: Trainer = {
  type: 'trees',
  version: '1',
  parameters: trainerParameters.trees,
  sizes: ({ width, outputs }) => JSON.stringify([width, outputs]),
  fit: (spec, data, start, hooks) =>
    fitTrees({ spec, params: treesParams(spec.params), columns: columnsOf(spec), memoryWords }, data, start, hooks),
  emit: (graph, x, snapshot, shape) => emitTrees(graph, x, stateOf(snapshot), shape),
};
