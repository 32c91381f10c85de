// The statistics of an evaluation: the best candidate, intervals, slices, the champion beside it. Pure functions do the
// counting; between them the event loop gets its turn, since heartbeats and other steps share it.
import { createHash } from 'node:crypto';
import { setImmediate as turn } from 'node:timers/promises';
import type {
  CandidateReport,
  ChampionComparison,
  EvaluatedRows,
  Evaluation,
  Importance,
  MeasuredMetrics,
  SliceReport,
} from '../../domain/evaluation.js';
import {
  type Answers,
  calibrationReport,
  classReports,
  compareAnswers,
  confusionOf,
  measureOne,
  metricNames,
  metricsOf,
  rowsOf,
} from '../../domain/measure.js';
import { metricRules } from '../../domain/metric.js';
import type { Calibration } from '../../domain/model.js';
import type { PartsRead } from '../../domain/reuse.js';
import type { Verdict } from '../../domain/run.js';
import type { DroppedVariant, Variant, VariantReport } from '../../domain/variant.js';
import { wrongRows } from '../../domain/wrong-row.js';
import { holm } from '../../stats/paired.js';

/** The bootstrap's and the tests' seed: fixed, so that the same answers give the same numbers. */
export const seed = 20_240_601;
const mostSliceValues = 50;
export const sliceDraws = 200;

interface Candidate {
  candidate: number;
  answers: Answers;
}

/** The best by the gate's metric (the first of equals); the others with a paired test, corrected for their number. */
export async function choose<One extends Candidate>(
  document: PartsRead<'evaluate'>,
  candidates: One[],
): Promise<{ best: One; reports: CandidateReport[] }> {
  const { metric } = document.gate;
  const sign = metricRules[metric].better === 'higher' ? 1 : -1;
  const goodness = ({ answers }: Candidate) => {
    const value = sign * (metricsOf(answers)[metric] ?? NaN);
    return Number.isFinite(value) ? value : Number.NEGATIVE_INFINITY;
  };
  const best = candidates.reduce((top, one) => (goodness(one) > goodness(top) ? one : top));
  const tested: (ReturnType<typeof compareAnswers> | null)[] = [];
  for (const one of candidates) {
    tested.push(one === best ? null : compareAnswers(metric, best.answers, one.answers, seed));
    await turn();
  }
  const adjusted = holm(tested.flatMap((test) => (test ? [test.p] : [])));
  const reports = candidates.map((one, index): CandidateReport => {
    const test = tested[index];
    const adjustedP = test ? (adjusted.shift() ?? null) : null;
    const finite = Object.entries(metricsOf(one.answers)).filter(([, value]) => Number.isFinite(value));
    return {
      candidate: one.candidate,
      trainer: document.trainers[one.candidate]?.type ?? 'unknown',
      metrics: Object.fromEntries(finite),
      p: test?.p ?? null,
      adjustedP,
      chosen: one === best,
      reason: test
        ? `${metric} differs by ${test.value.toPrecision(3)} from the chosen one, p ${(adjustedP ?? 1).toPrecision(2)} after Holm`
        : `best ${metric} of ${candidates.length}`,
    };
  });
  const all = [...reports, ...unpackaged(document, candidates)];
  return { best, reports: all.sort((a, b) => a.candidate - b.candidate) };
}

function unpackaged(document: PartsRead<'evaluate'>, candidates: Candidate[]): CandidateReport[] {
  const reason = 'failed before it was packaged';
  return document.trainers
    .map(({ type }, candidate) => ({
      candidate,
      trainer: type,
      metrics: {},
      p: null,
      adjustedP: null,
      chosen: false,
      reason,
    }))
    .filter(({ candidate }) => !candidates.some((one) => one.candidate === candidate));
}

async function measureAll(answers: Answers, draws?: number): Promise<MeasuredMetrics> {
  const measured: MeasuredMetrics = {};
  for (const name of metricNames(answers.task)) {
    measured[name] = measureOne(name, answers, seed, draws);
    await turn();
  }
  return measured;
}

interface Found {
  /** Of the variant that was judged. */
  form: { variant: Variant };
  answers: Answers;
  verdict: Verdict;
  variants: VariantReport[];
  dropped: DroppedVariant[];
  slices: Record<string, string[]>;
  /** Of the holdout, in the order of the answers. */
  keys: string[];
  champion: { version: number; answers: Answers } | null;
  reports: CandidateReport[];
  calibration: Calibration | null;
  importance: Importance;
}

export async function report({ gate, dataset }: PartsRead<'evaluate'>, found: Found): Promise<Evaluation> {
  const { answers, champion, form, verdict, dropped } = found;
  const confusion = confusionOf(answers);
  const theirs = champion ? { version: champion.version, metrics: metricsOf(champion.answers) } : null;
  return {
    v: 1,
    task: dataset.task,
    n: answers.truth.length,
    metrics: await measureAll(answers),
    confusion,
    perClass: classReports(confusion),
    slices: await sliceReports(answers, found.slices),
    champion: champion && theirs ? compareWith(gate.metric, answers, champion, theirs.metrics) : null,
    candidates: found.reports,
    variants: found.variants.map(({ variant, sizeBytes, agreement }) => ({ variant, sizeBytes, agreement })),
    served: form.variant,
    calibration: calibrationReport(answers, found.calibration),
    importance: found.importance,
    rows: rightRows(answers, found.keys),
    wrong: wrongRows(answers, found.keys),
    ...{ dropped, verdict, seed },
  };
}

/** Null for regression, where no row is right or wrong. */
function rightRows({ task, truth, predicted, classes }: Answers, keys: string[]): EvaluatedRows | null {
  if (task === 'regression') return null;
  const right = Buffer.alloc(Math.ceil(truth.length / 8));
  truth.forEach((label, row) => {
    if (predicted[row] === label) right[row >> 3]! |= 1 << (row & 7);
  });
  const digest = createHash('sha256');
  keys.forEach((key, row) => digest.update(JSON.stringify([key, classes[truth[row] ?? -1] ?? null])));
  return { keys: `sha256:${digest.digest('hex')}`, right: right.toString('base64') };
}

function compareWith(
  metric: PartsRead<'evaluate'>['gate']['metric'],
  answers: Answers,
  champion: { version: number; answers: Answers },
  metrics: Record<string, number>,
): ChampionComparison {
  const { value, lo, hi, p, test } = compareAnswers(metric, answers, champion.answers, seed);
  const finite = Object.fromEntries(Object.entries(metrics).filter(([, one]) => Number.isFinite(one)));
  const orNull = (one: number) => (Number.isFinite(one) ? one : null);
  const difference = { value: orNull(value), lo: orNull(lo), hi: orNull(hi), p };
  return { version: champion.version, metrics: finite, difference, test };
}

async function sliceReports(answers: Answers, slices: Record<string, string[]>): Promise<SliceReport[]> {
  const reports: SliceReport[] = [];
  for (const [column, values] of Object.entries(slices)) {
    for (const [value, members] of groups(values).slice(0, mostSliceValues)) {
      const metrics = await measureAll(rowsOf(answers, members), sliceDraws);
      reports.push({ column, value, n: members.length, metrics });
    }
  }
  return reports;
}

/** Row numbers by value, the largest group first. */
export function groups(values: string[]): [string, number[]][] {
  const rows = new Map<string, number[]>();
  values.forEach((value, row) => {
    const members = rows.get(value);
    if (members) members.push(row);
    else rows.set(value, [row]);
  });
  return [...rows].sort(([a, left], [b, right]) => right.length - left.length || (a < b ? -1 : 1));
}
