// The demo's data: which rows are there at first, whose labels are visible, what the labeler knows, and what comes later.
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { projectRoot } from '../../adapters/paths.js';

export type Row = Record<string, string>;

export interface DemoRows {
  columns: string[];
  /** There from the start; the label cell is empty unless it is visible. */
  first: Row[];
  /** Arrive later, all without a label. */
  later: Row[];
  /** The truth, for the labeler's eyes only. */
  truth: Map<string, string>;
}

export const shares = { holdout: 0.2, validation: 0.1, seed: 1 };
const visiblePerPart = 150;
const laterRows = 400;

/** A uniform number in [0, 1) from a text: the first 52 bits of its sha256. */
function uniform(text: string): number {
  return Number.parseInt(createHash('sha256').update(text).digest('hex').slice(0, 13), 16) / 2 ** 52;
}

/** The file as it is, every label visible. */
export async function readDigits(): Promise<{ columns: string[]; rows: Row[] }> {
  const text = await readFile(join(projectRoot, 'examples/digits/digits.csv'), 'utf8');
  const [header = '', ...lines] = text.trim().split('\n');
  const columns = header.split(',');
  const row = (line: string) => Object.fromEntries(line.split(',').map((cell, i) => [columns[i] ?? '', cell])) as Row;
  return { columns, rows: lines.map(row) };
}

/**
 * 150 labels of the holdout part and 150 of the training part are visible, both by hash; 400 rows of the training part
 * come later. `partOf` is the pipeline's own split.
 */
export async function demoRows(partOf: (key: string) => string): Promise<DemoRows> {
  const { columns, rows } = await readDigits();
  const truth = new Map(rows.map((row) => [row['id'] ?? '', row['label'] ?? '']));
  const byHash = [...rows].sort((a, b) => uniform(`show/${a['id']}`) - uniform(`show/${b['id']}`));
  const of = (part: string) => byHash.filter((row) => partOf(row['id'] ?? '') === part);
  const visible = new Set([...of('holdout').slice(0, visiblePerPart), ...of('train').slice(0, visiblePerPart)]);
  const late = new Set(of('train').slice(-laterRows));
  const shown = (row: Row): Row => (visible.has(row) ? row : { ...row, label: '' });
  return {
    columns,
    first: rows.filter((row) => !late.has(row)).map(shown),
    later: rows.filter((row) => late.has(row)).map(shown),
    truth,
  };
}

export function toCsv(columns: string[], rows: Row[]): string {
  return (
    [columns.join(','), ...rows.map((row) => columns.map((column) => row[column] ?? '').join(','))].join('\n') + '\n'
  );
}
