import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { oneFileModel } from '../../ml/export/one-file.js';
import { featuriserGraph } from '../../ml/features/graph.js';
import { fittedFeatures } from './fitted.js';
import { learnt, trainSpec } from './spec.js';
import { runOnce } from './support.js';

const file = join(import.meta.dirname, '../../examples/digits/digits.csv');

interface Row {
  id: string;
  pixels: number[];
  label: string;
}

/** The fixed split of the data's README: by sha256 of the id, the first fifth is the holdout. */
function read(): { train: Row[]; holdout: Row[] } {
  const [header, ...lines] = readFileSync(file, 'utf8').trim().split('\n');
  const names = header!.split(',');
  const rows = lines.map((line) => {
    const cells = line.split(',');
    const pixels = cells.filter((_, i) => names[i]!.startsWith('px')).map(Number);
    return { id: cells[names.indexOf('id')]!, pixels, label: cells[names.indexOf('label')]! };
  });
  const hash = (row: Row): string => createHash('sha256').update(row.id).digest('hex');
  const ordered = rows.map((row) => ({ row, key: hash(row) })).sort((a, b) => (a.key < b.key ? -1 : 1));
  const cut = Math.ceil(rows.length * 0.2);
  return { holdout: ordered.slice(0, cut).map(({ row }) => row), train: ordered.slice(cut).map(({ row }) => row) };
}

test.runIf(existsSync(file))(
  'digits with all labels and the defaults: at least 0.95 on the fixed holdout',
  async () => {
    const { train, holdout } = read();
    expect([train.length, holdout.length]).toEqual([1437, 360]);
    const num = train[0]!.pixels.map((_, d) => {
      const mean = train.reduce((sum, row) => sum + row.pixels[d]!, 0) / train.length;
      const variance = train.reduce((sum, row) => sum + (row.pixels[d]! - mean) ** 2, 0) / train.length;
      return { impute: mean, mean, scale: variance > 0 ? 1 / Math.sqrt(variance) : 0 };
    });
    const classes = [...'0123456789'];
    const fitted = fittedFeatures({ num, cat: [], classes });
    const feed = (rows: Row[]) => ({
      num: { type: 'float32' as const, dims: [rows.length, 64], data: rows.flatMap((row) => row.pixels) },
    });
    const X = (await runOnce(featuriserGraph(fitted), feed(train)))['X']!.data as Float32Array;
    const y = Float32Array.from(train, (row) => classes.indexOf(row.label));
    const spec = trainSpec({ rows: train.length, width: 64, outputs: 10, stepsPerRun: 100 });
    const state = await learnt(spec, { x: X, y });
    const model = oneFileModel(fitted, state, { trainer: 'linear', params: spec.params });
    const { label } = await runOnce(model, feed(holdout));
    const right = holdout.filter((row, i) => row.label === label!.data[i]).length;
    console.log(`digits, linear, holdout accuracy ${(right / holdout.length).toFixed(4)}`);
    expect(right / holdout.length).toBeGreaterThanOrEqual(0.95);
  },
);
