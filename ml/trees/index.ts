// Trainer `trees`: histogram gradient boosting (Friedman 2001; Ke et al. 2017), grown leaf-wise on binned features.
// Numbers are split at edges, categories into two sets, missing values go the better way; served as one TreeEnsembleRegressor.
import { trainerParameters } from '../../domain/trainers.js';
import type { Trainer } from '../trainers/trainer.js';
import { emitTrees } from './emit.js';
import { fitTrees } from './fit.js';
import { matrixSize, memoryWords } from './matrix.js';
import { stateOf } from './model.js';
import { outputsOf } from './objective.js';
import { columnsOf, treesParams } from './params.js';

/** In memory of a training row at least: its target, its gradient, its number once. */
const rowBytes = 12;
/** A hessian of each row, but where it is the same for all; and a score of each row for each output. */
const numberBytes = 4;

export const trees: Trainer = {
  type: 'trees',
  version: '1',
  parameters: trainerParameters.trees,
  sizes: ({ width, outputs }) => JSON.stringify([width, outputs]),
  needs: ({ rows, width, outputs, task }) => {
    const numbers = outputsOf(task, outputs) + (task === 'regression' ? 0 : 1);
    return { parameters: null, bytes: rows * (rowBytes + numberBytes * numbers) + matrixSize(rows, width).bytes };
  },
  fit: (spec, data, start, hooks) =>
    fitTrees({ spec, params: treesParams(spec.params), columns: columnsOf(spec), memoryWords }, data, start, hooks),
  emit: (graph, x, snapshot, shape) => emitTrees(graph, x, stateOf(snapshot), shape),
};
