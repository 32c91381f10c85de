import fc from 'fast-check';
import { expect, test } from 'vitest';
import { importanceOf, scoresOf, stateOf } from '../../ml/trees/model.js';
import { drawFeatures, drawRows } from '../../ml/trees/sampling.js';
import { numbers } from './support.js';
import { bytesOf, grow, grown, table, type Table } from './trees.support.js';

const small = { rounds: 12, leaves: 7, minRows: 5 };

/** Mean squared error of a regression. */
async function error(data: Table, on: Table, params = {}): Promise<number> {
  const model = await grown(data, { params: { ...small, ...params } });
  const scores = scoresOf(model, on.x);
  const { mean, scale } = model.target;
  return on.y.reduce((sum, y, row) => sum + (y - mean - scale * scores[row]!) ** 2, 0) / on.y.length;
}

test.each([1, 2, 4])(
  '%i outputs: resumed at any round, the last bytes are those of the undisturbed run',
  async (outputs) => {
    const data = table(600, 4, outputs);
    const validation = table(200, 4, outputs);
    const params = { ...small, rounds: 6, subsample: 0.7, columns: 0.6 };
    const whole = await grow(data, { params, validation });
    expect(whole).toMatchObject({ finished: true, progress: { step: 6, totalSteps: 6 } });
    for (const stop of [1, 3, 5]) {
      const after = (progress: { step: number }) => Promise.resolve(progress.step < stop);
      const part = await grow(data, { params, validation, after });
      expect(part).toMatchObject({ finished: false, progress: { step: stop } });
      const rest = await grow(data, { params, validation, start: { resume: part.snapshot } });
      expect(bytesOf(rest.snapshot)).toBe(bytesOf(whole.snapshot));
      expect(rest.progress).toEqual(whole.progress);
    }
  },
);

test('a finished state stays as it is', async () => {
  const data = table(300, 3, 2);
  const given = { params: { ...small, rounds: 40, patience: 2 }, validation: table(100, 3, 2, 5) };
  const whole = await grow(data, given);
  const again = await grow(data, { ...given, start: { resume: whole.snapshot } });
  expect(bytesOf(again.snapshot)).toBe(bytesOf(whole.snapshot));
});

test('the seed decides the draws, and nothing else does', async () => {
  const data = table(500, 4, 2);
  const params = { ...small, subsample: 0.5, columns: 0.5 };
  const bytes = async (seed: number) => bytesOf((await grow(data, { params, spec: { seed } })).snapshot);
  expect(await bytes(1)).toBe(await bytes(1));
  expect(await bytes(1)).not.toBe(await bytes(2));
});

test('rows and columns are drawn in the shares asked for', () => {
  const [bag, order] = [new Uint8Array(10_000), new Int32Array(10_000)];
  const kept = drawRows(3, 5, 0.3, bag, order);
  expect(Math.abs(kept - 3000)).toBeLessThan(200);
  expect([...order.subarray(0, kept)]).toEqual([...bag.keys()].filter((row) => bag[row] === 1));
  expect(drawRows(3, 6, 0.3, new Uint8Array(10_000), new Int32Array(10_000))).not.toBe(kept);
  expect([...drawFeatures(3, 5, 1, 4)]).toEqual([0, 1, 2, 3]);
  expect(drawFeatures(3, 5, 0.5, 7)).toHaveLength(4);
  expect(drawFeatures(3, 5, 0.01, 7)).toHaveLength(1);
});

test('early stopping keeps the best round, and only with patience', async () => {
  const [data, validation] = [table(150, 3, 2), table(400, 3, 2, 5)];
  const params = { rounds: 200, leaves: 31, minRows: 2, learningRate: 0.3 };
  const losses: number[] = [];
  const after = ({ validation: loss }: { validation: number | null }) => Promise.resolve(losses.push(loss!) > 0);
  const stopped = await grow(data, { params: { ...params, patience: 5 }, validation, after });
  const best = losses.indexOf(Math.min(...losses)) + 1;
  const { trees, best: kept } = stateOf(stopped.snapshot);
  expect(stopped).toMatchObject({ finished: true, progress: { step: best + 5 } });
  expect(best).toBeLessThan(100);
  expect([trees.length, kept]).toEqual([best, { round: best, loss: Math.min(...losses) }]);
  // the same trees as a run of just so many rounds
  const short = await grown(data, { params: { ...params, rounds: best }, validation });
  expect(short.trees).toEqual(trees);
  expect((await grown(data, { params: { ...params, rounds: 30 }, validation })).trees).toHaveLength(30);
  expect((await grown(data, { params: { ...params, rounds: 30, patience: 1 } })).trees).toHaveLength(30);
});

