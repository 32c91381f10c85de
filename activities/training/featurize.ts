// featurize: fits the features on the training part and makes the matrices that trainers read, computed by the very ONNX
// nodes that are served. What comes out is checked before anybody trains on it (architecture: Data and learning).
import type { Scorer, TensorValue } from '../../adapters/child.js';
import { type InputRows, readInputs } from '../../adapters/inputs.js';
import { type Duck, sqlLiteral } from '../../adapters/duckdb.js';
import type { Artifacts } from '../../adapters/store/index.js';
import type { Db } from '../../db/client.js';
import { datasetOf, getDatasetVersion } from '../../db/dataset.js';
import { runSpecification } from '../../db/run.js';
import { type Digest, mediaTypes } from '../../domain/artifact.js';
import type { SplitPart } from '../../domain/dataset.js';
import { Failure } from '../../domain/failures.js';
import type { FittedFeatures, MatrixRef } from '../../domain/model.js';
import type { StepInput } from '../../domain/run.js';
import { featureColumns, signatureOf } from '../../domain/signature.js';
import type { FeaturizeResult, LabelResult, SplitResult, ValidateResult } from '../../domain/steps.js';
import { featuriserGraph } from '../../ml/features/graph.js';
import { currentStep, keeping } from '../step.js';
import { fitFeatures, leaks, type Place, trainClasses } from './fit.js';

export interface FeaturizeDeps {
  db: Db;
  duck: Duck;
  artifacts: Artifacts;
  scorer: Scorer;
}

/** Rows in one call of the scorer. */
const rowsAtOnce = 4_096;

interface Featuriser {
  model: { path: string; digest: Digest };
  fitted: FittedFeatures;
}

function feedsOf(rows: InputRows, fitted: FittedFeatures, from: number, to: number): Record<string, TensorValue> {
  const { num, cat } = fitted.signature;
  const { inputs } = rows;
  return {
    ...(num.length > 0 && {
      num: {
        type: 'float32',
        dims: [to - from, num.length],
        data: inputs.num.slice(from * num.length, to * num.length),
      },
    }),
    ...(cat.length > 0 && {
      cat: {
        type: 'string',
        dims: [to - from, cat.length],
        data: inputs.cat.slice(from * cat.length, to * cat.length),
      },
    }),
  };
}

/** The featurised rows, chunk by chunk. Throws `FeaturesUnfit` when a value is not finite. */
async function* featurised(deps: FeaturizeDeps, featuriser: Featuriser, rows: InputRows): AsyncGenerator<Uint8Array> {
  const { fitted, model } = featuriser;
  for (let from = 0; from < rows.keys.length; from += rowsAtOnce) {
    currentStep().signal.throwIfAborted();
    const to = Math.min(rows.keys.length, from + rowsAtOnce);
    const { X } = await deps.scorer.run(model, feedsOf(rows, fitted, from, to));
    const data = X?.data;
    if (!(data instanceof Float32Array) || data.length !== (to - from) * fitted.width) {
      throw new Failure('Internal', 'the featuriser gave a matrix of another shape');
    }
    const bad = data.findIndex((value) => !Number.isFinite(value));
    if (bad >= 0) {
      throw new Failure(
        'FeaturesUnfit',
        `the row ${rows.keys[from + Math.floor(bad / fitted.width)]} has no finite features`,
      );
    }
    yield new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  }
}

/** `null`: no row. Rows whose class the training part does not have are left out. */
async function matrixOf(
  deps: FeaturizeDeps,
  featuriser: Featuriser,
  place: Place,
  part: SplitPart,
): Promise<MatrixRef | null> {
  const { signature, width } = featuriser.fitted;
  const { signal } = currentStep();
  const all = await readInputs(deps.duck, { ...place, part, signature, labelled: true, signal });
  const index = new Map(signature.classes.map((name, at) => [name, at]));
  const target = (label: string | null) =>
    signature.task === 'regression' ? Number(label) : (index.get(label ?? '') ?? NaN);
  const targets = all.labels.map(target);
  const kept = targets.flatMap((value, row) => (Number.isFinite(value) ? [row] : []));
  if (kept.length === 0) return null;
  const rows = kept.length === targets.length ? all : pick(all, kept, signature.num.length, signature.cat.length);
  const y = Float32Array.from(kept, (row) => targets[row] as number);
  const store = keeping(deps, 'features');
  const x = await store.putBytes(featurised(deps, featuriser, rows), mediaTypes.binary);
  const stored = await store.putBytes(new Uint8Array(y.buffer), mediaTypes.binary);
  return { rows: kept.length, width, x: x.digest, y: stored.digest };
}

