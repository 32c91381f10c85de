// evaluate: every packaged candidate on the labelled holdout rows, as raw rows; the best goes on and is judged by the gate,
// in the variant that will be served, beside the champion on the same rows.
import { inTransaction } from '../../db/client.js';
import { type Champion, champion as championOf } from '../../db/model.js';
import { setRunResult } from '../../db/run.js';
import { Failure } from '../../domain/failures.js';
import type { Json } from '../../domain/json.js';
import { judge } from '../../domain/gate.js';
import { allClasses, type Answers, answersOf, metricsOf } from '../../domain/measure.js';
import { type FittedFeatures, type ModelOutputs, servedTolerance, type Signature } from '../../domain/model.js';
import type { PartsRead } from '../../domain/reuse.js';
import type { StepInput, Verdict } from '../../domain/run.js';
import type { EvaluateResult, PackageResult } from '../../domain/steps.js';
import { type DroppedVariant, variantRule, type VariantReport } from '../../domain/variant.js';
import type { ProgramDeps } from '../program.js';
import { type PureWork, seenBy } from '../reuse.js';
import { currentStep, keeping } from '../step.js';
import { runChecks } from './check.js';
import { declaredChecks, type DeclaredCheck, programFacts } from './check-program.js';
import { importance } from './importance.js';
import type { ModelDeps } from './package.js';
import { choose, report } from './report.js';
import { type Holdout, readHoldout, score, scoredModel } from './score.js';
import { demanded, formOf, type JudgedForm, scoreVariants, servable, type ServableCandidate } from './variant.js';

export interface EvaluateDeps extends ModelDeps, ProgramDeps {}
type Programs = Map<string, DeclaredCheck>;

interface Incumbent {
  version: number;
  signature: Signature;
  outputs: ModelOutputs;
}

/** The champion's answers, by the variant that it serves. */
async function scoreChampion(deps: ModelDeps, holdout: Holdout, champion: Champion): Promise<Incumbent> {
  const { signature } = await deps.artifacts.readJson<FittedFeatures>(champion.features);
  // it may be from years ago, and another kind of machine
  const golden = { golden: champion.golden, goldenTolerance: servedTolerance };
  const model = await scoredModel(deps, { model: champion.modelFile, ...golden, signature });
  const outputs = await score(deps, model, await holdout.read(signature));
  return { version: champion.version, signature, outputs };
}

/** The evaluation as a function of what it reads, of the champion that there is now and of what the gate's programs run in. */
export async function pureEvaluation(deps: EvaluateDeps, input: StepInput): Promise<PureWork<EvaluateResult>> {
  const { run } = input.context;
  const { document, context, model } = await seenBy(deps.db, 'evaluate', input);
  const programs = await declaredChecks(deps, context.project, document.gate.checks);
  return {
    step: 'evaluate',
    facts: async () => {
      const incumbent = await championOf(deps.db, model);
      const { version, modelFile, golden, features } = incumbent ?? {};
      const champion = { version, modelFile, golden, features };
      // what a gate demands of the clock is measured in every run
      const timed = document.gate.checks.some(({ kind }) => kind === 'latency');
      const ran = programs.size > 0 && { programs: programFacts(programs) };
      return JSON.parse(JSON.stringify({ champion, ...(timed && { run }), ...ran })) as Json;
    },
    work: () => evaluate(deps, input, programs),
    // a program without a verdict may have one next time
    keeps: ({ unanswered }) => unanswered !== true,
    applied: (tx, { metrics, verdict, evaluation }) => setRunResult(tx, run, { metrics, verdict, evaluation }),
  };
}

