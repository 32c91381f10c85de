// Whether the model of a program answers as its signature says: composed as it will be served, asked in the scorer with raw
// training rows, one and many.
import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ScoredModel, Scorer } from '../../adapters/scorer.js';
import type { Duck } from '../../adapters/duckdb.js';
import { readInputs } from '../../adapters/inputs.js';
import type { ModelForm } from '../../domain/command.js';
import { Failure } from '../../domain/failures.js';
import { type ModelInputs, type ModelOutputs, type Signature, sliceInputs } from '../../domain/model.js';
import { composeModel } from '../../ml/export/compose.js';
import type { JobData } from './job.js';

const rowsAsked = 64;
/** Probabilities are float32. */
const tolerance = 1e-3;

async function ask(scorer: Scorer, model: ScoredModel, inputs: ModelInputs): Promise<ModelOutputs> {
  try {
    return await scorer.score(model, inputs);
  } catch (error) {
    if (!(error instanceof Failure) || error.failure !== 'ModelInvalid') throw error;
    throw new Failure('CommandModelBroken', `for ${inputs.rows} rows, ${error.message}`);
  }
}

const other = (what: string): Failure => new Failure('CommandModelOutputs', `the program's model gives ${what}`);

function checkNumbers(name: string, found: unknown, expected: number): Float32Array {
  if (!(found instanceof Float32Array) || found.length !== expected) {
    const length = (found as ArrayLike<unknown> | undefined)?.length ?? 0;
    throw other(`${length} numbers as ${name}, ${expected} are expected`);
  }
  const bad = found.find((value) => !Number.isFinite(value));
  if (bad === undefined) return found;
  throw new Failure('CommandModelNotFinite', `the program's model answers ${name} ${bad} for a row it was trained on`);
}

/** Throws `CommandModelOutputs` and `CommandModelNotFinite`. */
export function checkAnswers({ task, classes }: Signature, rows: number, outputs: ModelOutputs): void {
  if (task === 'regression') {
    checkNumbers('value', outputs.value, rows);
    return;
  }
  const probabilities = checkNumbers('probabilities', outputs.probabilities, rows * classes.length);
  for (let row = 0; row < rows; row++) {
    const part = probabilities.subarray(row * classes.length, (row + 1) * classes.length);
    const sum = part.reduce((total, value) => total + value, 0);
    if (Math.abs(sum - 1) <= tolerance && part.every((value) => value >= -tolerance)) continue;
    throw other(`probabilities ${[...part].map((value) => value.toPrecision(3)).join(', ')}, which do not add up to 1`);
  }
  const { label } = outputs;
  if (label?.length !== rows) throw other(`${label?.length ?? 0} labels for ${rows} rows`);
  const unknown = label.find((name) => !classes.includes(name));
  if (unknown !== undefined) throw other(`the label ${JSON.stringify(unknown)}, which is no class`);
}

/** Throws the failures of `composeModel`, `CommandModelBroken`, `CommandModelOutputs` and `CommandModelNotFinite`. */
export async function checkProgramModel(
  deps: { duck: Duck; scorer: Scorer },
  { file, split, features }: JobData,
  made: { path: string; form: ModelForm; folder: string },
): Promise<void> {
  const bytes = composeModel(features, await readFile(made.path), made.form);
  const { signature } = features;
  const path = join(made.folder, 'composed.onnx');
  await writeFile(path, bytes);
  const model: ScoredModel = { path, digest: `sha256:${createHash('sha256').update(bytes).digest('hex')}`, signature };
  const request = { file, split, part: 'train' as const, signature, labelled: true, limit: rowsAsked };
  const { inputs } = await readInputs(deps.duck, request);
  for (const rows of [1, inputs.rows]) {
    checkAnswers(signature, rows, await ask(deps.scorer, model, sliceInputs(inputs, signature, 0, rows)));
  }
}
