// The activities of the steps extract, profile, validate and split.
import type { StepInput } from '../../domain/run.js';
import { type ReuseDeps, reusing } from '../reuse.js';
import type { DatasetDeps } from './deps.js';
import { extract } from './extract.js';
import { profile } from './profile.js';
import { split } from './split.js';
import { validate } from './validate.js';

export function createDatasetActivities(deps: DatasetDeps & ReuseDeps) {
  return {
    extract: (input: StepInput) => extract(deps, input),
    profile: (input: StepInput) => reusing(deps, input, { step: 'profile', work: () => profile(deps, input) }),
    validate: (input: StepInput) => validate(deps, input),
    split: (input: StepInput) => reusing(deps, input, { step: 'split', work: () => split(deps, input) }),
  };
}
