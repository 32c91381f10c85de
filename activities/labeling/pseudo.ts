// Pseudo-labels of a run: after people have answered, a model that people's uniform draws can check labels rows of the
// training part; a model that learnt from these labels and one that did not are compared on the validation part, which
// people labelled. Where it is worse, nothing stays of them. The holdout is not looked at.
import { readInputs } from '../../adapters/inputs.js';
import { sqlLiteral } from '../../adapters/duckdb.js';
import { runSpecification } from '../../db/run.js';
import type { Digest } from '../../domain/artifact.js';
import type { Json } from '../../domain/json.js';
import { pickInputs, piecesOf } from '../../domain/model.js';
import {
  judgePseudoLabels,
  planPseudoLabels,
  type PseudoLabelled,
  type PseudoReport,
  pseudoReport,
  type PseudoRules,
  type PseudoVerdict,
} from '../../domain/pseudo-label.js';
import type { StepInput } from '../../domain/run.js';
import type { LabelResult, SplitResult } from '../../domain/steps.js';
import { currentStep } from '../step.js';
import { certify, type CertifyDeps } from './certify.js';

/** Rows with pseudo-labels, as `featurize` reads a version. */
export interface PseudoFiles {
  file: Digest;
  sources: Digest;
}

export interface PseudoDeps extends CertifyDeps {
  /** The version's rows with these labels where they have none (activities/dataset/pseudo.ts). */
  pseudoFile(
    input: StepInput,
    asked: { merged: LabelResult; labels: readonly PseudoLabelled[]; weight: number },
  ): Promise<PseudoFiles>;
  /** Writes what became of them: the version with them or without, and the run's event. */
  settlePseudo(
    input: StepInput,
    settled: { merged: LabelResult; made: PseudoFiles | null; report: PseudoReport },
  ): Promise<LabelResult>;
}

/** The input of a step that comes after the label step with this result. */
function after(input: StepInput, label: LabelResult): StepInput {
  return { ...input, inputs: { ...input.inputs, label: label as unknown as Json } };
}

/** `merged` as it is where the document has no `labeling.pseudo`. */
export async function withPseudoLabels(deps: PseudoDeps, input: StepInput, merged: LabelResult): Promise<LabelResult> {
  const { document } = await runSpecification(deps.db, input.context.run);
  const rules = document.labeling?.pseudo ?? null;
  if (rules === null) return merged;
  const settle = (report: PseudoReport, made: PseudoFiles | null = null) =>
    deps.settlePseudo(input, { merged, made, report });
  const plan = await planned(deps, after(input, merged), { rules, seed: document.split.seed });
  if (plan.labels.length === 0) return settle(pseudoReport(rules, plan, null));
  const { labels } = plan;
  const made = await deps.pseudoFile(input, { merged, labels, weight: rules.weight });
  const verdict = await judged(deps, input, { merged, made });
  return settle(pseudoReport(rules, plan, verdict), made);
}

async function planned(deps: PseudoDeps, input: StepInput, { rules, seed }: { rules: PseudoRules; seed: number }) {
  // the margin compares no rows, so nothing but probabilities is computed
  const certified = await certify(deps, input, { strategy: 'margin', batchSize: 1, seed });
  if (certified) return planPseudoLabels({ rules, ...certified, pool: certified.scored.rows });
  const why = 'there are too few labels beside the checked ones to learn from';
  return { threshold: null, labels: [], checked: 0, test: null, why };
}

/** Learns twice from the same rows, once with the pseudo-labels among them. */
async function judged(
  deps: PseudoDeps,
  input: StepInput,
  { merged, made }: { merged: LabelResult; made: PseudoFiles },
): Promise<PseudoVerdict> {
  const without = await rightOnes(deps, after(input, merged), merged);
  const withLabels = await rightOnes(deps, after(input, { ...merged, ...made }), merged);
  return judgePseudoLabels(withLabels, without);
}

/** Of each row of the validation part whose label no model made, in key order: whether a model of the labels has it right. */
async function rightOnes(deps: PseudoDeps, input: StepInput, { file, sources }: LabelResult): Promise<boolean[]> {
  const model = await deps.quickModel(input);
  if (!model) return [];
  const { signature } = model;
  const { signal } = currentStep();
  const all = await readInputs(deps.duck, {
    file: await deps.artifacts.localPath(file),
    split: await deps.artifacts.localPath((input.inputs['split'] as unknown as SplitResult).split),
    ...{ part: 'validation', labelled: true, signature, signal },
  });
  const models = await keysOfModels(deps, sources);
  const own = all.keys.flatMap((key, row) => (models.has(key) ? [] : [row]));
  if (own.length === 0) return [];
  const right: boolean[] = [];
  for (const piece of piecesOf(pickInputs(all.inputs, signature, own), signature, mostScored)) {
    const { label = [] } = await deps.scorer.score(model, piece);
    for (const name of label) right.push(name === all.labels[own[right.length]!]);
  }
  return right;
}

const mostScored = 4_096;

async function keysOfModels(deps: PseudoDeps, sources: Digest | undefined): Promise<ReadonlySet<string>> {
  if (sources === undefined) return new Set();
  const from = sqlLiteral(await deps.artifacts.localPath(sources));
  const rows = await deps.duck.query<{ key: string }>(
    `SELECT key FROM read_parquet(${from}) WHERE source IN ('auto', 'pseudo')`,
  );
  return new Set(rows.map(({ key }) => key));
}
