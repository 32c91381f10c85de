import { expect, test } from 'vitest';
import type { Task } from '../../domain/dataset.js';
import { Failure } from '../../domain/failures.js';
import { composeModel } from '../../ml/export/compose.js';
import { featuriserGraph } from '../../ml/features/graph.js';
import { Graph, modelBytes } from '../../ml/onnx/graph.js';
import { readForeign, renamed } from '../../ml/onnx/foreign.js';
import { Message } from '../../ml/onnx/wire.js';
import { fittedFeatures } from './fitted.js';
import { runOnce, type Feed } from './support.js';

const fitted = (task: Task = 'classification') =>
  fittedFeatures({
    num: [
      { impute: 1, mean: 0.5, scale: 0.2 },
      { impute: -1, mean: -0.5, scale: 0.1 },
    ],
    cat: [['blau', '하나']],
    task,
    classes: task === 'classification' ? ['ä', 'b', 'c'] : [],
  });
const width = 5;
const feeds = (rows: number): Record<string, Feed> => ({
  num: { type: 'float32', dims: [rows, 2], data: Array.from({ length: rows * 2 }, (_, i) => (i % 5 === 3 ? NaN : i)) },
  cat: { type: 'string', dims: [rows, 1], data: Array.from({ length: rows }, (_, i) => ['blau', '', 'x'][i % 3]!) },
});

/** A program's model, with names that ours have too, and a subgraph that sees them. */
function program(
  given: { x?: string; dims?: (number | string)[]; outputs?: number; rank?: 1 | 2; give?: string } = {},
) {
  const {
    x = 'X',
    dims = ['batch', width],
    outputs = 3,
    rank = 2,
    give = outputs > 1 ? 'probabilities' : 'value',
  } = given;
  const graph = new Graph('theirs');
  graph.input(x, 'float', dims);
  const values = Array.from({ length: width * outputs }, (_, i) => Math.sin(i));
  const weights = graph.initializer({ type: 'float', dims: [width, outputs], values }, 'num');
  const product = graph.op('MatMul', [x, weights], {}, 'Sub_2');
  const branch = (sign: number) => {
    const part = graph.subgraph('branch');
    part.output(part.op('Mul', [product, part.scalar('float', sign)]), 'float', ['batch', outputs]);
    return { graph: part };
  };
  const yes = graph.initializer({ type: 'bool', dims: [], values: [1] }, 'label');
  const chosen = graph.op('If', [yes], { then_branch: branch(1), else_branch: branch(-1) });
  let out = outputs > 1 ? graph.op('Softmax', [chosen], { axis: 1 }) : chosen;
  if (rank === 1) out = graph.op('Reshape', [out, graph.ints([-1])]);
  graph.output(graph.op('Identity', [out], {}, give), 'float', rank === 1 ? ['batch'] : ['batch', outputs]);
  return graph;
}

const failureOf = (work: () => unknown): Pick<Failure, 'failure' | 'message'> => {
  try {
    work();
  } catch (error) {
    if (error instanceof Failure) return { failure: error.failure, message: error.message };
  }
  throw new Error('it was taken');
};
const refused = (graph: Graph, options = { opset: 18 }, form: 'features' | 'rows' = 'features', task?: Task) =>
  failureOf(() => composeModel(fitted(task), modelBytes(graph, options), form));

test.each([13, 18, 20])('features in front, label behind: the same answers as by hand, at opset %d', async (opset) => {
  const bytes = modelBytes(program(), { opset });
  const model = composeModel(fitted(), bytes, 'features');
  expect(composeModel(fitted(), bytes, 'features')).toEqual(model);
  for (const rows of [0, 1, 7]) {
    const X = (await runOnce(featuriserGraph(fitted()), feeds(rows)))['X']!;
    const feed: Feed = { type: 'float32', dims: [...X.dims], data: X.data as Float32Array };
    const byHand = (await runOnce(bytes, { X: feed }))['probabilities']!;
    const found = await runOnce(model, feeds(rows));
    expect(Object.keys(found).sort()).toEqual(['label', 'probabilities']);
    expect(found['probabilities']!.data).toEqual(byHand.data);
    const rowsOf = [...(found['probabilities']!.data as Float32Array)];
    expect(found['label']!.data).toEqual(
      Array.from({ length: rows }, (_, row) => {
        const part = rowsOf.slice(3 * row, 3 * row + 3);
        return ['ä', 'b', 'c'][part.indexOf(Math.max(...part))];
      }),
    );
  }
  expect(Buffer.from(model).toString('utf8')).toContain('perennial.classes');
});

test('texts and hashed categories in front too, from opset 18 on', async () => {
  const text = { words: [1, 1] as [number, number], characters: null, lower: true, counts: 'log' as const, hashes: 3 };
  const given = { num: [], cat: [{ values: [], buckets: 2 }], text: [text], classes: ['a', 'b', 'c'] };
  const read = fittedFeatures({ ...given, task: 'classification' });
  expect(read.width).toBe(width);
  const words = ['하나 둘', 'A a b', ''];
  const rows: Record<string, Feed> = {
    cat: { type: 'string', dims: [3, 1], data: ['x', 'y', ''] },
    text: { type: 'string', dims: [3, 1], data: words },
  };
  const bytes = modelBytes(program(), { opset: 18 });
  const X = (await runOnce(featuriserGraph(read), rows))['X']!;
  const byHand = await runOnce(bytes, { X: { type: 'float32', dims: [3, width], data: X.data as Float32Array } });
  const found = await runOnce(composeModel(read, bytes, 'features'), rows);
  expect(found['probabilities']!.data).toEqual(byHand['probabilities']!.data);
  const old = failureOf(() => composeModel(read, modelBytes(program(), { opset: 17 }), 'features'));
  expect(old.message).toContain('opset 17; 18');
});

