// The activities of the steps extract, profile, validate and split.
import type { StepInput } from '../../domain/run.js';
import type { DatasetDeps } from './deps.js';
import { extract } from './extract.js';
import { profile } from './profile.js';
import { split } from './split.js';
import { validate } from './validate.js';

export function createDatasetActivities(deps: DatasetDeps) {
  return {
    extract: (input: StepInput) => extract(deps, input),
    profile: (input: StepInput) => profile(deps, input),
    validate: (input: StepInput) => validate(deps, input),
    split: (input: StepInput) => split(deps, input),
  };
}
