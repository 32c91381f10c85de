// Trainers as plain data: their parameters with defaults and ranges, and what one optimiser step costs.
import { cnnParameters, linearParameters, mlpParameters, textParameters } from './gradient-parameters.js';
import type { Json } from './json.js';
import type { TrainerType } from './model.js';
import { treesParameters } from './tree-parameters.js';

/** One parameter of a trainer, as documented, validated and shown. Ranges are inclusive. */
export type TrainerParameter =
  | { type: 'number' | 'integer'; default: number; min: number; max: number; meaning: string }
  | { type: 'choice'; default: string; choices: readonly string[]; meaning: string }
  | { type: 'flag'; default: boolean; meaning: string }
  /** Whole numbers, at most `longest` of them. */
  | { type: 'list'; default: readonly number[]; min: number; max: number; longest: number; meaning: string }
  /** From names of columns, at most `most` of them, to one of `choices`. */
  | {
      type: 'map';
      default: Readonly<Record<string, number>>;
      choices: readonly number[];
      most: number;
      meaning: string;
    };

export type TrainerValue = number | string | boolean | readonly number[] | Readonly<Record<string, number>>;

/** Parameters after defaults, as in `TrainSpec.params`. */
export type TrainerParams = Record<string, TrainerValue>;

export const trainerParameters: Record<TrainerType, Record<string, TrainerParameter>> = {
  linear: linearParameters,
  mlp: mlpParameters,
  trees: treesParameters,
  text: textParameters,
  cnn: cnnParameters,
};

/** Those that can begin with what an earlier version has learnt (`warmStart`). */
export const warmTrainers: readonly TrainerType[] = ['linear', 'mlp', 'trees', 'text', 'cnn'];

/** A fault of one parameter: `path` is its name. */
export interface TrainerParamFault {
  path: string;
  message: string;
}

function numberFault(rule: { type: string; min: number; max: number }, value: unknown): string | null {
  if (typeof value !== 'number' || !Number.isFinite(value)) return 'must be a number';
  if (rule.type !== 'number' && !Number.isInteger(value)) return 'must be a whole number';
  return value >= rule.min && value <= rule.max ? null : `must lie between ${rule.min} and ${rule.max}`;
}

function faultOf(rule: TrainerParameter, value: unknown): string | null {
  switch (rule.type) {
    case 'choice': {
      const known = typeof value === 'string' && rule.choices.includes(value);
      return known ? null : `must be one of ${rule.choices.join(', ')}`;
    }
    case 'flag':
      return typeof value === 'boolean' ? null : 'must be true or false';
    case 'list': {
      if (!Array.isArray(value) || value.length > rule.longest) return `must be a list of at most ${rule.longest}`;
      return value.map((item) => numberFault(rule, item)).find((fault) => fault !== null) ?? null;
    }
    case 'map': {
      const values = typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.values(value) : null;
      if (values === null || values.length > rule.most) return `must be an object of at most ${rule.most} columns`;
      return values.every((item) => rule.choices.includes(item as number))
        ? null
        : `must give each column one of ${rule.choices.join(', ')}`;
    }
    default:
      return numberFault(rule, value);
  }
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
    if (message === null) params[name] = value as TrainerValue;
    else faults.push({ path: name, message });
  }
  return faults.length > 0 ? { faults } : { params };
}

/** The parameters as JSON Schema (2020-12), for clients that draw forms or check documents. */
export function parametersSchema(type: TrainerType): { [key: string]: Json } {
  const properties = Object.entries(trainerParameters[type]).map(([name, rule]) => [
    name,
    { ...valueSchema(rule), default: rule.default as Json, description: rule.meaning },
  ]);
  return { type: 'object', properties: Object.fromEntries(properties) as Json, additionalProperties: false };
}

function valueSchema(rule: TrainerParameter): { [key: string]: Json } {
  switch (rule.type) {
    case 'choice':
      return { type: 'string', enum: [...rule.choices] };
    case 'flag':
      return { type: 'boolean' };
    case 'list': {
      const items = { type: 'integer', minimum: rule.min, maximum: rule.max };
      return { type: 'array', items, maxItems: rule.longest };
    }
    case 'map':
      return { type: 'object', additionalProperties: { enum: [...rule.choices] }, maxProperties: rule.most };
    default:
      return { type: rule.type, minimum: rule.min, maximum: rule.max };
  }
}

/**
 * Floating point operations of one optimiser step; the router sends work to a GPU only where this is large.
 * Dense layers: forward, weight-gradient and (but for the first layer) input-gradient products are
 * 2·batch·inputs·outputs each; AdamW takes about 14 per parameter. Trees have no kernel for a GPU: 0.
 */
export function flopsPerStep(spec: {
  trainer: TrainerType;
  params: TrainerParams;
  width: number;
  outputs: number;
}): number {
  switch (spec.trainer) {
    case 'linear':
    case 'mlp':
      return denseFlops(spec, spec.width, 2);
    case 'cnn':
      return convolutionFlops(spec);
    case 'trees':
      return 0;
    case 'text':
      // Look-ups move memory and multiply nothing, and on a GPU their gradients are added in no promised order.
      return 0;
  }
}

interface StepSize {
  params: TrainerParams;
  width: number;
  outputs: number;
}

/** Of a convolution a multiplication per pixel, filter and number under the kernel; pooling quarters the pixels. */
function convolutionFlops(spec: StepSize): number {
  const { height, width: wide, channels, kernel, filters, batch = 1 } = spec.params;
  let [pixels, inputs, sum] = [Number(height) * Number(wide), Number(channels), 0];
  (filters as readonly number[]).forEach((size, layer) => {
    const weights = inputs * size * Number(kernel) ** 2;
    sum += (layer === 0 ? 4 : 6) * Number(batch) * pixels * weights + 14 * weights;
    [pixels, inputs] = [Math.max(1, Math.floor(pixels / 4)), size];
  });
  return sum + denseFlops(spec, pixels * inputs, 3);
}

/** `products`: of the first layer, whose inputs may want no gradient. */
function denseFlops({ params, outputs }: StepSize, width: number, products: 2 | 3): number {
  const batch = Number(params['batch'] ?? 1);
  const sizes = [width, ...((params['hidden'] ?? []) as readonly number[]), outputs];
  return sizes.slice(1).reduce((sum, size, layer) => {
    const inputs = sizes[layer] ?? 0;
    return sum + 2 * (layer === 0 ? products : 3) * batch * inputs * size + 14 * (inputs + 1) * size;
  }, 0);
}

/** Parent to trainer child, the counterpart of `TrainerMessage`. */
export type TrainerControl =
  /** Write a checkpoint, report it and exit: the work goes on elsewhere. */
  | { type: 'stop' }
  /** The checkpoint of this step is in the store; the file of the one before it may go. */
  | { type: 'stored'; step: number }
  /** To the child of a program, first of all: what must not be printed. Its environment and files can be read by the program. */
  | { type: 'secrets'; values: string[] };
