// Fitted features for tests, from statistics and vocabularies alone.
import type { Task } from '../../domain/dataset.js';
import type { FittedCategory, FittedFeatures, FittedNumber, FittedText } from '../../domain/model.js';
import { featureWidth } from '../../ml/features/columns.js';

export function fittedFeatures(given: {
  num: Omit<FittedNumber, 'input'>[];
  /** A list of values is a vocabulary with one column for each. */
  cat: (string[] | Omit<FittedCategory, 'column'>)[];
  text?: Omit<FittedText, 'column'>[];
  task?: Task;
  classes?: string[];
}): FittedFeatures {
  const num = given.num.map((statistics, i) => ({ input: { column: `n${i}`, part: null }, ...statistics }));
  const cat = given.cat.map((one, i) => ({ column: `c${i}`, ...(Array.isArray(one) ? { values: one } : one) }));
  const text = given.text?.map((one, i) => ({ column: `t${i}`, ...one })) ?? [];
  return {
    version: 1,
    num,
    cat,
    ...(text.length > 0 && { text }),
    width: featureWidth({ num, cat, text }),
    signature: {
      num: num.map((number) => number.input),
      cat: cat.map((category) => category.column),
      ...(text.length > 0 && { text: text.map(({ column }) => column) }),
      task: given.task ?? 'classification',
      classes: given.classes ?? [],
    },
  };
}
