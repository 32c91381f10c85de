// Labels needed until a model of the digits is right in 95 % of a fixed holdout: batches chosen by margin with a tenth drawn
// at random, against batches drawn at random. The same start, trainer and batch size on both sides, twenty seeds, medians.
import { Tensor } from 'onnxruntime-node';
import { pickTasks, type Strategy } from '../domain/labeling.js';
import { digitsSplit, type Part } from '../examples/digits/split.js';
import { Graph, modelBytes } from '../ml/onnx/graph.js';
import { createSession } from '../ml/provider.js';
import { fit, trainers } from '../ml/trainers/index.js';
import { memoryRows } from '../ml/trainers/rows.js';
import { shapeOf } from '../ml/trainers/trainer.js';
import { classificationSpec, median } from './epochs.support.js';

const [seeds, batchSize, explore, wanted] = [20, 25, 0.1, 0.95];
const trainer = 'linear';
const params = { epochs: 30, batch: 32, learningRate: 0.01 };

type Data = ReturnType<typeof digitsSplit>;

interface Model {
  probabilities(part: Part): Promise<Float32Array>;
  release(): Promise<void>;
}

function picked({ x, y }: Part, width: number, rows: readonly number[]): { x: Float32Array; y: Float32Array } {
  const own = new Float32Array(rows.length * width);
  rows.forEach((row, i) => own.set(x.subarray(row * width, (row + 1) * width), i * width));
  return { x: own, y: Float32Array.from(rows, (row) => y[row]!) };
}

async function learn({ train, width, classes }: Data, rows: readonly number[], seed: number): Promise<Model> {
  const { x, y } = picked(train, width, rows);
  const spec = { ...classificationSpec(trainer, { rows: rows.length, width, outputs: classes }, params), seed };
  const { snapshot } = await fit(spec, { train: memoryRows(x, y, width), validation: null });
  const graph = new Graph('digits');
  const logits = trainers[trainer].emit(graph, graph.input('X', 'float', ['N', width]), snapshot, shapeOf(spec));
  graph.output(graph.op('Softmax', [logits], { axis: -1 }, 'p'), 'float', ['N', classes]);
  const session = await createSession(modelBytes(graph, { opset: 18, mlOpset: 3 }));
  return {
    probabilities: async (part) =>
      (await session.run({ X: new Tensor('float32', part.x, [part.rows, width]) }))['p']!.data as Float32Array,
    release: () => session.release(),
  };
}

function accuracy(probabilities: Float32Array, { y, rows }: Part, classes: number): number {
  let right = 0;
  for (let row = 0; row < rows; row += 1) {
    const own = probabilities.subarray(row * classes, (row + 1) * classes);
    if (own.indexOf(Math.max(...own)) === y[row]) right += 1;
  }
  return right / rows;
}

/** Labels asked for when the holdout is right often enough; all there are where it never is. */
async function labelsNeeded(data: Data, strategy: Strategy, seed: number): Promise<number> {
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
    const model = await learn(data, [...labelled], seed);
    known = await model.probabilities(train);
    const reached = accuracy(await model.probabilities(holdout), holdout, classes) >= wanted;
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
