// Which dataset version the model steps of a run work on.
import type { Digest } from '../../domain/artifact.js';
import { Failure } from '../../domain/failures.js';
import type { StepInput } from '../../domain/run.js';
import type { LabelResult, ValidateResult } from '../../domain/steps.js';

/** The version with the labels of this run where people were asked, else the validated one. */
export function labelledVersion(input: StepInput): { dataset: Digest; file: Digest } {
  const labelled = input.inputs['label'] as unknown as LabelResult | undefined;
  if (labelled) return { dataset: labelled.dataset, file: labelled.file };
  const validated = input.inputs['validate'] as unknown as ValidateResult;
  if (validated.kind !== 'ok') throw new Failure('Internal', 'the data was not validated');
  return { dataset: validated.dataset, file: validated.file };
}
