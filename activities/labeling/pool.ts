// The rows people may be asked about, as the champion sees them, or a model of the visible labels where there is none.
import type { Duck } from '../../adapters/duckdb.js';
import { readInputs } from '../../adapters/inputs.js';
import type { Scorer } from '../../adapters/scorer.js';
import type { Artifacts } from '../../adapters/store/index.js';
import type { Db } from '../../db/client.js';
import { champion as championOf } from '../../db/model.js';
import { runSpecification } from '../../db/run.js';
import type { Digest } from '../../domain/artifact.js';
import { isDiverse } from '../../domain/label-diverse.js';
import type { PickCandidate, PickedTask } from '../../domain/label-pick.js';
import type { Strategy } from '../../domain/labeling.js';
import {
  type FittedFeatures,
  type GoldenRows,
  type ModelInputs,
  type ModelOutputs,
  servedTolerance,
  type Signature,
  sliceInputs,
  withoutInputs,
} from '../../domain/model.js';
import type { StepInput } from '../../domain/run.js';
import { labelledVersion, type SplitResult } from '../../domain/steps.js';
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
  candidates: PickCandidate[];
  /** In the order of the probabilities; empty where nothing was scored. */
  classes: string[];
  /** Who scored: `champion 3`, `a model of the visible labels`, or `nobody`; and how many rows were compared, if not all. */
  by: string;
  /** Vectors of labelled rows of the training part; empty where the strategy compares no rows. */
  covered: Float32Array[];
}

export interface ChosenModel {
  by: string;
  path: string;
  signature: Signature;
  score(inputs: ModelInputs): Promise<ModelOutputs>;
}

const chunkRows = 4_096;

export interface PoolAsked {
  strategy: Strategy;
  batchSize: number;
  seed: number;
  /** Who scores. Default: the champion, or a model of the visible labels. */
  model?: ChosenModel;
}

/** Every unlabelled row of the training part, with its probabilities, and vectors where the strategy compares rows. */
export async function scorePool(deps: PoolDeps, input: StepInput, asked: PoolAsked): Promise<ScoredPool> {
  const { document } = await runSpecification(deps.db, input.context.run);
  const { task } = document.dataset;
  const model = asked.model ?? (task === 'classification' ? await chooseModel(deps, input) : null);
  const { split } = input.inputs['split'] as unknown as SplitResult;
  const part = {
    file: await deps.artifacts.localPath(labelledVersion(input).file),
    split: await deps.artifacts.localPath(split),
    part: 'train' as const,
  };
  const signature = model?.signature ?? withoutInputs({ task, classes: [], num: [], cat: [] });
  const rows = await readInputs(deps.duck, { ...part, labelled: false, signature });
  if (!model) {
    const candidates = rows.keys.map((key) => ({ key, probabilities: null }));
    return { candidates, classes: [], covered: [], by: 'nobody: a random draw' };
  }
  const { classes } = signature;
  const candidates: PickCandidate[] = [];
  for (let start = 0; start < rows.keys.length; start += chunkRows) {
    const end = Math.min(rows.keys.length, start + chunkRows);
    const { probabilities } = await model.score(sliceInputs(rows.inputs, signature, start, end));
    for (let row = start; row < end; row += 1) {
      const at = (row - start) * classes.length;
      const own = Array.from(probabilities?.subarray(at, at + classes.length) ?? []);
      candidates.push({ key: rows.keys[row] ?? '', probabilities: own });
    }
  }
  const pool = { candidates, classes, by: model.by, covered: [] };
  const { strategy } = asked;
  if (!isDiverse(strategy) || candidates.length === 0) return pool;
  const labelled = await readInputs(deps.duck, { ...part, labelled: true, signature });
  return addVectors(deps, pool, { ...asked, model, strategy, rows: rows.inputs, labelled: labelled.inputs });
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
  picks: PickedTask[],
): Map<string, { label: string; confidence: number }> {
  const picked = new Set(picks.map(({ key }) => key));
  const suggestions = new Map<string, { label: string; confidence: number }>();
  for (const { key, probabilities } of scored.candidates) {
    if (!picked.has(key) || !probabilities || probabilities.length === 0) continue;
    const best = probabilities.reduce((top, value, index) => (value > (probabilities[top] ?? 0) ? index : top), 0);
    suggestions.set(key, { label: scored.classes[best] ?? '', confidence: probabilities[best] ?? 0 });
  }
  return suggestions;
}
