// Pseudo-labels of a label step: kept where the validation part is no worse for them, undone where it is. The truth turns
// round where `turned` is 1; people labelled such rows only in the batch, which the model that labels has not seen.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { mergeLabels } from '../../activities/dataset/merge.js';
import { pseudoFile, settlePseudo } from '../../activities/dataset/pseudo.js';
import { createLabelingSteps } from '../../activities/labeling/steps.js';
import { featurize } from '../../activities/training/featurize.js';
import { jobPaths, writeJob } from '../../activities/training/job.js';
import { quickModel } from '../../activities/training/quick.js';
import { createScorer, type Scorer } from '../../adapters/scorer.js';
import { datasetOf, getDatasetVersion } from '../../db/dataset.js';
import { eventsAfter } from '../../db/event.js';
import { decideBatch, openBatch } from '../../db/labeling.js';
import type { CommandJob } from '../../domain/command.js';
import type { LabelProvenance } from '../../domain/dataset.js';
import type { Json } from '../../domain/json.js';
import type { FittedFeatures } from '../../domain/model.js';
import type { CommandTrainer } from '../../domain/pipeline.js';
import type { StepInput } from '../../domain/run.js';
import type { LabelResult } from '../../domain/steps.js';
import { type Document, documentOf, type Done, openWorld } from './dataset-run.js';

let world: Awaited<ReturnType<typeof openWorld>>;
let scorer: Scorer;

beforeAll(async () => {
  world = await openWorld();
  scorer = createScorer({ deadlineMs: 60_000, memoryLimitMb: 2048, onChild: () => undefined });
});

afterAll(async () => {
  scorer.close();
  await world.close();
});

const numbers = Array.from({ length: 500 }, (_, row) => row);
const keyOf = (row: number): string => `k${String(row).padStart(3, '0')}`;
const turned = (row: number): boolean => row % 10 < 3;

interface Scene {
  name: string;
  pseudo: Json;
  /** Whether the truth is the other one where `turned` is 1. */
  turns: boolean;
}

const truthOf = ({ turns }: Scene, row: number): string => ((row % 2 === 0) !== (turns && turned(row)) ? 'a' : 'b');

const csv = (scene: Scene, labelled: (row: number) => boolean): string =>
  [
    'id,x,turned,y',
    ...numbers.map((row) => {
      const x = (row % 2 === 0 ? 4 : -4) + 3 * Math.sin(row);
      return `${keyOf(row)},${x},${turned(row) ? 1 : 0},${labelled(row) ? truthOf(scene, row) : ''}`;
    }),
  ].join('\n');

function depsOf() {
  const training = {
    device: { provider: 'cpu' as const, name: 'cpu', note: '', threads: 1 },
    ...{
      ...world.deps,
      scorer,
      onChild: () => undefined,
      memoryLimitMb: 2000,
      checkpointEveryMs: 60_000,
      childEnv: {},
    },
    scratch: join(world.folder, 'scratch'),
  } as unknown as Parameters<typeof quickModel>[0];
  return {
    ...training,
    quickModel: (one: StepInput) => quickModel(training, one),
    mergeLabels: (one: StepInput, answered: Parameters<typeof mergeLabels>[2]) =>
      mergeLabels(world.deps, one, answered),
    pseudoFile: (one: StepInput, asked: Parameters<typeof pseudoFile>[2]) => pseudoFile(world.deps, one, asked),
    settlePseudo: (one: StepInput, settled: Parameters<typeof settlePseudo>[2]) =>
      settlePseudo(world.deps, one, settled),
  };
}

function documentFor({ name, pseudo }: Scene): Document {
  return documentOf(name, {
    trainer: { type: 'trees', params: { rounds: 20, leaves: 4, minRows: 3 }, seed: 1 },
    split: { holdout: 0.2, validation: 0.3, seed: 1 },
    labeling: { strategy: 'margin', batchSize: 60, explore: 1, pseudo },
    dataset: { source: { type: 'file', path: `${name}.csv` } },
  });
}

