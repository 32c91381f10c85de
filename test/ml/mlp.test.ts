import { describe, expect, test } from 'vitest';
import type { TrainSpec } from '../../domain/model.js';
import type { TrainerParams } from '../../domain/trainers.js';
import { resumeFrom } from '../../ml/trainers/checkpoint.js';
import { classWeights, planOf } from '../../ml/trainers/gradient/batches.js';
import { drawMask, randomSource } from '../../ml/trainers/gradient/random.js';
import { learningRate } from '../../ml/trainers/gradient/schedule.js';
import { learntParameters, stateOf } from '../../ml/trainers/gradient/state.js';
import { fit } from '../../ml/trainers/index.js';
import { mlpModel } from '../../ml/trainers/mlp.js';
import { memoryRows } from '../../ml/trainers/rows.js';
import { shapeOf } from '../../ml/trainers/trainer.js';
import { learn, stateFile, type Toy, toyData, trainSpec } from './spec.js';

const [rows, width] = [120, 5];

function specOf(task: TrainSpec['task'], params: TrainerParams, stepsPerRun = 1000): TrainSpec {
  const outputs = task === 'regression' ? 1 : 3;
  return trainSpec({ trainer: 'mlp', task, rows, width, outputs, params, stepsPerRun });
}

const part = (task: TrainSpec['task'], count: number): Toy => toyData(count, width, task === 'regression' ? 0 : 3);

describe('undisturbed, one step at a time, and resumed end in the same bytes', () => {
  const base = { hidden: [9, 6], epochs: 1, batch: 32 };
  const cases: [string, TrainSpec['task'], TrainerParams][] = [
    [
      'dropout, layer norm, early stopping',
      'classification',
      { dropout: 0.4, layerNorm: true, patience: 2, epochs: 5 },
    ],
    [
      'sgd, one-cycle, clipped, tanh',
      'classification',
      { optimiser: 'sgd', schedule: 'one-cycle', clip: 0.5, activation: 'tanh' },
    ],
    [
      'adam, gelu, balanced, smoothed, warm-up',
      'classification',
      { optimiser: 'adam', activation: 'gelu', classWeight: 'balanced', labelSmoothing: 0.1, warmup: 0.2 },
    ],
    ['huber, sigmoid', 'regression', { loss: 'huber', activation: 'sigmoid' }],
    ['pinball, dropout', 'regression', { loss: 'pinball', quantile: 0.9, dropout: 0.2 }],
  ];
  test.each(cases)('%s', async (_, task, given) => {
    const make = (k: number): TrainSpec => specOf(task, { ...base, ...given }, k);
    const [data, validation] = [part(task, rows), part(task, 40)];
    const whole = await learn(make(1000), data, { validation });
    expect(whole.finished).toBe(true);
    const expected = stateFile(make(1000), whole);
    expect(stateFile(make(1), await learn(make(1), data, { validation }))).toEqual(expected);
    for (const [k, stopAt] of [
      [1, 1],
      [3, 13],
      [7, 20],
      [5, 30],
    ] as const) {
      const first = await learn(make(k), data, { validation, after: async ({ step }) => step < stopAt });
      expect(first.finished).toBe(false);
      const resume = resumeFrom(make(k), stateFile(make(k), first));
      expect(stateFile(make(k), await learn(make(k), data, { validation, resume }))).toEqual(expected);
    }
  });
});