function pick(all: InputRows, kept: number[], num: number, cat: number): InputRows {
  const inputs = {
    rows: kept.length,
    num: Float32Array.from(kept.flatMap((row) => [...all.inputs.num.subarray(row * num, (row + 1) * num)])),
    cat: kept.flatMap((row) => all.inputs.cat.slice(row * cat, (row + 1) * cat)),
  };
  return {
    keys: kept.map((row) => all.keys[row] as string),
    labels: kept.map((row) => all.labels[row] ?? null),
    inputs,
    extra: {},
  };
}

function constants(fitted: FittedFeatures): string[] {
  const numbers = fitted.num
    .filter(({ scale, input }) => scale === 0 && input.part === null)
    .map(({ input }) => input.column);
  return [...numbers, ...fitted.cat.filter(({ values }) => values.length < 2).map(({ column }) => column)];
}

function told(what: string, columns: string[]): string[] {
  if (columns.length === 0) return [];
  const more = columns.length > 10 ? ` and ${columns.length - 10} more` : '';
  return [`${what}: ${columns.slice(0, 10).join(', ')}${more}`];
}

/** Fits, and checks what can be checked before the matrices are made. Throws `NoLabels` and `FeaturesUnfit`. */
async function fit(deps: FeaturizeDeps, place: Place, features: Parameters<typeof signatureOf>[1]) {
  const { schema } = place;
  const known = new Set(schema.columns.map(({ name }) => name));
  const unknown = (features.include ?? []).filter((name) => !known.has(name) && name !== schema.key);
  if (unknown.length > 0) throw new Failure('FeaturesUnfit', `the data has no column ${unknown.join(', ')}`);
  if (featureColumns(schema, features).length === 0)
    throw new Failure('FeaturesUnfit', 'there is no column to learn from');
  return deps.duck.session({ exact: true, signal: currentStep().signal }, async (session) => {
    const bare = signatureOf(schema, features);
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
    const fitted = await fitFeatures(session, place, { ...bare, classes: [...counts.keys()] });
    const rare = [...counts].filter(([, n]) => n < 5).map(([name, n]) => `${name} (${n})`);
    const warnings = [
      ...told('constant in the training part', constants(fitted)),
      ...told('may give the label away', await leaks(session, place, bare)),
      ...told('classes with fewer than 5 training rows', rare),
    ];
    return { fitted, warnings };
  });
}

/** Labels, unlabelled rows and parts come from the steps before. Throws `NoLabels` and `FeaturesUnfit`. */
export async function featurize(deps: FeaturizeDeps, input: StepInput): Promise<FeaturizeResult> {
  const { document, context } = await runSpecification(deps.db, input.context.run);
  const labelled = (input.inputs['label'] ?? input.inputs['validate']) as unknown as
    LabelResult | Extract<ValidateResult, { kind: 'ok' }>;
  const dataset = await datasetOf(deps.db, context.project, document.dataset.name);
  const { schema } = await getDatasetVersion(deps.db, dataset.id, labelled.dataset);
  const file = await deps.artifacts.localPath(labelled.file);
  const split = await deps.artifacts.localPath((input.inputs['split'] as unknown as SplitResult).split);
  const place = { file, split, schema };
  const { fitted, warnings } = await fit(deps, place, document.features);
  const store = keeping(deps, 'features');
  const { digest } = await store.putBytes(featuriserGraph(fitted), mediaTypes.onnx);
  const featuriser = { fitted, model: { path: await deps.artifacts.localPath(digest), digest } };
  const train = await matrixOf(deps, featuriser, place, 'train');
  const validation = await matrixOf(deps, featuriser, place, 'validation');
  if (!train) throw new Failure('NoLabels', 'the training part has no labelled row');
  const none = { ...fitted.signature, num: [], cat: [] };
  const holdout = await readInputs(deps.duck, { file, split, part: 'holdout', signature: none, labelled: true });
  if (holdout.keys.length === 0) throw new Failure('NoLabels', 'the holdout has no labelled row to judge a model on');
  const features = (await store.putJson(fitted)).digest;
  const inputs = fitted.num.length + fitted.cat.length;
  return {
    summary: `${inputs} inputs, ${fitted.width} features; ${train.rows} rows to train on, ${validation?.rows ?? 0} to validate, ${holdout.keys.length} to judge${warnings.length > 0 ? `; ${warnings.join('; ')}` : ''}`,
    features,
    train,
    validation,
    holdoutRows: holdout.keys.length,
    outputs: schema.task === 'regression' ? 1 : fitted.signature.classes.length,
    warnings,
  };
}
