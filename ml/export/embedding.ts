// A served file that also tells what its last layer sees: the last hidden layer of a network, the features of a linear
// model or of trees. Found by walking back from the probabilities; our trainers' files and those of programs alike.
import { readForeign } from '../onnx/foreign.js';
import { Message, readFields } from '../onnx/wire.js';

/** The further output, float32 [N, width]. */
export const embeddingOutput = 'perennial.embedding';

export interface EmbeddingModel {
  bytes: Uint8Array;
  /** The last layer is an ensemble of trees: columns are in their own units, and values may be missing. */
  trees: boolean;
}

interface Node {
  op: string;
  inputs: string[];
  outputs: string[];
}

const layers = new Set(['Gemm', 'MatMul', 'DynamicQuantizeLinear', 'LinearClassifier']);
const trees = new Set(['TreeEnsemble', 'TreeEnsembleClassifier', 'TreeEnsembleRegressor']);

const textOf = (value: unknown): string => (value instanceof Uint8Array ? Buffer.from(value).toString('utf8') : '');

function nodeOf(bytes: Uint8Array): Node {
  const node: Node = { op: '', inputs: [], outputs: [] };
  for (const { number, value } of readFields(bytes)) {
    if (number === 1) node.inputs.push(textOf(value));
    if (number === 2) node.outputs.push(textOf(value));
    if (number === 4) node.op = textOf(value);
  }
  return node;
}

/** The layer nearest to `output`, breadth first. */
function lastLayer(graph: Uint8Array, output: string): Node | null {
  const makers = new Map<string, Node>();
  for (const { number, value } of readFields(graph)) {
    if (number !== 1 || !(value instanceof Uint8Array)) continue;
    const node = nodeOf(value);
    for (const name of node.outputs) makers.set(name, node);
  }
  const seen = new Set([output]);
  for (const name of seen) {
    const node = makers.get(name);
    if (!node) continue;
    if (layers.has(node.op) || trees.has(node.op)) return node;
    for (const input of node.inputs) seen.add(input);
  }
  return null;
}

/** The file with the output `perennial.embedding`; null where no last layer is found. Throws RangeError where it is no ONNX file. */
export function embeddingModel(bytes: Uint8Array): EmbeddingModel | null {
  const layer = lastLayer(readForeign(bytes).graph, 'probabilities');
  const seen = layer?.inputs[0];
  if (!layer || !seen) return null;
  const node = new Message().text(1, seen).text(2, embeddingOutput).text(4, 'Identity');
  const value = new Message().text(1, embeddingOutput).message(2, new Message().message(1, new Message().varint(1, 1)));
  const file = new Message();
  for (const { number, value: part, raw } of readFields(bytes)) {
    if (number !== 7 || !(part instanceof Uint8Array)) {
      file.raw(raw);
      continue;
    }
    file.message(7, new Message().raw(part).message(1, node).message(12, value));
  }
  return { bytes: file.finish(), trees: trees.has(layer.op) };
}
