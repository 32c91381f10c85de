// One epoch of the linear trainer against its matrix products alone, in one process, taking turns.
// 6,000 rows x 784, batch 256, 10 classes, one thread. The products get their batches ready-made and in order.
import { memoryRows } from '../ml/trainers/rows.js';
import { bareProducts, classificationSpec, epochTimes, median, randomVector } from './epochs.support.js';

const [rows, width, outputs, batch, repetitions] = [6000, 784, 10, 256, 15];

/** Medians of one epoch in milliseconds: the whole step with shuffle, gather, loss, gradients and AdamW; the products alone. */
export async function bench(): Promise<{ ours: number; peer: number; ratio: number; unit: 'ms'; runs: number }> {
  const warm = 3;
  const spec = classificationSpec('linear', { rows, width, outputs }, { batch, epochs: repetitions + warm });
  const y = randomVector(rows, 4).map((value) => Math.floor(value * outputs));
  const train = memoryRows(randomVector(rows * width, 1), y, width);
  const products = await bareProducts(
    [
      { a: 'x', b: [width, outputs] },
      { a: 'x', b: [batch, outputs], transposeA: true },
    ],
    { steps: Math.ceil(rows / batch), batch, width },
  );
  const { ours, others } = await epochTimes(spec, train, products, warm);
  const [mine, theirs] = [median(ours), median(others)];
  return { ours: mine, peer: theirs, ratio: mine / theirs, unit: 'ms', runs: repetitions };
}
