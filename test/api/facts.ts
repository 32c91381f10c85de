// Facts that workflows would write, for the tests of what the API says about them.
import type { LabelPolicy } from '../../domain/label-policy.js';
import { createHash } from 'node:crypto';
import { addDatasetVersion, datasetOf } from '../../db/dataset.js';
import { decideBatch, labelsOf, openBatch } from '../../db/labeling.js';
import { moveAlias, registerVersion } from '../../db/model.js';
import { closeRun, runSpecification } from '../../db/run.js';
import { mediaTypes, type Digest } from '../../domain/artifact.js';
import type { FittedFeatures, Signature } from '../../domain/model.js';
import { jsonOf, type TestApi } from './support.js';

export const classification: Signature = {
  num: [
    { column: 'a', part: null },
    { column: 'b', part: null },
  ],
  cat: ['color'],
  task: 'classification',
  classes: ['no', 'yes'],
};

export function digestOf(text: string): Digest {
  return `sha256:${createHash('sha256').update(text).digest('hex')}`;
}

export async function createPipeline(api: TestApi, name: string, task = 'classification'): Promise<void> {
  const gate = task === 'classification' ? { metric: 'accuracy', min: 0.8 } : { metric: 'rmse', max: 3 };
  const dataset = { name, key: 'id', label: 'label', task };
  const made = await api.post('/api/v1/pipelines', { name, dataset, trainer: { type: 'linear' }, gate });
  if (made.status !== 201) throw new Error(await made.text());
}

export async function openRun(api: TestApi, pipeline: string): Promise<string> {
  return (await jsonOf<{ id: string }>(await api.post(`/api/v1/pipelines/${pipeline}/runs`, {}))).id;
}

export async function endRun(api: TestApi, run: string): Promise<void> {
  await closeRun(api.database.db, { run, status: 'succeeded', failure: null });
}

async function putVersion(api: TestApi, run: string, pipeline: string): Promise<Digest> {
  const { db } = api.database;
  const dataset = await datasetOf(db, 'default', pipeline);
  const rows = await api.deps.artifacts.putBytes(Buffer.from(`rows of ${run}`), mediaTypes.parquet);
  const digest = digestOf(`dataset of ${run}`);
  await addDatasetVersion(db, {
    dataset: dataset.id,
    digest,
    rows: 100,
    files: [{ digest: rows.digest, rows: 100 }],
    schema: { key: 'id', label: 'label', task: dataset.task, columns: [] },
    watermark: { ingest: 0, files: [] },
    parents: [],
    profile: null,
    quarantine: null,
    quarantined: 0,
    run,
    annotators: ['kim'],
    labelCounts: { given: 90, human: 10, truth: 0, auto: 0, pseudo: 0 },
    autoBatches: [],
  });
  return digest;
}

/** A whole run that ends with a version, which becomes champion. */
export async function promote(
  api: TestApi,
  pipeline: string,
  signature: Signature,
): Promise<{ version: number; run: string }> {
  const { db } = api.database;
  const run = await openRun(api, pipeline);
  const { model } = await runSpecification(db, run);
  const { artifacts } = api.deps;
  const features: FittedFeatures = { version: 1, num: [], cat: [], width: 0, signature };
  const put = async (path: string, content: Promise<{ digest: Digest; sizeBytes: number; mediaType: string }>) => ({
    path,
    ...(await content),
  });
  const files = await Promise.all([
    put('model.onnx', artifacts.putBytes(Buffer.from(`model of ${run}`), mediaTypes.onnx)),
    put('golden.json', artifacts.putJson({ inputs: { rows: 0, num: [], cat: [] }, outputs: {} })),
    put('features.json', artifacts.putJson(features)),
  ]);
  const card = await artifacts.putBytes(Buffer.from(`# ${run}`), mediaTypes.markdown);
  const datasetVersion = await putVersion(api, run, pipeline);
  const { version } = await registerVersion(db, {
    model,
    run,
    digest: digestOf(`version of ${run}`),
    files,
    metrics: { accuracy: 0.9 },
    datasetVersion,
    details: { tags: {} },
    card: card.digest,
  });
  const move = { model, alias: 'champion', to: version, kind: 'promotion', by: run, reason: null } as const;
  await moveAlias(db, { ...move, expectedFrom: version === 1 ? null : version - 1, decisionId: `promote/${run}` });
  await endRun(api, run);
  return { version, run };
}

export async function batchOf(
  api: TestApi,
  pipeline: string,
  tasks: number,
  policy: Partial<LabelPolicy> = {},
): Promise<{ id: string; run: string }> {
  const { db } = api.database;
  const run = await openRun(api, pipeline);
  const dataset = await datasetOf(db, 'default', pipeline);
  const { id } = await openBatch(db, {
    run,
    node: 'label',
    project: 'default',
    dataset: dataset.id,
    deadline: new Date(Date.now() + 3_600_000),
    classes: ['no', 'yes'],
    task: 'classification',
    policy,
    tasks: Array.from({ length: tasks }, (_, index) => ({
      key: `k${index}`,
      item: { id: `k${index}`, a: '1' },
      suggestion: { label: 'yes', confidence: 0.6 },
      reason: 'strategy' as const,
      probability: null,
      score: 0.1,
    })),
  });
  return { id, run };
}

/** Closes a batch as its workflow would; gives the labels that came of it: key, label, annotators. */
export async function closeBatch(api: TestApi, batch: string): Promise<string[]> {
  const { db } = api.database;
  const by = { by: 'lee', verified: true, reason: null, tasks: null };
  await decideBatch(db, { batch, decision: 'close', decisionId: `close-${batch}`, ...by });
  const { dataset } = await jsonOf<{ dataset: string }>(await api.get(`/api/v1/label-batches/${batch}`));
  const labels = await labelsOf(db, (await datasetOf(db, 'default', dataset)).id);
  return labels
    .filter((one) => one.batch === batch)
    .map(({ key, label, annotators }) => `${key} ${label} ${annotators.join(', ')}`);
}
