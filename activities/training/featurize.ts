// featurize: fits the features on the training part and makes the matrices that trainers read, computed by the very ONNX
// nodes that are served. What comes out is checked before anybody trains on it (architecture: Data and learning).
import type { Scorer } from '../../adapters/scorer.js';
import { type Duck, sqlLiteral } from '../../adapters/duckdb.js';
import { feedsOf } from '../../adapters/feeds.js';
import { countInputs, type InputRows, type InputsRequest, streamInputs } from '../../adapters/inputs.js';
import type { Artifacts } from '../../adapters/store/index.js';
import type { Db } from '../../db/client.js';
import { datasetOf, getDatasetVersion } from '../../db/dataset.js';
import { type Digest, mediaTypes } from '../../domain/artifact.js';
import type { Schema, SplitPart } from '../../domain/dataset.js';
import { Failure } from '../../domain/failures.js';
import { treatmentFields } from '../../domain/features.js';
import {
  type FittedFeatures,
  type MatrixRef,
  pickInputs,
  piecesOf,
  type Signature,
  withoutInputs,
} from '../../domain/model.js';
import type { PipelineDocument } from '../../domain/pipeline.js';
import type { StepInput } from '../../domain/run.js';
import { requireFit, unknownColumns } from '../../domain/schema-fit.js';
import { featureColumns, signatureOf } from '../../domain/signature.js';
import type { FeaturizeResult, LabelResult, SplitResult, ValidateResult } from '../../domain/steps.js';
import { matrixColumns, tokenFacts } from '../../ml/features/columns.js';
import { featuriserGraph } from '../../ml/features/graph.js';
import { seenBy } from '../reuse.js';
import { currentStep, keeping } from '../step.js';
import { fitFeatures, leaks, type Place, trainClasses } from './fit.js';
import { readWeights, type RowWeights, weightBytes } from './row-weights.js';

export interface FeaturizeDeps {
  db: Db;
  duck: Duck;
  artifacts: Artifacts;
  scorer: Scorer;
}

/** Rows of one call of the scorer, and cells of what it answers. */
const rowsAtOnce = 4_096;
const cellsAtOnce = 2_000_000;

interface Featuriser {
  model: { path: string; digest: Digest };
  fitted: FittedFeatures;
}

type Part = InputsRequest & { signature: Signature };

/** The labelled rows of a part whose class the training part has, with their targets, some at a time in key order. */
async function* targetedRows(duck: Duck, part: Part): AsyncGenerator<{ rows: InputRows; y: Float32Array }> {
  const { task, classes } = part.signature;
  const index = new Map(classes.map((name, at) => [name, at]));
  for await (const rows of streamInputs(duck, part)) {
    currentStep().signal.throwIfAborted();
    const targets = rows.labels.map((label) =>
      task === 'regression' ? Number(label) : (index.get(label ?? '') ?? NaN),
    );
    const kept = targets.flatMap((target, row) => (Number.isFinite(target) ? [row] : []));
    if (kept.length === 0) continue;
    const y = Float32Array.from(kept, (row) => targets[row] as number);
    yield { y, rows: kept.length === targets.length ? rows : pick(rows, kept, part.signature) };
  }
}

function pick(all: InputRows, kept: number[], signature: Signature): InputRows {
  return {
    keys: kept.map((row) => all.keys[row] as string),
    labels: kept.map((row) => all.labels[row] ?? null),
    inputs: pickInputs(all.inputs, signature, kept),
    extra: {},
  };
}

/** Throws `FeaturesUnfit` for a value that is not finite, but for missing ones where the features leave them missing. */
function requireFinite(x: Float32Array, missing: readonly boolean[], keys: readonly string[]): void {
  const width = missing.length;
  const bad = x.findIndex((value, at) => !Number.isFinite(value) && !(Number.isNaN(value) && missing[at % width]));
  if (bad < 0) return;
  throw new Failure('FeaturesUnfit', `the row ${keys[Math.floor(bad / width)]} has no finite features`);
}

