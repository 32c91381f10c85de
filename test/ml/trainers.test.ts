import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { TrainSpec } from '../../domain/model.js';
import { flopsPerStep, parametersSchema, parseTrainerParams, trainerParameters } from '../../domain/trainers.js';
import type { TrainerParams } from '../../domain/trainers.js';
import { probeProvider } from '../../ml/provider.js';
import { decodeCheckpoint, resumeFrom } from '../../ml/trainers/checkpoint.js';
import { planOf, stepInputs } from '../../ml/trainers/gradient/batches.js';
import { permutation } from '../../ml/trainers/gradient/random.js';
import { learningRate } from '../../ml/trainers/gradient/schedule.js';
import { createShards } from '../../ml/trainers/gradient/shards.js';
import { stateOf } from '../../ml/trainers/gradient/state.js';
import { fit, trainers } from '../../ml/trainers/index.js';
import { memoryRows } from '../../ml/trainers/rows.js';
import { learn, learnt, stateFile, type Toy, toyData, trainSpec } from './spec.js';

/** Trains until `stopAt` steps are done, then goes on from the encoded checkpoint. */
async function interrupted(spec: TrainSpec, data: Toy, stopAt: number): Promise<Uint8Array> {
  const first = await learn(spec, data, { after: async ({ step }) => step < stopAt });
  return stateFile(spec, await learn(spec, data, { resume: resumeFrom(spec, stateFile(spec, first)) }));
}

describe.each(['classification', 'regression'] as const)('%s', (task) => {
  const outputs = task === 'regression' ? 1 : 3;
  const data = toyData(50, 5, task === 'regression' ? 0 : 3);
  // 50 rows are passed over 20 times an epoch
  const params = { epochs: 1, batch: 16 };
  const make = (stepsPerRun: number): TrainSpec =>
    trainSpec({ task, rows: 50, width: 5, outputs, params, stepsPerRun });

  test('undisturbed, resumed at any step, and single steps end in the same bytes', async () => {
    const whole = await learn(make(1000), data);
    expect(whole).toMatchObject({ progress: { step: 80, totalSteps: 80 }, snapshot: { step: 80 }, finished: true });
    const expected = stateFile(make(1000), whole);
    expect(await learnt(make(1), data)).toEqual(expected);
    for (let step = 1; step <= 79; step += 7) {
      expect(await interrupted(make(1), data, step)).toEqual(expected);
    }
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 79 }), async (k, stopAt) => {
        expect(await interrupted(make(k), data, stopAt)).toEqual(expected);
      }),
      { numRuns: 12 },
    );
  });

  test('the loss falls, and the seed matters', async () => {
    const longer = { ...params, epochs: 6, learningRate: 0.05 };
    const spec = trainSpec({ task, rows: 50, width: 5, outputs, params: longer });
    const losses: number[] = [];
    const whole = await learn(spec, data, { after: async ({ loss }) => losses.push(loss) > 0 });
    expect(whole.progress.loss).toBeLessThan(losses[0]! / 3);
    expect(stateFile(spec, whole)).not.toEqual(await learnt({ ...spec, seed: 8 }, data));
  });
});

const optimisers: [string, TrainerParams][] = [
  ['AdamW', { weightDecay: 0.1 }],
  ['AdamW, the gradient cut to a length of 0.05', { weightDecay: 0, clip: 0.05 }],
  ['Adam, decay in the gradient', { optimiser: 'adam', weightDecay: 0.1 }],
  ['gradient descent with momentum and a warm-up', { optimiser: 'sgd', momentum: 0.8, weightDecay: 0.1, warmup: 0.3 }],
];

