// Accuracy of the trainers with their default parameters on the fixed split of the digits, against a floor for each.
// `ours` is the smallest margin over a floor; three seeds each, of which the median counts.
import { Tensor } from 'onnxruntime-node';
import type { TrainerType } from '../domain/model.js';
import { digitsSplit, type Part } from '../examples/digits/split.js';
import { Graph, modelBytes } from '../ml/onnx/graph.js';
import { createSession } from '../ml/provider.js';
import { fit, trainers } from '../ml/trainers/index.js';
import { memoryRows } from '../ml/trainers/rows.js';
import { shapeOf } from '../ml/trainers/trainer.js';
import { classificationSpec, median } from './epochs.support.js';

const floors: Partial<Record<TrainerType, number>> = { linear: 0.965, mlp: 0.975, trees: 0.97 };
const seeds = [1, 2, 3];

async function accuracy(trainer: TrainerType, seed: number, data: ReturnType<typeof digitsSplit>): Promise<number> {
  const { train, holdout, width, classes } = data;
  const spec = { ...classificationSpec(trainer, { rows: train.rows, width, outputs: classes }, {}), seed };
  const rows = memoryRows(train.x, train.y, width);
  const { snapshot } = await fit(spec, { train: rows, validation: null });
  const graph = new Graph('digits');
  const logits = trainers[trainer].emit(graph, graph.input('X', 'float', ['N', width]), snapshot, shapeOf(spec));
  graph.output(graph.op('ArgMax', [logits], { axis: 1, keepdims: 0 }, 'label'), 'int64', ['N']);
  const session = await createSession(modelBytes(graph, { opset: 18, mlOpset: 3 }));
  const { label } = await session.run({ X: new Tensor('float32', holdout.x, [holdout.rows, width]) });
  await session.release();
  return share(label?.data as BigInt64Array, holdout);
}

const share = (labels: BigInt64Array, { y, rows }: Part): number =>
  y.reduce((right, label, i) => right + (Number(labels[i]) === label ? 1 : 0), 0) / rows;

export async function bench() {
  const data = digitsSplit();
  const margins: number[] = [];
  for (const [trainer, floor] of Object.entries(floors) as [TrainerType, number][]) {
    const found: number[] = [];
    for (const seed of seeds) found.push(await accuracy(trainer, seed, data));
    console.error(`${trainer}: ${found.map((value) => value.toFixed(4)).join(', ')}, floor ${floor}`);
    margins.push(median(found) - floor);
  }
  return { ours: Math.min(...margins), peer: null, ratio: null, unit: 'accuracy over the floor', runs: seeds.length };
}
