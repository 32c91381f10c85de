// The training loop: up to K steps of the step graph per run, from zero or from a state, to the last step.
// Undisturbed, resumed at any step, and one step at a time all end in the same bytes.
import { Tensor } from 'onnxruntime-node';
import { Failure } from '../../../domain/failures.js';
import type { TrainSpec } from '../../../domain/model.js';
import { createTrainingSession } from '../../provider.js';
import type { FitHooks, FitResult, Rows, Start, TrainData } from '../trainer.js';
import { shapeOf } from '../trainer.js';
import type { Plan, StepInputs } from './batches.js';
import { createBatches, planOf } from './batches.js';
import type { GradientModel } from './model.js';
import { parameterCount } from './model.js';
import type { FitState } from './state.js';
import { progressOf, snapshotOf, stateOf } from './state.js';
import { trainStepModel } from './step.js';

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

function initialState(model: GradientModel, spec: TrainSpec, y: Float32Array): FitState {
  const p = model.initial(shapeOf(spec), spec.seed);
  const [m, v] = [new Float32Array(p.length), new Float32Array(p.length)];
  return { step: 0, lossSum: 0, lossRows: 0, epochLoss: null, p, m, v, target: targetStatistics(spec, y) };
}

function firstState(model: GradientModel, spec: TrainSpec, y: Float32Array, { resume }: Start): FitState {
  const state = resume ? stateOf(resume) : initialState(model, spec, y);
  const expected = parameterCount(model.layout(shapeOf(spec)));
  if (state.p.length === expected) return state;
  throw new Failure('CheckpointMismatch', `parameters is ${state.p.length}, expected ${expected}`);
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

/** The matrix and the targets as the step graph takes them; a regression's targets are standardised. */
async function tensorsOf(train: Rows, { mean, scale }: FitState['target'], spec: TrainSpec) {
  const x = new Float32Array(train.rows * train.width);
  await train.read(0, train.rows, x);
  const y = spec.task === 'regression' ? train.y.map((value) => (value - mean) / scale) : train.y;
  return { X: new Tensor('float32', x, [train.rows, train.width]), Y: new Tensor('float32', y, [train.rows]) };
}

/** `Trainer.fit` for a gradient model. */
export async function fitGradient(
  model: GradientModel,
  spec: TrainSpec,
  data: TrainData,
  { start, hooks }: { start: Start; hooks: FitHooks },
): Promise<FitResult> {
  const plan = planOf(spec.rows, spec.params);
  const state = firstState(model, spec, data.train.y, start);
  const batches = createBatches(plan, spec.params, spec.seed);
  const tensors = await tensorsOf(data.train, state.target, spec);
  const session = await createTrainingSession(trainStepModel(model, shapeOf(spec), plan.batch), spec);
  try {
    hooks.started(progressOf(state, plan));
    const most = Math.max(1, spec.stepsPerRun);
    let steps = Math.min(most, firstSteps);
    let going = true;
    while (going && state.step < plan.totalSteps) {
      const inputs = batches(state.step, Math.min(steps, plan.totalSteps - state.step));
      const began = performance.now();
      const result = await session.run({ ...tensors, ...feedsOf(state, plan.batch, inputs) });
      steps = nextSteps(steps, most, performance.now() - began);
      const take = (name: string): Float32Array => result[name]!.data as Float32Array;
      countLosses(state, take('loss'), plan);
      Object.assign(state, { step: state.step + inputs.count, p: take('p_out'), m: take('m_out'), v: take('v_out') });
      going = await hooks.after(progressOf(state, plan), () => snapshotOf(state));
    }
    const finished = state.step >= plan.totalSteps;
    return { progress: progressOf(state, plan), snapshot: snapshotOf(state), finished };
  } finally {
    await session.release();
  }
}