describe('early stopping', () => {
  const data = part('classification', rows);
  // labels without a rule: whatever is learnt makes the validation loss worse
  const validation = { x: part('classification', 60).x, y: Float32Array.from({ length: 60 }, (_, i) => (i * 7) % 3) };
  const params = { hidden: [32], epochs: 50, batch: 32, learningRate: 0.02 };

  test('keeps the best state, which is what is learnt, and ends before the last epoch', async () => {
    const seen: { step: number; validation: number; p: Float32Array }[] = [];
    const after: Parameters<typeof learn>[2] = {
      validation,
      after: async (progress, snapshot) => {
        if (progress.validation !== null && progress.validation !== seen.at(-1)?.validation)
          seen.push({ step: progress.step, validation: progress.validation, p: stateOf(snapshot()).p.slice() });
        return true;
      },
    };
    const { progress, snapshot, finished } = await learn(
      specOf('classification', { ...params, patience: 3 }),
      data,
      after,
    );
    expect(finished).toBe(true);
    const plan = planOf({ rows, width }, params);
    expect(progress.step).toBeLessThan(plan.totalSteps);
    expect(progress.totalSteps).toBe(progress.step);
    const best = seen.reduce((a, b) => (b.validation < a.validation ? b : a));
    expect(learntParameters(stateOf(snapshot))).toEqual(best.p);
    expect(stateOf(snapshot).p).not.toEqual(best.p);
    expect(progress.step).toBe(best.step + 3 * plan.stepsPerLook);
    const again = await learn(specOf('classification', { ...params, patience: 3 }), data, {
      validation,
      resume: snapshot,
    });
    expect(again).toMatchObject({ finished: true, progress });
  });

  test('patience 0 and a missing validation part go to the end', async () => {
    for (const [patience, some] of [
      [0, { validation }],
      [3, {}],
    ] as const) {
      const short = { ...params, epochs: 2, patience };
      const { progress, snapshot } = await learn(specOf('classification', short), data, some);
      expect(progress.step).toBe(planOf({ rows, width }, short).totalSteps);
      expect(learntParameters(stateOf(snapshot))).toBe(stateOf(snapshot).p);
      expect(progress.validation === null).toBe(patience === 3);
    }
  });
});

describe('more rows than a buffer holds', { timeout: 120_000 }, () => {
  // 80 MB: two shards, of blocks of 64 rows
  const [many, wide, batch] = [5_000, 4_096, 256];
  const x = Float32Array.from({ length: many * wide }, (_, i) => ((i * 2_654_435_761) % 1_000) / 1_000 - 0.5);
  const y = Float32Array.from({ length: many }, (_, i) => i % 3);
  const params = { hidden: [2], epochs: 2, batch };
  const spec = (k: number): TrainSpec =>
    trainSpec({ trainer: 'mlp', rows: many, width: wide, outputs: 3, params, stepsPerRun: k });

  test('resumed in any shard of any epoch: the same bytes; reads are whole blocks', async () => {
    const plan = planOf(spec(1), spec(1).params);
    expect(plan).toMatchObject({ stepsPerEpoch: 20, totalSteps: 40, shardRows: 4_096 });
    const read: number[] = [];
    const rowsOf = () => {
      const all = memoryRows(x, y, wide);
      return {
        ...all,
        read: (from: number, count: number, into: Float32Array) => {
          read.push(count);
          return all.read(from, count, into);
        },
      };
    };
    const run = (k: number, more: Parameters<typeof fit>[2] = {}, hooks: Parameters<typeof fit>[3] = {}) =>
      fit(spec(k), { train: rowsOf(), validation: null }, more, hooks);
    const whole = await run(100);
    expect(read.reduce((a, b) => a + b)).toBe(2 * many);
    // two epochs of 79 blocks, of which each shard's end may cut one
    expect(read.length).toBeLessThanOrEqual(2 * (79 + 1));
    const expected = stateFile(spec(1), whole);
    for (const [k, stopAt] of [
      [3, 18],
      [4, 38],
    ] as const) {
      const first = await run(k, {}, { after: async ({ step }) => step < stopAt });
      const resume = resumeFrom(spec(k), stateFile(spec(k), first));
      expect(stateFile(spec(k), await run(k, { resume }))).toEqual(expected);
    }
  });
});

