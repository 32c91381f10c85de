// What every served file has in common: the label behind the probabilities, its metadata and its operator sets.
import { canonicalJson } from '../../domain/json.js';
import type { Signature } from '../../domain/model.js';
import type { Graph } from '../onnx/graph.js';

export const servedOpsets = { opset: 18, mlOpset: 3 } as const;

export function servedMetadata(signature: Signature): Record<string, string> {
  return {
    'perennial.columns': canonicalJson({
      num: signature.num,
      cat: signature.cat,
      ...(signature.text && { text: signature.text }),
    }),
    'perennial.classes': canonicalJson(signature.classes),
    'perennial.task': signature.task,
  };
}

/** From float32 [N,C] to the outputs `label` and `probabilities`. */
export function emitLabel(graph: Graph, probabilities: string, classes: readonly string[]): void {
  const best = graph.op('ArgMax', [probabilities], { axis: 1, keepdims: 0 });
  const keys = classes.map((_, i) => i);
  const names = { keys_int64s: keys, values_strings: classes, default_string: '' };
  graph.output(graph.mlOp('LabelEncoder', [best], names, 'label'), 'string', ['N']);
  graph.output(probabilities, 'float', ['N', classes.length]);
}
