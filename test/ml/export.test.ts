import { describe, expect, test } from 'vitest';
import type { Task } from '../../domain/dataset.js';
import type { FittedFeatures } from '../../domain/model.js';
import { headModel, oneFileModel } from '../../ml/export/one-file.js';
import { featureWidth } from '../../ml/features/columns.js';
import { featuriserGraph } from '../../ml/features/graph.js';
import { fittedFeatures } from './fitted.js';
import { learnt, trainSpec } from './spec.js';
import type { Feed } from './support.js';
import { numbers, runOnce } from './support.js';

const rows = 64;
const colours = ['blau', '하나', 'rot'];
const classes = ['ä', 'ß ü', '하나'];
const info = { trainer: 'linear' as const, params: {} };

function inputs(count: number): Record<string, Feed> {
  const num = numbers(3, count * 2).map((value, i) => (i % 7 === 3 ? NaN : value * 10));
  const cat = Array.from({ length: count }, (_, i) => [...colours, '', 'grün'][i % 5]!);
  return {
    num: { type: 'float32', dims: [count, 2], data: num },
    cat: { type: 'string', dims: [count, 1], data: cat },
  };
}

async function trained(task: Task): Promise<{ fitted: FittedFeatures; state: Uint8Array }> {
  const fitted = fittedFeatures({
    num: [
      { impute: 1, mean: 0.5, scale: 0.2 },
      { impute: -1, mean: -0.5, scale: 0.1 },
    ],
    cat: [colours],
    task,
    classes: task === 'classification' ? classes : [],
  });
  const X = (await runOnce(featuriserGraph(fitted), inputs(rows)))['X']!;
  const y = Float32Array.from({ length: rows }, (_, i) => (task === 'classification' ? i % 3 : 100 + i));
  const outputs = task === 'classification' ? 3 : 1;
  const spec = trainSpec({ task, rows, width: featureWidth(fitted), outputs, params: { epochs: 5 } });
  return { fitted, state: await learnt(spec, { x: X.data as Float32Array, y }) };
}

describe.each(['classification', 'regression'] as const)('%s', (task) => {
  test('one file answers exactly like featuriser and head, for no row, one row and many', async () => {
    const { fitted, state } = await trained(task);
    const [model, head] = [oneFileModel(fitted, state, info), headModel(fitted, state, info)];
    for (const count of [0, 1, 2, 63, 1000]) {
      const X = (await runOnce(featuriserGraph(fitted), inputs(count)))['X']!;
      const feed: Feed = { type: 'float32', dims: [...X.dims], data: X.data as Float32Array };
      const expected = await runOnce(head, { X: feed });
      const found = await runOnce(model, inputs(count));
      expect(Object.keys(found).sort()).toEqual(task === 'classification' ? ['label', 'probabilities'] : ['value']);
      for (const [name, tensor] of Object.entries(found)) {
        expect(tensor.data).toEqual(expected[name]!.data);
        expect(tensor.dims[0]).toBe(count);
      }
    }
  });

  test('the bytes repeat, and carry columns, classes and task', async () => {
    const [first, second] = [await trained(task), await trained(task)];
    const bytes = oneFileModel(first.fitted, first.state, info);
    expect(oneFileModel(second.fitted, second.state, info)).toEqual(bytes);
    const text = Buffer.from(bytes).toString('utf8');
    expect(text).toContain('{"cat":["c0"],"num":[{"column":"n0","part":null},{"column":"n1","part":null}]}');
    expect(text).toContain(JSON.stringify(task === 'classification' ? classes : []));
    expect(text).toContain('perennial.task');
  });
});

test('labels are the class of the largest probability, in any script; probabilities add up to 1', async () => {
  const { fitted, state } = await trained('classification');
  const { label, probabilities } = await runOnce(oneFileModel(fitted, state, info), inputs(30));
  const p = probabilities!.data as Float32Array;
  (label!.data as string[]).forEach((name, row) => {
    const part = [...p.subarray(row * 3, row * 3 + 3)];
    expect(name).toBe(classes[part.indexOf(Math.max(...part))]);
    expect(part.reduce((a, b) => a + b)).toBeCloseTo(1, 5);
  });
});

test('regression answers in the unit of the target', async () => {
  const { fitted, state } = await trained('regression');
  const { value } = await runOnce(oneFileModel(fitted, state, info), inputs(rows));
  const values = [...(value!.data as Float32Array)];
  expect(values.reduce((a, b) => a + b) / rows).toBeGreaterThan(100);
});

test('a state of another size is ModelInvalid', async () => {
  const { fitted, state } = await trained('classification');
  const other = { ...fitted, signature: { ...fitted.signature, classes: ['a', 'b'] } };
  expect(() => oneFileModel(other, state, info)).toThrow(expect.objectContaining({ failure: 'ModelInvalid' }));
});