test('an epoch by shards takes every row once, in another order each time', async () => {
  const { createShards } = await import('../../ml/trainers/gradient/shards.js');
  const [many, wide, batch] = [3_001, 8_192, 100];
  const x = new Float32Array(many * wide);
  for (let row = 0; row < many; row++) x[row * wide] = row;
  const plan = planOf({ rows: many, width: wide }, { epochs: 2, batch });
  expect(plan.shardRows).toBe(2_000);
  const targets = Float32Array.from({ length: many }, (_, row) => -row);
  const shards = createShards(
    memoryRows(
      x,
      targets,
      wide,
      targets.map((target) => -target / 2),
    ),
    targets,
    plan,
    5,
  );
  const orders = [0, 1].map(() => [] as number[]);
  for (let step = 0; step < plan.totalSteps; step++) {
    const { X, Y } = await shards.load(step);
    expect(shards.until(step)).toBeGreaterThan(step);
    for (const row of shards.rowsOf(step)) {
      const value = (X.data as Float32Array)[row * wide]!;
      expect((Y.data as Float32Array)[row] === -value && shards.y[row] === -value).toBe(true);
      expect(shards.weights![row]).toBe(Math.fround(value / 2));
      orders[Math.floor(step / plan.stepsPerEpoch)]!.push(value);
    }
  }
  for (const order of orders) expect([...order].sort((a, b) => a - b)).toEqual(Array.from(targets, (t) => -t));
  expect(orders[0]).not.toEqual(orders[1]);
});

describe('warm start', () => {
  test('goes on from what was learnt, in the unit it was learnt in, with fresh moments', async () => {
    const data = part('regression', rows);
    const spec = specOf('regression', { hidden: [8], epochs: 3, patience: 2 });
    const { snapshot } = await learn(spec, data, { validation: part('regression', 40) });
    const other = { ...data, y: data.y.map((value) => value + 3) };
    const stop = { after: async () => false };
    const still = { ...spec, params: { ...spec.params, learningRate: 1e-8, weightDecay: 0 }, stepsPerRun: 1 };
    const first = stateOf((await learn(still, other, { warm: snapshot, ...stop })).snapshot);
    const learnt = learntParameters(stateOf(snapshot));
    first.p.forEach((value, i) => expect(value).toBeCloseTo(learnt[i]!, 6));
    expect(first).toMatchObject({ step: 1, target: stateOf(snapshot).target, best: null });
    expect(first.target).not.toEqual(stateOf((await learn(still, other, stop)).snapshot).target);
  });

  test('another size is refused', async () => {
    const data = part('classification', rows);
    const { snapshot } = await learn(specOf('classification', { hidden: [8], epochs: 1 }), data);
    const larger = specOf('classification', { hidden: [9], epochs: 1 });
    await expect(learn(larger, data, { warm: snapshot })).rejects.toMatchObject({ failure: 'CheckpointMismatch' });
  });
});

test('a network learns what a line cannot: the loss and the quantile of its parameters', async () => {
  const data = toyData(400, 2, 0);
  data.y = data.y.map((_, i) => Math.abs(data.x[2 * i]!) + ((i * 7919) % 100) / 100);
  const params = { hidden: [32, 16], epochs: 60, batch: 64, learningRate: 0.01, loss: 'pinball', quantile: 0.9 };
  const spec = trainSpec({
    trainer: 'mlp',
    task: 'regression',
    rows: 400,
    width: 2,
    outputs: 1,
    params,
    stepsPerRun: 64,
  });
  const { snapshot } = await learn(spec, data);
  const { Graph, modelBytes } = await import('../../ml/onnx/graph.js');
  const { mlp } = await import('../../ml/trainers/mlp.js');
  const { runOnce } = await import('./support.js');
  const graph = new Graph();
  const value = mlp.emit(graph, graph.input('X', 'float', ['N', 2]), snapshot, shapeOf(spec));
  graph.output(graph.op('Identity', [value], {}, 'value'), 'float', ['N', 1]);
  const result = await runOnce(modelBytes(graph, { opset: 18 }), {
    X: { type: 'float32', dims: [400, 2], data: data.x },
  });
  const predicted = result['value']!.data as Float32Array;
  const below = data.y.filter((target, i) => target <= predicted[i]!).length / 400;
  expect(below).toBeGreaterThan(0.85);
  expect(below).toBeLessThan(0.95);
  const far = [...predicted].filter((_, i) => Math.abs(data.x[2 * i]!) > 0.9);
  const near = [...predicted].filter((_, i) => Math.abs(data.x[2 * i]!) < 0.1);
  expect(Math.min(...far)).toBeGreaterThan(Math.max(...near));
});

