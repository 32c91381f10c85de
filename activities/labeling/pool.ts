// The rows people may be asked about, as the champion sees them, or a model of the visible labels where there is none.
import { setImmediate as breath } from 'node:timers/promises';
import type { Duck } from '../../adapters/duckdb.js';
import { countInputs, type InputRows, streamInputs } from '../../adapters/inputs.js';
import type { Scorer } from '../../adapters/scorer.js';
import type { Artifacts } from '../../adapters/store/index.js';
import type { Db } from '../../db/client.js';
import { champion as championOf } from '../../db/model.js';
import { runSpecification } from '../../db/run.js';
import type { Digest } from '../../domain/artifact.js';
import { isDiverse } from '../../domain/label-diverse.js';
import type { PickPool } from '../../domain/label-pick.js';
import type { Strategy } from '../../domain/labeling.js';
import {
  type FittedFeatures,
  type GoldenRows,
  joinedFloats,
  type ModelInputs,
  type ModelOutputs,
  servedTolerance,
  type Signature,
  withoutInputs,
} from '../../domain/model.js';
import type { StepInput } from '../../domain/run.js';
import { labelledVersion, type SplitResult } from '../../domain/steps.js';
import { argMax } from '../../stats/rank.js';
import { currentStep } from '../step.js';
import { addVectors } from './vectors.js';

export interface PoolDeps {
  db: Db;
  artifacts: Artifacts;
  duck: Duck;
  scorer: Scorer;
  /** A model of the visible labels, or null where there are too few (activities/training/quick.ts). */
  quickModel(input: StepInput): Promise<{ path: string; digest: Digest; signature: Signature } | null>;
}

export interface ScoredPool {
  rows: PickPool;
  /** In the order of the probabilities; empty where nothing was scored. */
  classes: string[];
  /** Who scored: `champion 3`, `a model of the visible labels`, or `nobody`; and how many rows were compared, if not all. */
  by: string;
  /** Vectors of labelled rows of the training part; empty where the strategy compares no rows. */
  covered: Float32Array[];
  /** Null where nothing was scored. */
  model: ChosenModel | null;
}

export interface ChosenModel {
  by: string;
  path: string;
  signature: Signature;
  score(inputs: ModelInputs): Promise<ModelOutputs>;
}

export interface PoolAsked {
  strategy: Strategy;
  batchSize: number;
  seed: number;
  /** Who scores. Default: the champion, or a model of the visible labels. */
  model?: ChosenModel;
}

/** The unlabelled or labelled rows of the training part, as a model takes them. */
export interface PoolRows {
  /** Some thousand at a time, in key order. Other work of this process goes on between them. */
  stream(labelled: boolean): AsyncGenerator<InputRows>;
  count(labelled: boolean): Promise<number>;
}

async function poolRows(deps: PoolDeps, input: StepInput, signature: Signature): Promise<PoolRows> {
  const { split } = input.inputs['split'] as unknown as SplitResult;
  const part = {
    file: await deps.artifacts.localPath(labelledVersion(input).file),
    split: await deps.artifacts.localPath(split),
    ...{ part: 'train' as const, signature, signal: currentStep().signal },
  };
  return {
    async *stream(labelled) {
      for await (const rows of streamInputs(deps.duck, { ...part, labelled })) {
        yield rows;
        await breath();
      }
    },
    count: (labelled) => countInputs(deps.duck, { ...part, labelled }),
  };
}

/**
 * Every unlabelled row of the training part, with its probabilities, and vectors where the strategy compares rows. What
 * the model takes of a row is held no longer than it scores it.
 */
export async function scorePool(deps: PoolDeps, input: StepInput, asked: PoolAsked): Promise<ScoredPool> {
  const { document } = await runSpecification(deps.db, input.context.run);
  const { task } = document.dataset;
  const model = asked.model ?? (task === 'classification' ? await chooseModel(deps, input) : null);
  const signature = model?.signature ?? withoutInputs({ task, classes: [], num: [], cat: [] });
  const from = await poolRows(deps, input, signature);
  const { classes } = signature;
  const keys: string[] = [];
  const scores: Float32Array[] = [];
  for await (const { keys: own, inputs } of from.stream(false)) {
    for (const key of own) keys.push(key);
    const scored = await model?.score(inputs);
    if (scored) scores.push(scored.probabilities ?? new Float32Array(own.length * classes.length).fill(NaN));
  }
  const rows = rowsOf(keys, model && { probabilities: joinedFloats(scores), width: classes.length });
  const pool = { rows, classes, covered: [], by: model?.by ?? 'nobody: a random draw', model };
  const { strategy } = asked;
  if (!model || !isDiverse(strategy) || keys.length === 0) return pool;
  return addVectors(deps, pool, { ...asked, model, strategy, from });
}

/** `scored`: row-major; null where nobody scored. */
function rowsOf(keys: string[], scored: { probabilities: Float32Array; width: number } | null): PickPool {
  const { probabilities, width } = scored ?? { probabilities: null, width: 0 };
  return {
    keys,
    probabilities: (row) => probabilities?.subarray(row * width, (row + 1) * width) ?? null,
    vector: () => undefined,
  };
}

/** The champion, or a model of the visible labels; null where there are too few. */
export async function chooseModel(deps: PoolDeps, input: StepInput): Promise<ChosenModel | null> {
  const { model } = await runSpecification(deps.db, input.context.run);
  const champion = await championOf(deps.db, model);
  if (!champion) {
    const quick = await deps.quickModel(input);
    const by = 'a model of the visible labels';
    return quick && { by, ...quick, score: (inputs) => deps.scorer.score(quick, inputs) };
  }
  const { signature } = await deps.artifacts.readJson<FittedFeatures>(champion.features);
  const golden = await deps.artifacts.readJson<GoldenRows>(champion.golden);
  const path = await deps.artifacts.localPath(champion.modelFile);
  const loaded = { path, digest: champion.modelFile, golden, goldenTolerance: servedTolerance, signature };
  return { by: `champion ${champion.version}`, path, signature, score: (inputs) => deps.scorer.score(loaded, inputs) };
}

/** What the model would say of each picked row, for the people who ask for it. */
export function suggestionsOf(
  scored: ScoredPool,
  picks: { key: string }[],
): Map<string, { label: string; confidence: number }> {
  const picked = new Set(picks.map(({ key }) => key));
  const suggestions = new Map<string, { label: string; confidence: number }>();
  scored.rows.keys.forEach((key, row) => {
    if (!picked.has(key)) return;
    const probabilities = scored.rows.probabilities(row);
    if (!probabilities || probabilities.length === 0) return;
    const best = argMax(probabilities);
    suggestions.set(key, { label: scored.classes[best] ?? '', confidence: probabilities[best] ?? 0 });
  });
  return suggestions;
}
