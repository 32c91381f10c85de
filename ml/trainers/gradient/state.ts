// Everything between two optimiser steps, and the same as a snapshot: plain arrays and facts.
import { Failure } from '../../../domain/failures.js';
import type { Progress, Snapshot } from '../../../domain/model.js';
import type { Plan } from './batches.js';

export interface FitState {
  /** Steps done. */
  step: number;
  /** Mean loss of the epoch so far is lossSum / lossRows; both start at 0 with each epoch. */
  lossSum: number;
  lossRows: number;
  /** Mean loss of the last whole epoch; null before its end. */
  epochLoss: number | null;
  /** Parameters and the optimiser's moments, flat; v is empty where the optimiser has one. */
  p: Float32Array;
  m: Float32Array;
  v: Float32Array;
  /** Regression: value = output · scale + mean. Classification: 0 and 1. */
  target: { mean: number; scale: number };
  /** Loss of the validation part at the last look; null before the first, and where there is none. */
  validation: number | null;
  /** With a patience: the parameters with the least validation loss, and how many looks ago that was. */
  best: { loss: number; waited: number; p: Float32Array } | null;
  /** The patience ran out. */
  stopped: boolean;
}

/** Throws TrainingDiverged when a parameter or a moment is no longer a number. */
export function snapshotOf(state: FitState): Snapshot {
  const { step, p, m, v, best, ...facts } = state;
  for (const vector of [p, m, v]) {
    if (!vector.every(Number.isFinite)) {
      throw new Failure('TrainingDiverged', `a parameter is no longer a number after step ${step}`);
    }
  }
  const looks = best && { loss: best.loss, waited: best.waited };
  return { step, facts: { ...facts, best: looks }, arrays: { p, m, v, ...(best && { best: best.p }) } };
}

const vectorOf = ({ arrays }: Snapshot, name: string): Float32Array => {
  const found = arrays[name];
  if (found instanceof Float32Array) return found;
  throw new Failure('ArtifactCorrupt', `training state: it has no float32 array ${name}`);
};

/** Throws ArtifactCorrupt when the snapshot is none of `snapshotOf`. */
export function stateOf(snapshot: Snapshot): FitState {
  const [p, m, v] = ['p', 'm', 'v'].map((name) => vectorOf(snapshot, name)) as [
    Float32Array,
    Float32Array,
    Float32Array,
  ];
  const { best, ...facts } = snapshot.facts as unknown as Omit<FitState, 'step' | 'p' | 'm' | 'v' | 'best'> & {
    best: { loss: number; waited: number } | null;
  };
  return { ...facts, step: snapshot.step, p, m, v, best: best && { ...best, p: vectorOf(snapshot, 'best') } };
}

/** The parameters to serve, and to start another training from. */
export const learntParameters = ({ p, best }: FitState): Float32Array => best?.p ?? p;

/** 1-based epoch that the last step done belongs to; 0 before the first. */
export function epochOf(step: number, plan: Plan): number {
  return Math.ceil(step / plan.stepsPerEpoch);
}

/** The loss to show is the mean of the epoch so far, or of the last whole one right after its end. */
export function progressOf(state: FitState, plan: Plan): Progress {
  return {
    step: state.step,
    totalSteps: state.stopped ? state.step : plan.totalSteps,
    epoch: epochOf(state.step, plan),
    epochs: plan.epochs,
    loss: state.lossRows > 0 ? state.lossSum / state.lossRows : (state.epochLoss ?? 0),
    validation: state.validation,
  };
}
