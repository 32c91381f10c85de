// Which process is killed during which step: every service and worker during each of the twelve, and the trainer child
// during `train`. The step is held where its work is done and nothing of it is recorded yet; `train` in its middle.

import { type StepName, stepNames } from '../../domain/run.js';

export const steps = stepNames;
export type Step = StepName;

export const processes = ['api', 'flow', 'cpu', 'gpu', 'temporal', 'postgres'] as const;
export type Victim = (typeof processes)[number] | 'trainer';

export interface Pair {
  step: Step;
  process: Victim;
}

export const pairs: readonly Pair[] = steps.flatMap((step) => [
  ...processes.map((process) => ({ step, process })),
  ...(step === 'train' ? [{ step, process: 'trainer' as const }] : []),
]);

/** Value of PERENNIAL_HOLD; null where the step waits for a person anyway. */
export function holdOf(step: Step): string | null {
  if (step === 'approve') return null;
  return step === 'train' ? 'train:middle' : `${step}:after`;
}
