// Layers with more to them than one element-wise function: normalisation, dropout, embeddings.
import type { Tape, Var } from './autodiff.js';

/** (x - mean) / √(variance + ε) over the last axis, times gain plus bias (Ba, Kiros & Hinton 2016). x [N,D], gain and bias [D]. */
export function layerNorm(tape: Tape, x: Var, affine: { gain: Var; bias: Var }): Var {
  const { graph } = tape;
  const { gain, bias } = affine;
  const last = graph.ints([-1]);
  const mean = (name: string): string => graph.op('ReduceMean', [name, last], { keepdims: 1 });
  const centred = graph.op('Sub', [x.name, mean(x.name)]);
  const variance = graph.op('Add', [mean(graph.op('Mul', [centred, centred])), tape.scalar(1e-5).name]);
  const inverse = graph.op('Reciprocal', [graph.op('Sqrt', [variance])]);
  const normal = graph.op('Mul', [centred, inverse]);
  const y = graph.op('Add', [graph.op('Mul', [normal, gain.name]), bias.name]);
  return tape.record(y, x.dims, [x, gain, bias], (g) => {
    const overRows = (name: string): string => tape.sumOfRows(name, x.dims);
    const dn = graph.op('Mul', [g, gain.name]);
    const along = graph.op('Mul', [normal, mean(graph.op('Mul', [dn, normal]))]);
    const across = graph.op('Sub', [graph.op('Sub', [dn, mean(dn)]), along]);
    return [
      tape.wants(x) ? graph.op('Mul', [across, inverse]) : null,
      tape.wants(gain) ? overRows(graph.op('Mul', [g, normal])) : null,
      tape.wants(bias) ? overRows(g) : null,
    ];
  });
}

/**
 * Inverted dropout (Srivastava et al. 2014): x where `kept` is 1, divided by 1 - rate, else 0.
 * `kept` is a bool or uint8 tensor of x's dimensions, made outside the graph (ml/trainers/batches.ts), so that a
 * step sees the same mask whichever run it is in.
 */
export function dropout(tape: Tape, x: Var, kept: { mask: string; rate: number }): Var {
  const { graph } = tape;
  const as = graph.op('Cast', [kept.mask], { to: tape.type === 'float' ? 1 : 11 });
  const factor = graph.op('Mul', [as, tape.scalar(1 / (1 - kept.rate)).name]);
  return tape.record(graph.op('Mul', [x.name, factor]), x.dims, [x], (g) => [graph.op('Mul', [g, factor])]);
}

/** Adds rows [.., E] to a table of zeros [V,E] at the places that `index` [..] names. */
function scatterRows(tape: Tape, table: Var, index: string, rows: string): string {
  const { graph } = tape;
  const zero = graph.op('ConstantOfShape', [graph.ints(table.dims.map(Number))], {
    value: { tensor: { type: tape.type, dims: [1], values: [0] } },
  });
  const places = graph.op('Unsqueeze', [graph.op('Cast', [index], { to: 7 }), graph.ints([-1])]);
  return graph.op('ScatterND', [zero, places, rows], { reduction: 'add' });
}

/** Rows of `table` [V,E] at `index` (int32 or int64, values in [0, V)): dimensions of the index, then E. */
export function embedding(tape: Tape, table: Var, index: Var): Var {
  const rows = tape.graph.op('Gather', [table.name, index.name], { axis: 0 });
  return tape.record(rows, [...index.dims, table.dims[1]!], [table], (g) => [scatterRows(tape, table, index.name, g)]);
}

/**
 * Weighted mean of table rows: index [N,T], weights [N,T] ≥ 0 (0 = no word there); a bag without weight gives zeros.
 * table [V,E]; the answer is [N,E].
 */
export function embeddingBag(tape: Tape, table: Var, bag: { index: Var; weights: Var }): Var {
  const { graph } = tape;
  const { index, weights } = bag;
  const total = graph.op('ReduceSum', [weights.name, graph.ints([1])], { keepdims: 1 });
  const empty = graph.op('Cast', [graph.op('Equal', [total, tape.scalar(0).name])], {
    to: tape.type === 'float' ? 1 : 11,
  });
  const share = graph.op('Div', [weights.name, graph.op('Add', [total, empty])]);
  const rows = graph.op('Gather', [table.name, index.name], { axis: 0 });
  const across = graph.op('MatMul', [graph.op('Unsqueeze', [share, graph.ints([1])]), rows]);
  const y = graph.op('Squeeze', [across, graph.ints([1])]);
  return tape.record(y, [index.dims[0]!, table.dims[1]!], [table], (g) => {
    const column = graph.op('Unsqueeze', [share, graph.ints([2])]);
    const updates = graph.op('Mul', [column, graph.op('Unsqueeze', [g, graph.ints([1])])]);
    return [scatterRows(tape, table, index.name, updates)];
  });
}
