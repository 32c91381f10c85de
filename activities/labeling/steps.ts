// The two ends of a label step: which rows to ask people about, and the dataset version with their answers in it.
import { randomInt } from 'node:crypto';
import { identifier, sqlLiteral } from '../../adapters/duckdb.js';
import { readInputs } from '../../adapters/inputs.js';
import { inTransaction } from '../../db/client.js';
import { autoRound } from '../../db/auto.js';
import { batchState, keysOfModels, type NewTask, openBatch } from '../../db/labeling.js';
import { runSpecification } from '../../db/run.js';
import { recordWaitStep } from '../../db/step.js';
import type { Labeling } from '../../domain/document-labeling.js';
import type { ColumnType, Schema } from '../../domain/dataset.js';
import { Failure } from '../../domain/failures.js';
import type { Json } from '../../domain/json.js';
import { mixAudit } from '../../domain/auto-label.js';
import { pickFrom } from '../../domain/label-pick.js';
import type { BatchCounts, Suggestion } from '../../domain/labeling.js';
import { allClasses } from '../../domain/measure.js';
import type { PipelineDocument } from '../../domain/pipeline.js';
import type { StepInput, StepResultBase } from '../../domain/run.js';
import { featureColumns } from '../../domain/signature.js';
import { type LabelResult, labelledVersion, type SplitResult } from '../../domain/steps.js';
import { createRandom, drawWithout } from '../../stats/prng.js';
import { currentStep } from '../step.js';
import { planRound, type RoundPlan } from './auto.js';
import { guessesBy } from './known.js';
import { type PoolAsked, scorePool, suggestionsOf } from './pool.js';
import { type PseudoDeps, withPseudoLabels } from './pseudo.js';
import { type AskedRows, askNamed, askSuspects } from './relabel.js';

export interface LabelingDeps extends PseudoDeps {
  /** The dataset version with the answers in it (activities/dataset/merge.ts). */
  mergeLabels(input: StepInput, answered: { batch: string | null; counts: BatchCounts | null }): Promise<LabelResult>;
}

export interface OpenedLabels extends StepResultBase {
  /** Null when there is nothing to ask. */
  batch: { id: string; openedAt: string; deadline: string; tasks: number; escalate?: true } | null;
}

export function createLabelingSteps(deps: LabelingDeps) {
  return {
    openLabels: (input: StepInput) => openLabels(deps, input),
    /** The dataset version with what people answered, the same one when nobody did; and with pseudo-labels where asked for. */
    async mergeLabels(input: StepInput): Promise<LabelResult> {
      const opened = input.inputs['labels:opened'] as unknown as OpenedLabels;
      const batch = opened.batch?.id ?? null;
      const counts = batch ? (await batchState(deps.db, batch)).counts : null;
      return withPseudoLabels(deps, input, await deps.mergeLabels(input, { batch, counts }));
    },
  };
}

async function openLabels(deps: LabelingDeps, input: StepInput): Promise<OpenedLabels> {
  const step = currentStep();
  const { document, dataset, schema } = await facts(deps, input);
  const { labeling } = document;
  if (!labeling) return { summary: 'the pipeline asks nobody', batch: null };
  const seed = document.split.seed + input.context.number;
  const auto = labeling.ask === 'unlabelled' ? await autoOf(deps, input, { ...labeling, seed }) : null;
  const chosen = await askedRows(deps, input, { ...labeling, seed, dataset }, auto);
  const { picks, suggestions } = chosen;
  const due = auto?.audits ?? [];
  const none = { summary: chosen.nothing, batch: null };
  if (picks.length + due.length === 0) return none;
  const tests = await goldRows(deps, input, labeling, new Set([...picks, ...due].map(({ key }) => key)));
  const items = await readItems(deps, input, document, schema, [...picks, ...due, ...tests]);
  // rows that a source has dropped since cannot be shown
  const audits = due.filter(({ key }) => items.has(key));
  if (picks.length + audits.length === 0) return none;
  const classes = document.dataset.task === 'classification' ? await knownClasses(deps, input, chosen.classes) : null;
  // an item without a guess among others would be a test
  const known = tests.length > 0 ? await chosen.guess(tests.map(({ key }) => key)) : new Map<string, Suggestion>();
  const openedAt = new Date();
  const deadline = new Date(openedAt.getTime() + labeling.deadlineMs);
  const { run, project } = input.context;
  const opened = await inTransaction(deps.db, async (tx) => {
    await step.guard(tx);
    const asked = picks.map((pick): NewTask => ({
      ...pick,
      item: items.get(pick.key) ?? {},
      suggestion: suggestions.get(pick.key) ?? null,
    }));
    const checks = audits.map(({ key, suggestion }): NewTask => ({
      ...{ key, item: items.get(key) ?? {}, suggestion },
      ...{ reason: 'audit', probability: null, score: null },
    }));
    const gold = tests.map(({ key, label }) => ({
      ...{ key, item: items.get(key) ?? {}, gold: label, suggestion: known.get(key) ?? null },
      ...{ reason: 'explore' as const, probability: null, score: null },
    }));
    const { task } = document.dataset;
    const batch = await openBatch(tx, {
      ...{ run, node: input.node, project, dataset, deadline, classes, task, policy: labeling.policy },
      tasks: [...mixAudit(asked, checks, randomInt(2 ** 32)), ...gold],
    });
    await auto?.open(tx, batch.id, audits);
    const since = new Date(Date.parse(batch.deadline) - labeling.deadlineMs).toISOString();
    await recordWaitStep(tx, {
      run,
      node: input.node,
      status: 'waiting',
      summary: `batch ${batch.id}: ${batch.tasks} tasks`,
    });
    const { id, deadline: until, tasks: count } = batch;
    const escalate = labeling.policy.escalate ? { escalate: true as const } : {};
    return { id, openedAt: since, deadline: until, tasks: count, ...escalate };
  });
  const alone = auto ? `; labelled without people: ${auto.plan.labels.length}, ${auto.plan.why}` : '';
  return { summary: `asked for ${opened.tasks} labels (${chosen.how})${alone}`, batch: opened };
}

