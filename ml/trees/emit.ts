// Trees as one ai.onnx.ml TreeEnsembleRegressor: float32 sums of leaf values, then base, then logits or the target's unit.
// A number's split is BRANCH_LEQ on an edge of its bins, so a served value goes the way its code went in training.
// A category's split is a chain of BRANCH_EQ, one per code of one side, whose true branches all lead to the same child.
import { Failure } from '../../domain/failures.js';
import type { Attributes, Graph } from '../onnx/graph.js';
import type { Shape } from '../trainers/trainer.js';
import type { Bins } from './bins.js';
import { binCount } from './bins.js';
import type { TreesModel } from './model.js';
import { outputsOf } from './objective.js';
import type { Tree } from './tree.js';
import { inSet } from './tree.js';

/** The columns of the operator's node table, as lists that grow. */
class Nodes {
  readonly #rows: Required<Node>[] = [];
  readonly #leaves: { tree: number; id: number; output: number; weight: number }[] = [];

  add(node: Node): void {
    this.#rows.push({ feature: 0, value: 0, onTrue: 0, onFalse: 0, missingTrue: false, ...node });
  }

  leaf(tree: number, id: number, output: number, weight: number): void {
    this.add({ tree, id, mode: 'LEAF' });
    this.#leaves.push({ tree, id, output, weight });
  }

  attributes(outputs: number): Attributes {
    const [rows, leaves] = [this.#rows, this.#leaves];
    return {
      aggregate_function: 'SUM',
      n_targets: outputs,
      nodes_falsenodeids: rows.map(({ onFalse }) => onFalse),
      nodes_featureids: rows.map(({ feature }) => feature),
      nodes_missing_value_tracks_true: rows.map(({ missingTrue }) => (missingTrue ? 1 : 0)),
      nodes_modes: rows.map(({ mode }) => mode),
      nodes_nodeids: rows.map(({ id }) => id),
      nodes_treeids: rows.map(({ tree }) => tree),
      nodes_truenodeids: rows.map(({ onTrue }) => onTrue),
      nodes_values: { floats: rows.map(({ value }) => value) },
      post_transform: 'NONE',
      target_ids: leaves.map(({ output }) => output),
      target_nodeids: leaves.map(({ id }) => id),
      target_treeids: leaves.map(({ tree }) => tree),
      target_weights: { floats: leaves.map(({ weight }) => weight) },
    };
  }
}

interface Node {
  tree: number;
  id: number;
  mode: 'BRANCH_LEQ' | 'BRANCH_EQ' | 'LEAF';
  feature?: number;
  value?: number;
  onTrue?: number;
  onFalse?: number;
  missingTrue?: boolean;
}

/** Codes of the side without the bin of all other values, and whether that is the left side. */
function chainOf(bins: Bins, tree: Tree, node: number): { codes: number[]; left: boolean } {
  const others = binCount(bins, tree.feature[node]!) - 1;
  const goesLeft = (code: number): boolean => inSet(tree.sets, tree.bin[node]!, code);
  const left = !goesLeft(others);
  return { left, codes: Array.from({ length: others }, (_, code) => code).filter((code) => goesLeft(code) === left) };
}

/** Writes the split of a category; answers the next free node number of its tree, beginning with `free`. */
function addChain(nodes: Nodes, { bins, trees }: TreesModel, at: { tree: number; id: number }, free: number): number {
  const tree = trees[at.tree]!;
  const feature = tree.feature[at.id]!;
  const chain = chainOf(bins, tree, at.id);
  const children = [tree.left[at.id]!, tree.right[at.id]!] as const;
  const [asked, rest] = chain.left ? children : [children[1], children[0]];
  const missingTrue = (tree.missingLeft[at.id] === 1) === chain.left;
  if (chain.codes.length === 0) {
    // Missing against everything else.
    const value = Infinity;
    nodes.add({ ...at, mode: 'BRANCH_LEQ', feature, value, onTrue: rest, onFalse: asked, missingTrue: !missingTrue });
    return free;
  }
  let id = at.id;
  chain.codes.forEach((code, i) => {
    const onFalse = i === chain.codes.length - 1 ? rest : free;
    const value = bins.edges[bins.start[feature]! + code]!;
    nodes.add({ tree: at.tree, id, mode: 'BRANCH_EQ', feature, value, onTrue: asked, onFalse, missingTrue });
    if (onFalse === free) id = free++;
  });
  return free;
}

function addTreeNodes(nodes: Nodes, model: TreesModel, index: number): void {
  const { bins, base } = model;
  const tree = model.trees[index]!;
  let free = tree.feature.length;
  tree.feature.forEach((feature, id) => {
    const at = { tree: index, id };
    if (feature < 0) nodes.leaf(index, id, index % base.length, tree.value[id]!);
    else if (bins.categorical[feature] === 1) free = addChain(nodes, model, at, free);
    else {
      const bin = tree.bin[id]!;
      // Behind the last edge every number goes left, and only missing ones may go right.
      const value = bin < binCount(bins, feature) - 1 ? bins.edges[bins.start[feature]! + bin]! : Infinity;
      const missingTrue = tree.missingLeft[id] === 1;
      const [onTrue, onFalse] = [tree.left[id]!, tree.right[id]!];
      nodes.add({ ...at, mode: 'BRANCH_LEQ', feature, value, onTrue, onFalse, missingTrue });
    }
  });
}

/** Sums of the trees and the base, float32 [N, trees of a round]. */
function emitScores(graph: Graph, x: string, model: TreesModel): string {
  const outputs = model.base.length;
  const base = graph.initializer({ type: 'float', dims: [1, outputs], values: model.base });
  if (model.trees.length === 0) {
    const rows = graph.op('Slice', [graph.op('Shape', [x]), graph.ints([0]), graph.ints([1])]);
    return graph.op('Expand', [base, graph.op('Concat', [rows, graph.ints([outputs])], { axis: 0 })]);
  }
  const nodes = new Nodes();
  model.trees.forEach((_, index) => addTreeNodes(nodes, model, index));
  return graph.op('Add', [graph.mlOp('TreeEnsembleRegressor', [x], nodes.attributes(outputs)), base]);
}

/** From x float32 [N, width] to logits [N, classes], or to values [N, 1] in the target's unit. */
export function emitTrees(graph: Graph, x: string, model: TreesModel, shape: Shape): string {
  const outputs = outputsOf(shape.task, shape.outputs);
  if (model.bins.width !== shape.width || model.base.length !== outputs) {
    const found = `${model.bins.width} columns and ${model.base.length} outputs`;
    throw new Failure('ModelInvalid', `trees of ${found}, expected ${shape.width} and ${outputs}`);
  }
  const scores = emitScores(graph, x, model);
  if (shape.task === 'regression') {
    const scaled = graph.op('Mul', [scores, graph.scalar('float', model.target.scale)]);
    return graph.op('Add', [scaled, graph.scalar('float', model.target.mean)]);
  }
  if (shape.outputs !== 2) return scores;
  // Logits 0 and s, whose softmax is the logistic function of s.
  return graph.op('Mul', [scores, graph.initializer({ type: 'float', dims: [1, 2], values: [0, 1] })]);
}
