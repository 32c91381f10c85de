// Variants of one version: the same model in other numbers, and which of them is served. Rules only; who measures is
// activities/model.
import type { Digest } from './artifact.js';
import type { Rule } from './gate.js';
import type { Answers } from './measure.js';
import type { TrainerType } from './model.js';
import { writtenShare } from './share.js';

/** `float32` is what was trained; every version has it. */
export const variants = ['float32', 'int8'] as const;
export type Variant = (typeof variants)[number];

/** Paths in a version's list of files. */
export const variantFiles: Record<Variant, { model: string; golden: string }> = {
  float32: { model: 'model.onnx', golden: 'golden.json' },
  int8: { model: 'model.int8.onnx', golden: 'golden.int8.json' },
};
/** Says which variant the version serves, so that its digest covers that too. */
export const servingFile = 'serving.json';

/** Trainers whose models are products with matrices, which int8 makes smaller; a tree has none. */
export const int8Trainers: readonly (TrainerType | 'command')[] = ['linear', 'mlp', 'text', 'cnn'];

/** `auto`: int8 where it is smaller, agrees and passes the gate, else float32. */
export const servingChoices = [...variants, 'auto'] as const;
export interface Serving {
  variant: (typeof servingChoices)[number];
  /** Share of the holdout rows on which a variant must agree with float32. */
  minAgreement: number;
}

export interface VariantBytes {
  variant: Variant;
  model: Digest;
  golden: Digest;
  sizeBytes: number;
}

/** Milliseconds of one run by rows at once, as measured once on the machine that evaluated. */
export interface Latency {
  batch: number;
  p50Ms: number;
  p99Ms: number;
}

export interface VariantReport extends VariantBytes {
  /** 1 for float32. */
  agreement: number;
  latency: Latency[];
}

/** A variant that is not part of the version, and why. */
export interface DroppedVariant {
  variant: Variant;
  reason: string;
}

/** A regression's answers agree when they differ by at most so much of the target's standard deviation on the holdout. */
export const agreementSpread = 0.05;

/** Population standard deviation, as a scale; the size of the values where they are all the same. */
function spreadOf(values: Float64Array): number {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const spread = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
  return spread > 0 ? spread : Math.max(Math.abs(mean), 1e-6);
}

/** Row by row, whether two answers to the same rows say the same: equal labels, or values within the tolerance. */
export function sameAnswers(first: Answers, second: Answers): boolean[] {
  const tolerance = first.task === 'classification' ? 0 : agreementSpread * spreadOf(first.truth);
  return Array.from(first.predicted, (value, i) => Math.abs(value - (second.predicted[i] ?? NaN)) <= tolerance);
}

/** Share of rows with the same answer, in [0, 1]; NaN without rows. */
export function agreementOf(first: Answers, second: Answers): number {
  const same = sameAnswers(first, second);
  return same.filter(Boolean).length / same.length;
}

interface MeasuredVariant {
  variant: Variant;
  sizeBytes: number;
  agreement: number;
}

/** What may be served, the most wanted first, and why the others may not. The first that passes the gate is served. */
export interface ServingOptions {
  wanted: Variant[];
  dropped: DroppedVariant[];
}

function whyNot(serving: Serving, measured: MeasuredVariant[], trainer: string): string | null {
  const float32 = measured.find(({ variant }) => variant === 'float32');
  const int8 = measured.find(({ variant }) => variant === 'int8');
  if (!int8) return `int8: the trainer ${trainer} has no int8 form`;
  const share = writtenShare(int8.agreement);
  if (!(int8.agreement >= serving.minAgreement)) {
    return `int8 agrees with float32 on a share of ${share} of the holdout rows, below the required ${serving.minAgreement}`;
  }
  if (serving.variant === 'auto' && float32 && int8.sizeBytes >= float32.sizeBytes) {
    return `int8 takes ${int8.sizeBytes} bytes, no fewer than the ${float32.sizeBytes} of float32`;
  }
  return null;
}

/** Where `int8` is demanded and may not be served, `wanted` is empty: the verdict fails with the reason. */
export function servingOptions(serving: Serving, measured: MeasuredVariant[], trainer: string): ServingOptions {
  if (serving.variant === 'float32') return { wanted: ['float32'], dropped: [] };
  const reason = whyNot(serving, measured, trainer);
  const dropped = reason === null ? [] : [{ variant: 'int8' as const, reason }];
  const int8: Variant[] = reason === null ? ['int8'] : [];
  return { wanted: serving.variant === 'int8' ? int8 : [...int8, 'float32'], dropped };
}

/** The verdict's sentence about variants; none where nothing but float32 was asked for. */
export function variantRule(
  serving: Serving,
  { variant, agreement }: MeasuredVariant,
  { dropped, refused }: { dropped: DroppedVariant[]; refused: boolean },
): Rule[] {
  if (serving.variant === 'float32') return [];
  const why = dropped.map(({ reason }) => reason).join('; ');
  if (refused) return [{ passed: false, reason: why }];
  if (variant === 'float32') return [{ passed: true, reason: `float32 is served: ${why}` }];
  const share = `a share of ${writtenShare(agreement)} of the holdout rows`;
  return [{ passed: true, reason: `${variant} is served: it agrees with float32 on ${share}` }];
}
