import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Task } from '../../domain/dataset.js';
import { Int8Graph, int8Top, quantiseColumns } from '../../ml/export/int8.js';
import { int8Model, oneFileModel } from '../../ml/export/one-file.js';
import { Tape } from '../../ml/onnx/autodiff.js';
import { Graph, modelBytes } from '../../ml/onnx/graph.js';
import { digitsSplit } from '../../examples/digits/split.js';
import { trainers } from '../../ml/trainers/index.js';
import { shapeOf } from '../../ml/trainers/trainer.js';
import { int8Trainers } from '../../domain/variant.js';
import { type TrainerType, trainerTypes } from '../../domain/model.js';
import { fittedFeatures } from './fitted.js';
import { learn, learnt, toyData, trainSpec } from './spec.js';
import { type Feed, numbers, runOnce } from './support.js';

const sizes = [784, 256, 128, 10] as const;

/** A perceptron with weights as after an initialisation, written into `graph` as a trainer would. */
function perceptron(graph: Graph): Uint8Array {
  const tape = new Tape(graph);
  const x = tape.value(graph.input('x', 'float', ['N', sizes[0]]), ['N', sizes[0]]);
  const [last] = sizes.slice(1).reduce<[typeof x, number]>(
    ([h, width], next, layer) => {
      const values = numbers(layer + 1, width * next).map((value) => value * Math.sqrt(6 / width));
      const w = graph.initializer({ type: 'float', dims: [width, next], values }, `W${layer}`);
      const b = graph.initializer({ type: 'float', dims: [next], values: numbers(layer + 9, next) }, `b${layer}`);
      const z = tape.gemm(h, tape.value(w, [width, next]), tape.value(b, [next]));
      return [layer === 2 ? z : tape.value(graph.op('Relu', [z.name]), z.dims), next];
    },
    [x, sizes[0]],
  );
  graph.output(graph.op('Identity', [last.name], {}, 'y'), 'float', ['N', sizes[3]]);
  return modelBytes(graph, { opset: 18 });
}

const feed = (rows: number, data: readonly number[]): Record<string, Feed> => ({
  x: { type: 'float32', dims: [rows, sizes[0]], data: data.slice(0, rows * sizes[0]) },
});
const answers = async (bytes: Uint8Array, rows: number, data: readonly number[]) =>
  (await runOnce(bytes, feed(rows, data)))['y']!.data as Float32Array;

describe('columns', () => {
  test('every weight is off by at most half of its column’s scale', () => {
    const weight = fc.float({ min: -1e6, max: 1e6, noNaN: true });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 7 }), fc.array(weight, { maxLength: 60 }), (columns, raw) => {
        const weights = Float32Array.from(raw.slice(0, raw.length - (raw.length % columns)));
        const { values, scales } = quantiseColumns(weights, columns);
        weights.forEach((w, i) => {
          const scale = scales[i % columns]!;
          expect(Math.abs(values[i]!)).toBeLessThanOrEqual(int8Top);
          expect(Math.abs(w - values[i]! * scale)).toBeLessThanOrEqual(scale * 0.5001 + 2 ** -126);
        });
      }),
    );
  });

  test('a column of zeros stays zero, and a large one does not coarsen its neighbour', () => {
    const { values, scales } = quantiseColumns([0, 1000, 0.01, 0, -500, -0.02], 3);
    expect([...values]).toEqual([0, 64, 32, 0, -32, -64]);
    expect(scales[0]).toBe(0);
    expect(scales[2]).toBeCloseTo(0.02 / 64, 9);
  });
});

