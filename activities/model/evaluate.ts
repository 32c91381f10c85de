// evaluate: every packaged candidate on the labelled holdout rows, as raw rows; the best goes on and is judged by the gate,
// beside the champion on the same rows.
import { readInputs } from '../../adapters/inputs.js';
import { inTransaction } from '../../db/client.js';
import { type Champion, champion as championOf } from '../../db/model.js';
import { runSpecification, setRunResult } from '../../db/run.js';
import type { Digest } from '../../domain/artifact.js';
import { Failure } from '../../domain/failures.js';
import { allClasses, answersOf, metricsOf } from '../../domain/measure.js';
import {
  type FittedFeatures,
  type GoldenRows,
  type ModelInputs,
  servedTolerance,
  type Signature,
  sliceInputs,
} from '../../domain/model.js';
import type { PipelineDocument } from '../../domain/pipeline.js';
import type { StepInput } from '../../domain/run.js';
import { labelledVersion, type EvaluateResult, type PackageResult, type SplitResult } from '../../domain/steps.js';
import { currentStep, keeping } from '../step.js';
import type { ModelDeps } from './package.js';
import { choose, report } from './report.js';

const chunkRows = 4_096;

interface Model {
  model: Digest;
  golden: Digest;
  signature: Signature;
  /** Default 0, bit for bit. */
  goldenTolerance?: number;
}

async function championModel(deps: ModelDeps, champion: Champion): Promise<Model> {
  const { signature } = await deps.artifacts.readJson<FittedFeatures>(champion.features);
  // it may be from years ago, and another kind of machine
  return { model: champion.modelFile, golden: champion.golden, signature, goldenTolerance: servedTolerance };
}

interface Holdout {
  labels: string[];
  read(signature: Signature): Promise<ModelInputs>;
  slices: Record<string, string[]>;
}

export async function evaluate(deps: ModelDeps, input: StepInput): Promise<EvaluateResult> {
  const step = currentStep();
  const { document, model } = await runSpecification(deps.db, input.context.run);
  const holdout = await readHoldout(deps, input, document);
  const packaged = packagedCandidates(input);
  const incumbent = await championOf(deps.db, model);
  const scored = [];
  for (const one of packaged) {
    const signature = await deps.artifacts.readJson<Signature>(one.result.signature);
    scored.push({ ...one, raw: await score(deps, holdout, { ...one.result, signature }) });
  }
  const theirs = incumbent ? await score(deps, holdout, await championModel(deps, incumbent)) : null;
  const known = [...scored.map(({ raw }) => raw.signature.classes), theirs?.signature.classes ?? []];
  const classes = allClasses(holdout.labels, ...known);
  const answer = ({ signature, outputs }: Scored) =>
    answersOf(document.dataset.task, holdout.labels, outputs, signature.classes, classes);
  const candidates = scored.map(({ candidate, result, raw }) => ({ candidate, result, answers: answer(raw) }));
  const { best, reports } = await choose(document, candidates);
  const champion = incumbent && theirs ? { version: incumbent.version, answers: answer(theirs) } : null;
  const evaluation = await report(document, best.answers, holdout.slices, champion, reports);
  const metrics = metricsOf(best.answers);
  const stored = await keeping(deps, 'evaluation').putJson(evaluation);
  const finite = Object.fromEntries(Object.entries(metrics).filter(([, value]) => Number.isFinite(value)));
  await inTransaction(deps.db, async (tx) => {
    await step.guard(tx);
    await setRunResult(tx, input.context.run, {
      metrics: finite,
      verdict: evaluation.verdict,
      evaluation: stored.digest,
    });
  });
  const value = metrics[document.gate.metric] ?? NaN;
  return {
    summary: `${document.gate.metric} ${value.toFixed(4)} on ${evaluation.n} rows: gate ${evaluation.verdict.passed ? 'passed' : 'not passed'}`,
    evaluation: stored.digest,
    metrics: finite,
    verdict: evaluation.verdict,
    best: best.candidate,
    ...{ model: best.result.model, golden: best.result.golden, signature: best.result.signature },
    champion: incumbent?.version ?? null,
  };
}

function packagedCandidates(input: StepInput): { candidate: number; result: PackageResult }[] {
  const found = Object.entries(input.inputs)
    .filter(([name]) => name === 'package' || name.startsWith('package-'))
    .map(([name, result]) => ({
      candidate: name === 'package' ? 0 : Number(name.slice('package-'.length)) - 1,
      result: result as unknown as PackageResult,
    }));
  if (found.length === 0) throw new Failure('Internal', 'no candidate was packaged');
  return found.sort((a, b) => a.candidate - b.candidate);
}

async function readHoldout(deps: ModelDeps, input: StepInput, document: PipelineDocument): Promise<Holdout> {
  const { split } = input.inputs['split'] as unknown as SplitResult;
  const place = {
    file: await deps.artifacts.localPath(labelledVersion(input).file),
    split: await deps.artifacts.localPath(split),
    part: 'holdout' as const,
    labelled: true,
  };
  const empty: Signature = { num: [], cat: [], task: document.dataset.task, classes: [] };
  const rows = await readInputs(deps.duck, { ...place, signature: empty, columns: document.evaluation.slices });
  const labels = rows.labels.map((label) => label ?? '');
  if (labels.length === 0) throw new Failure('NoLabels', 'the holdout has no labelled row to judge a model on');
  return {
    labels,
    slices: rows.extra,
    read: async (signature) => (await readInputs(deps.duck, { ...place, signature })).inputs,
  };
}

interface Scored {
  signature: Signature;
  outputs: { label?: string[]; probabilities?: Float32Array; value?: Float32Array };
}

/** The packaged file on the raw holdout rows, in chunks, through the scorer. */
async function score(deps: ModelDeps, holdout: Holdout, model: Model): Promise<Scored> {
  const { signature, goldenTolerance = 0 } = model;
  const golden = await deps.artifacts.readJson<GoldenRows>(model.golden);
  const path = await deps.artifacts.localPath(model.model);
  const inputs = await holdout.read(signature);
  const label: string[] = [];
  const probabilities: Float32Array[] = [];
  const value: Float32Array[] = [];
  for (let start = 0; start < inputs.rows; start += chunkRows) {
    const chunk = sliceInputs(inputs, signature, start, Math.min(inputs.rows, start + chunkRows));
    const outputs = await deps.scorer.score({ path, digest: model.model, golden, signature, goldenTolerance }, chunk);
    label.push(...(outputs.label ?? []));
    if (outputs.probabilities) probabilities.push(outputs.probabilities);
    if (outputs.value) value.push(outputs.value);
  }
  return { signature, outputs: { label, probabilities: joined(probabilities), value: joined(value) } };
}

function joined(parts: Float32Array[]): Float32Array {
  const all = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
