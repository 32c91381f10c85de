// Ids of n-grams are the last columns of X, and numbers only to a trainer that embeds them: all others see X without them.
import type { TokenFacts, TrainerType } from '../../domain/model.js';
import type { Graph } from '../onnx/graph.js';
import type { Rows } from './trainer.js';

/** How many columns of X a trainer sees, and whether it is told of ids. */
export function seenBy(
  trainer: TrainerType,
  width: number,
  tokens: TokenFacts | undefined,
): { width: number; tokens?: TokenFacts } {
  if (!tokens) return { width };
  if (trainer === 'text') return { width, tokens };
  return { width: width - tokens.columns.reduce((sum, count) => sum + count, 0) };
}

/** The first `width` columns of the rows. */
export function firstColumns(rows: Rows, width: number): Rows {
  if (rows.width === width) return rows;
  let whole = new Float32Array(0);
  return {
    ...{ rows: rows.rows, width, y: rows.y, ...(rows.weights && { weights: rows.weights }) },
    async read(from, count, into) {
      if (whole.length < count * rows.width) whole = new Float32Array(count * rows.width);
      await rows.read(from, count, whole);
      for (let row = 0; row < count; row++) {
        into.set(whole.subarray(row * rows.width, row * rows.width + width), row * width);
      }
    },
  };
}

/** The same in a graph; `whole` is the width of `x`. */
export function emitFirstColumns(graph: Graph, x: string, width: number, whole: number): string {
  if (width === whole) return x;
  return graph.op('Slice', [x, graph.ints([0]), graph.ints([width]), graph.ints([1])]);
}
