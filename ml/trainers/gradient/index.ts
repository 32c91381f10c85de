// A trainer from a gradient model: the same optimiser step, loop, state and head for all of them.
import { Failure } from '../../../domain/failures.js';
import type { TrainerType } from '../../../domain/model.js';
import { trainerParameters } from '../../../domain/trainers.js';
import { Tape } from '../../onnx/autodiff.js';
import type { Graph } from '../../onnx/graph.js';
import type { Shape, Trainer } from '../trainer.js';
import { fitGradient } from './fit.js';
import { gradientNeeds } from './memory.js';
import type { GradientModel } from './model.js';
import { parameterCount } from './model.js';
import { learntParameters, stateOf } from './state.js';

/** The learned tensors as initializers, cut from the flat vector. */
function emitTensors(graph: Graph, model: GradientModel, p: Float32Array, shape: Shape) {
  const layout = model.layout(shape);
  const expected = parameterCount(layout);
  if (p.length !== expected) {
    throw new Failure('ModelInvalid', `the state has ${p.length} parameters, the model needs ${expected}`);
  }
  let offset = 0;
  return layout.map((tensor) => {
    const values = p.subarray(offset, (offset += parameterCount([tensor])));
    const dims = [...tensor.dims];
    return { name: graph.initializer({ type: 'float', dims, values }, tensor.name), dims };
  });
}

/** `version` as in `Trainer`. */
export function gradientTrainer(type: TrainerType, version: string, model: GradientModel): Trainer {
  return {
    ...{ type, version, parameters: trainerParameters[type] },
    needs: (spec) => gradientNeeds(model, spec),
    fit: (spec, data, start, hooks) => fitGradient(model, spec, data, { start, hooks }),
    sizes: (shape) => JSON.stringify(model.layout(shape).map(({ name, dims }) => [name, dims])),
    emit: (graph, x, snapshot, shape) => {
      const state = stateOf(snapshot);
      const tape = new Tape(graph);
      const tensors = emitTensors(graph, model, learntParameters(state), shape).map(({ name, dims }) =>
        tape.value(name, dims),
      );
      const output = model.forward(tape, tensors, tape.value(x, ['N', shape.width]), shape).name;
      if (shape.task === 'classification') return output;
      const { mean, scale } = state.target;
      return graph.op('Add', [graph.op('Mul', [output, graph.scalar('float', scale)]), graph.scalar('float', mean)]);
    },
  };
}