describe('its parts', () => {
  test('weights start with the deviation of He, biases at 0, and follow the seed', () => {
    const shape = {
      task: 'classification' as const,
      width: 400,
      outputs: 10,
      params: { hidden: [300], activation: 'relu', layerNorm: true },
    };
    const p = mlpModel.initial(shape, 1);
    const deviation = (from: number, count: number): number =>
      Math.sqrt(p.subarray(from, from + count).reduce((sum, value) => sum + value ** 2, 0) / count);
    expect(deviation(0, 120_000)).toBeCloseTo(Math.sqrt(2 / 400), 3);
    expect([...p.subarray(120_000, 120_300)].every((bias) => bias === 0)).toBe(true);
    expect([...p.subarray(120_300, 120_600)].every((gain) => gain === 1)).toBe(true);
    expect([...p.subarray(120_600, 120_900)].every((shift) => shift === 0)).toBe(true);
    expect(deviation(120_900, 3_000)).toBeCloseTo(Math.sqrt(1 / 300), 2);
    expect(mlpModel.initial(shape, 1)).toEqual(p);
    expect(mlpModel.initial(shape, 2)).not.toEqual(p);
  });

  test('a mask leaves out its share, and depends on seed and step', () => {
    const draw = (seed: number, stream: number): Uint8Array => {
      const mask = new Uint8Array(100_001);
      drawMask(mask, 0.3, randomSource(seed, stream, 'dropout'));
      return mask;
    };
    const left = draw(1, 4).filter((kept) => kept === 0).length / 100_001;
    expect(Math.abs(left - 0.3)).toBeLessThan(0.006);
    expect(draw(1, 4)).toEqual(draw(1, 4));
    expect(draw(1, 4)).not.toEqual(draw(1, 5));
    expect(draw(1, 4)).not.toEqual(draw(2, 4));
  });

  test('balanced class weights make every class count the same', () => {
    const y = Float32Array.of(0, 0, 0, 0, 0, 0, 1, 1, 2);
    const weights = classWeights({ classWeight: 'balanced' }, y, 3)!;
    const sums = [0, 1, 2].map((c) => y.filter((label) => label === c).length * weights[c]!);
    sums.forEach((sum) => expect(sum).toBeCloseTo(3, 5));
    expect(classWeights({ classWeight: 'none' }, y, 3)).toBe(null);
  });

  test('schedules: a warm-up rises in a line, one cycle goes up and far down', () => {
    const rates = (params: TrainerParams): number[] =>
      Array.from({ length: 100 }, (_, step) => learningRate({ learningRate: 1, ...params }, step, 100));
    const warm = rates({ schedule: 'cosine', warmup: 0.1 });
    expect(warm.slice(0, 11)).toEqual([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1]);
    expect(warm[99]).toBeLessThan(0.001);
    expect(rates({ schedule: 'constant' })).toEqual(Array(100).fill(1));
    const cycle = rates({ schedule: 'one-cycle' });
    expect(cycle[0]).toBeCloseTo(0.04, 10);
    expect(cycle[30]).toBe(1);
    expect(cycle[99]).toBeCloseTo(4e-6, 10);
    expect(cycle.indexOf(Math.max(...cycle))).toBe(30);
  });
});