async function evaluate(deps: EvaluateDeps, whole: StepInput, programs: Programs): Promise<EvaluateResult> {
  const step = currentStep();
  const { document, model, input } = await seenBy(deps.db, 'evaluate', whole);
  const holdout = await readHoldout(deps, input, document);
  const incumbent = await championOf(deps.db, model);
  const scored = [];
  for (const one of packagedCandidates(input)) scored.push(await scoreVariants(deps, holdout, one));
  const theirs = incumbent ? await scoreChampion(deps, holdout, incumbent) : null;
  const known = [...scored.map(({ signature }) => signature.classes), theirs?.signature.classes ?? []];
  const scale = { labels: holdout.labels, classes: allClasses(holdout.labels, ...known) };
  const candidates = scored.map((one) => servable(document, one, scale));
  const { best, reports } = await choose(document, candidates);
  const champion = theirs && {
    version: theirs.version,
    answers: answersOf(document.dataset.task, scale.labels, theirs.outputs, theirs.signature.classes, scale.classes),
  };
  const judged = await judgeForms(deps, { document, best, champion, holdout, programs });
  const { answers } = judged.form;
  const { signature, inputs, result } = best;
  const measured = await importance({
    ...{ metric: document.gate.metric, inputs, ...scale },
    model: await scoredModel(deps, { ...judged.form, signature }),
    score: (asked, rows) => score(deps, asked, rows),
    signal: step.signal,
  });
  const found = { ...judged, answers, slices: holdout.slices, keys: holdout.keys, champion, reports };
  const more = { calibration: result.calibration, importance: measured };
  const evaluation = await report(document, { ...found, ...more });
  const metrics = metricsOf(answers);
  const stored = await keeping(deps, 'evaluation').putJson(evaluation);
  const finite = Object.fromEntries(Object.entries(metrics).filter(([, value]) => Number.isFinite(value)));
  const { verdict } = judged;
  await inTransaction(deps.db, async (tx) => {
    await step.guard(tx);
    await setRunResult(tx, input.context.run, { metrics: finite, verdict, evaluation: stored.digest });
  });
  const value = metrics[document.gate.metric] ?? NaN;
  return {
    summary: `${chosenOf(document, best.candidate)}${document.gate.metric} ${value.toFixed(4)} on ${evaluation.n} rows: gate ${verdict.passed ? 'passed' : 'not passed'}`,
    evaluation: stored.digest,
    metrics: finite,
    verdict,
    best: best.candidate,
    variants: judged.variants,
    served: judged.form.variant,
    signature: best.result.signature,
    champion: incumbent?.version ?? null,
    ...(judged.unanswered && { unanswered: true as const }),
  };
}

/** Which of several candidates goes on, in words. */
function chosenOf({ trainers }: PartsRead<'evaluate'>, candidate: number): string {
  const trainer = trainers[candidate];
  return trainers.length > 1 && trainer
    ? `train-${candidate + 1} (${trainer.type}) is the best of ${trainers.length}: `
    : '';
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

interface Judged {
  form: JudgedForm;
  verdict: Verdict;
  /** What the version will hold. */
  variants: VariantReport[];
  dropped: DroppedVariant[];
  /** A program gave no verdict, on this variant or on one that was dropped. */
  unanswered: boolean;
}

interface Judgement {
  document: PartsRead<'evaluate'>;
  best: ServableCandidate;
  champion: { version: number; answers: Answers } | null;
  holdout: Holdout;
  programs: Programs;
}

/** The first of the wanted variants that passes is served; where none does, the last one's verdict stands. */
async function judgeForms(deps: EvaluateDeps, asked: Judgement): Promise<Judged> {
  const { document, best, champion, holdout, programs } = asked;
  const { gate, serving } = document;
  const theirs = champion && { version: champion.version, metrics: metricsOf(champion.answers) };
  const dropped = [...best.dropped];
  let unanswered = false;
  const judgeForm = async (form: JudgedForm, refused: boolean): Promise<Judged> => {
    const rules = variantRule(serving, form, { dropped, refused });
    const model = await scoredModel(deps, { ...form, signature: best.signature });
    const subject = { holdout, model, form, inputs: best.inputs, gate, champion: theirs, programs };
    const checks = await runChecks(deps, subject);
    unanswered ||= checks.some(({ kind, failure }) => kind === 'command' && failure);
    const verdict = judge({ gate, metrics: metricsOf(form.answers), champion: theirs, rules, checks });
    const kept = best.forms.filter(({ variant }) => variant === 'float32' || variant === form.variant);
    return { form, verdict, variants: kept.map(reported), dropped, unanswered };
  };
  if (best.wanted.length === 0) return judgeForm(formOf(best.forms, demanded(document)), true);
  const [last] = best.wanted.slice(-1);
  for (const variant of best.wanted) {
    const judged = await judgeForm(formOf(best.forms, variant), false);
    if (judged.verdict.passed || variant === last) return judged;
    dropped.push({ variant, reason: `${variant} does not pass the gate: ${judged.verdict.reasons.join('; ')}` });
  }
  throw new Failure('Internal', 'no variant was judged');
}

const reported = ({ variant, model, golden, sizeBytes, agreement, latency }: JudgedForm): VariantReport => ({
  ...{ variant, model, golden, sizeBytes, agreement, latency },
});
