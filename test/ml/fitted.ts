// Fitted features for tests, from statistics and vocabularies alone.
import type { Task } from '../../domain/dataset.js';
import type { FittedFeatures } from '../../domain/model.js';
import { featureWidth } from '../../ml/features/graph.js';

export function fittedFeatures(given: {
  num: { impute: number; mean: number; scale: number }[];
  cat: string[][];
  task?: Task;
  classes?: string[];
}): FittedFeatures {
  const num = given.num.map((statistics, i) => ({ input: { column: `n${i}`, part: null }, ...statistics }));
  const cat = given.cat.map((values, i) => ({ column: `c${i}`, values }));
  return {
    version: 1,
    num,
    cat,
    width: featureWidth({ num, cat }),
    signature: {
      num: num.map((number) => number.input),
      cat: cat.map((category) => category.column),
      task: given.task ?? 'classification',
      classes: given.classes ?? [],
    },
  };
}
