// Tables for the tests of ml/trees, and a fit with few words.
import type { Snapshot, TrainSpec } from '../../domain/model.js';
import type { TrainerParams } from '../../domain/trainers.js';
import { fitTrees } from '../../ml/trees/fit.js';
import { memoryWords } from '../../ml/trees/matrix.js';
import { type TreesState, stateOf } from '../../ml/trees/model.js';
import { columnsOf, treesParams } from '../../ml/trees/params.js';
import { memoryRows } from '../../ml/trainers/rows.js';
import type { FitHooks, FitResult, Start } from '../../ml/trainers/trainer.js';
import { trainSpec } from './spec.js';
import { numbers } from './support.js';

/** Row-major x, targets, and the number of classes; 1: regression. */
export interface Table {
  x: Float32Array;
  y: Float32Array;
  width: number;
  outputs: number;
}

/** Smooth and stepped effects and a product of two columns; every `gap`th value of column 1 is missing. */
export function table(rows: number, width: number, outputs: number, gap = 7): Table {
  const x = Float32Array.from(numbers(rows + width, rows * width));
  const noise = numbers(9, rows);
  const score = (row: number): number => {
    const at = (column: number): number => x[row * width + (column % width)]!;
    return 2 * at(0) * at(1) + Math.sin(4 * at(2)) + (at(1) > 0.3 ? 1 : 0) + 0.3 * noise[row]!;
  };
  const scores = Array.from({ length: rows }, (_, row) => score(row));
  for (let row = 0; row < rows; row += gap) x[row * width + (1 % width)] = NaN;
  if (outputs === 1) return { x, y: Float32Array.from(scores, (value) => 100 + 20 * value), width, outputs };
  const ordered = [...scores].sort((a, b) => a - b);
  const classOf = (value: number): number => Math.floor((ordered.indexOf(value) * outputs) / rows);
  return { x, y: Float32Array.from(scores, classOf), width, outputs };
}

export interface FitGiven extends Partial<FitHooks> {
  params?: TrainerParams;
  spec?: Partial<TrainSpec>;
  start?: Start;
  validation?: Table;
  memoryWords?: number;
}

export function specOf({ y, width, outputs }: Table, { params = {}, spec = {} }: FitGiven = {}): TrainSpec {
  const task = outputs === 1 ? 'regression' : 'classification';
  return trainSpec({ trainer: 'trees', task, rows: y.length, width, outputs, params, ...spec });
}

export function grow(data: Table, given: FitGiven = {}): Promise<FitResult> {
  const spec = specOf(data, given);
  const { started = () => undefined, after = () => Promise.resolve(true) } = given;
  const rowsOf = ({ x, y }: Table) => memoryRows(x, y, data.width);
  const parts = { train: rowsOf(data), validation: given.validation ? rowsOf(given.validation) : null };
  const plan = { spec, params: treesParams(spec.params), columns: columnsOf(spec) };
  const words = given.memoryWords ?? memoryWords;
  return fitTrees({ ...plan, memoryWords: words }, parts, given.start ?? {}, { started, after });
}

export async function grown(data: Table, given: FitGiven = {}): Promise<TreesState> {
  return stateOf((await grow(data, given)).snapshot);
}

/** Every byte of a snapshot, for comparison. */
export function bytesOf({ step, facts, arrays }: Snapshot): string {
  const parts = Object.entries(arrays).map(([name, array]) => {
    const bytes = Buffer.from(array.buffer, array.byteOffset, array.byteLength);
    return `${name}:${bytes.toString('base64')}`;
  });
  return [String(step), JSON.stringify(facts), ...parts].join('\n');
}
