// Labels needed until a model of the digits is right in 95 % of a fixed holdout: batches chosen by margin with a tenth drawn
// at random, against batches drawn at random. The same start, trainer and batch size on both sides, twenty seeds, medians.
import { pickTasks, type Strategy } from '../domain/labeling.js';
import { digitsSplit } from '../examples/digits/split.js';
import { type Digits, learnDigits, rightRows, shareOf } from './digits.support.js';
import { median } from './epochs.support.js';

const [seeds, batchSize, explore, wanted] = [20, 25, 0.1, 0.95];
const trainer = 'linear' as const;
const params = { epochs: 30, batch: 32, learningRate: 0.01 };

/** Labels asked for when the holdout is right often enough; all there are where it never is. */
async function labelsNeeded(data: Digits, strategy: Strategy, seed: number): Promise<number> {
  const { train, holdout, classes } = data;
  const labelled = new Set<number>();
  let known: Float32Array | null = null;
  while (labelled.size < train.rows) {
    const candidates = [];
    for (let row = 0; row < train.rows; row += 1) {
      if (labelled.has(row)) continue;
      const probabilities = known && Array.from(known.subarray(row * classes, (row + 1) * classes));
      candidates.push({ key: String(row), probabilities });
    }
    // the first batch, which no model has scored, is the same on both sides
    const drawn = pickTasks(candidates, { strategy, batchSize, explore, seed: seed * 1000 + labelled.size });
    for (const { key } of drawn) labelled.add(Number(key));
    const model = await learnDigits(data, { trainer, params, seed, rows: [...labelled] });
    known = await model.probabilities(train);
    const reached = shareOf(rightRows(await model.probabilities(holdout), holdout, classes)) >= wanted;
    await model.release();
    if (reached) break;
  }
  return labelled.size;
}

export async function bench() {
  const data = digitsSplit();
  const [ours, random]: [number[], number[]] = [[], []];
  for (let seed = 1; seed <= seeds; seed += 1) {
    ours.push(await labelsNeeded(data, 'margin', seed));
    random.push(await labelsNeeded(data, 'random', seed));
    console.error(`seed ${seed}: margin ${ours.at(-1)}, random ${random.at(-1)}`);
  }
  const [median1, median2] = [median(ours), median(random)];
  return { ours: median1, peer: median2, ratio: median1 / median2, unit: 'labels', runs: seeds };
}
