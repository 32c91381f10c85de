// The training loop: up to K steps of the step graph per run, from zero or from a state, to the last step.
// Undisturbed, resumed at any step, and one step at a time all end in the same bytes.
import { Tensor } from 'onnxruntime-node';
import { Failure } from '../../domain/failures.js';
import type { TrainSpec } from '../../domain/model.js';
import { createTrainingSession } from '../provider.js';
import type { Plan, StepInputs } from './batches.js';
import { createBatches, planOf } from './batches.js';
import type { FitState } from './checkpoint.js';
import { trainers } from './index.js';
import { trainStepModel } from './step.js';
import { parameterCount, shapeOf } from './trainer.js';

/** Row-major x [rows, width] and y [rows]: class index, or value. */
export interface TrainData {
  x: Float32Array;
  y: Float32Array;
}

export interface FitOptions {
  /** From zero when absent. */
  resume?: FitState;
  /** Once, before the first step of this call. */
  started?(state: FitState, plan: Plan): void;
  /** After every session.run; training goes on when it resolves to true. `epoch` is 1-based, of the last step done. */
  after?(state: FitState, plan: Plan): Promise<boolean>;
}

/** 1-based epoch that the last step done belongs to; 0 before the first. */
export function epochOf(step: number, plan: Plan): number {
  return Math.ceil(step / plan.stepsPerEpoch);
}

/** Mean loss to show: of the epoch so far, or of the last whole one right after its end. */
export function shownLoss(state: FitState): number {
  return state.lossRows > 0 ? state.lossSum / state.lossRows : (state.epochLoss ?? 0);
}

/** Mean and standard deviation (n) in float64, in row order; a constant target keeps scale 1. */
function targetStatistics(spec: TrainSpec, y: Float32Array): FitState['target'] {
  if (spec.task === 'classification') return { mean: 0, scale: 1 };
  let sum = 0;
  for (const value of y) sum += value;
  const mean = Math.fround(sum / y.length);
  let squares = 0;
  for (const value of y) squares += (value - mean) ** 2;
  const scale = Math.fround(Math.sqrt(squares / y.length));
  return { mean, scale: scale > 0 ? scale : 1 };
}

function initialState(spec: TrainSpec, y: Float32Array): FitState {
  const p = trainers[spec.trainer].initial(shapeOf(spec), spec.seed);
  const [m, v] = [new Float32Array(p.length), new Float32Array(p.length)];
  return { step: 0, lossSum: 0, lossRows: 0, epochLoss: null, p, m, v, target: targetStatistics(spec, y) };
}

/** Adds the losses of a run, step by step, so that the sums do not depend on where a run begins. */
function countLosses(state: FitState, losses: Float32Array, plan: Plan): void {
  losses.forEach((loss, k) => {
    const step = state.step + k;
    if (!Number.isFinite(loss)) throw new Failure('TrainingDiverged', `the loss of step ${step + 1} is ${loss}`);
    const inEpoch = step % plan.stepsPerEpoch;
    const rows = Math.min(plan.batch, plan.rows - inEpoch * plan.batch);
    state.lossSum += loss * rows;
    state.lossRows += rows;
    if (inEpoch < plan.stepsPerEpoch - 1) return;
    state.epochLoss = state.lossSum / state.lossRows;
    state.lossSum = state.lossRows = 0;
  });
}

function feedsOf(state: FitState, batch: number, inputs: StepInputs): Record<string, Tensor> {
  const vector = (data: Float32Array): Tensor => new Tensor('float32', data, [data.length]);
  return {
    p: vector(state.p),
    m: vector(state.m),
    v: vector(state.v),
    idx: new Tensor('int32', inputs.idx, [inputs.count, batch]),
    w: new Tensor('float32', inputs.w, [inputs.count, batch]),
    rate: vector(inputs.rate),
    epsilon: vector(inputs.epsilon),
    keep: vector(inputs.keep),
  };
}

/** A run shorter than this may double its steps, a longer one than that halves them: a run is a stop's grain. */
const [shortRunMs, longRunMs] = [100, 300];
const firstSteps = 4;

/** Steps of the next run. The number changes no byte of the result, so it may follow the clock; `most` is the spec's K. */
function nextSteps(steps: number, most: number, lastRunMs: number): number {
  if (lastRunMs > longRunMs) return Math.max(1, steps >> 1);
  return lastRunMs < shortRunMs ? Math.min(most, steps * 2) : steps;
}

function checkData(spec: TrainSpec, data: TrainData): void {
  if (spec.rows < 1) throw new Failure('NoLabels', 'there are no rows to train on');
  if (data.x.length !== spec.rows * spec.width || data.y.length !== spec.rows) {
    throw new Failure(
      'ArtifactCorrupt',
      `the matrix has ${data.x.length} numbers, expected ${spec.rows} x ${spec.width}`,
    );
  }
}

/** Throws TrainingDiverged when a parameter or a moment is no longer a number. */
export function requireFinite(state: FitState): void {
  for (const vector of [state.p, state.m, state.v]) {
    if (!vector.every(Number.isFinite)) {
      throw new Failure('TrainingDiverged', `a parameter is no longer a number after step ${state.step}`);
    }
  }
}

/**
 * Trains to the last step, or until `after` answers false. The answer's p, m and v are fresh arrays.
 * Throws TrainingDiverged (loss or parameters not finite), Unavailable (provider), ArtifactCorrupt (sizes), NoLabels.
 */
export async function fit(spec: TrainSpec, data: TrainData, options: FitOptions = {}): Promise<FitState> {
  checkData(spec, data);
  const shape = shapeOf(spec);
  const trainer = trainers[spec.trainer];
  const plan = planOf(spec.rows, spec.params);
  const state = options.resume ? { ...options.resume } : initialState(spec, data.y);
  if (state.p.length !== parameterCount(trainer.layout(shape))) throw new RangeError('a state of another size');
  const batches = createBatches(plan, spec.params, spec.seed);
  const { mean, scale } = state.target;
  const y = spec.task === 'regression' ? data.y.map((value) => (value - mean) / scale) : data.y;
  const X = new Tensor('float32', data.x, [spec.rows, spec.width]);
  const Y = new Tensor('float32', y, [spec.rows]);
  const session = await createTrainingSession(trainStepModel(trainer, shape, plan.batch), spec);
  try {
    options.started?.(state, plan);
    let steps = Math.min(Math.max(1, spec.stepsPerRun), firstSteps);
    while (state.step < plan.totalSteps) {
      const inputs = batches(state.step, Math.min(steps, plan.totalSteps - state.step));
      const start = performance.now();
      const result = await session.run({ X, Y, ...feedsOf(state, plan.batch, inputs) });
      steps = nextSteps(steps, Math.max(1, spec.stepsPerRun), performance.now() - start);
      const take = (name: string): Float32Array => result[name]!.data as Float32Array;
      countLosses(state, take('loss'), plan);
      Object.assign(state, { step: state.step + inputs.count, p: take('p_out'), m: take('m_out'), v: take('v_out') });
      if (options.after && !(await options.after(state, plan))) break;
    }
    requireFinite(state);
    return state;
  } finally {
    await session.release();
  }
}