/** Null: the run is no round of a campaign with automatic labels. */
async function autoOf(deps: LabelingDeps, input: StepInput, asked: PoolAsked): Promise<RoundPlan | null> {
  const auto = await autoRound(deps.db, input.context.run);
  if (!auto) return null;
  const { dataset } = await runSpecification(deps.db, input.context.run);
  return planRound(deps, input, { auto, dataset, asked });
}

/** What people are asked about, as the document's `labeling.ask` says; `auto`: some rows are labelled without them. */
async function askedRows(
  deps: LabelingDeps,
  input: StepInput,
  labeling: Labeling & { seed: number; dataset: string },
  auto: RoundPlan | null,
): Promise<AskedRows> {
  if (labeling.ask === 'suspects') return askSuspects(deps, input, labeling);
  if (labeling.ask !== 'unlabelled') return askNamed(deps, input, labeling);
  const scored = auto?.scored ?? (await scorePool(deps, input, labeling));
  const picks = pickFrom(auto?.left(scored.rows) ?? scored.rows, { ...labeling, covered: scored.covered });
  return {
    picks: picks.map((pick) => ({ ...pick, given: null })),
    suggestions: suggestionsOf(scored, picks),
    guess: (keys) => guessesBy(deps, input, scored.model, keys),
    classes: scored.classes,
    how: `${labeling.strategy}, ${scored.by}`,
    nothing: 'every row of the training part has a label',
  };
}

/** Enough test items that nobody runs out of them before the batch is done, and some to spare. */
const goldSpare = 2;

/**
 * Rows of the training part whose label is known, drawn by the split's seed: they test labelers and are asked of nobody
 * else, so `asked` ones are none.
 */
async function goldRows(
  deps: LabelingDeps,
  input: StepInput,
  { batchSize, policy }: Labeling,
  asked: ReadonlySet<string>,
): Promise<{ key: string; label: string }[]> {
  if (policy.gold.share === 0) return [];
  const { document, dataset } = await runSpecification(deps.db, input.context.run);
  const read = await readInputs(deps.duck, {
    file: await deps.artifacts.localPath(labelledVersion(input).file),
    split: await deps.artifacts.localPath((input.inputs['split'] as unknown as SplitResult).split),
    ...{ part: 'train', labelled: true },
    signature: { num: [], cat: [], task: document.dataset.task, classes: [] },
  });
  // what a model said is no known answer
  const guessed = new Set(await keysOfModels(deps.db, dataset));
  const known = read.keys.flatMap((key, row) =>
    guessed.has(key) || asked.has(key) ? [] : [{ key, label: read.labels[row] ?? '' }],
  );
  const wanted = Math.ceil((batchSize * policy.gold.share) / (1 - policy.gold.share)) * goldSpare;
  const random = createRandom(document.split.seed + input.context.number);
  return drawWithout(random, known.length, Math.min(known.length, wanted)).map((row) => known[row]!);
}

async function facts(deps: LabelingDeps, input: StepInput) {
  const { document, dataset } = await runSpecification(deps.db, input.context.run);
  const profile = input.inputs['profile'] as unknown as { schema: `sha256:${string}` };
  return { document, dataset, schema: await deps.artifacts.readJson<Schema>(profile.schema) };
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
