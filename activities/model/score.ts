// A packaged file on the labelled holdout rows, as raw rows, through the scorer.
import type { ScoredModel } from '../../adapters/scorer.js';
import { readInputs, writeTypedRows } from '../../adapters/inputs.js';
import { datasetOf, getDatasetVersion } from '../../db/dataset.js';
import type { Digest } from '../../domain/artifact.js';
import type { Schema } from '../../domain/dataset.js';
import { Failure } from '../../domain/failures.js';
import {
  type GoldenRows,
  joinedOutputs,
  type ModelInputs,
  type ModelOutputs,
  piecesOf,
  type Signature,
} from '../../domain/model.js';
import type { PartsRead } from '../../domain/reuse.js';
import type { StepInput } from '../../domain/run.js';
import { type LabelResult, labelledVersion, type SplitResult } from '../../domain/steps.js';
import type { ModelDeps } from './package.js';

const chunkRows = 4_096;

export interface Model {
  model: Digest;
  golden: Digest;
  signature: Signature;
  /** Default 0, bit for bit. */
  goldenTolerance?: number;
}

export interface Holdout {
  keys: string[];
  labels: string[];
  read(signature: Signature): Promise<ModelInputs>;
  /** Columns of the document's slices, as text. */
  slices: Record<string, string[]>;
  /** One further column, as text. Throws `SchemaMismatch` when there is none of that name. */
  column(name: string): Promise<string[]>;
  /** As the dataset's version has it. */
  schema(): Promise<Schema>;
  /** Writes the rows as Parquet, all columns, in the same order. */
  copyRows(to: string): Promise<void>;
}

/** Throws `NoLabels` when no row of the holdout has a label. */
export async function readHoldout(
  deps: ModelDeps,
  input: StepInput,
  document: PartsRead<'evaluate'>,
): Promise<Holdout> {
  const { split } = input.inputs['split'] as unknown as SplitResult;
  const { sources } = (input.inputs['label'] ?? input.inputs['validate']) as unknown as Pick<LabelResult, 'sources'>;
  const place = {
    ...(sources && { sources: await deps.artifacts.localPath(sources) }),
    file: await deps.artifacts.localPath(labelledVersion(input).file),
    split: await deps.artifacts.localPath(split),
    part: 'holdout' as const,
    labelled: true,
  };
  const schema = async (): Promise<Schema> => {
    const dataset = await datasetOf(deps.db, input.context.project, document.dataset.name);
    return (await getDatasetVersion(deps.db, dataset.id, labelledVersion(input).dataset)).schema;
  };
  const empty = { num: [], cat: [], task: document.dataset.task, classes: [] };
  const rows = await readInputs(deps.duck, { ...place, signature: empty, columns: document.evaluation.slices });
  const labels = rows.labels.map((label) => label ?? '');
  if (labels.length === 0) throw new Failure('NoLabels', 'the holdout has no labelled row to judge a model on');
  return {
    keys: rows.keys,
    labels,
    slices: rows.extra,
    column: async (name) =>
      (await readInputs(deps.duck, { ...place, signature: empty, columns: [name] })).extra[name] ?? [],
    read: async (signature) => (await readInputs(deps.duck, { ...place, signature })).inputs,
    schema,
    copyRows: async (to) => {
      const { key, label } = await schema();
      await writeTypedRows(deps.duck, { ...place, key, label, classes: [] }, to);
    },
  };
}

export async function scoredModel(deps: ModelDeps, model: Model): Promise<ScoredModel> {
  const { signature, goldenTolerance = 0 } = model;
  const golden = await deps.artifacts.readJson<GoldenRows>(model.golden);
  const path = await deps.artifacts.localPath(model.model);
  return { path, digest: model.model, golden, signature, goldenTolerance };
}

/** In chunks, so that no message is large. */
export async function score(deps: ModelDeps, model: ScoredModel, inputs: ModelInputs): Promise<ModelOutputs> {
  const pieces: ModelOutputs[] = [];
  for (const piece of piecesOf(inputs, model.signature, chunkRows)) pieces.push(await deps.scorer.score(model, piece));
  return joinedOutputs(pieces);
}
