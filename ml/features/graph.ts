// Preprocessing as ONNX nodes: the same nodes make the training matrix and the front of the served file.
// num: (x or impute, minus mean) times scale. cat: one column a place, or its number; '' has none. text: see text.ts.
import { Failure } from '../../domain/failures.js';
import type { FittedCategory, FittedFeatures, FittedNumber } from '../../domain/model.js';
import { Graph, modelBytes } from '../onnx/graph.js';
import { categoryPlaces, featureWidth } from './columns.js';
import { emitHash } from './hash.js';
import { emitHashes, emitTexts, emitTokens } from './text.js';

/** sin and cos of each turn, and 0 and 0 for what is in none; a table, so that every machine has the same bits. */
export function cycleTable(count: number): number[] {
  const turns = Array.from({ length: count }, (_, i) => (2 * Math.PI * i) / count);
  return [...turns.flatMap((turn) => [Math.fround(Math.sin(turn)), Math.fround(Math.cos(turn))]), 0, 0];
}

function emitCycle(graph: Graph, value: string, { first, count }: NonNullable<FittedNumber['cycle']>): string {
  const float = (number: number) => graph.scalar('float', number);
  const turn = graph.op('Sub', [value, float(first)]);
  // The last row of the table is for what is missing or out of range; -1 is the last row too.
  const inside = graph.op('Clip', [turn, float(-1), float(count)]);
  const place = graph.op('Where', [graph.op('IsNaN', [turn]), float(count), inside]);
  const table = graph.initializer({ type: 'float', dims: [count + 1, 2], values: cycleTable(count) });
  return graph.op('Gather', [table, graph.op('Cast', [place], { to: 7 })], { axis: 0 });
}

/** Numbers as they are, imputed and scaled; nodes that would change nothing are left out. */
function emitValues(graph: Graph, num: string, numbers: FittedNumber[]): string {
  const row = (pick: (number: FittedNumber) => number): string =>
    graph.initializer({ type: 'float', dims: [numbers.length], values: numbers.map(pick) });
  const filled = numbers.every(({ impute }) => impute === null)
    ? num
    : graph.op('Where', [graph.op('IsNaN', [num]), row(({ impute }) => impute ?? NaN), num]);
  if (numbers.every(({ mean, scale }) => mean === 0 && scale === 1)) return filled;
  return graph.op('Mul', [graph.op('Sub', [filled, row(({ mean }) => mean)]), row(({ scale }) => scale)]);
}

function emitNumbers(graph: Graph, { num: numbers }: FittedFeatures): string[] {
  const num = graph.input('num', 'float', ['N', numbers.length]);
  const places = (keep: (number: FittedNumber) => boolean) => numbers.flatMap((one, i) => (keep(one) ? [i] : []));
  const columns = (which: number[]) =>
    which.length === numbers.length ? num : graph.op('Gather', [num, graph.ints(which)], { axis: 1 });
  const plain = places(({ cycle }) => !cycle);
  const parts =
    plain.length > 0
      ? [
          emitValues(
            graph,
            columns(plain),
            plain.map((i) => numbers[i]!),
          ),
        ]
      : [];
  for (const i of places(({ cycle }) => cycle !== undefined)) {
    const value = graph.op('Gather', [num, graph.scalar('int64', i)], { axis: 1 });
    parts.push(emitCycle(graph, value, numbers[i]!.cycle!));
  }
  const told = places(({ indicator }) => indicator === true);
  if (told.length > 0) parts.push(graph.op('Cast', [graph.op('IsNaN', [columns(told)])], { to: 1 }));
  return parts;
}

/** int64 [N]: the bucket of each value; `missing` for a value without a hash. */
function emitBucket(graph: Graph, column: string, buckets: number, missing: number): string {
  const hash = emitHash(graph, column);
  const none = graph.op('Equal', [hash, graph.scalar('int64', 0)]);
  const bucket = graph.op('Mod', [hash, graph.scalar('int64', buckets)]);
  return graph.op('Where', [none, graph.scalar('int64', missing), bucket]);
}

/** float [N, 1]: the number of the place. */
function emitCode(graph: Graph, column: string, category: FittedCategory, missing: number): string {
  const { values, buckets } = category;
  let code: string;
  if (buckets) {
    const bucket = graph.op('Cast', [emitBucket(graph, column, buckets, -1)], { to: 1 });
    const none = graph.op('Less', [bucket, graph.scalar('float', 0)]);
    code = graph.op('Where', [none, graph.scalar('float', missing), bucket]);
  } else {
    const known = values.filter((value) => value !== '');
    code = graph.mlOp('LabelEncoder', [column], {
      keys_strings: ['', ...known],
      values_floats: { floats: [missing, ...known.map((value) => values.indexOf(value))] },
      default_float: { float: values.length },
    });
  }
  return graph.op('Unsqueeze', [code, graph.ints([1])]);
}

function emitCategory(graph: Graph, cat: string, category: FittedCategory, position: number, onOff: string): string {
  const column = graph.op('Gather', [cat, graph.scalar('int64', position)], { axis: 1 });
  if (category.code) return emitCode(graph, column, category, category.code.missing ?? NaN);
  const depth = categoryPlaces(category);
  // An index outside [0, depth) has no place: that is what '' becomes.
  if (category.buckets) {
    const bucket = emitBucket(graph, column, category.buckets, depth);
    return graph.op('OneHot', [bucket, graph.ints([depth]), onOff], { axis: -1 });
  }
  const values = category.values.filter((value) => value !== '');
  const index = graph.mlOp('LabelEncoder', [column], {
    keys_strings: ['', ...values],
    values_int64s: [depth, ...values.map((value) => category.values.indexOf(value))],
    default_int64: category.values.length,
  });
  return graph.op('OneHot', [index, graph.ints([depth]), onOff], { axis: -1 });
}

/**
 * Writes the nodes of `fitted` and answers the name of X, float32 [N, width]. Declares the inputs `num` float32 [N,n],
 * `cat` string [N,m] and `text` string [N,t]; one without columns is absent. Throws FeaturesUnfit without any column.
 */
export function emitFeatures(graph: Graph, fitted: FittedFeatures): string {
  const parts: string[] = [];
  if (fitted.num.length > 0) parts.push(...emitNumbers(graph, fitted));
  if (fitted.cat.length > 0) {
    const cat = graph.input('cat', 'string', ['N', fitted.cat.length]);
    const placed = fitted.cat.some(({ code }) => !code);
    const onOff = placed ? graph.initializer({ type: 'float', dims: [2], values: [0, 1] }) : '';
    fitted.cat.forEach((category, i) => parts.push(emitCategory(graph, cat, category, i, onOff)));
  }
  const { text = [] } = fitted;
  if (text.length > 0) {
    const grams = emitTexts(graph, graph.input('text', 'string', ['N', text.length]), text);
    grams.forEach((one, i) => text[i]!.hashes > 0 && parts.push(emitHashes(graph, one, text[i]!)));
    grams.forEach((one, i) => text[i]!.tokens && parts.push(emitTokens(graph, one, text[i]!.tokens!)));
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
