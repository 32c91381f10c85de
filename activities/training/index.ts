// The activities of the steps featurize and train.
import type { StepInput } from '../../domain/run.js';
import { type ReuseDeps, reusing } from '../reuse.js';
import { featurize, type FeaturizeDeps } from './featurize.js';
import { train, type TrainDeps } from './train.js';

export function createTrainingActivities(deps: TrainDeps & FeaturizeDeps & ReuseDeps) {
  return {
    featurize: (input: StepInput) => reusing(deps, input, { step: 'featurize', work: () => featurize(deps, input) }),
    train: (input: StepInput) => train(deps, input),
  };
}
