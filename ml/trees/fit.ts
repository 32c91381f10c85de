// The rounds: bin the rows once, then one tree an output and round, until the last one or until validation stops improving.
// Scores are not part of the state: the trees replayed in their order give the same float32 sums.
import { setImmediate } from 'node:timers/promises';
import { Failure } from '../../domain/failures.js';
import type { Progress, TrainSpec } from '../../domain/model.js';
import type { FitHooks, FitResult, Rows, Start, TrainData } from '../trainers/trainer.js';
import { fitBins } from './bins.js';
import { treeGrower } from './grow.js';
import type { Gradients } from './histogram.js';
import { builderBytes, histogramBuilder } from './histogram.js';
import type { Arena } from './kernel.js';
import { arenaBytes, createArena } from './kernel.js';
import type { BinnedMatrix, BinRowsOptions } from './matrix.js';
import { binRows, matrixSize } from './matrix.js';
import type { TreesState } from './model.js';
import { snapshotOf, stateOf } from './model.js';
import type { Objective } from './objective.js';
import { beginningOf, objectiveOf } from './objective.js';
import type { TreesColumns, TreesParams } from './params.js';
import { growRules } from './params.js';
import { drawFeatures, drawRows } from './sampling.js';
import type { Column } from './tree.js';
import { addTree } from './tree.js';
import { weighted } from './weighted.js';

/** One part of the data with the scores that the trees so far give it. */
interface Part {
  matrix: BinnedMatrix;
  y: Float32Array;
  scores: Float32Array;
  weights: Float32Array | null;
}

/** Throws FeaturesUnfit where a target is no number, or no class. */
function checkTargets(spec: TrainSpec, part: Rows, name: string): void {
  const classes = spec.task === 'classification' ? spec.outputs : Infinity;
  const bad = part.y.findIndex((value) =>
    spec.task === 'regression' ? !Number.isFinite(value) : !(Number.isInteger(value) && value >= 0 && value < classes),
  );
  if (bad < 0) return;
  const wanted = spec.task === 'regression' ? 'a finite number' : `a class from 0 to ${classes - 1}`;
  throw new Failure('FeaturesUnfit', `the target of ${name} row ${bad + 1} is ${part.y[bad]}, not ${wanted}`);
}

/** The parameters and the columns, as the fit needs them. */
interface Plan {
  spec: TrainSpec;
  params: TreesParams;
  columns: TreesColumns;
  /** Most words of binned rows kept in memory. */
  memoryWords: number;
}

/** The state before the first round of this call. */
async function beginning({ spec, params, columns }: Plan, train: Rows, start: Start): Promise<TreesState> {
  const given = start.resume ?? start.warm;
  const first = beginningOf(spec.task, spec.outputs, train);
  if (given === undefined) {
    const bins = await fitBins(train, { bins: params.bins, categorical: columns.categorical, seed: spec.seed });
    return { ...first, bins, trees: [], round: 0, best: null, loss: 0, warmTrees: 0, finished: false };
  }
  const state = stateOf(given);
  if (state.bins.width !== spec.width || state.base.length !== first.base.length) {
    const found = `${state.bins.width} columns and ${state.base.length} outputs`;
    throw new Failure('CheckpointMismatch', `trees of ${found}, expected ${spec.width} and ${first.base.length}`);
  }
  if (start.resume) return state;
  return { ...state, round: 0, best: null, loss: 0, warmTrees: state.trees.length, finished: false };
}

/** Bins the rows and replays the trees that there are. */
async function partOf(rows: Rows, { bins, trees, base }: TreesState, options: BinRowsOptions): Promise<Part> {
  const matrix = await binRows(rows, bins, options);
  const scores = new Float32Array(rows.rows * base.length);
  const part = { matrix, y: rows.y, scores, weights: rows.weights ?? null };
  trees.forEach((tree, index) => addTree(matrix, bins, tree, columnOf(part, base.length, index)));
  return part;
}

const columnOf = ({ scores }: Part, outputs: number, tree: number): Column => ({
  values: scores,
  stride: outputs,
  offset: tree % outputs,
});

/** Grows the trees of one round and adds them to the state and to the scores of both parts. */
type Round = (next: (output: number) => void) => Promise<void>;

/** Lets messages of the parent in between two trees: the first turn may end what was read before, so that only the second reads. */
async function readMessages(): Promise<void> {
  for (const _ of [1, 2]) await setImmediate();
}

