// Epochs of a gradient trainer as `fit` really runs them, each followed by a run of the other side.
import type { InferenceSession } from 'onnxruntime-node';
import { Tensor } from 'onnxruntime-node';
import type { Progress, TrainSpec } from '../domain/model.js';
import { parseTrainerParams, type TrainerParams } from '../domain/trainers.js';
import { Graph, modelBytes } from '../ml/onnx/graph.js';
import { createSession } from '../ml/provider.js';
import { randomSource } from '../ml/trainers/gradient/random.js';
import { fit } from '../ml/trainers/index.js';
import type { Rows } from '../ml/trainers/trainer.js';

export const median = (values: number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1] ?? NaN;

/** Uniform in [0, 1). */
export function randomVector(length: number, seed: number): Float32Array {
  const next = randomSource(seed, 0);
  return Float32Array.from({ length }, () => next() / 2 ** 32);
}

export function classificationSpec(
  trainer: TrainSpec['trainer'],
  sizes: { rows: number; width: number; outputs: number },
  given: TrainerParams,
): TrainSpec {
  const parsed = parseTrainerParams(trainer, given);
  if (!('params' in parsed)) throw new Error(`parameters of the bench: ${JSON.stringify(parsed.faults)}`);
  return {
    ...{ trainer, task: 'classification', params: parsed.params, seed: 1, ...sizes, validation: null },
    paths: { x: '', y: '', checkpoint: null, out: '' },
    ...{ provider: 'cpu', threads: 1, stepsPerRun: 64, checkpointEveryMs: 1e9 },
    inputsDigest: `sha256:${'0'.repeat(64)}`,
  };
}

/**
 * Milliseconds of each epoch but the first `warm` ones, and of `other`, which runs between them. A run of the step graph
 * may go past an epoch's end, so a measured stretch is about an epoch and its time is scaled to one.
 */
export async function epochTimes(
  spec: TrainSpec,
  train: Rows,
  other: () => Promise<unknown>,
  warm = 1,
): Promise<{ ours: number[]; others: number[] }> {
  const [ours, others]: [number[], number[]] = [[], []];
  let [began, from] = [performance.now(), 0];
  const after = async ({ step, epochs, totalSteps }: Progress) => {
    const stepsPerEpoch = totalSteps / epochs;
    if (Math.floor(step / stepsPerEpoch) === Math.floor(from / stepsPerEpoch)) return true;
    ours.push(((performance.now() - began) * stepsPerEpoch) / (step - from));
    const start = performance.now();
    await other();
    others.push(performance.now() - start);
    [began, from] = [performance.now(), step];
    return true;
  };
  await fit(spec, { train, validation: null }, {}, { after, started: () => (began = performance.now()) });
  return { ours: ours.slice(warm), others: others.slice(warm) };
}

/** A matrix product of the peer: [m,k] times [k,n], of constant inputs or of the step's rows `x`. */
export interface Product {
  a: 'x' | readonly [number, number];
  b: readonly [number, number];
  transposeA?: boolean;
  transposeB?: boolean;
}

/** `steps` times the products alone, in one Scan over ready-made batches of x in order. */
export async function bareProducts(
  products: readonly Product[],
  { steps, batch, width }: { steps: number; batch: number; width: number },
): Promise<() => Promise<unknown>> {
  const graph = new Graph('products');
  const feeds: Record<string, Tensor> = {};
  const matrix = (name: string, dims: readonly number[]): string => {
    const size = dims.reduce((product, dim) => product * dim, 1);
    feeds[name] = new Tensor('float32', randomVector(size, Object.keys(feeds).length + 1), [...dims]);
    return graph.input(name, 'float', dims);
  };
  const body = graph.subgraph('step');
  body.input('sum_in', 'float', [1]);
  body.input('x_k', 'float', [batch, width]);
  // One number of each product keeps it from being left out.
  const picked = products.map(({ a, b, transposeA = false, transposeB = false }, i) => {
    const left = a === 'x' ? 'x_k' : matrix(`a${i}`, a);
    const product = body.op('Gemm', [left, matrix(`b${i}`, b)], {
      transA: Number(transposeA),
      transB: Number(transposeB),
    });
    const flat = body.op('Reshape', [product, body.ints([-1])]);
    return body.op('Slice', [flat, body.ints([0]), body.ints([1])]);
  });
  body.output(body.op('Sum', ['sum_in', ...picked], {}, 'sum_next'), 'float', [1]);
  matrix('sum', [1]);
  feeds['x'] = new Tensor('float32', randomVector(steps * batch * width, 99), [steps, batch, width]);
  graph.input('x', 'float', [steps, batch, width]);
  graph.ops('Scan', ['sum', 'x'], ['sum_out'], { body: { graph: body }, num_scan_inputs: 1 });
  graph.output('sum_out', 'float', [1]);
  const session: InferenceSession = await createSession(modelBytes(graph, { opset: 18 }));
  return () => session.run(feeds);
}
