// The served model as ONE ONNX file: raw columns in, answers out; preprocessing and head are nodes of one graph.
// Its bytes are a function of the fitted features, the trainer and the learned parameters: no time, name or path.
import type { FittedFeatures, Snapshot, TrainerType } from '../../domain/model.js';
import type { TrainerParams } from '../../domain/trainers.js';
import { featureWidth, tokenFacts } from '../features/columns.js';
import { emitFeatures } from '../features/graph.js';
import { Graph, modelBytes } from '../onnx/graph.js';
import { calibrationOf } from '../trainers/calibrate.js';
import { decodeCheckpoint } from '../trainers/checkpoint.js';
import { trainers } from '../trainers/index.js';
import { emitFirstColumns, seenBy } from '../trainers/tokens.js';
import type { Shape } from '../trainers/trainer.js';
import { emitLabel, servedMetadata, servedOpsets } from './head.js';
import { Int8Graph } from './int8.js';

/** Which trainer made the state, and with which parameters. */
export interface ModelInfo {
  trainer: TrainerType;
  params: TrainerParams;
}

function shapeOfModel({ signature, ...fitted }: FittedFeatures, info: ModelInfo): Shape {
  const { task, classes } = signature;
  const outputs = task === 'regression' ? 1 : classes.length;
  const seen = seenBy(info.trainer, featureWidth(fitted), tokenFacts(fitted));
  return { task, ...seen, outputs, params: info.params };
}

/** From X to `label` and `probabilities`, or to `value` in the target's own unit. */
function emitHead(graph: Graph, x: string, snapshot: Snapshot, info: ModelInfo & { shape: Shape }, classes: string[]) {
  const { shape } = info;
  const output = trainers[info.trainer].emit(graph, x, snapshot, shape);
  if (shape.task === 'regression') {
    graph.output(graph.op('Reshape', [output, graph.ints([-1])], {}, 'value'), 'float', ['N']);
    return;
  }
  const temperature = calibrationOf(snapshot)?.temperature ?? 1;
  const logits = temperature === 1 ? output : graph.op('Div', [output, graph.scalar('float', temperature)]);
  emitLabel(graph, graph.op('Softmax', [logits], { axis: -1 }, 'probabilities'), classes);
}

/**
 * `state` holds the bytes of a training state file. Inputs: `num` float32 [N,n] (NaN = missing) and `cat` string [N,m]
 * ('' = missing), one without columns is absent. Outputs: `label` string [N] and `probabilities` float32 [N,C] in the
 * order of `perennial.classes`; regression: `value` float32 [N]. N may be 0.
 * Throws ArtifactCorrupt (state), ModelInvalid (sizes do not fit), FeaturesUnfit (no column).
 */
export function oneFileModel(fitted: FittedFeatures, state: Uint8Array, info: ModelInfo): Uint8Array {
  return modelOf(new Graph('model'), { fitted, state, info }, (graph) => emitFeatures(graph, fitted));
}

/** The same with its dense layers in int8, which answers a little differently; null where the trainer has none. */
export function int8Model(fitted: FittedFeatures, state: Uint8Array, info: ModelInfo): Uint8Array | null {
  const int8 = new Int8Graph('model');
  const bytes = modelOf(int8, { fitted, state, info }, (graph) => emitFeatures(graph, fitted));
  return int8.layers === 0 ? null : bytes;
}

/** The same head behind an input `X` float32 [N,width]: for rows that are featurised already. */
export function headModel(fitted: FittedFeatures, state: Uint8Array, info: ModelInfo): Uint8Array {
  const made = { fitted, state, info };
  return modelOf(new Graph('model'), made, (graph) => graph.input('X', 'float', ['N', featureWidth(fitted)]));
}

function modelOf(
  graph: Graph,
  { fitted, state, info }: { fitted: FittedFeatures; state: Uint8Array; info: ModelInfo },
  emitX: (graph: Graph) => string,
): Uint8Array {
  const { snapshot } = decodeCheckpoint(state);
  const shape = shapeOfModel(fitted, info);
  const x = emitFirstColumns(graph, emitX(graph), shape.width, featureWidth(fitted));
  emitHead(graph, x, snapshot, { ...info, shape }, fitted.signature.classes);
  return modelBytes(graph, { ...servedOpsets, metadata: servedMetadata(fitted.signature) });
}