/** The featurised rows as bytes; `count` is told how many rows they are. */
async function* featurised(
  deps: FeaturizeDeps,
  { fitted, model }: Featuriser,
  part: Part,
  count: (rows: number) => void,
): AsyncGenerator<Uint8Array> {
  const { signature } = fitted;
  const missing = matrixColumns(fitted).map((column) => column.missing === true);
  const most = Math.max(1, Math.min(rowsAtOnce, Math.floor(cellsAtOnce / fitted.width)));
  for await (const { rows } of targetedRows(deps.duck, part)) {
    let from = 0;
    for (const piece of piecesOf(rows.inputs, signature, most)) {
      const { X } = await deps.scorer.run(model, feedsOf(signature, piece));
      const data = X?.data;
      if (!(data instanceof Float32Array) || data.length !== piece.rows * fitted.width) {
        throw new Failure('Internal', 'the featuriser gave a matrix of another shape');
      }
      requireFinite(data, missing, rows.keys.slice(from, from + piece.rows));
      from += piece.rows;
      yield new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    }
    count(rows.keys.length);
  }
}

async function* bytesOf(
  duck: Duck,
  part: Part,
  vectorOf: (rows: { rows: InputRows; y: Float32Array }) => Uint8Array,
): AsyncGenerator<Uint8Array> {
  for await (const rows of targetedRows(duck, part)) yield vectorOf(rows);
}

/**
 * `null`: no row. Rows whose class the training part does not have are left out. The rows are read again for each of x, y
 * and weights, and never held: the data may be larger than the memory.
 */
async function matrixOf(
  deps: FeaturizeDeps,
  featuriser: Featuriser,
  place: Place,
  { part, weights }: { part: SplitPart; weights: RowWeights | null },
): Promise<MatrixRef | null> {
  const { signature, width } = featuriser.fitted;
  const { signal } = currentStep();
  const request = { ...place, part, signature, labelled: true, signal };
  const store = keeping(deps, 'features');
  let rows = 0;
  const x = await store.putBytes(
    featurised(deps, featuriser, request, (more) => (rows += more)),
    mediaTypes.binary,
  );
  if (rows === 0) return null;
  const bare = { ...withoutInputs(signature), classes: signature.classes };
  const keysAlone = { ...request, signature: bare };
  const vector = async (of: (rows: { rows: InputRows; y: Float32Array }) => Uint8Array): Promise<Digest> =>
    (await store.putBytes(bytesOf(deps.duck, keysAlone, of), mediaTypes.binary)).digest;
  const y = await vector((some) => new Uint8Array(some.y.buffer));
  const matrix = { rows, width, x: x.digest, y };
  if (weights === null) return matrix;
  return { ...matrix, weights: await vector((some) => weightBytes(weights, some.rows.keys)) };
}

function told(what: string, columns: string[]): string[] {
  if (columns.length === 0) return [];
  const more = columns.length > 10 ? ` and ${columns.length - 10} more` : '';
  return [`${what}: ${columns.slice(0, 10).join(', ')}${more}`];
}

/** Throws `FeaturesUnfit` where the document says of a column what does not fit its type, or names none. */
function checkTreated(schema: Schema, features: PipelineDocument['features']): void {
  for (const [name, own] of Object.entries(features.columns)) {
    const type = featureColumns(schema, features).find((column) => column.name === name)?.type;
    if (type === undefined) throw new Failure('FeaturesUnfit', `features.columns.${name}: there is no such feature`);
    const odd = Object.keys(own).find((field) => !treatmentFields[type].includes(field));
    if (odd === undefined) continue;
    const allowed = treatmentFields[type].join(', ');
    throw new Failure(
      'FeaturesUnfit',
      `features.columns.${name}.${odd}: the column is of type ${type}; allowed: ${allowed}`,
    );
  }
}