function rounds({ spec, params, columns }: Plan, state: TreesState, parts: Parts, gradients: Gradients): Round {
  const { matrix } = parts.train;
  const { arena } = parts;
  const { bins } = state;
  const outputs = state.base.length;
  const builder = histogramBuilder(matrix, bins, arena);
  const grow = treeGrower({ matrix, bins, builder, arena, rules: growRules(params, columns) });
  const rows = arena.ints(matrix.rows);
  const spare = arena.ints(matrix.rows);
  const bag = params.subsample < 1 ? new Uint8Array(matrix.rows) : null;
  const orderOf = (): Int32Array => {
    if (bag) return rows.subarray(0, drawRows(spec.seed, state.round, params.subsample, bag, rows));
    for (let row = 0; row < rows.length; row++) rows[row] = row;
    return rows;
  };
  return async (next) => {
    for (let output = 0; output < outputs; output++) {
      next(output);
      const features = drawFeatures(spec.seed, state.trees.length, params.columns, spec.width);
      const column = columnOf(parts.train, outputs, output);
      const tree = grow({ order: orderOf(), spare, gradients, features }, column);
      if (bag) addTree(matrix, bins, tree, column, bag);
      if (parts.validation) addTree(parts.validation.matrix, bins, tree, columnOf(parts.validation, outputs, output));
      state.trees.push(tree);
      await readMessages();
    }
    state.round += 1;
  };
}

interface Parts {
  /** Memory of the training rows. */
  arena: Arena;
  train: Part;
  validation: Part | null;
}

/** Nothing more to learn: the last round found no split, and every round would see the same rows and features. */
function isStuck({ trees, base }: TreesState, params: TreesParams): boolean {
  if (params.subsample < 1 || params.columns < 1) return false;
  return trees.slice(-base.length).every((tree) => tree.feature.length === 1);
}

/** Keeps the trees up to the best round where early stopping was asked for. */
function finish(state: TreesState, params: TreesParams): void {
  state.finished = true;
  if (params.patience === 0 || state.best === null) return;
  state.trees.length = state.warmTrees + state.best.round * state.base.length;
}

/** Notes the loss on the validation part, and whether it is the best so far. */
function judge(state: TreesState, objective: Objective, validation: Part | null): number | null {
  if (validation === null) return null;
  const loss = objective.loss(validation.y, validation.scores);
  if (state.best === null || loss < state.best.loss) state.best = { round: state.round, loss };
  return loss;
}

function isOver(state: TreesState, params: TreesParams): boolean {
  if (state.finished || state.round >= params.rounds) return true;
  if (state.round > 0 && isStuck(state, params)) return true;
  return params.patience > 0 && state.best !== null && state.round - state.best.round >= params.patience;
}

async function learn(plan: Plan, state: TreesState, parts: Parts, hooks: FitHooks): Promise<FitResult> {
  const { params } = plan;
  const { y, scores, weights } = parts.train;
  const plain = objectiveOf(plan.spec.task, state);
  const objective = weights ? weighted(plain, weights) : plain;
  const { flat, unit } = objective;
  const { arena } = parts;
  const gradients = { g: arena.floats(y.length), h: arena.floats(flat ? 1 : y.length).fill(1), unit };
  const round = rounds(plan, state, parts, gradients);
  let validation = judge(state, objective, parts.validation);
  const progress = (): Progress => {
    const { round: step, loss } = state;
    return { step, totalSteps: params.rounds, epoch: step, epochs: params.rounds, loss, validation };
  };
  let { loss, next } = objective.begin(y, scores, gradients);
  state.loss = loss;
  hooks.started(progress());
  while (!isOver(state, params)) {
    await round(next);
    ({ loss, next } = objective.begin(y, scores, gradients));
    if (!Number.isFinite(loss)) throw new Failure('TrainingDiverged', `the loss of round ${state.round} is ${loss}`);
    state.loss = loss;
    validation = judge(state, objective, parts.validation);
    if (await hooks.after(progress(), () => snapshotOf(state))) continue;
    if (!isOver(state, params)) return { progress: progress(), snapshot: snapshotOf(state), finished: false };
  }
  finish(state, params);
  return { progress: progress(), snapshot: snapshotOf(state), finished: true };
}

/** `Trainer.fit` of `trees`. Throws FeaturesUnfit (targets), CheckpointMismatch (sizes), TrainingDiverged. */
export async function fitTrees(plan: Plan, data: TrainData, start: Start, hooks: FitHooks): Promise<FitResult> {
  const { spec, memoryWords } = plan;
  checkTargets(spec, data.train, 'training');
  if (data.validation) checkTargets(spec, data.validation, 'validation');
  const state = await beginning(plan, data.train, start);
  const folder = spec.paths.out;
  const { bytes, blockRows } = matrixSize(spec.rows, spec.width, memoryWords);
  // beside the matrix and the histogram: order, spare, gradients, hessians, the codes of a split
  const space = bytes + builderBytes(state.bins, blockRows) + 4 * arenaBytes(spec.rows * 4) + arenaBytes(256);
  const arena = createArena(space, (spec.width + 3) >> 2);
  const train = await partOf(data.train, state, { folder, arena, memoryWords });
  try {
    const validation = data.validation && (await partOf(data.validation, state, { folder, memoryWords }));
    try {
      return await learn(plan, state, { arena, train, validation }, hooks);
    } finally {
      validation?.matrix.close();
    }
  } finally {
    train.matrix.close();
  }
}