describe('a perceptron', () => {
  const rows = 400;
  const x = numbers(77, rows * sizes[0]).map((value) => Math.max(0, value));

  test('is a quarter as large, repeats to the byte and mostly names the same class', async () => {
    const [plain, small] = [perceptron(new Graph('m')), perceptron(new Int8Graph('m'))];
    expect(plain.length / small.length).toBeGreaterThan(3.8);
    expect(perceptron(new Int8Graph('m'))).toEqual(small);
    const [expected, found] = [await answers(plain, rows, x), await answers(small, rows, x)];
    const winner = (y: Float32Array, row: number) => {
      const part = [...y.subarray(row * 10, row * 10 + 10)];
      return part.indexOf(Math.max(...part));
    };
    const same = Array.from({ length: rows }, (_, row) => winner(expected, row) === winner(found, row));
    // random weights: the classes lie closer to each other than in anything that has learnt
    expect(same.filter(Boolean).length / rows).toBeGreaterThan(0.95);
    const power = (values: Float32Array) => Math.sqrt(values.reduce((sum, value) => sum + value ** 2, 0));
    expect(power(found.map((value, i) => value - expected[i]!)) / power(expected)).toBeLessThan(0.03);
  });

  test('answers a row alike alone, among others and beside one a thousand times as large', async () => {
    const small = perceptron(new Int8Graph('m'));
    const beside = [...x.slice(0, sizes[0]), ...x.slice(sizes[0], 2 * sizes[0]).map((value) => value * 1000)];
    const alone = await answers(small, 1, x);
    expect((await answers(small, 64, x)).slice(0, 10)).toEqual(alone);
    expect((await answers(small, 2, beside)).slice(0, 10)).toEqual(alone);
  });

  test('a row of zeros and no row at all have answers', async () => {
    const small = perceptron(new Int8Graph('m'));
    const zeros = new Array<number>(sizes[0]).fill(0);
    const [found, expected] = [await answers(small, 1, zeros), await answers(perceptron(new Graph('m')), 1, zeros)];
    found.forEach((value, i) => expect(Math.abs(value - expected[i]!)).toBeLessThan(0.1));
    expect(await answers(small, 0, [])).toHaveLength(0);
  });
});

test('integers are the same on every CPU: the largest sums of pairs fit 16 bits', async () => {
  const width = 64;
  const graph = new Int8Graph('m');
  const x = graph.input('x', 'float', ['N', width]);
  const w = graph.initializer({ type: 'float', dims: [width, 1], values: new Array<number>(width).fill(1) });
  graph.output(graph.op('MatMul', [x, w], {}, 'y'), 'float', ['N', 1]);
  const ones: Feed = { type: 'float32', dims: [1, width], data: new Array<number>(width).fill(1) };
  const y = (await runOnce(modelBytes(graph, { opset: 18 }), { x: ones }))['y']!.data as Float32Array;
  expect(y[0]).toBeCloseTo(width, 4);
});

test('a matrix that something else reads stays as it is, beside its int8 form', async () => {
  const graph = new Int8Graph('m');
  const x = graph.input('x', 'float', ['N', 2]);
  const w = graph.initializer({ type: 'float', dims: [2, 2], values: [1, 2, 3, 4] }, 'W');
  const product = graph.op('MatMul', [x, w]);
  graph.output(graph.op('Add', [product, graph.op('ReduceSum', [w], { keepdims: 0 })], {}, 'y'), 'float', ['N', 2]);
  expect(graph.layers).toBe(1);
  const found = await runOnce(modelBytes(graph, { opset: 18 }), { x: { type: 'float32', dims: [1, 2], data: [1, 1] } });
  expect(found['y']!.data[0]).toBeCloseTo(14, 1);
  expect(found['y']!.data[1]).toBeCloseTo(16, 1);
});

test.each(['classification', 'regression'] as const)(
  'the whole file of %s: same inputs and outputs',
  async (task: Task) => {
    const outputs = task === 'regression' ? 1 : 3;
    const num = Array.from({ length: 5 }, () => ({ impute: 0, mean: 0, scale: 1 }));
    const classes = task === 'regression' ? [] : ['a', 'b', 'c'];
    const fitted = fittedFeatures({ num, cat: [], task, classes });
    const data = toyData(300, 5, task === 'regression' ? 0 : 3);
    const spec = trainSpec({ task, rows: 300, width: 5, outputs });
    const state = await learnt(spec, data);
    const info = { trainer: 'linear' as const, params: spec.params };
    const [plain, small] = [oneFileModel(fitted, state, info), int8Model(fitted, state, info)!];
    expect(int8Model(fitted, state, info)).toEqual(small);
    const feeds = { num: { type: 'float32' as const, dims: [300, 5], data: data.x } };
    const [expected, found] = [await runOnce(plain, feeds), await runOnce(small, feeds)];
    expect(Object.keys(found)).toEqual(Object.keys(expected));
    if (task === 'classification') {
      const same = (found['label']!.data as string[]).filter((label, i) => label === expected['label']!.data[i]);
      expect(same.length / 300).toBeGreaterThanOrEqual(0.97);
    } else {
      const values = expected['value']!.data as Float32Array;
      const off = (found['value']!.data as Float32Array).map((value, i) => Math.abs(value - values[i]!));
      expect(Math.max(...off) / (Math.max(...values) - Math.min(...values))).toBeLessThan(0.02);
    }
  },
);