/** A run to its split, whose training part has few labels and the other parts all (a label is never erased, so the first time nothing has one). */
async function prepared(scene: Scene) {
  const document = documentFor(scene);
  world.write(
    `${scene.name}.csv`,
    csv(scene, () => false),
  );
  const parts = new Map(
    (await world.rows((await world.run(document)).split.split)).map(({ key, part }) => [String(key), String(part)]),
  );
  const given = (row: number): boolean => parts.get(keyOf(row)) !== 'train' || (row % 7 === 0 && !turned(row));
  world.write(`${scene.name}.csv`, csv(scene, given));
  return { done: await world.run(document), document, parts, open: numbers.filter((row) => !given(row)) };
}

/** People label 60 rows of the pool, drawn uniformly. */
async function answered(scene: Scene, { context }: Done, open: number[]): Promise<{ batch: string; drawn: string[] }> {
  const { id: dataset } = await datasetOf(world.db, 'default', scene.name);
  const drawn = open.filter((_, at) => at % 3 === 0).slice(0, 60);
  const answer = { annotator: 'kim', seconds: null, comment: null, source: null };
  const { id: batch } = await openBatch(world.db, {
    ...{ run: context.run, node: 'labels', project: 'default', dataset, task: 'classification', classes: ['a', 'b'] },
    deadline: new Date(Date.now() + 60_000),
    tasks: drawn.map((row) => ({
      ...{ key: keyOf(row), reason: 'explore' as const, probability: 0.3, score: null, item: {}, suggestion: null },
      answers: [{ ...answer, label: truthOf(scene, row) }],
    })),
  });
  const close = { batch, decisionId: `close-${scene.name}`, decision: 'close' as const, by: 'kim', verified: true };
  await decideBatch(world.db, { ...close, reason: null, tasks: null });
  return { batch, drawn: drawn.map(keyOf) };
}

async function merged({ context, ...results }: Done, batch: string): Promise<{ label: LabelResult; input: StepInput }> {
  const inputs = { ...(results as unknown as Record<string, Json>), 'labels:opened': { batch: { id: batch } } };
  const input = { context, node: 'label', candidate: 0, inputs };
  const steps = createLabelingSteps(depsOf());
  return { input, label: await world.runStep('label', context, () => steps.mergeLabels(input)) };
}

const versionOf = async (name: string, { dataset }: LabelResult) =>
  getDatasetVersion(world.db, (await datasetOf(world.db, 'default', name)).id, dataset);

