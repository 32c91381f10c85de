// Texts as ONNX nodes: cut into words and characters (code points), hashed, joined to n-grams, counted or listed as ids.
// A hash of 0 stands for nothing, as the padding '' has it; one n-gram in 2^32 is lost by that.
import type { FittedText } from '../../domain/model.js';
import type { Graph } from '../onnx/graph.js';
import { gramSpans } from './columns.js';
import { emitHash, gramFactor, gramStarts } from './hash.js';

/** RE2: runs of letters, marks and digits of any script; every other symbol, such as an emoji, is a word of its own. */
export const wordPattern = '[\\p{L}\\p{M}\\p{N}]+|\\p{So}';
/** Lower case needs a locale that every Linux with glibc has; '' would ask for en_US. */
const locale = 'C.UTF-8';
const wrap = 2 ** 32;

/** What was made of one text column. Every tensor has one row more than there are texts: see `emitTexts`. */
export interface Grams {
  /** int64 [N+1, T] below 2^32, one for each length of n-gram; with `holds`, bool of the same shape. */
  spans: { grams: string; holds: string }[];
}

/** int64 [N+1, T - n + 1] of the hashes [N+1, T], and whether there is an n-gram at that place. */
function emitGrams(graph: Graph, hashes: string, n: number, start: number): { grams: string; holds: string } {
  const int = (value: number) => graph.scalar('int64', value);
  const slice = (from: number, to: number) =>
    n === 1 ? hashes : graph.op('Slice', [hashes, graph.ints([from]), graph.ints([to]), graph.ints([1])]);
  let grams = '';
  let holds = '';
  for (let at = 0; at < n; at++) {
    // As many places as are left for the whole n-gram; `to` counts from the end.
    const own = slice(at, at === n - 1 ? Number.MAX_SAFE_INTEGER : at + 1 - n);
    const some = graph.op('Not', [graph.op('Equal', [own, int(0)])]);
    holds = at === 0 ? some : graph.op('And', [holds, some]);
    if (at === 0 && start === 0) grams = own;
    else {
      const before = at === 0 ? int(start * gramFactor) : graph.op('Mul', [grams, int(gramFactor)]);
      grams = graph.op('Mod', [graph.op('Add', [before, own]), int(wrap)]);
    }
  }
  return { grams, holds };
}

/**
 * N-grams of every column of `text` string [N, t]. The tokenizer gives no second dimension for no row and refuses to
 * lower it, so one row with a word is put at the end; `emitHashes` and `emitTokens` cut it off.
 */
export function emitTexts(graph: Graph, text: string, fitted: FittedText[]): Grams[] {
  const last = graph.initializer({ type: 'string', dims: [1], values: ['a'] });
  return fitted.map((one, position) => {
    const column = graph.op('Gather', [text, graph.scalar('int64', position)], { axis: 1 });
    const some = graph.op('Concat', [column, last], { axis: 0 });
    const lowered = one.lower
      ? graph.op('StringNormalizer', [some], { case_change_action: 'LOWER', is_case_sensitive: 1, locale })
      : some;
    const cut = { mark: 0, mincharnum: 1, pad_value: '' };
    const hashesOf = (unit: 'words' | 'characters') => {
      const how = unit === 'words' ? { tokenexp: wordPattern } : { separators: [''] };
      const [tokens] = graph.ops('Tokenizer', [lowered], 1, { ...cut, ...how }, 'com.microsoft');
      return emitHash(graph, tokens!);
    };
    const hashes: Partial<Record<'words' | 'characters', string>> = {};
    return {
      spans: gramSpans(one).map(({ unit, n }) =>
        emitGrams(graph, (hashes[unit] ??= hashesOf(unit)), n, gramStarts[unit]),
      ),
    };
  });
}

const withoutLast = (graph: Graph, rows: string): string =>
  graph.op('Slice', [rows, graph.ints([0]), graph.ints([-1]), graph.ints([0])]);

/** int64 [2]: the rows of `like`, then `width`. */
function shapeOf(graph: Graph, like: string, width: number): string {
  const rows = graph.op('Slice', [graph.op('Shape', [like]), graph.ints([0]), graph.ints([1])]);
  return graph.op('Concat', [rows, graph.ints([width])], { axis: 0 });
}

/** float [N, hashes]: how often the n-grams of each bucket stand in the text, each row of length 1; no n-gram, all 0. */
export function emitHashes(graph: Graph, { spans }: Grams, text: FittedText): string {
  const float = (value: number) => graph.scalar('float', value);
  const buckets = spans.map(({ grams, holds }) => {
    const bucket = graph.op('Mod', [grams, graph.scalar('int64', text.hashes)]);
    return graph.op('Where', [holds, bucket, graph.scalar('int64', text.hashes)]);
  });
  const places = buckets.length === 1 ? buckets[0]! : graph.op('Concat', buckets, { axis: 1 });
  // One bucket more takes what is nothing.
  const zeros = graph.op('Expand', [float(0), shapeOf(graph, places, text.hashes + 1)]);
  const ones = graph.op('Expand', [float(1), graph.op('Shape', [places])]);
  const added = graph.op('ScatterElements', [zeros, places, ones], { axis: 1, reduction: 'add' });
  const ends = [graph.ints([0, 0]), graph.ints([-1, -1]), graph.ints([0, 1])];
  const counts = graph.op('Slice', [added, ...ends]);
  let weights = counts;
  if (text.counts === 'binary') weights = graph.op('Min', [counts, float(1)]);
  if (text.counts === 'log') {
    const logarithm = graph.op('Add', [graph.op('Log', [graph.op('Max', [counts, float(1)])]), float(1)]);
    weights = graph.op('Mul', [logarithm, graph.op('Min', [counts, float(1)])]);
  }
  const length = graph.op('ReduceL2', [weights, graph.ints([1])], { keepdims: 1 });
  return graph.op('Div', [weights, graph.op('Max', [length, float(1e-12)])]);
}

/** float [N, length * spans]: 1 + gram modulo `ids`, in the order of the text, 0 where there is none. */
export function emitTokens(graph: Graph, { spans }: Grams, tokens: NonNullable<FittedText['tokens']>): string {
  const lists = spans.map(({ grams, holds }) => {
    const id = graph.op('Add', [graph.op('Mod', [grams, graph.scalar('int64', tokens.ids)]), graph.scalar('int64', 1)]);
    const list = graph.op('Where', [holds, id, graph.scalar('int64', 0)]);
    const padding = graph.op('Expand', [graph.scalar('int64', 0), shapeOf(graph, list, tokens.length)]);
    const padded = graph.op('Concat', [list, padding], { axis: 1 });
    return graph.op('Slice', [padded, graph.ints([0]), graph.ints([tokens.length]), graph.ints([1])]);
  });
  const all = lists.length === 1 ? lists[0]! : graph.op('Concat', lists, { axis: 1 });
  return graph.op('Cast', [withoutLast(graph, all)], { to: 1 });
}
