// The training loop: up to K steps of the step graph per run, from zero or from a state, to the last step.
// Undisturbed, resumed at any step, and one step at a time all end in the same bytes.
import type { InferenceSession } from 'onnxruntime-node';
import { Tensor } from 'onnxruntime-node';
import { Failure } from '../../../domain/failures.js';
import type { Snapshot, TrainSpec } from '../../../domain/model.js';
import { createTrainingSession } from '../../provider.js';
import type { FitHooks, FitResult, Rows, Start, TrainData } from '../trainer.js';
import { shapeOf } from '../trainer.js';
import { targetMoments } from '../weights.js';
import type { BatchSource, Plan } from './batches.js';
import { classWeights, planOf, stepInputs } from './batches.js';
import type { GradientModel } from './model.js';
import { parameterCount } from './model.js';
import { createShards, type Shards } from './shards.js';
import type { FitState } from './state.js';
import { learntParameters, progressOf, snapshotOf, stateOf } from './state.js';
import { momentNames, trainStepModel } from './step.js';
import { createValidation, noteValidation, type Validation } from './validation.js';

function initialState(model: GradientModel, spec: TrainSpec, train: Rows, warm?: Snapshot): FitState {
  const learnt = warm && stateOf(warm);
  // what was learnt is meant in the target's old unit
  const own = (): FitState['target'] =>
    spec.task === 'classification' ? { mean: 0, scale: 1 } : targetMoments(train.y, train.weights);
  const target = learnt ? learnt.target : own();
  const p = learnt ? learntParameters(learnt).slice() : model.initial(shapeOf(spec), spec.seed);
  const [m, v] = [new Float32Array(p.length), new Float32Array(momentNames(spec.params).length > 1 ? p.length : 0)];
  const losses = { lossSum: 0, lossRows: 0, epochLoss: null, validation: null, best: null, stopped: false };
  return { step: 0, ...losses, p, m, v, target };
}

function firstState(model: GradientModel, spec: TrainSpec, train: Rows, { resume, warm }: Start): FitState {
  const state = resume ? stateOf(resume) : initialState(model, spec, train, warm);
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

/** A run shorter than this may double its steps, a longer one than that halves them: a run is a stop's grain. */
const [shortRunMs, longRunMs] = [100, 300];
const firstSteps = 4;

/** Steps of the next run. The number changes no byte of the result, so it may follow the clock; `most` is the spec's K. */
function nextSteps(steps: number, most: number, lastRunMs: number): number {
  if (lastRunMs > longRunMs) return Math.max(1, steps >> 1);
  return lastRunMs < shortRunMs ? Math.min(most, steps * 2) : steps;
}

/** The targets as the graphs take them; a regression's are standardised. */
const targetsOf = (y: Float32Array, { mean, scale }: FitState['target'], spec: TrainSpec): Float32Array =>
  spec.task === 'regression' ? y.map((value) => (value - mean) / scale) : y;

interface Training {
  spec: TrainSpec;
  session: InferenceSession;
  source: BatchSource & { shards: Shards };
  validation: Validation | null;
}

/** One run of the step graph, of at most `steps`; then the look at the validation part, where one is due. */
async function advance(training: Training, state: FitState, steps: number): Promise<void> {
  const { session, source, validation, spec } = training;
  const { plan, shards } = source;
  const rest = Math.min(plan.totalSteps, shards.until(state.step)) - state.step;
  const toLook = plan.stepsPerLook - (state.step % plan.stepsPerLook);
  const count = Math.min(steps, rest, validation === null ? rest : toLook);
  const names = ['p', ...momentNames(spec.params)] as ('p' | 'm' | 'v')[];
  const vectors = names.map((name) => [name, new Tensor('float32', state[name], [state[name].length])]);
  const feeds = { ...(await shards.load(state.step)), ...stepInputs(source, state.step, count) };
  const result = await session.run({ ...feeds, ...Object.fromEntries(vectors) });
  countLosses(state, result['loss']!.data as Float32Array, plan);
  for (const name of names) state[name] = result[`${name}_out`]!.data as Float32Array;
  state.step += count;
  if (validation === null || state.step % plan.stepsPerLook !== 0) return;
  noteValidation(state, await validation.lossOf(state.p), Number(spec.params['patience'] ?? 0));
}

async function prepare(model: GradientModel, spec: TrainSpec, data: TrainData, state: FitState): Promise<Training> {
  const { train, validation } = data;
  const shape = shapeOf(spec);
  const plan = planOf(spec, spec.params);
  const source = {
    ...{ plan, params: spec.params, seed: spec.seed },
    shards: createShards(train, targetsOf(train.y, state.target, spec), plan, spec.seed),
    classWeights: classWeights(spec.params, train.y, spec.outputs, train.weights),
    dropouts: model.dropouts?.(shape) ?? [],
  };
  const session = await createTrainingSession(trainStepModel(model, shape, plan.batch), spec);
  if (validation === null) return { spec, session, source, validation };
  const targets = targetsOf(validation.y, state.target, spec);
  return { spec, session, source, validation: await createValidation(model, spec, validation, targets) };
}

/** `Trainer.fit` for a gradient model. */
export async function fitGradient(
  model: GradientModel,
  spec: TrainSpec,
  data: TrainData,
  { start, hooks }: { start: Start; hooks: FitHooks },
): Promise<FitResult> {
  const state = firstState(model, spec, data.train, start);
  const training = await prepare(model, spec, data, state);
  const { plan } = training.source;
  const finished = (): boolean => state.stopped || state.step >= plan.totalSteps;
  try {
    hooks.started(progressOf(state, plan));
    const most = Math.max(1, spec.stepsPerRun);
    let steps = Math.min(most, firstSteps);
    let going = true;
    while (going && !finished()) {
      const began = performance.now();
      await advance(training, state, steps);
      steps = nextSteps(steps, most, performance.now() - began);
      going = await hooks.after(progressOf(state, plan), () => snapshotOf(state));
    }
    return { progress: progressOf(state, plan), snapshot: snapshotOf(state), finished: finished() };
  } finally {
    await training.session.release();
    await training.validation?.release();
  }
}
