// One epoch of the linear trainer against its matrix products alone, in one process, taking turns.
// 6,000 rows x 784, batch 256, 10 classes, one thread. The products get their batches ready-made and in order.
import type { InferenceSession } from 'onnxruntime-node';
import { Tensor } from 'onnxruntime-node';
import { parseTrainerParams } from '../domain/trainers.js';
import { Graph, modelBytes } from '../ml/onnx/graph.js';
import { createSession } from '../ml/provider.js';
import { createBatches, planOf, randomSource } from '../ml/trainers/gradient/batches.js';
import { parameterCount } from '../ml/trainers/gradient/model.js';
import { trainStepModel } from '../ml/trainers/gradient/step.js';
import { linearModel } from '../ml/trainers/linear.js';

const [rows, width, outputs, batch, repetitions] = [6000, 784, 10, 256, 9];

function randomVector(length: number, seed: number): Float32Array {
  const next = randomSource(seed, 0);
  return Float32Array.from({ length }, () => next() / 2 ** 32);
}

const vector = (data: Float32Array): Tensor => new Tensor('float32', data, [data.length]);

/** z = x·W and dW = xᵀ·z for each batch: the two products of a step, and nothing else. */
function productsModel(): Uint8Array {
  const graph = new Graph('products');
  graph.input('W', 'float', [width, outputs]);
  graph.input('last', 'float', [width, outputs]);
  graph.input('x', 'float', ['K', batch, width]);
  const body = graph.subgraph('step');
  body.input('W_in', 'float', [width, outputs]);
  body.input('last_in', 'float', [width, outputs]);
  body.input('x_k', 'float', [batch, width]);
  const z = body.op('Gemm', ['x_k', 'W_in']);
  body.output(body.op('Identity', ['W_in'], {}, 'W_next'), 'float', [width, outputs]);
  body.output(body.op('Gemm', ['x_k', z], { transA: 1 }, 'last_next'), 'float', [width, outputs]);
  graph.ops('Scan', ['W', 'last', 'x'], ['W_out', 'last_out'], { body: { graph: body }, num_scan_inputs: 1 });
  graph.output('last_out', 'float', [width, outputs]);
  return modelBytes(graph, { opset: 18 });
}

async function preparePeer(steps: number): Promise<() => Promise<unknown>> {
  const session = await createSession(productsModel());
  const matrix = (seed: number): Tensor => new Tensor('float32', randomVector(width * outputs, seed), [width, outputs]);
  const x = new Tensor('float32', randomVector(steps * batch * width, 1), [steps, batch, width]);
  const feeds = { W: matrix(2), last: matrix(3), x };
  return () => session.run(feeds);
}

async function prepareOurs(): Promise<{ steps: number; epoch: () => Promise<void> }> {
  const parsed = parseTrainerParams('linear', { batch, epochs: repetitions + 1 });
  if (!('params' in parsed)) throw new Error('the parameters of the benchmark are out of range');
  const { params } = parsed;
  const shape = { task: 'classification' as const, width, outputs, params };
  const plan = planOf(rows, params);
  const session: InferenceSession = await createSession(trainStepModel(linearModel, shape, batch));
  const batches = createBatches(plan, params, 1);
  const X = new Tensor('float32', randomVector(rows * width, 1), [rows, width]);
  const Y = vector(randomVector(rows, 4).map((value) => Math.floor(value * outputs)));
  const zeros = (): Tensor => vector(new Float32Array(parameterCount(linearModel.layout(shape))));
  let [p, m, v] = [zeros(), zeros(), zeros()];
  let step = 0;
  const epoch = async (): Promise<void> => {
    const { idx, w, rate, epsilon, keep, count } = batches(step, plan.stepsPerEpoch);
    const rowsOf = { idx: new Tensor('int32', idx, [count, batch]), w: new Tensor('float32', w, [count, batch]) };
    const scalars = { rate: vector(rate), epsilon: vector(epsilon), keep: vector(keep) };
    const result = await session.run({ X, Y, p, m, v, ...rowsOf, ...scalars });
    [p, m, v] = [result['p_out'], result['m_out'], result['v_out']] as [Tensor, Tensor, Tensor];
    step += count;
  };
  return { steps: plan.stepsPerEpoch, epoch };
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

const median = (values: number[]): number => values.sort((a, b) => a - b)[values.length >> 1] ?? NaN;

/** Medians of one epoch in milliseconds: the whole step with shuffle, gather, loss, gradients and AdamW; the products alone. */
export async function bench(): Promise<{ ours: number; peer: number; ratio: number; unit: 'ms'; runs: number }> {
  const { steps, epoch } = await prepareOurs();
  const products = await preparePeer(steps);
  await epoch();
  await products();
  const [mine, theirs]: [number[], number[]] = [[], []];
  for (let i = 0; i < repetitions; i++) {
    mine.push(await timed(epoch));
    theirs.push(await timed(products));
  }
  const [ours, peer] = [median(mine), median(theirs)];
  return { ours, peer, ratio: ours / peer, unit: 'ms', runs: repetitions };
}