test('a warm start goes on from the trees of an earlier model, with its bins', async () => {
  const [before, data] = [table(500, 3, 1), table(700, 3, 1, 5)];
  const first = await grow(before, { params: small });
  const warm = await grow(data, { params: { ...small, rounds: 3 }, start: { warm: first.snapshot } });
  const [old, now] = [stateOf(first.snapshot), stateOf(warm.snapshot)];
  expect(now.trees).toHaveLength(old.trees.length + 3);
  expect(now.trees.slice(0, old.trees.length)).toEqual(old.trees);
  expect(now.bins).toEqual(old.bins);
  const part = await grow(data, {
    params: { ...small, rounds: 3 },
    start: { warm: first.snapshot },
    after: () => Promise.resolve(false),
  });
  const rest = await grow(data, { params: { ...small, rounds: 3 }, start: { resume: part.snapshot } });
  expect(bytesOf(rest.snapshot)).toBe(bytesOf(warm.snapshot));
  const wide = table(100, 4, 1);
  await expect(grow(wide, { start: { warm: first.snapshot } })).rejects.toMatchObject({
    failure: 'CheckpointMismatch',
  });
});

test('monotone: the prediction rises and falls as asked, whatever the other columns are', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 1e6 }), fc.constantFrom(1, 2), async (seed, outputs) => {
      const width = 3;
      const x = Float32Array.from(numbers(seed, 300 * width));
      const noise = numbers(seed + 1, 300);
      const value = (row: number) => Math.sin(6 * x[row * width]!) + x[row * width + 1]! * noise[row]!;
      const y = Float32Array.from(noise, (_, row) => (outputs === 1 ? value(row) : value(row) > 0 ? 1 : 0));
      const monotone = [
        { column: 0, direction: 1 },
        { column: 1, direction: -1 },
      ];
      const spec = { columns: { codes: [], monotone } };
      const model = await grown({ x, y, width, outputs }, { params: { rounds: 10, leaves: 12, minRows: 3 }, spec });
      const steps = Array.from({ length: 41 }, (_, i) => i / 20 - 1);
      for (const other of [-0.7, 0, 0.9]) {
        const up = scoresOf(model, Float32Array.from(steps.flatMap((at) => [at, other, other])));
        const down = scoresOf(model, Float32Array.from(steps.flatMap((at) => [other, at, other])));
        for (let i = 1; i < steps.length; i++) {
          expect(up[i]).toBeGreaterThanOrEqual(up[i - 1]!);
          expect(down[i]).toBeLessThanOrEqual(down[i - 1]!);
        }
      }
    }),
    { numRuns: 15 },
  );
});

test('categories are worth more as codes than as numbers', async () => {
  const [rows, kinds] = [3000, 40];
  const effects = numbers(21, kinds);
  const codes = numbers(22, rows).map((draw) => Math.floor(((draw + 1) / 2) * kinds));
  const noise = numbers(23, rows);
  const part = (from: number, to: number): Table => ({
    x: Float32Array.from(codes.slice(from, to)),
    y: Float32Array.from(codes.slice(from, to), (code, i) => effects[code]! + 0.2 * noise[from + i]!),
    ...{ width: 1, outputs: 1 },
  });
  const [data, held] = [part(0, 2000), part(2000, rows)];
  const spec = { columns: { codes: [0], monotone: [] } };
  const model = await grown(data, { params: { ...small, leaves: 4 }, spec });
  const scores = scoresOf(model, held.x);
  const asCodes = held.y.reduce(
    (sum, y, row) => sum + (y - model.target.mean - model.target.scale * scores[row]!) ** 2,
    0,
  );
  expect(asCodes / held.y.length).toBeLessThan(0.7 * (await error(data, held, { leaves: 4 })));
});

