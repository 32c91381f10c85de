// A perceptron 784-256-128-10 in int8 against the same in float32, 64 rows at once, one thread, taking turns in one process.
// One row and a larger net (1024-1024-1024-10) are told beside it, with the files' sizes.
import { Tensor } from 'onnxruntime-node';
import { Int8Graph } from '../ml/export/int8.js';
import { Tape } from '../ml/onnx/autodiff.js';
import { Graph, modelBytes } from '../ml/onnx/graph.js';
import { createSession } from '../ml/provider.js';
import { drawNormal, randomSource } from '../ml/trainers/gradient/random.js';
import { median } from './epochs.support.js';

const repetitions = 5;
const runsEach = 100;

function perceptron(graph: Graph, sizes: readonly number[]): Uint8Array {
  const tape = new Tape(graph);
  const next = randomSource(1, 0, 'initial');
  let h = tape.value(graph.input('x', 'float', ['N', sizes[0]!]), ['N', sizes[0]!]);
  sizes.slice(1).forEach((outputs, layer) => {
    const inputs = sizes[layer]!;
    const values = new Float32Array(inputs * outputs);
    drawNormal(values, Math.sqrt(2 / inputs), next);
    const w = tape.value(graph.initializer({ type: 'float', dims: [inputs, outputs], values }), [inputs, outputs]);
    const zeros = graph.initializer({ type: 'float', dims: [outputs], values: new Float32Array(outputs) });
    const z = tape.gemm(h, w, tape.value(zeros, [outputs]));
    h = layer === sizes.length - 2 ? z : tape.value(graph.op('Relu', [z.name]), z.dims);
  });
  graph.output(graph.op('Identity', [h.name], {}, 'y'), 'float', ['N', sizes.at(-1)!]);
  return modelBytes(graph, { opset: 18 });
}

/** Median milliseconds of a run for each file, in turns. */
async function times(files: Uint8Array[], width: number, rows: number): Promise<number[]> {
  const x = new Float32Array(rows * width);
  drawNormal(x, 1, randomSource(2, 0, 'initial'));
  const feeds = { x: new Tensor('float32', x, [rows, width]) };
  const sessions = await Promise.all(files.map((bytes) => createSession(bytes)));
  const found: number[][] = files.map(() => []);
  for (let i = 0; i < repetitions * runsEach; i++) {
    for (const [which, session] of sessions.entries()) {
      const start = performance.now();
      await session.run(feeds);
      found[which]!.push(performance.now() - start);
    }
  }
  for (const session of sessions) await session.release();
  return found.map(median);
}

export async function bench() {
  let figure = { ours: NaN, peer: NaN };
  for (const sizes of [
    [784, 256, 128, 10],
    [1024, 1024, 1024, 10],
  ]) {
    const files = [perceptron(new Int8Graph('int8'), sizes), perceptron(new Graph('float32'), sizes)];
    const bytes = files.map(({ length }) => length);
    for (const rows of [1, 64]) {
      const [ours, peer] = (await times(files, sizes[0]!, rows)) as [number, number];
      console.error(
        `${sizes.join('-')}, ${rows} rows: int8 ${ours.toFixed(3)} ms, ${bytes[0]} bytes; float32 ${peer.toFixed(3)} ms, ${bytes[1]} bytes`,
      );
      if (sizes[0] === 784 && rows === 64) figure = { ours, peer };
    }
  }
  return { ...figure, ratio: figure.peer / figure.ours, unit: 'ms', runs: repetitions };
}
