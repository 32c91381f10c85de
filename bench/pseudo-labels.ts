// What pseudo-labels are worth on the digits: 200 labelled rows, 60 of them drawn to check; the share of a fixed holdout that
// is right with the pseudo-labels of one round, and without. 300 rows judge whether the round is kept. Means over ten seeds
// with `linear` and with `mlp`.
import { judgePseudoLabels, planPseudoLabels } from '../domain/pseudo-label.js';
import { scoredRows } from '../domain/scored-rows.js';
import { digitsSplit, type Part } from '../examples/digits/split.js';
import { createRandom, drawWithout } from '../stats/prng.js';
import { type Digits, type DigitsModel, learnDigits, rightRows, shareOf } from './digits.support.js';

const [seeds, given, checked, judges] = [10, 200, 60, 300];
const rules = { maxError: 0.2, confidence: 0.95, weight: 0.3, perClass: 1_000 };
const compared = ['linear', 'mlp'] as const;
const params = { epochs: 10 };

interface Outcome {
  without: number;
  /** As without them where the round was undone. */
  withLabels: number;
  /** Whatever the judges say. */
  always: number;
  kept: boolean;
  labels: number;
  wrong: number;
}

function partOf({ train, width }: Digits, rows: readonly number[]): Part {
  const x = new Float32Array(rows.length * width);
  rows.forEach((row, i) => x.set(train.x.subarray(row * width, (row + 1) * width), i * width));
  return { ...train, x, y: Float32Array.from(rows, (row) => train.y[row]!), rows: rows.length };
}

async function scored(model: DigitsModel, data: Digits, rows: readonly number[]): Promise<number[][]> {
  const all = await model.probabilities(partOf(data, rows));
  return rows.map((_, at) => [...all.subarray(at * data.classes, (at + 1) * data.classes)]);
}

async function round(data: Digits, trainer: (typeof compared)[number], seed: number): Promise<Outcome> {
  const { train, holdout, classes } = data;
  const order = drawWithout(createRandom(seed), train.rows, train.rows);
  const [labelled, judging] = [order.slice(0, given), order.slice(given, given + judges)];
  const [sample, pool] = [labelled.slice(0, checked), order.slice(given + judges)];
  const lesson = { trainer, params, seed };
  const first = await learnDigits(data, { ...lesson, rows: labelled.slice(checked) });
  const ofPool = await scored(first, data, pool);
  const plan = planPseudoLabels({
    rules,
    classes: Array.from({ length: classes }, (_, digit) => String(digit)),
    pool: scoredRows(ofPool.map((probabilities, at) => ({ key: String(pool[at]), probabilities }))),
    sample: (await scored(first, data, sample)).map((probabilities, at) => {
      return { probabilities, label: train.y[sample[at]!]! };
    }),
  });
  const rows = [...labelled, ...plan.labels.map(({ key }) => Number(key))];
  const labels = [...labelled.map((row) => train.y[row]!), ...plan.labels.map(({ label }) => Number(label))];
  const weights = rows.map((_, at) => (at < given ? 1 : rules.weight));
  const one = await learnDigits(data, { ...lesson, rows: labelled });
  const other = await learnDigits(data, { ...lesson, rows, labels, weights });
  const right = async (model: DigitsModel, part: Part) => rightRows(await model.probabilities(part), part, classes);
  const judge = partOf(data, judging);
  const { kept } = judgePseudoLabels(await right(other, judge), await right(one, judge));
  const without = shareOf(await right(one, holdout));
  const always = shareOf(await right(other, holdout));
  await Promise.all([first, one, other].map((model) => model.release()));
  const wrong = plan.labels.filter(({ key, label }) => train.y[Number(key)] !== Number(label)).length;
  return { without, withLabels: kept ? always : without, always, kept, labels: plan.labels.length, wrong };
}

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

export async function bench() {
  const data = digitsSplit();
  const found: Outcome[] = [];
  for (const trainer of compared) {
    for (let seed = 1; seed <= seeds; seed += 1) {
      const one = await round(data, trainer, seed);
      found.push(one);
      const what = `${one.labels} pseudo-labels, ${one.wrong} wrong, ${one.kept ? 'kept' : 'undone'}`;
      console.error(`${trainer} ${seed}: ${what}: ${one.without.toFixed(4)} without, ${one.always.toFixed(4)} with`);
    }
    const own = found.slice(-seeds);
    const means = [own.map((one) => one.without), own.map((one) => one.always), own.map((one) => one.withLabels)];
    const [without, always, guarded] = means.map((values) => mean(values).toFixed(4));
    console.error(`${trainer}: ${without} without, ${always} always kept, ${guarded} as judged`);
  }
  const [ours, peer] = [mean(found.map((one) => one.withLabels)), mean(found.map((one) => one.without))];
  return { ours, peer, ratio: ours / peer, unit: 'of the holdout right', runs: found.length };
}
