// What a trainer is told of the columns of X: which hold category codes, and the directions that a document gives by name.
import { Failure } from '../../domain/failures.js';
import type { ColumnFacts, FittedFeatures } from '../../domain/model.js';
import type { BuiltInTrainer } from '../../domain/pipeline.js';
import { matrixColumns } from '../../ml/features/columns.js';

/** Empty where the trainer takes every column as a number. Throws FeaturesUnfit for a direction of what is no number. */
export function columnFacts(
  fitted: FittedFeatures,
  trainer: Pick<BuiltInTrainer, 'type' | 'params'>,
): { columns?: ColumnFacts } {
  if (trainer.type !== 'trees') return {};
  const columns = matrixColumns(fitted);
  const codes = columns.flatMap(({ kind }, at) => (kind === 'code' ? [at] : []));
  const directions = (trainer.params['monotone'] ?? {}) as Readonly<Record<string, number>>;
  const monotone = Object.entries(directions).map(([name, direction]) => {
    const column = columns.findIndex((one) => one.kind === 'number' && one.name === name);
    if (column >= 0) return { column, direction };
    const numbers = columns.flatMap((one) => (one.kind === 'number' ? [one.name] : []));
    const known = numbers.slice(0, 20).join(', ') || 'none';
    throw new Failure('FeaturesUnfit', `trainer.params.monotone: ${name} is no number feature; there are ${known}`);
  });
  return { columns: { codes, monotone: monotone.sort((a, b) => a.column - b.column) } };
}
