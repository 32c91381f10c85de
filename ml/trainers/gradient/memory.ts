// The least memory of gradient descent: a function of sizes, by which a model that is far too large is refused.
import type { TrainSpec } from '../../../domain/model.js';
import type { Needs } from '../needs.js';
import { shapeOf } from '../trainer.js';
import { planOf } from './batches.js';
import { type GradientModel, parameterCount } from './model.js';
import { momentNames } from './step.js';

const floatBytes = 4;

/** Parameters and moments before and after a step, the rows of a shard, and on a CPU what the layers of a batch give. */
export function gradientNeeds(model: GradientModel, spec: TrainSpec): Needs {
  const shape = shapeOf(spec);
  const { batch, shardRows } = planOf(spec, spec.params);
  const parameters = parameterCount(model.layout(shape));
  const state = 2 * (1 + momentNames(spec.params).length) * parameters;
  const layers = spec.provider === 'cpu' ? batch * (model.activations?.(shape) ?? 0) : 0;
  return { parameters, bytes: floatBytes * (state + Math.min(shardRows, spec.rows) * spec.width + layers) };
}