/** Fits, and checks what can be checked before the matrices are made. Throws `NoLabels`, `SchemaMismatch` and `FeaturesUnfit`. */
async function fit(deps: FeaturizeDeps, place: Place, features: PipelineDocument['features']) {
  const { schema } = place;
  // a run again may have other features than those that `validate` saw
  requireFit(unknownColumns(schema, features));
  if (featureColumns(schema, features).length === 0)
    throw new Failure('FeaturesUnfit', 'there is no column to learn from');
  return deps.duck.session({ exact: true, signal: currentStep().signal }, async (session) => {
    const bare = signatureOf(schema, features);
    if (features.tokens !== 'none' && !bare.text) {
      const types = 'features.types says which columns are';
      throw new Failure('FeaturesUnfit', `the trainer text needs a column of type text; ${types}`);
    }
    checkTreated(schema, features);
    const [split] = await session.query<{ shared: number }>(
      `SELECT count(*) - count(DISTINCT key) AS shared FROM read_parquet(${sqlLiteral(place.split)})`,
    );
    if (split?.shared)
      throw new Failure('FeaturesUnfit', `${split.shared} keys are in more than one part of the split`);
    const counts =
      schema.task === 'classification' ? await trainClasses(session, place, bare) : new Map<string, number>();
    if (schema.task === 'classification' && counts.size < 2) {
      throw new Failure('NoLabels', `the training part has labels of ${counts.size} classes, two are needed`);
    }
    const request = { place, signature: { ...bare, classes: [...counts.keys()] }, features };
    const { fitted, constant } = await fitFeatures(session, request);
    const rare = [...counts].filter(([, n]) => n < 5).map(([name, n]) => `${name} (${n})`);
    const warnings = [
      ...told('constant in the training part', constant),
      ...told('may give the label away', await leaks(session, place, bare)),
      ...told('classes with fewer than 5 training rows', rare),
    ];
    return { fitted, warnings };
  });
}

/** Labels, unlabelled rows and parts come from the steps before. Throws `NoLabels` and `FeaturesUnfit`. */
export async function featurize(deps: FeaturizeDeps, whole: StepInput): Promise<FeaturizeResult> {
  const { document, context, input } = await seenBy(deps.db, 'featurize', whole);
  const labelled = (input.inputs['label'] ?? input.inputs['validate']) as unknown as
    LabelResult | Extract<ValidateResult, { kind: 'ok' }>;
  const weights = await readWeights(deps, labelled.sources);
  const dataset = await datasetOf(deps.db, context.project, document.dataset.name);
  const { schema } = await getDatasetVersion(deps.db, dataset.id, labelled.dataset);
  const file = await deps.artifacts.localPath(labelled.file);
  const split = await deps.artifacts.localPath((input.inputs['split'] as unknown as SplitResult).split);
  const sources = labelled.sources && (await deps.artifacts.localPath(labelled.sources));
  const place = { file, split, schema, ...(sources && { sources }) };
  const { fitted, warnings } = await fit(deps, place, document.features);
  const store = keeping(deps, 'features');
  const { digest } = await store.putBytes(featuriserGraph(fitted), mediaTypes.onnx);
  const featuriser = { fitted, model: { path: await deps.artifacts.localPath(digest), digest } };
  const train = await matrixOf(deps, featuriser, place, { part: 'train', weights });
  const validation = await matrixOf(deps, featuriser, place, { part: 'validation', weights: null });
  if (!train) throw new Failure('NoLabels', 'the training part has no labelled row');
  const bare = withoutInputs(fitted.signature);
  const holdout = await countInputs(deps.duck, { ...place, part: 'holdout', signature: bare, labelled: true });
  if (holdout === 0) throw new Failure('NoLabels', 'the holdout has no labelled row to judge a model on');
  const features = (await store.putJson(fitted)).digest;
  const inputs = fitted.num.length + fitted.cat.length + (fitted.text?.length ?? 0);
  return {
    summary: `${inputs} inputs, ${fitted.width} features; ${train.rows} rows to train on${weights ? ` (${weights.size} count less)` : ''}, ${validation?.rows ?? 0} to validate, ${holdout} to judge${warnings.length > 0 ? `; ${warnings.join('; ')}` : ''}`,
    features,
    train,
    validation,
    holdoutRows: holdout,
    outputs: schema.task === 'regression' ? 1 : fitted.signature.classes.length,
    tokens: tokenFacts(fitted) ?? null,
    warnings,
  };
}
