// Trainers as plain data: their parameters with defaults and ranges, and what one optimiser step costs.
import type { Task } from './dataset.js';
import type { TrainerType } from './model.js';

/** One parameter of a trainer, as documented, validated and shown. Ranges are inclusive. */
export type TrainerParameter =
  | { type: 'number' | 'integer'; default: number; min: number; max: number; meaning: string }
  | { type: 'choice'; default: string; choices: readonly string[]; meaning: string };

/** Parameters after defaults, as in `TrainSpec.params`. */
export type TrainerParams = Record<string, number | string | boolean>;

export const trainerParameters: Record<TrainerType, Record<string, TrainerParameter>> = {
  linear: {
    epochs: {
      type: 'integer',
      default: 40,
      min: 1,
      max: 10_000,
      meaning: 'Passes over the training rows; over fewer than 1,000 rows, several each',
    },
    batch: { type: 'integer', default: 64, min: 1, max: 65_536, meaning: 'Rows of one optimiser step' },
    learningRate: { type: 'number', default: 0.01, min: 1e-8, max: 10, meaning: 'Step size of AdamW' },
    weightDecay: {
      type: 'number',
      default: 0.0001,
      min: 0,
      max: 10,
      meaning: 'Decoupled decay of the weights, not of the biases',
    },
    schedule: {
      type: 'choice',
      default: 'cosine',
      choices: ['constant', 'cosine'],
      meaning: 'Learning rate over the run: the same throughout, or a half cosine down to 0',
    },
  },
};

/** A fault of one parameter: `path` is its name. */
export interface TrainerParamFault {
  path: string;
  message: string;
}

function faultOf(rule: TrainerParameter, value: unknown): string | null {
  if (rule.type === 'choice') {
    return typeof value === 'string' && rule.choices.includes(value)
      ? null
      : `must be one of ${rule.choices.join(', ')}`;
  }
  if (typeof value !== 'number' || !Number.isFinite(value)) return 'must be a number';
  if (rule.type === 'integer' && !Number.isInteger(value)) return 'must be a whole number';
  return value >= rule.min && value <= rule.max ? null : `must lie between ${rule.min} and ${rule.max}`;
}

/**
 * Checks given parameters against the table and fills in the defaults.
 * Unknown names, wrong types and values out of range are faults; with any fault there are no params.
 */
export function parseTrainerParams(
  type: TrainerType,
  raw: Record<string, unknown>,
): { params: TrainerParams } | { faults: TrainerParamFault[] } {
  const table = trainerParameters[type];
  const faults: TrainerParamFault[] = [];
  const params: TrainerParams = {};
  for (const name of Object.keys(raw)) {
    if (!Object.hasOwn(table, name)) faults.push({ path: name, message: `trainer ${type} has no such parameter` });
  }
  for (const [name, rule] of Object.entries(table)) {
    const value = Object.hasOwn(raw, name) && raw[name] !== undefined ? raw[name] : rule.default;
    const message = faultOf(rule, value);
    if (message === null) params[name] = value as number | string;
    else faults.push({ path: name, message });
  }
  return faults.length > 0 ? { faults } : { params };
}

/**
 * Floating point operations of one optimiser step; the router sends work to a GPU only where this is large.
 * linear: forward and weight-gradient products are 2·batch·width·outputs each, AdamW about 14 per parameter.
 */
export function flopsPerStep(spec: {
  trainer: TrainerType;
  task: Task;
  width: number;
  outputs: number;
  batch: number;
}): number {
  switch (spec.trainer) {
    case 'linear':
      return 4 * spec.batch * spec.width * spec.outputs + 14 * (spec.width + 1) * spec.outputs;
  }
}

/** Parent to trainer child, the counterpart of `TrainerMessage`. */
export type TrainerControl =
  /** Write a checkpoint, report it and exit: the work goes on elsewhere. */
  | { type: 'stop' }
  /** The checkpoint of this step is in the store; the file of the one before it may go. */
  | { type: 'stored'; step: number };
