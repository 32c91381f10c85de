// A packaged candidate in all its variants on the holdout: their answers, how far they agree, which may be served.
import { answersOf, type Answers } from '../../domain/measure.js';
import type { ModelInputs, ModelOutputs, Signature } from '../../domain/model.js';
import type { PartsRead } from '../../domain/reuse.js';
import type { PackageResult } from '../../domain/steps.js';
import {
  agreementOf,
  type Latency,
  servingOptions,
  type ServingOptions,
  type Variant,
  type VariantBytes,
} from '../../domain/variant.js';
import type { ModelDeps } from './package.js';
import { type Holdout, score, scoredModel } from './score.js';

/** Rows at once whose time is told with a version. */
const timedBatches = [1, 64];

export interface Form extends VariantBytes {
  outputs: ModelOutputs;
  latency: Latency[];
}

export interface ScoredCandidate {
  candidate: number;
  result: PackageResult;
  signature: Signature;
  inputs: ModelInputs;
  forms: Form[];
}

/** Every variant answers all rows; its time for a few is measured on the way. */
export async function scoreVariants(
  deps: ModelDeps,
  holdout: Holdout,
  one: { candidate: number; result: PackageResult },
): Promise<ScoredCandidate> {
  const signature = await deps.artifacts.readJson<Signature>(one.result.signature);
  const inputs = await holdout.read(signature);
  const forms: Form[] = [];
  for (const variant of one.result.variants) {
    const model = await scoredModel(deps, { ...variant, signature });
    const outputs = await score(deps, model, inputs);
    forms.push({ ...variant, outputs, latency: await deps.scorer.time(model, inputs, timedBatches) });
  }
  return { ...one, signature, inputs, forms };
}

export interface JudgedForm extends Form {
  answers: Answers;
  /** With float32, on the holdout. */
  agreement: number;
}

export interface ServableCandidate extends Omit<ScoredCandidate, 'forms'>, ServingOptions {
  forms: JudgedForm[];
  /** Of the form that is wanted most; what candidates are compared by. */
  answers: Answers;
}

/** `classes`: the one scale on which all answers are written. */
export function servable(
  document: PartsRead<'evaluate'>,
  scored: ScoredCandidate,
  { labels, classes }: { labels: string[]; classes: string[] },
): ServableCandidate {
  const { signature } = scored;
  const answered = scored.forms.map((form) => ({
    ...form,
    answers: answersOf(document.dataset.task, labels, form.outputs, signature.classes, classes),
  }));
  const reference = answered.find(({ variant }) => variant === 'float32') ?? answered[0]!;
  const forms = answered.map((form) => ({ ...form, agreement: agreementOf(reference.answers, form.answers) }));
  const trainer = document.trainers[scored.candidate]?.type ?? 'unknown';
  const options = servingOptions(document.serving, forms, trainer);
  const first = formOf(forms, options.wanted[0] ?? demanded(document));
  return { ...scored, ...options, forms, answers: first.answers };
}

/** What is judged where nothing may be served: what was asked for. */
export function demanded({ serving }: PartsRead<'evaluate'>): Variant {
  return serving.variant === 'int8' ? 'int8' : 'float32';
}

/** float32 where the candidate does not have that form. */
export function formOf(forms: JudgedForm[], variant: Variant): JudgedForm {
  return forms.find((form) => form.variant === variant) ?? forms[0]!;
}
