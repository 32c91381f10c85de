// The two ends of a label step: which rows to ask people about, and the dataset version with their answers in it.
import type { Scorer } from '../../adapters/scorer.js';
import { type Duck, identifier, sqlLiteral } from '../../adapters/duckdb.js';
import { readInputs } from '../../adapters/inputs.js';
import type { Artifacts } from '../../adapters/store/index.js';
import { type Db, inTransaction } from '../../db/client.js';
import { batchState, openBatch } from '../../db/labeling.js';
import { champion as championOf } from '../../db/model.js';
import { runSpecification } from '../../db/run.js';
import { recordWaitStep } from '../../db/step.js';
import type { Digest } from '../../domain/artifact.js';
import type { Labeling } from '../../domain/document-labeling.js';
import type { ColumnType, Schema } from '../../domain/dataset.js';
import { Failure } from '../../domain/failures.js';
import type { Json } from '../../domain/json.js';
import { type PickCandidate, type PickedTask, pickTasks } from '../../domain/label-pick.js';
import type { BatchCounts } from '../../domain/labeling.js';
import { allClasses } from '../../domain/measure.js';
import {
  type FittedFeatures,
  type GoldenRows,
  type ModelInputs,
  type ModelOutputs,
  servedTolerance,
  type Signature,
  sliceInputs,
} from '../../domain/model.js';
import type { PipelineDocument } from '../../domain/pipeline.js';
import type { StepInput, StepResultBase } from '../../domain/run.js';
import { featureColumns } from '../../domain/signature.js';
import { type LabelResult, labelledVersion, type SplitResult } from '../../domain/steps.js';
import { createRandom, drawWithout } from '../../stats/prng.js';
import { currentStep } from '../step.js';

export interface LabelingDeps {
  db: Db;
  artifacts: Artifacts;
  duck: Duck;
  scorer: Scorer;
  /** A model of the visible labels, or null where there are too few (activities/training/quick.ts). */
  quickModel(input: StepInput): Promise<{ path: string; digest: Digest; signature: Signature } | null>;
  /** The dataset version with the answers in it (activities/dataset/merge.ts). */
  mergeLabels(input: StepInput, answered: { batch: string | null; counts: BatchCounts | null }): Promise<LabelResult>;
}

export interface OpenedLabels extends StepResultBase {
  /** Null when there is nothing to ask. */
  batch: { id: string; openedAt: string; deadline: string; tasks: number } | null;
}

const chunkRows = 4_096;

export function createLabelingSteps(deps: LabelingDeps) {
  return {
    openLabels: (input: StepInput) => openLabels(deps, input),
    /** The dataset version with what people answered; the same version when nobody did. */
    async mergeLabels(input: StepInput): Promise<LabelResult> {
      const opened = input.inputs['labels:opened'] as unknown as OpenedLabels;
      const batch = opened.batch?.id ?? null;
      const counts = batch ? (await batchState(deps.db, batch)).counts : null;
      return deps.mergeLabels(input, { batch, counts });
    },
  };
}

async function openLabels(deps: LabelingDeps, input: StepInput): Promise<OpenedLabels> {
  const step = currentStep();
  const { document, dataset, schema } = await facts(deps, input);
  const { labeling } = document;
  if (!labeling) return { summary: 'the pipeline asks nobody', batch: null };
  const scored = await scorePool(deps, input, document);
  const picks = pickTasks(scored.candidates, { ...labeling, seed: document.split.seed + input.context.number });
  if (picks.length === 0) return { summary: 'every row of the training part has a label', batch: null };
  const tests = await goldRows(deps, input, labeling);
  const items = await readItems(deps, input, document, schema, [...picks, ...tests]);
  const classes = document.dataset.task === 'classification' ? await knownClasses(deps, input, scored.classes) : null;
  const suggestions = suggestionsOf(scored, picks);
  const openedAt = new Date();
  const deadline = new Date(openedAt.getTime() + labeling.deadlineMs);
  const { run, project } = input.context;
  const opened = await inTransaction(deps.db, async (tx) => {
    await step.guard(tx);
    const tasks = picks.map((pick) => ({
      ...pick,
      item: items.get(pick.key) ?? {},
      suggestion: suggestions.get(pick.key) ?? null,
    }));
    const gold = tests.map(({ key, label }) => ({
      ...{ key, item: items.get(key) ?? {}, gold: label, suggestion: suggestions.get(key) ?? null },
      ...{ reason: 'explore' as const, probability: null, score: null },
    }));
    const { task } = document.dataset;
    const batch = await openBatch(tx, {
      ...{ run, node: input.node, project, dataset, deadline, classes, task, policy: labeling.policy },
      tasks: [...tasks, ...gold],
    });
    const since = new Date(Date.parse(batch.deadline) - labeling.deadlineMs).toISOString();
    await recordWaitStep(tx, {
      run,
      node: input.node,
      status: 'waiting',
      summary: `batch ${batch.id}: ${batch.tasks} tasks`,
    });
    return { id: batch.id, openedAt: since, deadline: batch.deadline, tasks: batch.tasks };
  });
  return { summary: `asked for ${opened.tasks} labels (${labeling.strategy}, ${scored.by})`, batch: opened };
}

