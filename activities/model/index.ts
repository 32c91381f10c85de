// The activities of the steps that make, judge and register a model.
import type { StepInput } from '../../domain/run.js';
import { type ReuseDeps, reusing } from '../reuse.js';
import { pureEvaluation } from './evaluate.js';
import { type ModelDeps, packageModel } from './package.js';
import { register } from './register.js';

export function createModelActivities(deps: ModelDeps & ReuseDeps) {
  return {
    package: (input: StepInput) => reusing(deps, input, { step: 'package', work: () => packageModel(deps, input) }),
    evaluate: (input: StepInput) => reusing(deps, input, pureEvaluation(deps, input)),
    register: (input: StepInput) => register(deps, input),
  };
}
