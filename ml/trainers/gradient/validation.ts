// The loss on the validation part, and the best parameters by it: early stopping (Prechelt 1998) with a patience in epochs.
import type { InferenceSession } from 'onnxruntime-node';
import { Tensor } from 'onnxruntime-node';
import { Failure } from '../../../domain/failures.js';
import type { TrainSpec } from '../../../domain/model.js';
import { createTrainingSession } from '../../provider.js';
import type { Rows } from '../trainer.js';
import { shapeOf } from '../trainer.js';
import type { GradientModel } from './model.js';
import type { FitState } from './state.js';
import { lossModel } from './step.js';

/** Rows in one run; fixed, since the sums of floats depend on it. */
const rowsAtOnce = 1_024;

export interface Validation {
  /** Mean loss of the rows. */
  lossOf(p: Float32Array): Promise<number>;
  release(): Promise<void>;
}

async function meanLoss(
  session: InferenceSession,
  part: Rows,
  targets: Float32Array,
  p: Float32Array,
): Promise<number> {
  const batch = Math.min(rowsAtOnce, part.rows);
  const [x, y, w] = [new Float32Array(batch * part.width), new Float32Array(batch), new Float32Array(batch)];
  let sum = 0;
  for (let from = 0; from < part.rows; from += batch) {
    const count = Math.min(batch, part.rows - from);
    await part.read(from, count, x);
    y.set(targets.subarray(from, from + count));
    w.fill(1, 0, count).fill(0, count);
    const { loss } = await session.run({
      p: new Tensor('float32', p, [p.length]),
      X: new Tensor('float32', x, [batch, part.width]),
      Y: new Tensor('float32', y, [batch]),
      w: new Tensor('float32', w, [batch]),
    });
    sum += Number(loss!.data[0]) * count;
  }
  return sum / part.rows;
}

/** `targets`: as the step graph takes them. */
export async function createValidation(
  model: GradientModel,
  spec: TrainSpec,
  part: Rows,
  targets: Float32Array,
): Promise<Validation> {
  const bytes = lossModel(model, shapeOf(spec), Math.min(rowsAtOnce, part.rows));
  const session = await createTrainingSession(bytes, spec);
  return {
    lossOf: (p) => meanLoss(session, part, targets, p),
    release: () => session.release(),
  };
}

/** Notes the loss of an epoch; with a patience it keeps the best parameters and says when to stop. */
export function noteValidation(state: FitState, loss: number, patience: number): void {
  if (!Number.isFinite(loss)) {
    throw new Failure('TrainingDiverged', `the validation loss after step ${state.step} is ${loss}`);
  }
  state.validation = loss;
  if (patience === 0) return;
  if (state.best === null || loss < state.best.loss) state.best = { loss, waited: 0, p: state.p.slice() };
  else state.best = { ...state.best, waited: state.best.waited + 1 };
  state.stopped = state.best.waited >= patience;
}