/** Enough test items that nobody runs out of them before the batch is done, and some to spare. */
const goldSpare = 2;

/** Rows of the training part whose label is known, drawn by the split's seed: they test labelers and are asked of nobody else. */
async function goldRows(
  deps: LabelingDeps,
  input: StepInput,
  { batchSize, policy }: Labeling,
): Promise<{ key: string; label: string }[]> {
  if (policy.gold.share === 0) return [];
  const { document } = await runSpecification(deps.db, input.context.run);
  const { keys, labels } = await readInputs(deps.duck, {
    file: await deps.artifacts.localPath(labelledVersion(input).file),
    split: await deps.artifacts.localPath((input.inputs['split'] as unknown as SplitResult).split),
    ...{ part: 'train', labelled: true },
    signature: { num: [], cat: [], task: document.dataset.task, classes: [] },
  });
  const wanted = Math.ceil((batchSize * policy.gold.share) / (1 - policy.gold.share)) * goldSpare;
  const random = createRandom(document.split.seed + input.context.number);
  const drawn = drawWithout(random, keys.length, Math.min(keys.length, wanted));
  return drawn.map((row) => ({ key: keys[row] ?? '', label: labels[row] ?? '' }));
}

async function facts(deps: LabelingDeps, input: StepInput) {
  const { document, dataset } = await runSpecification(deps.db, input.context.run);
  const profile = input.inputs['profile'] as unknown as { schema: `sha256:${string}` };
  return { document, dataset, schema: await deps.artifacts.readJson<Schema>(profile.schema) };
}

interface ScoredPool {
  candidates: PickCandidate[];
  /** In the order of the probabilities; empty where nothing was scored. */
  classes: string[];
  /** Who scored: `champion 3`, `a model of the visible labels`, or `nobody`. */
  by: string;
}

/** Every unlabelled row of the training part, with the probabilities of the champion or of a model of the visible labels. */
async function scorePool(deps: LabelingDeps, input: StepInput, document: PipelineDocument): Promise<ScoredPool> {
  const scorer = document.dataset.task === 'classification' ? await chooseModel(deps, input) : null;
  const { split } = input.inputs['split'] as unknown as SplitResult;
  const empty: Signature = { num: [], cat: [], task: document.dataset.task, classes: [] };
  const signature = scorer?.signature ?? empty;
  const rows = await readInputs(deps.duck, {
    file: await deps.artifacts.localPath(labelledVersion(input).file),
    split: await deps.artifacts.localPath(split),
    part: 'train',
    labelled: false,
    signature,
  });
  if (!scorer)
    return {
      candidates: rows.keys.map((key) => ({ key, probabilities: null })),
      classes: [],
      by: 'nobody: a random draw',
    };
  const { classes } = signature;
  const candidates: PickCandidate[] = [];
  for (let start = 0; start < rows.keys.length; start += chunkRows) {
    const end = Math.min(rows.keys.length, start + chunkRows);
    const { probabilities } = await scorer.score(sliceInputs(rows.inputs, signature, start, end));
    for (let row = start; row < end; row += 1) {
      const at = (row - start) * classes.length;
      const own = Array.from(probabilities?.subarray(at, at + classes.length) ?? []);
      candidates.push({ key: rows.keys[row] ?? '', probabilities: own });
    }
  }
  return { candidates, classes, by: scorer.by };
}