it('keeps pseudo-labels that harm nothing: in the training part alone, with their weight, from run to run', async () => {
  const scene = { name: 'kept', pseudo: {}, turns: false };
  const { done, document, parts, open } = await prepared(scene);
  const { batch, drawn } = await answered(scene, done, open);
  const { label, input } = await merged(done, batch);
  const pool = open.map(keyOf).filter((key) => !drawn.includes(key));
  expect(label.pseudo).toMatchObject({ kept: true, checked: 60, weight: 0.3, guard: { onlyWithout: 0, p: 1 } });
  expect(label.pseudo!.labels).toBeGreaterThan(pool.length / 2);
  expect(label.summary).toContain(`${label.pseudo!.labels} pseudo-labels of weight 0.3 kept: 0 of 60 checked rows`);

  const sources = (await world.rows(label.sources!)) as unknown as LabelProvenance[];
  expect(sources).toHaveLength(label.pseudo!.labels);
  for (const { key, source, weight } of sources) {
    expect([source, Math.fround(weight), parts.get(key), pool.includes(key)]).toEqual([
      'pseudo',
      Math.fround(0.3),
      'train',
      true,
    ]);
  }
  const labels = new Map((await world.rows(label.file)).map((row) => [row['id'], row['y']]));
  for (const { key } of sources) expect(labels.get(key)).toBe(truthOf(scene, Number(key.slice(1))));
  expect([...labels.values()].filter((value) => value !== null)).toHaveLength(label.labelled + sources.length);

  const version = await versionOf('kept', label);
  expect(version.labelCounts).toMatchObject({ human: 60, pseudo: sources.length });
  expect(version.sources).toBe(label.sources);
  const stored = await world.db.execute(sql`select 1 from label where source = 'pseudo'`);
  expect(stored.rows).toEqual([]);

  const after = { ...input, inputs: { ...input.inputs, label: label as unknown as Json } };
  const featurized = await world.runStep('featurize', done.context, () => featurize({ ...world.deps, scorer }, after));
  const { train, validation } = featurized;
  const bytes = readFileSync(await world.artifacts.localPath(train.weights!));
  const weights = new Float32Array(Uint8Array.from(bytes).buffer);
  expect(weights.filter((weight) => weight === Math.fround(0.3))).toHaveLength(sources.length);
  expect(weights.filter((weight) => weight === 1)).toHaveLength(train.rows - sources.length);
  expect(validation).not.toHaveProperty('weights');

  // a program finds them in its job
  const folder = join(world.folder, 'job');
  const data = {
    ...{ file: await world.artifacts.localPath(label.file), split: await world.artifacts.localPath(done.split.split) },
    features: await world.artifacts.readJson<FittedFeatures>(featurized.features),
    ...{ schema: version.schema, featurized },
  };
  const params = { inputs: 'features', params: {} };
  const trainer = { type: 'command', seed: 1, params } as unknown as CommandTrainer;
  await writeJob(world.deps, data, { trainer, folder, resumedFromStep: 0 });
  const spec = JSON.parse(readFileSync(join(folder, jobPaths.job, 'spec.json'), 'utf8')) as CommandJob;
  expect(spec.train.weights).toBe('train.weights.f32');
  expect(readFileSync(join(folder, jobPaths.job, 'train.weights.f32'))).toEqual(bytes);
  expect(spec.validation).not.toHaveProperty('weights');

  // the same again gives the same bytes and says it once; the next run begins without them
  expect((await merged(done, batch)).label).toEqual(label);
  const said = (await eventsAfter(world.db, done.context.run, 0, 1000)).filter(({ type }) => type === 'label.pseudo');
  expect(said.map(({ data }) => data)).toEqual([{ node: 'label', ...label.pseudo }]);
  const next = await world.run(document);
  expect(next.validate).toMatchObject({ labelled: label.labelled });
  expect(next.validate).not.toHaveProperty('sources');
}, 120_000);

it('undoes pseudo-labels that make the model worse on the validation part, and says so with the numbers', async () => {
  const scene = { name: 'undone', pseudo: { maxError: 0.5, weight: 1 }, turns: true };
  const { done, open } = await prepared(scene);
  const { batch } = await answered(scene, done, open);
  const { label } = await merged(done, batch);
  expect(label.pseudo).toMatchObject({ kept: false, checked: 60 });
  const { guard, labels } = label.pseudo!;
  expect(labels).toBeGreaterThan(20);
  expect(guard!.onlyWithout).toBeGreaterThan(guard!.onlyWith + 10);
  expect(guard!.p).toBeLessThan(0.05);
  expect(label.summary).toContain(`${labels} pseudo-labels of weight 1 undone: `);
  expect(label.summary).toContain(
    `of ${guard!.rows} rows of the validation part ${guard!.onlyWith} are right only with them`,
  );
  expect(label).not.toHaveProperty('sources');
  expect((await versionOf('undone', label)).labelCounts).toMatchObject({ human: 60, pseudo: 0 });
  const events = await eventsAfter(world.db, done.context.run, 0, 1000);
  expect(events.at(-1)).toMatchObject({ type: 'label.pseudo', data: { kept: false, guard: { p: guard!.p } } });
}, 120_000);

it('labels nothing where too few rows were checked, and says how many it takes', async () => {
  const scene = { name: 'unchecked', pseudo: { maxError: 0.01 }, turns: false };
  const { done, open } = await prepared(scene);
  const { batch } = await answered(scene, done, open);
  const { label } = await merged(done, batch);
  expect(label.pseudo).toMatchObject({ kept: false, labels: 0, threshold: null, guard: null });
  expect(label.summary).toContain('no pseudo-label: 60 checked rows can show nothing, 299 are needed');
}, 120_000);
