// Element-wise nonlinearities, each written so that its gradient needs the output or the input and nothing more.
import type { Tape, Var } from './autodiff.js';

/**
 * max(x, 0). The slope is min(y·2¹²⁷, 1): 0 at 0, 1 above 2⁻¹²⁷, an eighth of the time that onnxruntime's Sign takes.
 * In float64 the power is 1023.
 */
export function relu(tape: Tape, x: Var): Var {
  const { graph } = tape;
  const y = graph.op('Relu', [x.name]);
  const huge = 2 ** (tape.type === 'float' ? 127 : 1023);
  return tape.record(y, x.dims, [x], (g) => {
    const slope = graph.op('Min', [graph.op('Mul', [y, tape.scalar(huge).name]), tape.scalar(1).name]);
    return [graph.op('Mul', [g, slope])];
  });
}

/** Its derivative is 1 - y². */
export function tanh(tape: Tape, x: Var): Var {
  const { graph } = tape;
  const y = graph.op('Tanh', [x.name]);
  return tape.record(y, x.dims, [x], (g) => [graph.op('Sub', [g, graph.op('Mul', [g, graph.op('Mul', [y, y])])])]);
}

/** 1 / (1 + e⁻ˣ); its derivative is y (1 - y). */
export function sigmoid(tape: Tape, x: Var): Var {
  const { graph } = tape;
  const y = graph.op('Sigmoid', [x.name]);
  return tape.record(y, x.dims, [x], (g) => {
    const gy = graph.op('Mul', [g, y]);
    return [graph.op('Sub', [gy, graph.op('Mul', [gy, y])])];
  });
}

/** x·Φ(x) with the normal distribution Φ (Hendrycks & Gimpel 2016, Gaussian error linear units). */
export function gelu(tape: Tape, x: Var): Var {
  const { graph } = tape;
  const times = (name: string, by: number): string => graph.op('Mul', [name, tape.scalar(by).name]);
  const erf = graph.op('Erf', [times(x.name, Math.SQRT1_2)]);
  const phi = times(graph.op('Add', [erf, tape.scalar(1).name]), 0.5);
  return tape.record(graph.op('Mul', [x.name, phi]), x.dims, [x], (g) => {
    // Φ(x) + x·φ(x), φ the density
    const density = times(
      graph.op('Exp', [times(graph.op('Mul', [x.name, x.name]), -0.5)]),
      1 / Math.sqrt(2 * Math.PI),
    );
    return [graph.op('Mul', [g, graph.op('Add', [phi, graph.op('Mul', [x.name, density])])])];
  });
}