interface ChosenModel {
  by: string;
  signature: Signature;
  score(inputs: ModelInputs): Promise<ModelOutputs>;
}

async function chooseModel(deps: LabelingDeps, input: StepInput): Promise<ChosenModel | null> {
  const { model } = await runSpecification(deps.db, input.context.run);
  const champion = await championOf(deps.db, model);
  if (champion) {
    const { signature } = await deps.artifacts.readJson<FittedFeatures>(champion.features);
    const golden = await deps.artifacts.readJson<GoldenRows>(champion.golden);
    const loaded = {
      path: await deps.artifacts.localPath(champion.modelFile),
      digest: champion.modelFile,
      golden,
      goldenTolerance: servedTolerance,
      signature,
    };
    return { by: `champion ${champion.version}`, signature, score: (inputs) => deps.scorer.score(loaded, inputs) };
  }
  const quick = await deps.quickModel(input);
  if (!quick) return null;
  return {
    by: 'a model of the visible labels',
    signature: quick.signature,
    score: (inputs) => deps.scorer.score(quick, inputs),
  };
}

function suggestionsOf(scored: ScoredPool, picks: PickedTask[]): Map<string, { label: string; confidence: number }> {
  const picked = new Set(picks.map(({ key }) => key));
  const suggestions = new Map<string, { label: string; confidence: number }>();
  for (const { key, probabilities } of scored.candidates) {
    if (!picked.has(key) || !probabilities || probabilities.length === 0) continue;
    const best = probabilities.reduce((top, value, index) => (value > (probabilities[top] ?? 0) ? index : top), 0);
    suggestions.set(key, { label: scored.classes[best] ?? '', confidence: probabilities[best] ?? 0 });
  }
  return suggestions;
}

/** A cell as people read it and JSON holds it: dates as ISO 8601, without a time where it is midnight. */
function shownCell(name: string, type: ColumnType): string {
  const cell = identifier(name);
  if (type !== 'date') return cell;
  const day = `strftime(${cell}, '%Y-%m-%d')`;
  return `CASE WHEN date_trunc('day', ${cell}) = ${cell} THEN ${day} ELSE strftime(${cell}, '%Y-%m-%dT%H:%M:%SZ') END AS ${cell}`;
}

/** The key and every feature column of the picked rows, never the label. */
async function readItems(
  deps: LabelingDeps,
  input: StepInput,
  document: PipelineDocument,
  schema: Schema,
  picks: { key: string }[],
): Promise<Map<string, Json>> {
  const { key } = document.dataset;
  const features = featureColumns(schema, document.features).filter(({ name }) => name !== key);
  const cells = [identifier(key), ...features.map(({ name, type }) => shownCell(name, type))];
  const file = await deps.artifacts.localPath(labelledVersion(input).file);
  const keys = picks.map((pick) => sqlLiteral(pick.key)).join(', ');
  const rows = await deps.duck.query<Record<string, Json>>(
    `SELECT ${cells.join(', ')} FROM read_parquet(${sqlLiteral(file)}) WHERE ${identifier(key)} IN (${keys})`,
  );
  return new Map(rows.map((row) => [String(row[key]), row]));
}

/** The labels people may give: those seen in the data and those the model knows; any label where none is known. */
async function knownClasses(deps: LabelingDeps, input: StepInput, known: string[]): Promise<string[] | null> {
  const { document } = await runSpecification(deps.db, input.context.run);
  const file = await deps.artifacts.localPath(labelledVersion(input).file);
  const label = identifier(document.dataset.label);
  const rows = await deps.duck.query<{ label: string }>(
    `SELECT DISTINCT ${label} AS label FROM read_parquet(${sqlLiteral(file)}) WHERE ${label} IS NOT NULL`,
  );
  const classes = allClasses(
    rows.map((row) => row.label),
    known,
  );
  if (classes.length > 10_000) throw new Failure('FeaturesUnfit', `the label has ${classes.length} different values`);
  return classes.length === 0 ? null : classes;
}
