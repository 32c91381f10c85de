// Trainer specs and small data sets for tests.
import type { TrainSpec } from '../../domain/model.js';
import { parseTrainerParams } from '../../domain/trainers.js';
import { encodeCheckpoint } from '../../ml/trainers/checkpoint.js';
import { fit } from '../../ml/trainers/index.js';
import { memoryRows } from '../../ml/trainers/rows.js';
import type { FitHooks, FitResult, Start } from '../../ml/trainers/trainer.js';
import { numbers } from './support.js';

/** Row-major x and y, without a width. */
export interface Toy {
  x: Float32Array;
  y: Float32Array;
  weights?: Float32Array;
}

export function trainSpec(given: Partial<TrainSpec> & Pick<TrainSpec, 'rows' | 'width' | 'outputs'>): TrainSpec {
  const parsed = parseTrainerParams(given.trainer ?? 'linear', given.params ?? {});
  if ('faults' in parsed) throw new Error(JSON.stringify(parsed.faults));
  return {
    trainer: 'linear',
    task: 'classification',
    seed: 7,
    validation: null,
    paths: { x: 'x.f32', y: 'y.f32', checkpoint: null, out: '.' },
    provider: 'cpu',
    threads: 1,
    stepsPerRun: 8,
    checkpointEveryMs: 1000,
    inputsDigest: `sha256:${'0'.repeat(64)}`,
    ...given,
    params: parsed.params,
  };
}

/** Separable classes with noise, or a linear target. */
export function toyData(rows: number, width: number, classes: number): Toy {
  const x = Float32Array.from(numbers(rows + width, rows * width));
  const mix = numbers(5, width * Math.max(classes, 1));
  const score = (row: number, c: number): number => {
    let sum = 0;
    for (let d = 0; d < width; d++) sum += x[row * width + d]! * mix[c * width + d]!;
    return sum;
  };
  const y = Float32Array.from({ length: rows }, (_, row) => {
    if (classes < 2) return 1000 + 50 * score(row, 0);
    const scores = Array.from({ length: classes }, (__, c) => score(row, c));
    return scores.indexOf(Math.max(...scores));
  });
  return { x, y };
}

/** Trains in this process, to the end or until `after` answers false. */
export function learn(
  spec: TrainSpec,
  data: Toy,
  { resume, warm, validation, ...hooks }: Partial<FitHooks> & Start & { validation?: Toy } = {},
): Promise<FitResult> {
  const rowsOf = ({ x, y, weights }: Toy) => memoryRows(x, y, spec.width, weights);
  const parts = { train: rowsOf(data), validation: validation ? rowsOf(validation) : null };
  return fit(spec, parts, { ...(resume && { resume }), ...(warm && { warm }) }, hooks);
}

/** The checkpoint file of what `learn` answered. */
export const stateFile = (spec: TrainSpec, { progress, snapshot }: FitResult): Uint8Array =>
  encodeCheckpoint(spec, progress, snapshot);

export async function learnt(spec: TrainSpec, data: Toy): Promise<Uint8Array> {
  return stateFile(spec, await learn(spec, data));
}
