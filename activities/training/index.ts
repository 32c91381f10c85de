// The activities of the steps featurize and train.
import { runSpecification } from '../../db/run.js';
import type { StepInput } from '../../domain/run.js';
import { type ReuseDeps, reusing } from '../reuse.js';
import { type CommandDeps, trainCommand } from './command.js';
import { featurize, type FeaturizeDeps } from './featurize.js';
import { train } from './train.js';

export function createTrainingActivities(deps: CommandDeps & FeaturizeDeps & ReuseDeps) {
  return {
    featurize: (input: StepInput) => reusing(deps, input, { step: 'featurize', work: () => featurize(deps, input) }),
    train: async (input: StepInput) => {
      const { document } = await runSpecification(deps.db, input.context.run);
      const trainer = document.trainers[input.candidate];
      return trainer?.type === 'command' ? trainCommand(deps, input, trainer) : train(deps, input);
    },
  };
}
