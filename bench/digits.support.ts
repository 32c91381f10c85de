// Models of the digits, learnt in this process from some of the rows.
import { Tensor } from 'onnxruntime-node';
import type { TrainerType } from '../domain/model.js';
import type { TrainerParams } from '../domain/trainers.js';
import type { digitsSplit, Part } from '../examples/digits/split.js';
import { Graph, modelBytes } from '../ml/onnx/graph.js';
import { createSession } from '../ml/provider.js';
import { fit, trainers } from '../ml/trainers/index.js';
import { memoryRows } from '../ml/trainers/rows.js';
import { shapeOf } from '../ml/trainers/trainer.js';
import { classificationSpec } from './epochs.support.js';

export type Digits = ReturnType<typeof digitsSplit>;

export interface DigitsModel {
  probabilities(part: Part): Promise<Float32Array>;
  release(): Promise<void>;
}

export interface Lesson {
  trainer: TrainerType;
  params: TrainerParams;
  seed: number;
  /** Rows of the training part that it learns from. */
  rows: readonly number[];
  /** Of these rows, where they are not those of the part. */
  labels?: readonly number[];
  weights?: readonly number[];
}

export async function learnDigits({ train, width, classes }: Digits, lesson: Lesson): Promise<DigitsModel> {
  const { trainer, params, seed, rows, labels, weights } = lesson;
  const x = new Float32Array(rows.length * width);
  rows.forEach((row, i) => x.set(train.x.subarray(row * width, (row + 1) * width), i * width));
  const y = Float32Array.from(labels ?? rows.map((row) => train.y[row]!));
  const spec = { ...classificationSpec(trainer, { rows: rows.length, width, outputs: classes }, params), seed };
  const data = memoryRows(x, y, width, weights && Float32Array.from(weights));
  const { snapshot } = await fit(spec, { train: data, validation: null });
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

/** Row by row whether the likeliest class is the one of the part. */
export function rightRows(probabilities: Float32Array, { y, rows }: Part, classes: number): boolean[] {
  return Array.from({ length: rows }, (_, row) => {
    const own = probabilities.subarray(row * classes, (row + 1) * classes);
    return own.indexOf(Math.max(...own)) === y[row];
  });
}

export const shareOf = (right: readonly boolean[]): number => right.filter(Boolean).length / right.length;
