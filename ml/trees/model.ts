// What `trees` has learnt, and its form as a snapshot: bins, base, target, and all trees joined into one array a column.
import { Failure } from '../../domain/failures.js';
import type { Snapshot, SnapshotArray } from '../../domain/model.js';
import type { Bins } from './bins.js';
import type { Beginning } from './objective.js';
import type { Tree } from './tree.js';
import { leafOfValues, setBytes } from './tree.js';

export interface TreesModel extends Beginning {
  bins: Bins;
  /** Round by round, in each one tree an output. */
  trees: Tree[];
}

/** The round with the lowest loss on the validation part; trees after it are not served. */
export interface Best {
  round: number;
  loss: number;
}

/** Everything between two rounds. */
export interface TreesState extends TreesModel {
  /** Rounds done. */
  round: number;
  best: Best | null;
  /** Mean training loss. */
  loss: number;
  /** A warm start: trees of an earlier model in front of the rounds counted here. */
  warmTrees: number;
  /** No round follows. */
  finished: boolean;
}

const columns = {
  feature: Int32Array,
  bin: Int32Array,
  missingLeft: Uint8Array,
  left: Int32Array,
  right: Int32Array,
  value: Float32Array,
  gain: Float32Array,
  count: Int32Array,
  sets: Uint8Array,
} as const;
type ColumnName = keyof typeof columns;
const columnNames = Object.keys(columns) as ColumnName[];

function joined(trees: readonly Tree[], name: ColumnName): SnapshotArray {
  const whole = new columns[name](trees.reduce((sum, tree) => sum + tree[name].length, 0));
  let at = 0;
  for (const tree of trees) {
    whole.set(tree[name], at);
    at += tree[name].length;
  }
  return whole;
}

/** Where each tree begins, and the end of the last. */
function starts(trees: readonly Tree[], sizeOf: (tree: Tree) => number): Int32Array {
  const start = new Int32Array(trees.length + 1);
  trees.forEach((tree, i) => (start[i + 1] = start[i]! + sizeOf(tree)));
  return start;
}

export function snapshotOf(state: TreesState): Snapshot {
  const { bins, trees, base, target, round, best, loss, warmTrees, finished } = state;
  const facts = {
    ...{ target: { ...target }, loss, warmTrees, finished },
    best: best && { ...best },
  };
  const arrays: Snapshot['arrays'] = {
    base: base.slice(),
    'bins.categorical': bins.categorical.slice(),
    'bins.start': bins.start.slice(),
    'bins.edges': bins.edges.slice(),
    'trees.nodes': starts(trees, (tree) => tree.feature.length),
    'trees.sets': starts(trees, (tree) => tree.sets.length / setBytes),
  };
  for (const name of columnNames) arrays[name] = joined(trees, name);
  return { step: round, facts, arrays };
}

const unfit = (what: string): Failure => new Failure('ModelInvalid', `the state of trees has ${what}`);

/** The state a snapshot holds; its trees are views of the snapshot's arrays. Throws ModelInvalid when parts are missing. */
export function stateOf({ step, facts, arrays }: Snapshot): TreesState {
  const take = <T extends SnapshotArray>(name: string): T => {
    const array = arrays[name];
    if (array === undefined) throw unfit(`no ${name}`);
    return array as T;
  };
  const [nodes, sets] = [take<Int32Array>('trees.nodes'), take<Int32Array>('trees.sets')];
  const trees = Array.from({ length: nodes.length - 1 }, (_, i) => {
    const cut = (name: ColumnName): SnapshotArray =>
      name === 'sets'
        ? take(name).subarray(sets[i]! * setBytes, sets[i + 1]! * setBytes)
        : take(name).subarray(nodes[i], nodes[i + 1]);
    return Object.fromEntries(columnNames.map((name) => [name, cut(name)])) as unknown as Tree;
  });
  const start = take<Int32Array>('bins.start');
  const bins: Bins = {
    width: start.length - 1,
    categorical: take<Uint8Array>('bins.categorical'),
    start,
    edges: take<Float32Array>('bins.edges'),
  };
  const told = facts as unknown as Pick<TreesState, 'target' | 'best' | 'loss' | 'warmTrees' | 'finished'>;
  return { ...told, bins, trees, base: take<Float32Array>('base'), round: step };
}

/** Raw scores of float rows, base included, row-major rows x outputs: in float32 and in the order of the trees, as served. */
export function scoresOf(model: TreesModel, x: Float32Array): Float32Array {
  const { bins, trees, base } = model;
  const [rows, outputs] = [x.length / bins.width, base.length];
  const scores = new Float32Array(rows * outputs);
  trees.forEach((tree, i) => {
    for (let row = 0; row < rows; row++)
      scores[row * outputs + (i % outputs)]! += tree.value[leafOfValues(tree, bins, x, row * bins.width)]!;
  });
  return scores.map((score, at) => score + base[at % outputs]!);
}

/** How much each feature of X was used: the sum of its splits' gains, and their number. */
export function importanceOf({ bins, trees }: TreesModel): { gain: Float64Array; splits: Int32Array } {
  const [gain, splits] = [new Float64Array(bins.width), new Int32Array(bins.width)];
  for (const tree of trees) {
    tree.feature.forEach((feature, node) => {
      if (feature < 0) return;
      gain[feature]! += tree.gain[node]!;
      splits[feature]! += 1;
    });
  }
  return { gain, splits };
}
