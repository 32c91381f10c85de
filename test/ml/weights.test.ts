// A row of weight 2 is two equal rows, one of weight 0 is none, and rows that all count the same train as ever: every trainer.
import { describe, expect, test } from 'vitest';
import type { TrainSpec } from '../../domain/model.js';
import { classWeights } from '../../ml/trainers/gradient/batches.js';
import { memoryRows } from '../../ml/trainers/rows.js';
import { countedRows } from '../../ml/trainers/weights.js';
import { scoresOf, stateOf } from '../../ml/trees/model.js';
import { learn, learnt, type Toy, toyData, trainSpec } from './spec.js';
import { numbers } from './support.js';
import { table } from './trees.support.js';

const rows = 500;
const [wide, square] = [5, 16];

/** Two numbers, then three ids of n-grams. */
function phrases(): Toy {
  const { x, y } = toyData(rows, wide, 3);
  return { x: x.map((value, at) => (at % wide < 2 ? value : Math.floor(3 * (value + 1)))), y };
}

// the whole table at once, without draws, by plain descent: sums of equal terms in another order are all that may differ
const descent = { batch: 4_096, epochs: 4, optimiser: 'sgd', learningRate: 0.05 };
const grown = { rounds: 5, leaves: 6, minRows: 1 };
const regression = { task: 'regression', outputs: 1 } as const;
const tokens = { tokens: { columns: [3], ids: 5 } };
const image = { height: 4, width: 4, filters: [3], hidden: [4] };

/** With few different values, so that each has a bin of its own, however often it is there. */
function coarse(outputs: number): Toy {
  const { x, y } = table(rows, wide, outputs);
  return { x: x.map((value) => Math.round(10 * value) / 10), y };
}

const cases: [string, Toy, Partial<TrainSpec>][] = [
  ['linear', toyData(rows, wide, 3), { params: descent }],
  ['linear, balanced', toyData(rows, wide, 3), { params: { ...descent, classWeight: 'balanced' } }],
  ['linear, of a number', toyData(rows, wide, 0), { ...regression, params: descent }],
  ['mlp', toyData(rows, wide, 3), { trainer: 'mlp', params: { ...descent, hidden: [6] } }],
  ['cnn', toyData(rows, square, 3), { trainer: 'cnn', width: square, params: { ...descent, ...image } }],
  ['text', phrases(), { trainer: 'text', ...tokens, params: { ...descent, dims: 4 } }],
  ['trees, three classes', coarse(3), { trainer: 'trees', params: grown }],
  ['trees, two classes', coarse(2), { trainer: 'trees', outputs: 2, params: grown }],
  ['trees, of a number', coarse(1), { trainer: 'trees', ...regression, params: grown }],
];

/** The rows so many times each. */
function repeated({ x, y }: Toy, width: number, times: (row: number) => number): Toy {
  const order = [...y.keys()].flatMap((row) => new Array<number>(times(row)).fill(row));
  return {
    x: Float32Array.from(order.flatMap((row) => [...x.subarray(row * width, (row + 1) * width)])),
    y: Float32Array.from(order, (row) => y[row]!),
  };
}

const weighed = ({ x, y }: Toy, weightOf: (row: number) => number): Toy => {
  return { x, y, weights: Float32Array.from(y.keys(), weightOf) };
};

/** What was learnt, as numbers to compare: parameters, or the scores that the trees give to the rows. */
async function outcome(spec: TrainSpec, data: Toy, asked: Toy): Promise<Float32Array> {
  const { snapshot } = await learn(spec, data);
  return spec.trainer === 'trees' ? scoresOf(stateOf(snapshot), asked.x) : (snapshot.arrays['p'] as Float32Array);
}

