import { describe, expect, it } from 'vitest';
import { embeddingModel, embeddingOutput } from '../../ml/export/embedding.js';
import { Graph, modelBytes } from '../../ml/onnx/graph.js';
import { emitLabel, servedOpsets } from '../../ml/export/head.js';
import { runOnce } from './support.js';

const x = { type: 'float32' as const, dims: [2, 2], data: [1, 2, -3, 4] };

/** `layers`: what makes logits of three classes from X. */
function served(layers: (graph: Graph, x: string) => string): Uint8Array {
  const graph = new Graph('model');
  const logits = layers(graph, graph.op('Mul', [graph.input('X', 'float', ['N', 2]), graph.scalar('float', 2)]));
  const tempered = graph.op('Div', [logits, graph.scalar('float', 1.5)]);
  emitLabel(graph, graph.op('Softmax', [tempered], { axis: -1 }, 'probabilities'), ['a', 'b', 'c']);
  return modelBytes(graph, servedOpsets);
}

const weights = (graph: Graph, inputs: number, outputs: number) =>
  graph.initializer({
    type: 'float',
    dims: [inputs, outputs],
    values: Array.from({ length: inputs * outputs }, (_, i) => i - 2),
  });
const dense = (graph: Graph, value: string, inputs: number, outputs: number) =>
  graph.op('Gemm', [value, weights(graph, inputs, outputs)]);

describe('what the last layer sees', () => {
  it('is the features of a linear model', async () => {
    const bytes = served((graph, value) => dense(graph, value, 2, 3));
    const model = embeddingModel(bytes);
    const [plain, more] = [await runOnce(bytes, { X: x }), await runOnce(model!.bytes, { X: x })];
    expect(model?.trees).toBe(false);
    expect([...(more[embeddingOutput]?.data as Float32Array)]).toEqual([2, 4, -6, 8]);
    expect(more['probabilities']?.data).toEqual(plain['probabilities']?.data);
    expect(more['label']?.data).toEqual(plain['label']?.data);
  });

  it('is the last hidden layer of a network', async () => {
    const bytes = served((graph, value) => dense(graph, graph.op('Relu', [dense(graph, value, 2, 2)]), 2, 3));
    const out = await runOnce(embeddingModel(bytes)!.bytes, { X: x });
    expect(out[embeddingOutput]?.dims).toEqual([2, 2]);
    // (2, 4) and (-6, 8) times [[-2, -1], [0, 1]], negative ones 0
    expect([...(out[embeddingOutput]?.data as Float32Array)]).toEqual([0, 2, 12, 14]);
  });

  it('is the features of trees, which may be in any unit', async () => {
    const attributes = {
      ...{ n_targets: 3, nodes_treeids: [0], nodes_nodeids: [0], nodes_featureids: [0], nodes_modes: ['LEAF'] },
      ...{ nodes_values: { floats: [0] }, nodes_truenodeids: [0], nodes_falsenodeids: [0] },
      ...{ target_treeids: [0], target_nodeids: [0], target_ids: [1], target_weights: { floats: [1] } },
    };
    const bytes = served((graph, value) => graph.mlOp('TreeEnsembleRegressor', [value], attributes));
    const model = embeddingModel(bytes);
    expect(model?.trees).toBe(true);
    const out = await runOnce(model!.bytes, { X: x });
    expect([...(out[embeddingOutput]?.data as Float32Array)]).toEqual([2, 4, -6, 8]);
  });

  it('is not told where there is no layer', () => {
    expect(embeddingModel(served((graph, value) => graph.op('Concat', [value, value], { axis: 1 })))).toBeNull();
    expect(() => embeddingModel(Uint8Array.of(1, 2, 3))).toThrow();
  });
});
