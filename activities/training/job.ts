// What a program finds when it starts (docs/command-trainer.md): its code, spec.json, the rows and the matrices. Copies all
// of it: it may do with its files what it likes.
import { constants } from 'node:fs';
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Duck } from '../../adapters/duckdb.js';
import { writeTypedRows } from '../../adapters/inputs.js';
import type { Artifacts } from '../../adapters/store/index.js';
import type { CommandJob, CommandPart } from '../../domain/command.js';
import type { Schema } from '../../domain/dataset.js';
import { Failure } from '../../domain/failures.js';
import type { FittedFeatures, MatrixRef } from '../../domain/model.js';
import type { CommandTrainer } from '../../domain/pipeline.js';
import type { FeaturizeResult } from '../../domain/steps.js';
import { programPaths } from '../program.js';
import { matrixPaths } from './matrix.js';

export interface JobDeps {
  artifacts: Artifacts;
  duck: Duck;
}

/** Local files and what is known about them. */
export interface JobData {
  file: string;
  split: string;
  schema: Schema;
  features: FittedFeatures;
  featurized: FeaturizeResult;
}

/** Below the folder of the attempt. */
export const jobPaths = { ...programPaths, checkpoint: 'job/checkpoint' } as const;

async function writePart(
  deps: JobDeps,
  data: JobData,
  { name, matrix, job }: { name: 'train' | 'validation'; matrix: MatrixRef; job: string },
): Promise<CommandPart> {
  const weights = matrix.weights && { weights: `${name}.weights.f32` };
  const paths = { parquet: `${name}.parquet`, x: `${name}.x.f32`, y: `${name}.y.f32`, ...weights };
  const { file, split, features } = data;
  const { key, label } = data.schema;
  // as in the matrix: labelled, and of a class that the training part has
  const rows = { file, split, part: name, labelled: true, key, label, classes: features.signature.classes };
  await writeTypedRows(deps.duck, rows, join(job, paths.parquet));
  const local = await matrixPaths(deps.artifacts, matrix);
  for (const of of ['x', 'y', 'weights'] as const) {
    const [from, to] = [local[of], paths[of]];
    if (from !== undefined && to !== undefined) await copyFile(from, join(job, to), constants.COPYFILE_FICLONE);
  }
  return { rows: matrix.rows, ...paths };
}

/** Writes everything but the code and the checkpoint. */
export async function writeJob(
  deps: JobDeps,
  data: JobData,
  { trainer, folder, resumedFromStep }: { trainer: CommandTrainer; folder: string; resumedFromStep: number },
): Promise<void> {
  const job = join(folder, jobPaths.job);
  await mkdir(join(folder, jobPaths.temporary), { recursive: true });
  const { train, validation } = data.featurized;
  const { deadlineMs, memoryMb, diskMb, params, inputs } = trainer.params;
  const { key, label, columns, task } = data.schema;
  const { signature } = data.features;
  const spec: CommandJob = {
    version: 1,
    ...{ task, classes: signature.classes, key, label, columns, width: train.width, signature, inputs },
    ...{ seed: trainer.seed, params, resumedFromStep },
    train: await writePart(deps, data, { name: 'train', matrix: train, job }),
    validation: validation && (await writePart(deps, data, { name: 'validation', matrix: validation, job })),
    limits: { deadlineMs, memoryMb, diskMb },
    paths: { model: 'model.onnx', metrics: 'metrics.jsonl', checkpoint: 'checkpoint' },
  };
  await writeFile(join(job, 'spec.json'), `${JSON.stringify(spec, null, 2)}\n`).catch((error: unknown) => {
    throw (error as NodeJS.ErrnoException).code === 'ENOSPC' ? new Failure('StoreFull', 'the disk is full') : error;
  });
}
