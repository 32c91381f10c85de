// One epoch of the mlp trainer against its matrix products alone, in one process, taking turns.
// 784-256-128-10, batch 256, AdamW, 60,000 synthetic rows, one thread. The products get their batches ready-made.
import { memoryRows } from '../ml/trainers/rows.js';
import { bareProducts, classificationSpec, epochTimes, median, randomVector } from './epochs.support.js';

const [rows, batch, repetitions] = [60_000, 256, 5];
const sizes = [784, 256, 128, 10] as const;
const [width, first, second, outputs] = sizes;

/** Medians of one epoch in milliseconds: the whole training loop with its shards, shuffles, loss, gradients and AdamW; the products alone. */
export async function bench(): Promise<{ ours: number; peer: number; ratio: number; unit: 'ms'; runs: number }> {
  const params = { batch, hidden: [first, second], epochs: repetitions + 1 };
  const spec = classificationSpec('mlp', { rows, width, outputs }, params);
  const y = randomVector(rows, 4).map((value) => Math.floor(value * outputs));
  const train = memoryRows(randomVector(rows * width, 1), y, width);
  const products = await bareProducts(
    [
      { a: 'x', b: [width, first] },
      { a: [batch, first], b: [first, second] },
      { a: [batch, second], b: [second, outputs] },
      { a: [batch, second], b: [batch, outputs], transposeA: true },
      { a: [batch, outputs], b: [second, outputs], transposeB: true },
      { a: [batch, first], b: [batch, second], transposeA: true },
      { a: [batch, second], b: [first, second], transposeB: true },
      { a: 'x', b: [batch, first], transposeA: true },
    ],
    { steps: Math.ceil(rows / batch), batch, width },
  );
  const { ours, others } = await epochTimes(spec, train, products);
  const [mine, theirs] = [median(ours), median(others)];
  return { ours: mine, peer: theirs, ratio: mine / theirs, unit: 'ms', runs: repetitions };
}
