// Warm start: a training begins with what the champion has learnt, where that is of the same kind and size. Which version
// that is, the run's first attempt pins; its digest is part of what the result depends on.
import type { Tx } from '../../db/client.js';
import { champion } from '../../db/model.js';
import type { Digest } from '../../domain/artifact.js';
import { Failure } from '../../domain/failures.js';
import { canonicalJson } from '../../domain/json.js';
import type { FittedFeatures, TrainSpec } from '../../domain/model.js';
import type { TrainerParams } from '../../domain/trainers.js';
import { tokenFacts } from '../../ml/features/columns.js';
import { readCheckpointHeader } from '../../ml/trainers/checkpoint.js';
import { trainers } from '../../ml/trainers/index.js';
import { seenBy } from '../../ml/trainers/tokens.js';
import type { ReuseDeps } from '../reuse.js';

/** A version as a run found its champion. */
export interface WarmPin {
  version: number;
  state: Digest;
  features: Digest;
  params: TrainerParams;
}

/** The champion of a model by id; null where there is none, or none that training has made. */
export async function championPin(tx: Tx, model: string): Promise<WarmPin | null> {
  const found = await champion(tx, model);
  if (found?.state == null) return null;
  const { code } = found.details as unknown as { code?: { parameters?: TrainerParams } };
  const { version, state, features } = found;
  return { version, state, features, params: code?.parameters ?? {} };
}

export interface WarmStart {
  from: { version: number; state: Digest } | null;
  /** Of the state. */
  path: string | null;
  /** For the summary. */
  note: string;
}

/** `features`: of this run. */
export async function warmStart(
  deps: ReuseDeps,
  spec: TrainSpec,
  pin: WarmPin | null,
  features: Digest,
): Promise<WarmStart> {
  const path = pin && (await deps.artifacts.localPath(pin.state));
  const why =
    pin === null || path === null ? 'there is no champion' : await unfit(deps, spec, { ...pin, path }, features);
  if (pin === null || why !== null) return { from: null, path: null, note: ` (no warm start: ${why})` };
  const { version, state } = pin;
  return { from: { version, state }, path, note: ` (warm start from version ${version})` };
}

/** Why the training cannot begin with that state, or null. */
async function unfit(
  deps: ReuseDeps,
  spec: TrainSpec,
  pin: WarmPin & { path: string },
  features: Digest,
): Promise<string | null> {
  const header = await readCheckpointHeader(pin.path).catch((error: unknown) => {
    if (error instanceof Failure && error.failure === 'ArtifactCorrupt') return null;
    throw error;
  });
  if (header === null) return `the state of version ${pin.version} is of another format`;
  const { trainer } = header;
  if (trainer !== spec.trainer) return `version ${pin.version} was trained by ${trainer}`;
  const [theirs, ours] = await Promise.all(
    [pin.features, features].map((digest) => deps.artifacts.readJson<FittedFeatures>(digest)),
  );
  if (!theirs || !ours) return `version ${pin.version} has no features`;
  if (canonicalJson(theirs.signature) !== canonicalJson(ours.signature))
    return `version ${pin.version} has other inputs or classes`;
  const fittedAs = spec.trainer === 'trees' ? treatments : places;
  if (canonicalJson(fittedAs(theirs)) !== canonicalJson(fittedAs(ours)))
    return `the features of version ${pin.version} were fitted otherwise`;
  const [before, now] = [pin.params, spec.params].map((params) => canonicalJson(params['monotone'] ?? {}));
  if (before !== now) return `version ${pin.version} was trained under other monotone constraints`;
  const { sizes } = trainers[spec.trainer];
  const { task, outputs } = spec;
  const sizeOf = (fitted: FittedFeatures, params: TrainerParams) =>
    sizes?.({ task, outputs, params, ...seenBy(spec.trainer, fitted.width, tokenFacts(fitted)) });
  if (sizeOf(ours, spec.params) === sizeOf(theirs, { ...spec.params, ...pin.params })) return null;
  return `what version ${pin.version} has learnt is of another size`;
}

/** Splits name values of X: with another vocabulary or scale they would mean something else. */
const treatments = ({ num, cat, text }: FittedFeatures) => ({ num, cat, text: text ?? [] });

/**
 * Weights belong to columns of X: another vocabulary, or the same in another order, would hand them to other values. Means
 * and scales of numbers may move with the rows, as far as that is learnt again in a few steps.
 */
const places = ({ num, cat, text }: FittedFeatures) => ({
  num: num.map(({ impute: _, mean: __, scale: ___, ...place }) => place),
  ...{ cat, text: text ?? [] },
});