test.each([1, 2] as const)('a value of rank %d becomes [N]', async (rank) => {
  const bytes = modelBytes(program({ outputs: 1, rank }), { opset: 17 });
  const { value } = await runOnce(composeModel(fitted('regression'), bytes, 'features'), feeds(4));
  expect(value!.dims).toEqual([4]);
});

test('rows: the file as it is, with our metadata in place of others of that name', async () => {
  const graph = new Graph('rows');
  const num = graph.input('num', 'float', ['N', 2]);
  graph.input('cat', 'string', ['N', 1]);
  graph.output(graph.op('ReduceSum', [num, graph.ints([1])], { keepdims: 0 }, 'value'), 'float', ['N']);
  const bytes = modelBytes(graph, { opset: 18, metadata: { 'perennial.task': 'other', author: 'kim' } });
  const model = composeModel(fitted('regression'), bytes, 'rows');
  const words = Buffer.from(model).toString('utf8');
  expect(words).toContain('author');
  expect(words).not.toContain('other');
  expect(
    (await runOnce(model, { ...feeds(2), num: { type: 'float32', dims: [2, 2], data: [1, 2, 3, 4] } }))['value']!.data,
  ).toEqual(Float32Array.from([3, 7]));
});

test('inputs and outputs that do not fit are named, with what is wanted', () => {
  expect(refused(program({ x: 'input' }))).toEqual({
    failure: 'CommandModelInputs',
    message: `the program's model must take X float [N, ${width}]; it takes input float [batch, ${width}]`,
  });
  expect(refused(program({ dims: ['batch', 9] })).message).toContain('X is float [batch, 9]');
  expect(refused(program({ dims: [1, width] })).message).toContain(`X is float [1, ${width}]`);
  const two = program();
  two.input('mask', 'bool', ['batch']);
  expect(refused(two)).toMatchObject({
    failure: 'CommandModelInputs',
    message: expect.stringContaining('mask beside X'),
  });
  expect(refused(program({ give: 'y' }))).toEqual({
    failure: 'CommandModelOutputs',
    message: "the program's model must give probabilities float [N, 3]; it gives y float [batch, 3]",
  });
  expect(refused(program({ outputs: 4, give: 'probabilities' })).failure).toBe('CommandModelOutputs');
  expect(refused(program(), { opset: 18 }, 'features', 'regression').message).toContain(
    'must give value float [N] or [N, 1]',
  );
  expect(refused(program(), { opset: 18 }, 'rows').message).toContain('must take num float [N, 2]');
});

test('an old opset, tensors in other files and no ONNX at all are refused by name', () => {
  expect(refused(program(), { opset: 12 })).toMatchObject({
    failure: 'CommandModelOpset',
    message: expect.stringContaining('opset 12; 13'),
  });
  const old = program();
  old.mlOp('LabelEncoder', ['X']);
  const labelled = modelBytes(old, { opset: 18, mlOpset: 1 });
  expect(failureOf(() => composeModel(fitted(), labelled, 'features')).message).toContain('ai.onnx.ml opset 1; 2');
  // without that operator version 1 is as good as 3
  composeModel(fitted(), modelBytes(program(), { opset: 18, mlOpset: 1 }), 'features');
  const outside = new Message().text(8, 'w').message(13, new Message().text(1, 'location').text(2, '/etc/passwd'));
  const external = new Message().varint(1, 8).message(7, new Message().message(5, outside)).finish();
  expect(failureOf(() => composeModel(fitted(), external, 'features')).failure).toBe('CommandModelExternal');
  const whole = modelBytes(program(), { opset: 18 });
  for (const bytes of [new Uint8Array(), Buffer.from('no model'), whole.subarray(0, whole.length - 9)]) {
    expect(failureOf(() => composeModel(fitted(), bytes, 'features')).failure).toBe('CommandModelBroken');
  }
});

test('remarks of an exporter are no part of the model, names of all depths are ours to change', () => {
  const node = new Message().text(1, 'a').text(1, '').text(2, 'b').text(4, 'Relu').text(6, 'File "/tmp/x.py", line 3');
  const graph = new Message().message(1, node).text(10, 'made today');
  const result = renamed(graph.finish(), 'graph', 'p/').finish();
  const expected = new Message().message(1, new Message().text(1, 'p/a').text(1, '').text(2, 'p/b').text(4, 'Relu'));
  expect(result).toEqual(expected.finish());
  const whole = readForeign(modelBytes(program(), { opset: 18 }));
  const text = Buffer.from(renamed(whole.graph, 'graph', 'p/').finish()).toString('latin1');
  expect(text.split('p/Sub_2').length).toBe(4);
});
