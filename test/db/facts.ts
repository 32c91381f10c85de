// Small facts that the tests of db/ start from, made through db/ itself.
import { createHash, randomBytes } from 'node:crypto';
import { sql, type SQL } from 'drizzle-orm';
import { touchArtifact } from '../../db/artifact.js';
import type { Db, Tx } from '../../db/client.js';
import { addDatasetVersion, type NewDatasetVersion } from '../../db/dataset.js';
import { openBatch, type NewTask } from '../../db/labeling.js';
import { registerVersion } from '../../db/model.js';
import { savePipeline } from '../../db/pipeline.js';
import { closeRun, openRun, runSpecification, type OpenedRun } from '../../db/run.js';
import type { Digest } from '../../domain/artifact.js';
import { parsePipeline } from '../../domain/document.js';
import { canonicalJson, type Json } from '../../domain/json.js';
import type { LabelPolicy } from '../../domain/label-policy.js';

export function digestOf(value: unknown): Digest {
  return `sha256:${createHash('sha256').update(canonicalJson(value)).digest('hex')}`;
}

/** What a statement gives, as Postgres' own types map. */
export async function ask<T = Record<string, unknown>>(db: Tx, statement: SQL): Promise<T[]> {
  return (await db.execute(statement)).rows as T[];
}

/** The number of rows of a table, or of those that fit. */
export async function count(db: Tx, table: string, where: SQL = sql`true`): Promise<number> {
  const [found] = await ask<{ n: number }>(db, sql`select count(*)::int as n from ${sql.raw(table)} where ${where}`);
  return found!.n;
}

export const source = (name: string, more: { [key: string]: Json } = {}): { [key: string]: Json } => ({
  name,
  dataset: { name, key: 'id', label: 'label', task: 'classification' },
  trainer: { type: 'linear', params: { epochs: 5 }, seed: 7 },
  gate: { metric: 'accuracy', min: 0.5 },
  ...more,
});

export function freshName(): string {
  return `p-${randomBytes(4).toString('hex')}`;
}

export async function makePipeline(db: Tx, name = freshName(), more: { [key: string]: Json } = {}) {
  const sent = source(name, more);
  const parsed = parsePipeline(sent);
  if (!('document' in parsed)) throw new Error(JSON.stringify(parsed.faults));
  const { document } = parsed;
  const by = { by: 'kim', verified: true };
  return savePipeline(db, { project: 'default', document, source: sent, digest: digestOf(document), ...by });
}

export async function makeRun(db: Tx, pipeline?: string, startKey = 'first'): Promise<OpenedRun> {
  const name = pipeline ?? (await makePipeline(db)).name;
  const who = { startedBy: 'kim', verified: true };
  return openRun(db, { project: 'default', pipeline: name, startKey, trigger: 'manual', overrides: {}, ...who });
}

export async function makeArtifact(db: Tx, content: string = randomBytes(8).toString('hex')): Promise<Digest> {
  const digest = digestOf(content);
  await touchArtifact(db, { digest, sizeBytes: content.length, mediaType: 'application/json' });
  return digest;
}

export const tasks = (count: number): NewTask[] =>
  Array.from({ length: count }, (_, place) => ({
    key: `k${String(place).padStart(4, '0')}`,
    item: { id: `k${place}`, px: place },
    suggestion: place % 2 === 0 ? { label: 'a', confidence: 0.5 } : null,
    reason: 'strategy',
    probability: null,
    score: 0.1,
  }));

export async function makeBatch(
  db: Db,
  count: number,
  options: {
    deadline?: Date;
    classes?: string[] | null;
    task?: 'classification' | 'regression';
    policy?: Partial<LabelPolicy>;
    /** After the first `count`. */
    more?: NewTask[];
  } = {},
) {
  const run = await makeRun(db);
  const { dataset } = await runSpecification(db, run.id);
  const batch = await openBatch(db, {
    run: run.id,
    node: 'label',
    project: 'default',
    dataset,
    deadline: options.deadline ?? new Date(Date.now() + 3_600_000),
    classes: options.classes === undefined ? ['a', 'b'] : options.classes,
    task: options.task ?? 'classification',
    ...(options.policy ? { policy: options.policy } : {}),
    tasks: [...tasks(count), ...(options.more ?? [])],
  });
  return { run, dataset, batch: batch.id };
}

/** A version without files that a run made. */
export const versionOf = (dataset: string, run: string): NewDatasetVersion => ({
  dataset,
  digest: digestOf(run),
  rows: 3,
  files: [],
  schema: { key: 'id', label: 'label', task: 'classification', columns: [] },
  watermark: { ingest: 0, files: [] },
  parents: [],
  profile: null,
  quarantine: null,
  quarantined: 0,
  run,
  annotators: ['kim'],
  labelCounts: { given: 2, human: 1, truth: 0, auto: 0, pseudo: 0 },
  autoBatches: [],
});

/** A run of the pipeline that ends with a registered version. */
export async function makeVersion(db: Db, pipeline: string, startKey: string) {
  const run = await makeRun(db, pipeline, startKey);
  const { model, dataset } = await runSpecification(db, run.id);
  const file = await makeArtifact(db);
  const rows = [{ digest: file, rows: 3 }];
  const data = await addDatasetVersion(db, { ...versionOf(dataset, run.id), files: rows });
  const files = ['model.onnx', 'golden.json', 'features.json'].map((path) => {
    return { path, digest: file, sizeBytes: 3, mediaType: 'application/onnx' };
  });
  const made = {
    model,
    run: run.id,
    digest: digestOf(files),
    files,
    metrics: { accuracy: 0.9 },
    datasetVersion: data.digest,
    details: { kinds: 8 },
    card: file,
  };
  const { version } = await registerVersion(db, made);
  await closeRun(db, { run: run.id, status: 'succeeded', failure: null });
  return { run, model, version, made };
}

/** The name of the failure that a promise ends with; `null` when it did not fail. */
export async function failureOf(work: Promise<unknown>): Promise<string | null> {
  try {
    await work;
    return null;
  } catch (error) {
    return (error as { failure?: string }).failure ?? String(error);
  }
}