test.each(optimisers)(
  'a float64 softmax regression in plain TypeScript ends at the same parameters: %s',
  async (_, given) => {
    const [rows, width, classes] = [20, 3, 3];
    const data = toyData(rows, width, classes);
    const spec = trainSpec({ rows, width, outputs: classes, params: { epochs: 3, batch: 8, ...given } });
    const { params } = spec;
    const plan = planOf(spec, params);
    const shards = createShards(memoryRows(data.x, data.y, width), data.y, plan, spec.seed);
    const source = { plan, params, seed: spec.seed, shards, classWeights: null, dropouts: [] };
    const count = width * classes + classes;
    const [p, m, v] = [0, 1, 2].map(() => new Float64Array(count)) as [Float64Array, Float64Array, Float64Array];
    const decay = Number(params['weightDecay']);
    for (let step = 0; step < plan.totalSteps; step++) {
      const feeds = stepInputs(source, step, 1);
      const [idx, w] = [feeds['idx']!.data as Int32Array, feeds['w']!.data as Float32Array];
      const g = new Float64Array(count);
      const total = w.reduce((a, b) => a + b);
      idx.forEach((row, i) => {
        const x = data.x.subarray(row * width, (row + 1) * width);
        const z = Array.from({ length: classes }, (__, c) =>
          x.reduce((sum, value, d) => sum + value * p[d * classes + c]!, p[width * classes + c]!),
        );
        const e = z.map((value) => Math.exp(value - Math.max(...z)));
        const all = e.reduce((a, b) => a + b);
        e.forEach((value, c) => {
          const delta = ((value / all - (data.y[row] === c ? 1 : 0)) * w[i]!) / total;
          x.forEach((input, d) => (g[d * classes + c]! += input * delta));
          g[width * classes + c]! += delta;
        });
      });
      if (params['optimiser'] === 'adam') for (let j = 0; j < width * classes; j++) g[j]! += decay * p[j]!;
      const norm = Math.sqrt(g.reduce((sum, value) => sum + value ** 2, 0));
      const clip = Number(params['clip']);
      if (clip > 0 && norm > clip) g.forEach((value, j) => (g[j] = (value * clip) / norm));
      const lr = learningRate(params, step, plan.totalSteps);
      for (let j = 0; j < count; j++) {
        if (j < width * classes && params['optimiser'] !== 'adam') p[j]! -= lr * decay * p[j]!;
        if (params['optimiser'] === 'sgd') {
          m[j] = Number(params['momentum']) * m[j]! + g[j]!;
          p[j]! -= lr * m[j]!;
          continue;
        }
        m[j] = 0.9 * m[j]! + 0.1 * g[j]!;
        v[j] = 0.999 * v[j]! + 0.001 * g[j]! ** 2;
        const [mh, vh] = [m[j]! / (1 - 0.9 ** (step + 1)), v[j]! / (1 - 0.999 ** (step + 1))];
        p[j]! -= (lr * mh) / (Math.sqrt(vh) + 1e-8);
      }
    }
    const state = stateOf((await learn(spec, data)).snapshot);
    state.p.forEach((value, j) => expect(value).toBeCloseTo(p[j]!, 5));
    expect(Math.max(...p.map(Math.abs))).toBeGreaterThan(0.01);
  },
);

test('regression finds a linear rule in its own units', async () => {
  const data = toyData(200, 4, 0);
  const params = { epochs: 200, learningRate: 0.05, weightDecay: 0 };
  const spec = trainSpec({ task: 'regression', rows: 200, width: 4, outputs: 1, params });
  const state = stateOf((await learn(spec, data)).snapshot);
  const at = (row: number): number => {
    const z = [0, 1, 2, 3].reduce((sum, d) => sum + data.x[row * 4 + d]! * state.p[d]!, state.p[4]!);
    return z * state.target.scale + state.target.mean;
  };
  for (let row = 0; row < 200; row++) expect(at(row)).toBeCloseTo(data.y[row]!, 0);
});

describe('what goes wrong', () => {
  const data = toyData(50, 5, 3);
  const spec = trainSpec({ rows: 50, width: 5, outputs: 3, params: { epochs: 1 } });

  test('a loss that is no number is TrainingDiverged', async () => {
    const x = data.x.slice();
    x[3] = NaN;
    await expect(learn(spec, { x, y: data.y })).rejects.toMatchObject({ failure: 'TrainingDiverged' });
  });

  test('a checkpoint of other inputs, threads or versions is refused, a damaged one too', async () => {
    const whole = await learn(spec, data);
    const bytes = stateFile(spec, whole);
    expect(decodeCheckpoint(bytes).snapshot).toEqual(whole.snapshot);
    const other = { ...spec, inputsDigest: `sha256:${'1'.repeat(64)}` as const };
    for (const wrong of [other, { ...spec, threads: 2 }, { ...spec, provider: 'cuda' as const }]) {
      expect(() => resumeFrom(wrong, bytes)).toThrow(expect.objectContaining({ failure: 'CheckpointMismatch' }));
    }
    const wider = toyData(50, 6, 3);
    const resumed = learn({ ...spec, width: 6 }, wider, { resume: whole.snapshot });
    await expect(resumed).rejects.toMatchObject({ failure: 'CheckpointMismatch' });
    const damaged = bytes.slice();
    damaged[bytes.length - 5]! ^= 1;
    for (const broken of [damaged, bytes.slice(0, -4), bytes.slice(0, 40), new Uint8Array(3)]) {
      expect(() => decodeCheckpoint(broken)).toThrow(expect.objectContaining({ failure: 'ArtifactCorrupt' }));
    }
  });

  test('a matrix of another size, and no rows', async () => {
    await expect(learn({ ...spec, rows: 49 }, data)).rejects.toMatchObject({ failure: 'ArtifactCorrupt' });
    expect(() => memoryRows(data.x, data.y, 4)).toThrow(expect.objectContaining({ failure: 'ArtifactCorrupt' }));
    const four = { train: memoryRows(new Float32Array(200), data.y, 4), validation: null };
    await expect(fit(spec, four)).rejects.toMatchObject({ failure: 'ArtifactCorrupt' });
    const none = { x: new Float32Array(0), y: new Float32Array(0) };
    await expect(learn({ ...spec, rows: 0 }, none)).rejects.toMatchObject({ failure: 'NoLabels' });
  });

  test('a provider that is not there is Unavailable', async ({ skip }) => {
    skip((await probeProvider('cuda')).ok, 'CUDA is here');
    await expect(learn({ ...spec, provider: 'cuda' }, data)).rejects.toMatchObject({ failure: 'Unavailable' });
  });
});

