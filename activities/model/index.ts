// The activities of the steps that make, judge and register a model.
import type { StepInput } from '../../domain/run.js';
import { type ReuseDeps, reusing } from '../reuse.js';
import { type EvaluateDeps, pureEvaluation } from './evaluate.js';
import { packageModel } from './package.js';
import { register } from './register.js';

export function createModelActivities(deps: EvaluateDeps & ReuseDeps) {
  return {
    package: (input: StepInput) => reusing(deps, input, { step: 'package', work: () => packageModel(deps, input) }),
    evaluate: async (input: StepInput) => reusing(deps, input, await pureEvaluation(deps, input)),
    register: (input: StepInput) => register(deps, input),
  };
}
