// The parameters of `trees` as this folder needs them: names and directions turned into columns of X.
import { Failure } from '../../domain/failures.js';
import type { TrainSpec } from '../../domain/model.js';
import type { TrainerParams } from '../../domain/trainers.js';
import type { GrowRules } from './grow.js';

export interface TreesParams {
  rounds: number;
  leaves: number;
  depth: number;
  bins: number;
  learningRate: number;
  minRows: number;
  minHessian: number;
  minGain: number;
  lambda: number;
  categorySmoothing: number;
  subsample: number;
  columns: number;
  patience: number;
}

/** What the columns of X are, as far as trees care. */
export interface TreesColumns {
  /** Columns of category codes. */
  categorical: readonly number[];
  /** Per column 1, -1 or 0. */
  monotone: Int8Array;
}

/** Throws FeaturesUnfit where a direction means nothing: for the odds of three classes or more, and for codes. */
export function columnsOf({ columns, outputs, width }: TrainSpec): TreesColumns {
  const { codes, monotone } = columns ?? { codes: [], monotone: [] };
  if (monotone.length > 0 && outputs > 2) {
    throw new Failure(
      'FeaturesUnfit',
      `monotone needs a number or two classes to predict, there are ${outputs} classes`,
    );
  }
  const directions = new Int8Array(width);
  for (const { column, direction } of monotone) {
    if (codes.includes(column)) throw new Failure('FeaturesUnfit', `monotone: column ${column} of X holds categories`);
    directions[column] = direction;
  }
  return { categorical: codes, monotone: directions };
}

export function treesParams(params: TrainerParams): TreesParams {
  return params as unknown as TreesParams;
}

export function growRules(params: TreesParams, { monotone }: TreesColumns): GrowRules {
  const { leaves, depth, learningRate, minRows, minHessian, minGain, lambda, categorySmoothing } = params;
  return { leaves, depth, learningRate, minRows, minHessian, minGain, lambda, categorySmoothing, monotone };
}
