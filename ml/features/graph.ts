// Preprocessing as ONNX nodes: the same nodes make the training matrix and the front of the served file.
// num: (x or impute, minus mean) times scale. cat: one place per fitted value and one for "other"; '' goes to none.
import { Failure } from '../../domain/failures.js';
import type { FittedCategory, FittedFeatures } from '../../domain/model.js';
import { Graph, modelBytes } from '../onnx/graph.js';

/** Places of one category in the matrix: its values and "other". */
export function categoryWidth(category: FittedCategory): number {
  return category.values.length + 1;
}

/** Width of the featurised matrix: numbers first, then the categories, in fitted order. */
export function featureWidth(fitted: Pick<FittedFeatures, 'num' | 'cat'>): number {
  return fitted.cat.reduce((width, category) => width + categoryWidth(category), fitted.num.length);
}

function emitNumbers(graph: Graph, fitted: FittedFeatures): string {
  const count = fitted.num.length;
  const num = graph.input('num', 'float', ['N', count]);
  const row = (pick: 'impute' | 'mean' | 'scale'): string =>
    graph.initializer({ type: 'float', dims: [count], values: fitted.num.map((number) => number[pick]) });
  const filled = graph.op('Where', [graph.op('IsNaN', [num]), row('impute'), num]);
  return graph.op('Mul', [graph.op('Sub', [filled, row('mean')]), row('scale')]);
}

function emitCategory(graph: Graph, cat: string, category: FittedCategory, position: number, onOff: string): string {
  const column = graph.op('Gather', [cat, graph.scalar('int64', position)], { axis: 1 });
  const depth = categoryWidth(category);
  const values = category.values.filter((value) => value !== '');
  // An index outside [0, depth) has no place: that is what '' becomes.
  const index = graph.mlOp('LabelEncoder', [column], {
    keys_strings: ['', ...values],
    values_int64s: [depth, ...values.map((value) => category.values.indexOf(value))],
    default_int64: category.values.length,
  });
  return graph.op('OneHot', [index, graph.ints([depth]), onOff], { axis: -1 });
}

/**
 * Writes the nodes of `fitted` and answers the name of X, float32 [N, width]. Declares the inputs `num` float32 [N,n]
 * and `cat` string [N,m]; one without columns is absent. Throws FeaturesUnfit when there is no column at all.
 */
export function emitFeatures(graph: Graph, fitted: FittedFeatures): string {
  const parts: string[] = [];
  if (fitted.num.length > 0) parts.push(emitNumbers(graph, fitted));
  if (fitted.cat.length > 0) {
    const cat = graph.input('cat', 'string', ['N', fitted.cat.length]);
    const onOff = graph.initializer({ type: 'float', dims: [2], values: [0, 1] });
    fitted.cat.forEach((category, i) => parts.push(emitCategory(graph, cat, category, i, onOff)));
  }
  if (parts.length === 0) throw new Failure('FeaturesUnfit', 'there is no column to learn from');
  return parts.length === 1 ? parts[0]! : graph.op('Concat', parts, { axis: 1 });
}

/** The featuriser as an ONNX file: raw inputs to `X` float32 [N, width]. Its bytes are a function of `fitted` alone. */
export function featuriserGraph(fitted: FittedFeatures): Uint8Array {
  const graph = new Graph('features');
  const x = emitFeatures(graph, fitted);
  graph.output(graph.op('Identity', [x], {}, 'X'), 'float', ['N', featureWidth(fitted)]);
  return modelBytes(graph, { opset: 18, mlOpset: 3 });
}
