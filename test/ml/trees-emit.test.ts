import fc from 'fast-check';
import { Tensor } from 'onnxruntime-node';
import { expect, test } from 'vitest';
import { emitTrees } from '../../ml/trees/emit.js';
import { scoresOf, snapshotOf, stateOf, type TreesState } from '../../ml/trees/model.js';
import { Graph, modelBytes } from '../../ml/onnx/graph.js';
import { createSession } from '../../ml/provider.js';
import { shapeOf } from '../../ml/trainers/trainer.js';
import { numbers } from './support.js';
import { type FitGiven, grown, specOf, table, type Table } from './trees.support.js';

/** What the served nodes answer for rows of X. */
async function served(model: TreesState, data: Table, x: Float32Array): Promise<Float32Array> {
  const graph = new Graph('trees');
  const out = emitTrees(graph, graph.input('X', 'float', ['N', data.width]), model, shapeOf(specOf(data)));
  graph.output(graph.op('Identity', [out], {}, 'out'), 'float', ['N', 'C']);
  const session = await createSession(modelBytes(graph, { opset: 18, mlOpset: 3 }));
  try {
    const dims = [x.length / data.width, data.width];
    const answer = await session.run({ X: new Tensor('float32', x, dims) });
    return answer['out']!.data as Float32Array;
  } finally {
    await session.release();
  }
}

/** The same from the trees in memory: logits, 0 before the one score of two classes; or values of the target. */
function expected(model: TreesState, data: Table, x: Float32Array): number[] {
  const scores = [...scoresOf(model, x)];
  if (data.outputs === 1) return scores.map((score) => score * model.target.scale + model.target.mean);
  return data.outputs === 2 ? scores.flatMap((score) => [0, score]) : scores;
}

function expectClose(found: Float32Array, wanted: number[]): void {
  expect(found).toHaveLength(wanted.length);
  const worst = Math.max(0, ...wanted.map((value, i) => Math.abs(found[i]! - value) / Math.max(1, Math.abs(value))));
  expect(worst).toBeLessThan(2e-6);
}

/** Rows in and around the range of the training rows, with missing values and infinities among them. */
function probes(rows: number, width: number, seed: number): Float32Array {
  const odd = [NaN, Infinity, -Infinity, 0, -0, 3e38, -3e38];
  return Float32Array.from(numbers(seed, rows * width), (value, at) =>
    at % 5 === 0 ? odd[(at / 5) % odd.length]! : value * 1.5,
  );
}

test.each([1, 2, 3])('%i outputs: the file answers what the trees in memory answer', async (outputs) => {
  const data = table(900, 4, outputs);
  const model = await grown(data, { params: { rounds: 20, minRows: 3 } });
  for (const x of [data.x, probes(300, 4, 8)]) expectClose(await served(model, data, x), expected(model, data, x));
});

test('values at the edges go the way they went in training', async () => {
  const data = table(500, 2, 1);
  const model = await grown(data, { params: { rounds: 5, minRows: 3 } });
  const { edges } = model.bins;
  const up = (value: number): number => Math.fround(value + Math.abs(value) * 2 ** -22 + 1e-42);
  const x = Float32Array.from([...edges].flatMap((edge) => [edge, edge, up(edge), up(edge)]));
  expectClose(await served(model, data, x), expected(model, data, x));
});

test('categories as chains: every code, missing, and the bin of all others', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 1e6 }), fc.constantFrom(4, 12, 300), async (seed, kinds) => {
      const [rows, width, outputs] = [700, 2, 1];
      const draws = numbers(seed, rows * width);
      const code = (draw: number) => (draw > 0.9 ? NaN : Math.floor(((draw + 1) / 1.9) ** 2 * kinds));
      const x = Float32Array.from(draws, (draw, at) => (at % 2 === 0 ? code(draw) : draw));
      const effects = numbers(seed + 1, kinds);
      const y = Float32Array.from({ length: rows }, (_, row) => (effects[x[row * 2]!] ?? 2) + 0.3 * x[row * 2 + 1]!);
      const data = { x, y, width, outputs };
      const spec = { columns: { codes: [0], monotone: [] } };
      const model = await grown(data, { params: { rounds: 6, leaves: 9, minRows: 4, bins: 60 }, spec });
      expect(model.trees.some((tree) => tree.sets.length > 0)).toBe(true);
      const codes = [...Array(kinds + 3).keys(), NaN];
      const asked = Float32Array.from(codes.flatMap((one) => [one, 0.1, one, NaN]));
      expectClose(await served(model, data, asked), expected(model, data, asked));
    }),
    { numRuns: 12 },
  );
});

test('missing against every category is one node', async () => {
  const x = Float32Array.from({ length: 200 }, (_, row) => (row % 4 === 0 ? NaN : row % 3));
  const y = x.map((value) => (Number.isNaN(value) ? 5 : 1));
  const data = { x, y, width: 1, outputs: 1 };
  const given: FitGiven = { params: { rounds: 2, leaves: 2 }, spec: { columns: { codes: [0], monotone: [] } } };
  const model = await grown(data, given);
  const asked = Float32Array.of(0, 1, 2, 7, NaN);
  const answer = await served(model, data, asked);
  expectClose(answer, expected(model, data, asked));
  expect(answer[4]! - answer[3]!).toBeGreaterThan(0.5);
});

test('no tree, and trees without a split, give the base rate', async () => {
  for (const outputs of [1, 2, 3]) {
    const data = table(60, 2, outputs);
    const model = await grown(data, { params: { rounds: 1, minRows: 40 } });
    expectClose(await served(model, data, data.x), expected(model, data, data.x));
    const bare = { ...model, trees: [] };
    expectClose(await served(bare, data, data.x), expected(bare, data, data.x));
    expect(await served(bare, data, new Float32Array(0))).toHaveLength(0);
  }
});

test('a snapshot holds the whole model; a broken or unfit one is refused', async () => {
  const data = table(300, 3, 2);
  const model = await grown(data, { params: { rounds: 4 } });
  const snapshot = snapshotOf(model);
  expect(stateOf(snapshot)).toEqual(model);
  const { value: _, ...arrays } = snapshot.arrays;
  expect(() => stateOf({ ...snapshot, arrays })).toThrow('the state of trees has no value');
  const graph = new Graph('trees');
  const shape = shapeOf(specOf(table(10, 4, 2)));
  expect(() => emitTrees(graph, 'X', model, shape)).toThrow('trees of 3 columns and 1 outputs, expected 4 and 1');
});