test('a batch larger than the rows is one step an epoch; a constant target is learnt as it is', async () => {
  const params = { epochs: 3, batch: 64 };
  const spec = trainSpec({ task: 'regression', rows: 5, width: 2, outputs: 1, params });
  expect(planOf(spec, spec.params)).toMatchObject({
    rows: 5,
    batch: 5,
    stepsPerEpoch: 1,
    epochs: 600,
    totalSteps: 600,
  });
  expect(planOf({ rows: 999, width: 2 }, spec.params)).toMatchObject({ stepsPerEpoch: 16, epochs: 6 });
  expect(planOf({ rows: 1000, width: 2 }, spec.params)).toMatchObject({ stepsPerEpoch: 16, epochs: 3 });
  const state = stateOf((await learn(spec, { x: toyData(5, 2, 0).x, y: new Float32Array(5).fill(12) })).snapshot);
  expect(state.target).toEqual({ mean: 12, scale: 1 });
  expect(Math.abs(state.p[2]!)).toBeLessThan(0.1);
});

test('providers are probed: the CPU runs, another answers with a reason', async () => {
  expect(await probeProvider('cpu')).toEqual({ ok: true, reason: '' });
  const cuda = await probeProvider('cuda');
  expect(cuda.ok === (cuda.reason === '')).toBe(true);
});

test('every epoch is a permutation, a function of seed and epoch', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 300 }), fc.nat(), fc.nat({ max: 10_000 }), (rows, seed, epoch) => {
      const order = permutation(rows, seed, epoch);
      expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length: rows }, (_, i) => i));
      expect(permutation(rows, seed, epoch)).toEqual(order);
    }),
  );
  expect(permutation(100, 1, 0)).not.toEqual(permutation(100, 1, 1));
  expect(permutation(100, 1, 0)).not.toEqual(permutation(100, 2, 0));
  expect(permutation(100, 1, 0)).not.toEqual(permutation(100, 2 ** 32 + 1, 0));
});

test('parameters: defaults, ranges, unknown names', () => {
  const defaults = { epochs: 40, batch: 64, learningRate: 0.01, weightDecay: 0.0001, schedule: 'cosine' };
  expect(parseTrainerParams('linear', {})).toMatchObject({ params: defaults });
  const raw = { epochs: 0, batch: 1.5, learningRate: 'x', weightDecay: NaN, schedule: 'step', depth: 3 };
  const parsed = parseTrainerParams('linear', raw);
  expect('faults' in parsed && parsed.faults.map((fault) => fault.path).sort()).toEqual(Object.keys(raw).sort());
  const deep = { hidden: [8, 0], layerNorm: 1, activation: 'step' };
  const refused = parseTrainerParams('mlp', deep);
  expect('faults' in refused && refused.faults.map((fault) => fault.path).sort()).toEqual(Object.keys(deep).sort());
  expect(parseTrainerParams('mlp', { hidden: [] })).toMatchObject({ params: { hidden: [] } });
  for (const [type, table] of Object.entries(trainerParameters)) {
    expect(trainers[type as 'linear'].parameters).toBe(table);
  }
});

test('what a step costs', () => {
  const sizes = { width: 784, outputs: 10 };
  expect(flopsPerStep({ trainer: 'linear', params: { batch: 256 }, ...sizes })).toBe(8_028_160 + 109_900);
  // 784·256 with two products, 256·128 and 128·10 with three
  const products = 2 * 256 * (2 * 784 * 256 + 3 * 256 * 128 + 3 * 128 * 10);
  const params = { batch: 256, hidden: [256, 128] };
  expect(flopsPerStep({ trainer: 'mlp', params, ...sizes })).toBe(products + 14 * 235_146);
});

test('parameters as JSON Schema', () => {
  const schema = parametersSchema('mlp') as { properties: Record<string, unknown> };
  expect(schema).toMatchObject({ type: 'object', additionalProperties: false });
  expect(Object.keys(schema.properties)).toEqual(Object.keys(trainerParameters.mlp));
  expect(schema.properties['hidden']).toEqual({
    type: 'array',
    items: { type: 'integer', minimum: 1, maximum: 8192 },
    maxItems: 8,
    default: [128, 64],
    description: expect.stringContaining('hidden'),
  });
  expect(schema.properties['activation']).toMatchObject({ type: 'string', enum: ['relu', 'gelu', 'tanh', 'sigmoid'] });
  expect(schema.properties['layerNorm']).toMatchObject({ type: 'boolean', default: false });
});
