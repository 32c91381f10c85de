// Convolution and pooling for small images, x [N,C,H,W]. N may be a name; the other sizes are numbers.
import type { Tape, Var } from './autodiff.js';

/**
 * Stride 1, padded so that the size stays; an even kernel reaches one further right and down. w [M,C,k,k], bias [M].
 * dw is a convolution too, of x and the gradient with batch and channels exchanged: dw[m,c,i,j] = Σ x[n,c,y+i,x+j]·g[n,m,y,x].
 */
export function convolution(tape: Tape, x: Var, weights: { w: Var; bias: Var }): Var {
  const { graph } = tape;
  const { w, bias } = weights;
  const [channels, kernel] = [Number(w.dims[0]), Number(w.dims[2])];
  const before = Math.floor((kernel - 1) / 2);
  const pads = [before, before, kernel - 1 - before, kernel - 1 - before];
  const y = graph.op('Conv', [x.name, w.name, bias.name], { pads });
  const swapped = (name: string): string => graph.op('Transpose', [name], { perm: [1, 0, 2, 3] });
  return tape.record(y, [x.dims[0]!, channels, x.dims[2]!, x.dims[3]!], [x, w, bias], (g) => [
    tape.wants(x) ? graph.op('ConvTranspose', [g, w.name], { pads }) : null,
    tape.wants(w) ? swapped(graph.op('Conv', [swapped(x.name), swapped(g)], { pads })) : null,
    tape.wants(bias) ? graph.op('ReduceSum', [g, graph.ints([0, 2, 3])], { keepdims: 0 }) : null,
  ]);
}

/** Sizes after pooling by `window`: what does not fill a window is left out. */
function pooled(x: Var, window: number): { dims: Var['dims']; height: number; width: number } {
  const [height, width] = [Math.floor(Number(x.dims[2]) / window), Math.floor(Number(x.dims[3]) / window)];
  if (height < 1 || width < 1) throw new RangeError(`an image of [${x.dims.join()}] has no window of ${window}`);
  return { dims: [x.dims[0]!, x.dims[1]!, height, width], height, width };
}

/** Largest value of each window × window square; the gradient goes to the first largest. */
export function maxPool(tape: Tape, x: Var, window: number): Var {
  const { graph } = tape;
  const [y, at] = graph.ops('MaxPool', [x.name], 2, { kernel_shape: [window, window], strides: [window, window] });
  return tape.record(y!, pooled(x, window).dims, [x], (g) => {
    // The places count through the whole tensor; windows do not overlap, so none is named twice.
    const flat = (name: string): string => graph.op('Reshape', [name, graph.ints([-1])]);
    const zero = { value: { tensor: { type: tape.type, dims: [1], values: [0] } } } as const;
    const zeros = flat(graph.op('ConstantOfShape', [graph.op('Shape', [x.name])], zero));
    const spread = graph.op('ScatterElements', [zeros, flat(at!), flat(g)], { axis: 0 });
    return [graph.op('Reshape', [spread, graph.op('Shape', [x.name])])];
  });
}

/** Mean of each window × window square. */
export function averagePool(tape: Tape, x: Var, window: number): Var {
  const { graph } = tape;
  const { dims, height, width } = pooled(x, window);
  const y = graph.op('AveragePool', [x.name], { kernel_shape: [window, window], strides: [window, window] });
  return tape.record(y, dims, [x], (g) => {
    const [channels, tall, wide] = [1, 2, 3].map((axis) => Number(x.dims[axis])) as [number, number, number];
    const share = graph.op('Mul', [g, tape.scalar(1 / (window * window)).name]);
    const apart = graph.op('Reshape', [share, graph.ints([-1, channels, height, 1, width, 1])]);
    const wider = graph.op('Expand', [apart, graph.ints([1, channels, height, window, width, window])]);
    const spread = graph.op('Reshape', [wider, graph.ints([-1, channels, height * window, width * window])]);
    const missing = [tall - height * window, wide - width * window] as const;
    if (missing[0] === 0 && missing[1] === 0) return [spread];
    return [graph.op('Pad', [spread, graph.ints([0, 0, 0, 0, 0, 0, missing[0], missing[1]])])];
  });
}
