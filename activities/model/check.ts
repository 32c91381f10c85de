// Measures what the document's checks ask for, of the variant that is judged; the rules are domain/check.ts. What a program
// says of it is check-program.ts's.
import { setImmediate as turn } from 'node:timers/promises';
import type { ScoredModel } from '../../adapters/scorer.js';
import { type Check, type CheckFacts, type CheckReport, judgeCheck } from '../../domain/check.js';
import { Failure, failureCode, failures } from '../../domain/failures.js';
import { type Answers, answersOf, measureOne, metricOf, rowsOf } from '../../domain/measure.js';
import { type ModelInputs, pickInputs } from '../../domain/model.js';
import { changeColumn, isInput } from '../../domain/perturbation.js';
import type { PartsRead } from '../../domain/reuse.js';
import { sameAnswers } from '../../domain/variant.js';
import { expectedCalibrationError } from '../../stats/calibration.js';
import { createRandom, drawWithout } from '../../stats/prng.js';
import { type DeclaredCheck, measureProgram } from './check-program.js';
import type { EvaluateDeps } from './evaluate.js';
import type { ModelDeps } from './package.js';
import { groups, seed, sliceDraws } from './report.js';
import { type Holdout, score } from './score.js';
import type { JudgedForm } from './variant.js';

/** The variant under judgement with the rows that it answered. */
export interface Subject {
  holdout: Holdout;
  model: ScoredModel;
  form: JudgedForm;
  inputs: ModelInputs;
  /** What programs are told besides. */
  gate: PartsRead<'evaluate'>['gate'];
  champion: { version: number; metrics: Record<string, number> } | null;
  /** Programs of the gate, by the names of their checks. */
  programs: Map<string, DeclaredCheck>;
}

type Kind<K extends Check['kind']> = Extract<Check, { kind: K }>;

/** Values with so many rows at most are measured although they are not judged. */
const toldValues = 10;

async function measureSlices(
  { column, metric, minRows }: Kind<'slice'>,
  { holdout, form }: Subject,
): Promise<CheckFacts> {
  const slices = [];
  for (const [index, [value, rows]] of groups(await holdout.column(column)).entries()) {
    const few = rows.length < minRows;
    const n = rows.length;
    const none = { value: null, lo: null, hi: null, n, method: 'none' as const };
    if (few && index >= toldValues) {
      slices.push({ value, metric: none });
      continue;
    }
    const answers = rowsOf(form.answers, rows);
    const point = metricOf(metric, answers);
    const short = { ...none, value: Number.isFinite(point) ? point : null };
    slices.push({ value, metric: few ? short : measureOne(metric, answers, seed, sliceDraws) });
    await turn();
  }
  return { kind: 'slice', slices };
}

async function measureInvariance(deps: ModelDeps, check: Kind<'invariance'>, subject: Subject): Promise<CheckFacts> {
  const { model, inputs, holdout, form } = subject;
  const { signature } = model;
  if (!isInput(signature, check.column)) {
    // a misspelt name would pass for ever
    await holdout.column(check.column);
    return { kind: 'invariance', seen: false, rows: 0, changes: [] };
  }
  const random = createRandom(seed);
  const rows = drawWithout(random, inputs.rows, Math.min(check.rows, inputs.rows)).sort((a, b) => a - b);
  const sample = pickInputs(inputs, signature, rows);
  const labels = rows.map((row) => holdout.labels[row] ?? '');
  const { task, classes } = form.answers;
  const answered = async (asked: ModelInputs): Promise<Answers> =>
    answersOf(task, labels, await score(deps, model, asked), signature.classes, classes);
  const before = await answered(sample);
  const changes = [];
  for (const change of check.changes) {
    const changed = changeColumn(sample, signature, { column: check.column, change, random });
    if ('fault' in changed) return { kind: 'failed', reason: changed.fault };
    const same = sameAnswers(before, await answered(changed.inputs));
    changes.push({ change, same: same.filter(Boolean).length / same.length });
  }
  return { kind: 'invariance', seen: true, rows: rows.length, changes };
}

async function measureLatency(deps: ModelDeps, { batch }: Kind<'latency'>, subject: Subject): Promise<CheckFacts> {
  const { form, model, inputs } = subject;
  const known = form.latency.find((one) => one.batch === batch);
  const [timed = known] = known ? [known] : await deps.scorer.time(model, inputs, [batch]);
  return { kind: 'latency', p50Ms: timed?.p50Ms ?? NaN, p99Ms: timed?.p99Ms ?? NaN };
}

async function measureCheck(deps: EvaluateDeps, check: Check, subject: Subject): Promise<CheckFacts> {
  const { answers, sizeBytes } = subject.form;
  switch (check.kind) {
    case 'slice':
      return measureSlices(check, subject);
    case 'invariance':
      return measureInvariance(deps, check, subject);
    case 'latency':
      return measureLatency(deps, check, subject);
    case 'size':
      return { kind: 'size', sizeBytes };
    case 'calibration': {
      const { truth, probabilities, classes } = answers;
      const ece = expectedCalibrationError(truth, probabilities, classes.length);
      return { kind: 'calibration', ece, n: truth.length };
    }
    case 'command':
      return measureProgram(deps, check, subject);
  }
}

/** In the document's order. What is wrong with the request, such as an absent column, is a check that is not passed. */
export async function runChecks(deps: EvaluateDeps, subject: Subject): Promise<CheckReport[]> {
  const reports = [];
  for (const check of subject.gate.checks) {
    const facts = await measureCheck(deps, check, subject).catch((error: unknown): CheckFacts => {
      if (!(error instanceof Failure) || failures[error.failure].family !== 'request') throw error;
      return { kind: 'failed', failure: failureCode(error.failure), reason: error.message };
    });
    reports.push(judgeCheck(check, facts));
  }
  return reports;
}
