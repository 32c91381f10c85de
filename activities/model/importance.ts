// Permutation importance (Breiman 2001): how much worse the packaged file gets when one column's values change places
// among the rows. Measured on raw columns through the scorer, on a seeded sample of the holdout; bounded, repeatable.
import { setImmediate as turn } from 'node:timers/promises';
import type { ScoredModel } from '../../adapters/scorer.js';
import type { Importance } from '../../domain/evaluation.js';
import { type Answers, answersOf, metricOf } from '../../domain/measure.js';
import { metricRules } from '../../domain/metric.js';
import { type ModelInputs, type ModelOutputs, pickInputs, type Signature } from '../../domain/model.js';
import type { MetricName } from '../../domain/pipeline.js';
import { createRandom, drawWithout } from '../../stats/prng.js';

const seed = 20_240_602;
const repeats = 5;
const [leastRows, mostRows] = [100, 500];
/** Input cells that are scored in all, which bounds the time; a string costs more than a number, a text much more. */
const mostCells = 300_000_000;
const cellCosts = { num: 1, cat: 20, text: 500 };

/** How many rows are sampled and how many columns are looked at, the first ones. */
export function importancePlan(rows: number, columns: number, cells: number): { rows: number; columns: number } {
  const perColumn = Math.floor(mostCells / (repeats * Math.max(1, cells) * Math.max(1, columns)));
  const sampled = Math.min(rows, Math.max(leastRows, Math.min(mostRows, perColumn)));
  return { rows: sampled, columns: Math.min(columns, Math.floor(mostCells / (repeats * cells * sampled))) };
}

/** Columns of the data in the order of the inputs; a date's parts belong together. */
function columnsOf({ num, cat, text = [] }: Signature): string[] {
  return [...new Set([...num.map(({ column }) => column), ...cat, ...text])];
}

/** A copy in which the rows take the column's values from the rows `order`. */
function permuted(inputs: ModelInputs, signature: Signature, column: string, order: readonly number[]): ModelInputs {
  const move = <T extends ArrayLike<unknown>>(cells: T, from: T, names: readonly string[]): T => {
    const places = names.flatMap((name, place) => (name === column ? [place] : []));
    const into = cells as unknown as unknown[];
    for (const place of places) {
      order.forEach((other, row) => (into[row * names.length + place] = from[other * names.length + place]));
    }
    return cells;
  };
  const { rows, num, cat, text } = inputs;
  const numbers = signature.num.map((input) => input.column);
  return {
    rows,
    num: numbers.includes(column) ? move(num.slice(), num, numbers) : num,
    cat: signature.cat.includes(column) ? move(cat.slice(), cat, signature.cat) : cat,
    ...(text && { text: move(text.slice(), text, signature.text ?? []) }),
  };
}

export interface ImportanceRequest {
  metric: MetricName;
  model: ScoredModel;
  inputs: ModelInputs;
  labels: readonly string[];
  /** Every class of the evaluation, as in `Answers`. */
  classes: string[];
  score(model: ScoredModel, inputs: ModelInputs): Promise<ModelOutputs>;
  signal: AbortSignal;
}

/** The mean loss of the metric in its bad direction, and its spread over the repeats; the largest first. */
export async function importance(request: ImportanceRequest): Promise<Importance> {
  const { metric, model, labels, classes, score, signal } = request;
  const { signature } = model;
  const all = columnsOf(signature);
  const counts = { num: signature.num.length, cat: signature.cat.length, text: signature.text?.length ?? 0 };
  const cells = counts.num * cellCosts.num + counts.cat * cellCosts.cat + counts.text * cellCosts.text;
  const plan = importancePlan(request.inputs.rows, all.length, cells);
  const random = createRandom(seed);
  const sample = drawWithout(random, request.inputs.rows, plan.rows).sort((a, b) => a - b);
  const inputs = pickInputs(request.inputs, signature, sample);
  const truth = sample.map((row) => labels[row] ?? '');
  const measured = async (asked: ModelInputs): Promise<number> => {
    signal.throwIfAborted();
    const outputs = await score(model, asked);
    const answers: Answers = answersOf(signature.task, truth, outputs, signature.classes, classes);
    await turn();
    return metricOf(metric, answers);
  };
  const sign = metricRules[metric].better === 'higher' ? 1 : -1;
  const baseline = await measured(inputs);
  const columns = [];
  for (const column of all.slice(0, plan.columns)) {
    const losses: number[] = [];
    for (let repeat = 0; repeat < repeats; repeat += 1) {
      const order = drawWithout(random, sample.length, sample.length);
      losses.push(sign * (baseline - (await measured(permuted(inputs, signature, column, order)))));
    }
    const mean = losses.reduce((sum, loss) => sum + loss, 0) / repeats;
    const sd = Math.sqrt(losses.reduce((sum, loss) => sum + (loss - mean) ** 2, 0) / (repeats - 1));
    columns.push({ column, mean: finite(mean), sd: finite(sd) });
  }
  columns.sort((a, b) => (b.mean ?? -Infinity) - (a.mean ?? -Infinity));
  return {
    metric,
    baseline: finite(baseline),
    rows: sample.length,
    repeats,
    columns,
    unmeasured: all.length - columns.length,
  };
}

const finite = (value: number): number | null => (Number.isFinite(value) ? value : null);
