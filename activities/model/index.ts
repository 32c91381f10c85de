// The activities of the steps that make, judge and register a model.
import type { StepInput } from '../../domain/run.js';
import { evaluate } from './evaluate.js';
import { type ModelDeps, packageModel } from './package.js';
import { register } from './register.js';

export function createModelActivities(deps: ModelDeps) {
  return {
    package: (input: StepInput) => packageModel(deps, input),
    evaluate: (input: StepInput) => evaluate(deps, input),
    register: (input: StepInput) => register(deps, input),
  };
}
