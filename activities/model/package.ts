// package: features and model in one ONNX file per variant, each with golden rows that were computed from raw rows and
// checked by loading.
import type { Scorer } from '../../adapters/scorer.js';
import type { Duck } from '../../adapters/duckdb.js';
import { readInputs } from '../../adapters/inputs.js';
import type { Artifacts } from '../../adapters/store/index.js';
import type { Db } from '../../db/client.js';
import { mediaTypes } from '../../domain/artifact.js';
import { Failure } from '../../domain/failures.js';
import type { FittedFeatures, GoldenRows, ModelInputs, ModelOutputs, Signature } from '../../domain/model.js';
import type { TrainerSpecification } from '../../domain/pipeline.js';
import type { StepInput } from '../../domain/run.js';
import {
  labelledVersion,
  type FeaturizeResult,
  type PackageResult,
  type SplitResult,
  type TrainResult,
} from '../../domain/steps.js';
import type { Variant, VariantBytes } from '../../domain/variant.js';
import { composeModel } from '../../ml/export/compose.js';
import { int8Model, oneFileModel } from '../../ml/export/one-file.js';
import { calibrationOf } from '../../ml/trainers/calibrate.js';
import { decodeCheckpoint } from '../../ml/trainers/checkpoint.js';
import { seenBy } from '../reuse.js';
import { keeping } from '../step.js';

export interface ModelDeps {
  db: Db;
  artifacts: Artifacts;
  duck: Duck;
  scorer: Scorer;
}

const goldenCount = 8;

/** Throws `ModelInvalid` when the file answers with anything that is not a finite number. */
export async function packageModel(deps: ModelDeps, whole: StepInput): Promise<PackageResult> {
  const { document, trainer, input } = await seenBy(deps.db, 'package', whole);
  const trained = input.inputs[input.node.replace('package', 'train')] as unknown as TrainResult;
  const featurized = input.inputs['featurize'] as unknown as FeaturizeResult;
  if (!trainer) throw new Failure('InvalidPipeline', `there is no trainer number ${input.candidate + 1}`);
  const features = await deps.artifacts.readJson<FittedFeatures>(featurized.features);
  const state = await deps.artifacts.readBytes(trained.state);
  const inputs = await goldenInputs(deps, input, features);
  const pack = (variant: Variant, bytes: Uint8Array) => packed(deps, { variant, bytes }, features.signature, inputs);
  const made = servedFiles(features, state, trainer);
  const variants = [await pack('float32', made.float32())];
  const int8 = document.serving.variant === 'float32' ? null : made.int8();
  if (int8) variants.push(await pack('int8', int8));
  const signature = await keeping(deps, 'package').putJson(features.signature);
  const sizes = variants.map(({ variant, sizeBytes }) => `${variant} ${(sizeBytes / 1024).toFixed(0)} KiB`);
  return {
    summary: `${sizes.join(', ')}, ${inputs.rows} golden rows`,
    variants,
    signature: signature.digest,
    calibration: made.calibration(),
  };
}

/** The file of each variant, and how its probabilities were calibrated; null where the trainer has none. */
function servedFiles(features: FittedFeatures, state: Buffer, trainer: TrainerSpecification) {
  if (trainer.type === 'command') {
    const float32 = () => composeModel(features, state, trainer.params.inputs);
    return { float32, int8: () => null, calibration: () => null };
  }
  const info = { trainer: trainer.type, params: trainer.params };
  return {
    float32: () => oneFileModel(features, state, info),
    int8: () => int8Model(features, state, info),
    calibration: () => calibrationOf(decodeCheckpoint(state).snapshot),
  };
}

async function packed(
  deps: ModelDeps,
  { variant, bytes }: { variant: Variant; bytes: Uint8Array },
  signature: Signature,
  inputs: ModelInputs,
): Promise<VariantBytes> {
  const store = keeping(deps, 'package');
  const { digest } = await store.putBytes(bytes, mediaTypes.onnx);
  const path = await deps.artifacts.localPath(digest);
  const outputs = await deps.scorer.score({ path, digest, signature }, inputs);
  checkFinite(outputs);
  const golden = await store.putJson(goldenRows(inputs, outputs));
  return { variant, model: digest, golden: golden.digest, sizeBytes: bytes.length };
}

/** The first rows of the training part, in key order, labelled or not. */
async function goldenInputs(deps: ModelDeps, input: StepInput, features: FittedFeatures): Promise<ModelInputs> {
  const { split } = input.inputs['split'] as unknown as SplitResult;
  const { inputs } = await readInputs(deps.duck, {
    file: await deps.artifacts.localPath(labelledVersion(input).file),
    split: await deps.artifacts.localPath(split),
    part: 'train',
    signature: features.signature,
    limit: goldenCount,
  });
  return inputs;
}

function checkFinite(outputs: ModelOutputs): void {
  for (const numbers of [outputs.probabilities, outputs.value]) {
    if (numbers?.some((value) => !Number.isFinite(value))) {
      throw new Failure('ModelInvalid', 'the packaged model answers its own golden rows with NaN or Infinity');
    }
  }
}

/** Floats as doubles: JSON keeps them exactly; NaN inputs (missing) are null. */
export function goldenRows(inputs: ModelInputs, outputs: ModelOutputs): GoldenRows {
  return {
    inputs: {
      rows: inputs.rows,
      num: Array.from(inputs.num, (value) => (Number.isNaN(value) ? null : value)),
      cat: inputs.cat,
      ...(inputs.text && { text: inputs.text }),
    },
    outputs: {
      ...(outputs.label ? { label: outputs.label } : {}),
      ...(outputs.probabilities ? { probabilities: Array.from(outputs.probabilities) } : {}),
      ...(outputs.value ? { value: Array.from(outputs.value) } : {}),
    },
  };
}
