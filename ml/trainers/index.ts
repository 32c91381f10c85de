// All trainers by type. A new one is a line here, its table in domain/trainers.ts, and a file like linear.ts.
import type { TrainerType, TrainSpec } from '../../domain/model.js';
import { Failure } from '../../domain/failures.js';
import { calibrated } from './calibrate.js';
import { cnn } from './cnn.js';
import { linear } from './linear.js';
import { trees } from '../trees/index.js';
import { mlp } from './mlp.js';
import { text } from './text.js';
import type { Needs } from './needs.js';
import { firstColumns, seenBy } from './tokens.js';
import type { FitHooks, FitResult, Rows, Start, TrainData, Trainer } from './trainer.js';
import { countedRows } from './weights.js';

export const trainers: Record<TrainerType, Trainer> = { linear, mlp, trees, text, cnn };

function checkData(spec: TrainSpec, { train, validation }: TrainData): void {
  if (spec.rows < 1) throw new Failure('NoLabels', 'there are no rows to train on');
  for (const part of [train, validation]) {
    if (part === null || part.width === spec.width) continue;
    throw new Failure('ArtifactCorrupt', `a matrix of width ${part.width}, expected ${spec.width}`);
  }
  if (train.rows !== spec.rows) throw new Failure('ArtifactCorrupt', `${train.rows} rows, expected ${spec.rows}`);
}

/** The spec as its trainer sees it: ids of n-grams are columns for one trainer alone. */
function seenSpec(spec: TrainSpec): TrainSpec {
  const { tokens, ...bare } = spec;
  return { ...bare, ...seenBy(spec.trainer, spec.width, tokens) };
}

/** What training as `spec` says takes at the least. */
export const needsOf = (spec: TrainSpec): Needs => trainers[spec.trainer].needs(seenSpec(spec));

/** Trains as `spec` says (`Trainer.fit`), and calibrates at the end. Without hooks it runs to the end in silence. */
export async function fit(
  spec: TrainSpec,
  data: TrainData,
  start: Start = {},
  hooks: Partial<FitHooks> = {},
): Promise<FitResult> {
  checkData(spec, data);
  const { started = () => undefined, after = () => Promise.resolve(true) } = hooks;
  const trainer = trainers[spec.trainer];
  const train = countedRows(data.train);
  if (train.rows < 1) throw new Failure('NoLabels', 'no row to train on has a weight');
  const seen = { ...seenSpec(spec), rows: train.rows };
  const part = (rows: Rows) => firstColumns(rows, seen.width);
  const parts = { train: part(train), validation: data.validation && part(data.validation) };
  const result = await trainer.fit(seen, parts, start, { started, after });
  if (!result.finished) return result;
  return { ...result, snapshot: await calibrated(trainer, seen, parts.validation, result.snapshot) };
}
