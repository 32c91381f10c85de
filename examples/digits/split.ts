// The digits on the fixed split of shared figures: rows ordered by the sha256 of their id, the first fifth is the holdout.
// Pixels are standardised by the training part, as the feature step does it.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from '../../adapters/paths.js';

/** Row-major x of `width` columns, and class indices. */
export interface Part {
  rows: number;
  x: Float32Array;
  y: Float32Array;
}

interface Row {
  order: string;
  pixels: number[];
  label: number;
}

function readRows(file: string): Row[] {
  const [header = '', ...lines] = readFileSync(file, 'utf8').trim().split('\n');
  const names = header.split(',');
  return lines.map((line) => {
    const cells = line.split(',');
    const cell = (name: string): string => cells[names.indexOf(name)] ?? '';
    return {
      order: createHash('sha256').update(cell('id')).digest('hex'),
      pixels: cells.filter((_, i) => names[i]?.startsWith('px')).map(Number),
      label: Number(cell('label')),
    };
  });
}

/** Mean and 1 / deviation of each pixel, 0 where it never changes. */
function scalesOf(rows: Row[], width: number): { mean: number; scale: number }[] {
  return Array.from({ length: width }, (_, d) => {
    const mean = rows.reduce((sum, { pixels }) => sum + (pixels[d] ?? 0), 0) / rows.length;
    const variance = rows.reduce((sum, { pixels }) => sum + ((pixels[d] ?? 0) - mean) ** 2, 0) / rows.length;
    return { mean, scale: variance > 0 ? 1 / Math.sqrt(variance) : 0 };
  });
}

export function digitsSplit(): { train: Part; holdout: Part; width: number; classes: number } {
  const rows = readRows(join(projectRoot, 'examples/digits/digits.csv'));
  rows.sort((a, b) => (a.order < b.order ? -1 : 1));
  const cut = Math.ceil(rows.length * 0.2);
  const width = rows[0]?.pixels.length ?? 0;
  const scales = scalesOf(rows.slice(cut), width);
  const part = (some: Row[]): Part => ({
    rows: some.length,
    x: Float32Array.from(
      some.flatMap(({ pixels }) => pixels.map((p, d) => (p - (scales[d]?.mean ?? 0)) * (scales[d]?.scale ?? 0))),
    ),
    y: Float32Array.from(some, ({ label }) => label),
  });
  return { train: part(rows.slice(cut)), holdout: part(rows.slice(0, cut)), width, classes: 10 };
}
