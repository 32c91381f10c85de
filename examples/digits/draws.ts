// What the choice of questions is worth: the same trainer on twenty random draws of as many labels, on the same holdout.
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { partOf } from '../../activities/dataset/split.js';
import type { FittedFeatures, TrainSpec } from '../../domain/model.js';
import { parseTrainerParams } from '../../domain/trainers.js';
import { headModel } from '../../ml/export/one-file.js';
import { encodeCheckpoint } from '../../ml/trainers/checkpoint.js';
import { fit } from '../../ml/trainers/index.js';
import { memoryRows } from '../../ml/trainers/rows.js';
import { createRandom, drawWithout } from '../../stats/prng.js';
import { type DemoRows, type Row, shares } from './rows.js';

const draws = 20;
const classes = [...'0123456789'];

interface DrawOptions {
  /** Labels drawn at random beside the visible ones. */
  labels: number;
  document: { trainer: { params: Record<string, number>; seed: number } };
}

interface Scale {
  mean: number[];
  scale: number[];
}

function scaleOf(rows: Row[], columns: string[]): Scale {
  const mean = columns.map((column) => rows.reduce((sum, row) => sum + Number(row[column]), 0) / rows.length);
  const scale = columns.map((column, i) => {
    const variance = rows.reduce((sum, row) => sum + (Number(row[column]) - (mean[i] ?? 0)) ** 2, 0) / rows.length;
    return variance > 0 ? 1 / Math.sqrt(variance) : 0;
  });
  return { mean, scale };
}

function matrix(rows: Row[], columns: string[], { mean, scale }: Scale): Float32Array {
  return Float32Array.from(
    rows.flatMap((row) => columns.map((column, i) => (Number(row[column]) - (mean[i] ?? 0)) * (scale[i] ?? 0))),
  );
}

/** Accuracy of each draw, and their median. */
export async function compareRandomDraws(
  data: DemoRows,
  options: DrawOptions,
): Promise<{ accuracies: number[]; median: number }> {
  const columns = data.columns.filter((column) => column !== 'id' && column !== 'label');
  const of = (part: string) => data.first.filter((row) => partOf(shares.seed, row['id'] ?? '', shares) === part);
  const train = of('train');
  const holdout = of('holdout').filter((row) => row['label'] !== '');
  const scale = scaleOf(train, columns);
  const visible = train.filter((row) => row['label'] !== '');
  const hidden = train.filter((row) => row['label'] === '');
  const accuracies: number[] = [];
  for (let draw = 0; draw < draws; draw += 1) {
    const picked = drawWithout(createRandom(1_000 + draw), hidden.length, options.labels);
    const drawn = picked.map((i) => hidden[i]).filter((row): row is Row => row !== undefined);
    const rows = [...visible, ...drawn];
    const y = Float32Array.from(rows, (row) => Number(data.truth.get(row['id'] ?? '')));
    const x = matrix(rows, columns, scale);
    accuracies.push(await accuracyOf({ x, y }, columns.length, options, holdout, matrix(holdout, columns, scale)));
  }
  const sorted = [...accuracies].sort((a, b) => a - b);
  return { accuracies, median: ((sorted[draws / 2 - 1] ?? NaN) + (sorted[draws / 2] ?? NaN)) / 2 };
}

async function accuracyOf(
  data: { x: Float32Array; y: Float32Array },
  width: number,
  options: DrawOptions,
  holdout: Row[],
  x: Float32Array,
): Promise<number> {
  const { params: sent, seed } = options.document.trainer;
  const parsed = parseTrainerParams('linear', sent);
  if ('faults' in parsed) throw new Error(JSON.stringify(parsed.faults));
  const { params } = parsed;
  const spec: TrainSpec = {
    ...{ trainer: 'linear', task: 'classification', params, seed, rows: data.y.length, width, outputs: classes.length },
    validation: null,
    paths: { x: '', y: '', checkpoint: null, out: '' },
    ...{ provider: 'cpu', threads: 1, stepsPerRun: 64, checkpointEveryMs: Infinity, inputsDigest: 'sha256:' },
  };
  const { progress, snapshot } = await fit(spec, { train: memoryRows(data.x, data.y, width), validation: null });
  const state = encodeCheckpoint(spec, progress, snapshot);
  const num = Array.from({ length: width }, (_, i) => ({
    input: { column: `${i}`, part: null },
    impute: 0,
    mean: 0,
    scale: 1,
  }));
  const signature = { num: num.map(({ input }) => input), cat: [], task: 'classification' as const, classes };
  const fitted: FittedFeatures = { version: 1, num, cat: [], width, signature };
  const session = await InferenceSession.create(headModel(fitted, state, { trainer: 'linear', params }), {
    intraOpNumThreads: 1,
  });
  const result = await session.run({ X: new Tensor('float32', x, [holdout.length, width]) });
  const labels = result['label']?.data as string[];
  await session.release();
  return labels.filter((label, i) => label === holdout[i]?.['label']).length / holdout.length;
}
