// The activities of the steps featurize and train.
import type { StepInput } from '../../domain/run.js';
import { featurize, type FeaturizeDeps } from './featurize.js';
import { train, type TrainDeps } from './train.js';

export function createTrainingActivities(deps: TrainDeps & FeaturizeDeps) {
  return {
    featurize: (input: StepInput) => featurize(deps, input),
    train: (input: StepInput) => train(deps, input),
  };
}
