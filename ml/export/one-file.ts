// The served model as ONE ONNX file: raw columns in, answers out; preprocessing and head are nodes of one graph.
// Its bytes are a function of the fitted features, the trainer and the learned parameters: no time, name or path.
import { canonicalJson } from '../../domain/json.js';
import { Failure } from '../../domain/failures.js';
import type { FittedFeatures, Signature, TrainerType } from '../../domain/model.js';
import type { TrainerParams } from '../../domain/trainers.js';
import { emitFeatures, featureWidth } from '../features/graph.js';
import { Tape } from '../onnx/autodiff.js';
import { Graph, modelBytes } from '../onnx/graph.js';
import type { FitState } from '../trainers/checkpoint.js';
import { decodeCheckpoint } from '../trainers/checkpoint.js';
import { trainers } from '../trainers/index.js';
import type { Shape } from '../trainers/trainer.js';
import { parameterCount } from '../trainers/trainer.js';

/** Which trainer made the state, and with which parameters. */
export interface ModelInfo {
  trainer: TrainerType;
  params: TrainerParams;
}

const opsets = { opset: 18, mlOpset: 3 };

function metadata(signature: Signature): Record<string, string> {
  return {
    'perennial.columns': canonicalJson({ num: signature.num, cat: signature.cat }),
    'perennial.classes': canonicalJson(signature.classes),
    'perennial.task': signature.task,
  };
}

/** The learned tensors as initializers, cut from the flat vector. */
function emitTensors(graph: Graph, state: FitState, info: ModelInfo, shape: Shape): { name: string; dims: number[] }[] {
  let offset = 0;
  return trainers[info.trainer].layout(shape).map((tensor) => {
    const size = parameterCount([tensor]);
    const values = state.p.subarray(offset, (offset += size));
    const dims = [...tensor.dims];
    return { name: graph.initializer({ type: 'float', dims, values }, tensor.name), dims };
  });
}

/** From X to `label` and `probabilities`, or to `value` in the target's own unit. */
function emitHead(graph: Graph, x: string, state: FitState, info: ModelInfo, signature: Signature, shape: Shape): void {
  const tape = new Tape(graph);
  const tensors = emitTensors(graph, state, info, shape).map(({ name, dims }) => tape.value(name, dims));
  const output = trainers[info.trainer].forward(tape, tensors, tape.value(x, ['N', shape.width]), shape);
  if (shape.task === 'regression') {
    const z = graph.op('Reshape', [output.name, graph.ints([-1])]);
    const scaled = graph.op('Mul', [z, graph.scalar('float', state.target.scale)]);
    graph.output(graph.op('Add', [scaled, graph.scalar('float', state.target.mean)], {}, 'value'), 'float', ['N']);
    return;
  }
  const probabilities = graph.op('Softmax', [output.name], { axis: -1 }, 'probabilities');
  const best = graph.op('ArgMax', [probabilities], { axis: 1, keepdims: 0 });
  const keys = signature.classes.map((_, i) => i);
  const names = { keys_int64s: keys, values_strings: signature.classes, default_string: '' };
  graph.output(graph.mlOp('LabelEncoder', [best], names, 'label'), 'string', ['N']);
  graph.output(probabilities, 'float', ['N', shape.outputs]);
}

function shapeOfModel(fitted: FittedFeatures, state: FitState, info: ModelInfo): Shape {
  const { task, classes } = fitted.signature;
  const outputs = task === 'regression' ? 1 : classes.length;
  const shape: Shape = { task, width: featureWidth(fitted), outputs, params: info.params };
  const expected = parameterCount(trainers[info.trainer].layout(shape));
  if (state.p.length !== expected) {
    throw new Failure('ModelInvalid', `the state has ${state.p.length} parameters, the model needs ${expected}`);
  }
  return shape;
}

/**
 * `state` holds the bytes of a training state file. Inputs: `num` float32 [N,n] (NaN = missing) and `cat` string [N,m]
 * ('' = missing), one without columns is absent. Outputs: `label` string [N] and `probabilities` float32 [N,C] in the
 * order of `perennial.classes`; regression: `value` float32 [N]. N may be 0.
 * Throws ArtifactCorrupt (state), ModelInvalid (sizes do not fit), FeaturesUnfit (no column).
 */
export function oneFileModel(fitted: FittedFeatures, state: Uint8Array, info: ModelInfo): Uint8Array {
  const decoded = decodeCheckpoint(state).state;
  const shape = shapeOfModel(fitted, decoded, info);
  const graph = new Graph('model');
  emitHead(graph, emitFeatures(graph, fitted), decoded, info, fitted.signature, shape);
  return modelBytes(graph, { ...opsets, metadata: metadata(fitted.signature) });
}

/** The same head behind an input `X` float32 [N,width]: for rows that are featurised already. */
export function headModel(fitted: FittedFeatures, state: Uint8Array, info: ModelInfo): Uint8Array {
  const decoded = decodeCheckpoint(state).state;
  const shape = shapeOfModel(fitted, decoded, info);
  const graph = new Graph('head');
  emitHead(graph, graph.input('X', 'float', ['N', shape.width]), decoded, info, fitted.signature, shape);
  return modelBytes(graph, { ...opsets, metadata: metadata(fitted.signature) });
}