describe.each(cases)('%s', (_, data, given) => {
  const specOf = ({ y }: Toy): TrainSpec => trainSpec({ rows: y.length, width: wide, outputs: 3, ...given });
  const { width } = specOf(data);

  test('weight 2 is the row twice, weight 0 no row, 1 as ever', async () => {
    const twice = (row: number): number => (row % 5 === 0 ? 2 : 1);
    const double = repeated(data, width, twice);
    const expected = await outcome(specOf(double), double, data);
    const found = await outcome(specOf(data), weighed(data, twice), data);
    const furthest = found.reduce((most, value, at) => Math.max(most, Math.abs(value - expected[at]!)), 0);
    expect(furthest).toBeLessThan(1e-4);
    const plain = await outcome(specOf(data), data, data);
    expect(found).not.toEqual(plain);

    const some = (row: number): number => (row % 3 === 1 ? 0 : 1);
    const left = repeated(data, width, some);
    // the header of a state names the rows that were given
    const given = await learn(specOf(data), weighed(data, some));
    expect(given.snapshot).toEqual((await learn(specOf(left), left)).snapshot);
    const ones = weighed(data, () => 1);
    expect(await learnt(specOf(data), ones)).toEqual(await learnt(specOf(data), data));
  });

  test('a fraction of a weight counts, and the same again gives the same bytes', async () => {
    const toy = weighed(data, (row) => (row % 2 === 0 ? 0.3 : 1));
    const spec = specOf(data);
    expect(await learnt(spec, toy)).toEqual(await learnt(spec, toy));
    expect(await learnt(spec, toy)).not.toEqual(await learnt(spec, data));
  });
});

test('rows that count are read wherever they lie', async () => {
  const x = Float32Array.from({ length: 40 }, (_, at) => at);
  const weights = Float32Array.from([0, 1, 0.5, 0, 0, 1, 1, 0.5, 0, 2]);
  const kept = countedRows(memoryRows(x, Float32Array.from(weights.keys()), 4, weights));
  expect([...kept.y]).toEqual([1, 2, 5, 6, 7, 9]);
  expect([...kept.weights!]).toEqual([1, 0.5, 1, 1, 0.5, 2]);
  const into = new Float32Array(18).fill(-1);
  await kept.read(1, 4, into);
  expect([...into]).toEqual([2, 5, 6, 7].flatMap((row) => [0, 1, 2, 3].map((at) => row * 4 + at)).concat(-1, -1));
});

test('weights that are none are refused, and rows of which none counts', async () => {
  const data = toyData(20, wide, 3);
  const spec = trainSpec({ rows: 20, width: wide, outputs: 3 });
  for (const bad of [-1, NaN, Infinity]) {
    const failed = learn(
      spec,
      weighed(data, (row) => (row === 3 ? bad : 1)),
    );
    await expect(failed).rejects.toMatchObject({
      failure: 'ArtifactCorrupt',
      message: expect.stringContaining(`${bad}`),
    });
  }
  await expect(
    learn(
      spec,
      weighed(data, () => 0),
    ),
  ).rejects.toMatchObject({ failure: 'NoLabels' });
  expect(() => memoryRows(data.x, data.y, wide, new Float32Array(19))).toThrow('there are not 20 weights');
});

test('balanced classes are balanced by weight', () => {
  const y = Float32Array.from([0, 0, 1, 1, 1]);
  const found = classWeights({ classWeight: 'balanced' }, y, 2, Float32Array.from([1, 1, 0.5, 0.25, 0.25]))!;
  expect([...found]).toEqual([Math.fround(3 / 4), Math.fround(3 / 2)]);
});

test('heavy rows stay exact: hessians keep within what a histogram holds', async () => {
  const data = table(3_000, 3, 1);
  const coins = numbers(3, 3_000);
  const heavy = weighed(data, (row) => (coins[row]! > 0 ? 1_000 : 500));
  const light = weighed(data, (row) => heavy.weights![row]! / 1_000);
  const spec = trainSpec({
    trainer: 'trees',
    ...regression,
    rows: 3_000,
    width: 3,
    params: { ...grown, lambda: 0, minHessian: 0 },
  });
  const [one, other] = [await outcome(spec, heavy, data), await outcome(spec, light, data)];
  one.forEach((value, at) => expect(value).toBeCloseTo(other[at]!, 4));
});