test('a table of embeddings is looked up in int8, each row off by at most half of its scale', async () => {
  const [rows, width] = [40, 16];
  const table = numbers(3, rows * width).map((value, i) => (i < width ? 0 : value * (i < 2 * width ? 1000 : 1)));
  const graph = new Int8Graph('m');
  const index = graph.input('index', 'int32', ['N', 2]);
  const name = graph.initializer({ type: 'float', dims: [rows, width], values: table }, 'table');
  graph.output(graph.op('Gather', [name, index], { axis: 0 }, 'y'), 'float', ['N', 2, width]);
  const bytes = modelBytes(graph, { opset: 18 });
  expect(bytes.length).toBeLessThan(rows * width + rows * 4 + 600);
  const asked = [0, 1, 2, 39, 7, 7];
  const { y } = await runOnce(bytes, { index: { type: 'int32', dims: [3, 2], data: asked } });
  expect(y!.dims).toEqual([3, 2, width]);
  asked.forEach((row, place) => {
    const truth = table.slice(row * width, (row + 1) * width);
    const half = Math.max(...truth.map(Math.abs)) / 254;
    truth.forEach((value, d) => {
      expect(Math.abs(value - Number(y!.data[place * width + d]))).toBeLessThanOrEqual(half * 1.001);
    });
  });
});

test('mlp on the digits: about a quarter of the bytes, and the same label on at least 0.99 of the holdout', async () => {
  const { train, holdout, width, classes } = digitsSplit();
  const spec = trainSpec({ trainer: 'mlp', rows: train.rows, width, outputs: classes, stepsPerRun: 100 });
  const { snapshot } = await learn(spec, train);
  const head = (graph: Graph): Uint8Array => {
    const logits = trainers.mlp.emit(graph, graph.input('x', 'float', ['N', width]), snapshot, shapeOf(spec));
    graph.output(graph.op('Identity', [logits], {}, 'y'), 'float', ['N', classes]);
    return modelBytes(graph, { opset: 18 });
  };
  const [plain, small] = [head(new Graph('m')), head(new Int8Graph('m'))];
  expect(plain.length / small.length).toBeGreaterThan(3);
  const feeds = { x: { type: 'float32' as const, dims: [holdout.rows, width], data: holdout.x } };
  const label = async (bytes: Uint8Array) => {
    const y = (await runOnce(bytes, feeds))['y']!.data as Float32Array;
    return Array.from({ length: holdout.rows }, (_, row) => {
      const part = [...y.subarray(row * classes, (row + 1) * classes)];
      return part.indexOf(Math.max(...part));
    });
  };
  const [expected, found] = [await label(plain), await label(small)];
  const right = (labels: number[]) => labels.filter((one, row) => one === holdout.y[row]).length / holdout.rows;
  const agreement = found.filter((one, row) => one === expected[row]).length / holdout.rows;
  console.log(
    `digits, mlp: float32 ${plain.length} bytes, accuracy ${right(expected).toFixed(4)}; int8 ${small.length}, ${right(found).toFixed(4)}, agreement ${agreement.toFixed(4)}`,
  );
  expect(agreement).toBeGreaterThanOrEqual(0.99);
});

/** As little training as the trainer takes. */
function shortest(trainer: TrainerType): Record<string, number> {
  return Object.fromEntries(
    ['epochs', 'rounds'].flatMap((name) => (name in trainers[trainer].parameters ? [[name, 1]] : [])),
  );
}

test.each(trainerTypes)('%s has an int8 form exactly where the list says so', async (trainer) => {
  const tokens = trainer === 'text' && { tokens: { columns: [2], ids: 9 } };
  // the cnn's image has as many pixels as there are features
  const params = { ...shortest(trainer), ...(trainer === 'cnn' && { height: 5, width: 1 }) };
  const spec = trainSpec({ trainer, rows: 60, width: 5, outputs: 3, ...tokens, params });
  const { snapshot } = await learn(spec, toyData(60, 5, 3));
  const graph = new Int8Graph('m');
  trainers[trainer].emit(graph, graph.input('x', 'float', ['N', 5]), snapshot, shapeOf(spec));
  expect(graph.layers > 0).toBe(int8Trainers.includes(trainer));
});