test('importance: gains and splits of all nodes; a permutation of the columns permutes it and changes no quality', async () => {
  const data = table(800, 4, 1);
  const model = await grown(data, { params: small });
  const { gain, splits } = importanceOf(model);
  const nodes = model.trees.reduce((sum, tree) => sum + tree.feature.filter((feature) => feature >= 0).length, 0);
  expect(splits.reduce((sum, n) => sum + n, 0)).toBe(nodes);
  const gains = model.trees.flatMap((tree) => [...tree.gain]).reduce((sum, one) => sum + one, 0);
  expect(gain.reduce((sum, one) => sum + one, 0)).toBeCloseTo(gains, 6);
  expect(gain[3]!).toBeLessThan(gain[0]!);
  const turned = { ...data, x: data.x.map((_, at) => data.x[Math.floor(at / 4) * 4 + 3 - (at % 4)]!) };
  const other = importanceOf(await grown(turned, { params: small }));
  expect([...other.splits].reverse()).toEqual([...splits]);
  expect(await error(turned, turned)).toBeCloseTo(await error(data, data), 6);
});

test('degenerate tables: one row, one class, constant columns, all missing, no room for a split', async () => {
  const one = { x: Float32Array.of(1, 2), y: Float32Array.of(5), width: 2, outputs: 1 };
  const flat = await grow(one);
  expect(flat).toMatchObject({ finished: true, progress: { step: 1, loss: 0 } });
  expect(stateOf(flat.snapshot).target).toEqual({ mean: 5, scale: 1 });
  const constant = { x: new Float32Array(200).fill(3), y: Float32Array.from(numbers(1, 100)), width: 2, outputs: 1 };
  expect((await grown(constant)).trees).toHaveLength(1);
  const missing = { ...constant, x: new Float32Array(200).fill(NaN) };
  expect((await grown(missing)).trees).toHaveLength(1);
  const single = { x: Float32Array.from(numbers(1, 200)), y: new Float32Array(100), width: 2, outputs: 2 };
  const { base, trees } = await grown(single, { params: { rounds: 3 } });
  expect(base[0]).toBeLessThan(-5);
  expect(trees[0]!.value.every((value) => value <= 0)).toBe(true);
  // a class without rows
  const absent = { ...single, y: single.y.map((_, row) => (row % 2) * 2), outputs: 3 };
  expect(scoresOf(await grown(absent, { params: { rounds: 3 } }), absent.x).every(Number.isFinite)).toBe(true);
});

test('huge values: columns and targets of ±3e38', async () => {
  const x = Float32Array.from(numbers(4, 400), (value) => value * 3e38);
  const y = x.map((value) => (value > 0 ? 3e38 : -3e38));
  const model = await grown({ x, y, width: 1, outputs: 1 }, { params: { rounds: 60 } });
  const { mean, scale } = model.target;
  scoresOf(model, x).forEach((score, row) => expect(Math.sign(score * scale + mean)).toBe(Math.sign(y[row]!)));
});

test('targets that are no numbers or no classes are refused, with their row', async () => {
  const data = table(50, 2, 1);
  const broken = (value: number, outputs: number): Table => {
    const y = outputs === 1 ? data.y.slice() : new Float32Array(50);
    y[7] = value;
    return { ...data, y, outputs };
  };
  for (const value of [NaN, Infinity]) {
    await expect(grow(broken(value, 1))).rejects.toMatchObject({
      failure: 'FeaturesUnfit',
      message: `the target of training row 8 is ${value}, not a finite number`,
    });
  }
  for (const value of [2, -1, 0.5, NaN]) {
    await expect(grow(broken(value, 2))).rejects.toMatchObject({ failure: 'FeaturesUnfit' });
  }
  await expect(grow(data, { validation: broken(NaN, 1) })).rejects.toThrow('validation row 8');
});

test('directions that mean nothing are refused', async () => {
  const columns = { codes: [1], monotone: [{ column: 1, direction: 1 }] };
  await expect((async () => grow(table(50, 2, 2), { spec: { columns } }))()).rejects.toThrow(
    'column 1 of X holds categories',
  );
  const direction = { codes: [], monotone: [{ column: 1, direction: 1 }] };
  await expect((async () => grow(table(50, 2, 3), { spec: { columns: direction } }))()).rejects.toThrow(
    'there are 3 classes',
  );
});
