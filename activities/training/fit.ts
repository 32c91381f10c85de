// Statistics of the features, fitted on the training part alone, in key order and on one thread (architecture, rule 9).
import { numberInputCell, partRows } from '../../adapters/inputs.js';
import { type DuckSession, identifier } from '../../adapters/duckdb.js';
import type { Schema } from '../../domain/dataset.js';
import type { FittedCategory, FittedFeatures, FittedNumber, NumberInput, Signature } from '../../domain/model.js';
import { featureWidth } from '../../ml/features/graph.js';

/** Values of one category that get a place of their own; the others share "other". */
export const maxCategoryValues = 256;
/** Inputs in one statement. */
const inputsAtOnce = 100;
/** Columns that are looked at for leakage. */
const leakColumns = 300;
const leakShare = 0.999;

/** Files of the run. */
export interface Place {
  file: string;
  split: string;
  schema: Schema;
}

const trainRows = (place: Place, signature: Signature, labelled?: true) =>
  partRows(
    { ...place, part: 'train', signature, ...(labelled ? { labelled } : {}) },
    place.schema.key,
    place.schema.label,
  );

/** Rows of the training part in key order, so that sums are taken in that order. */
function ordered(place: Place, signature: Signature, cells: string[]): string {
  return `(SELECT ${cells.join(', ')} ${trainRows(place, signature)} ORDER BY typed.${identifier(place.schema.key)})`;
}

/** `mean` and `scale` are what the float32 file will hold; a constant or empty input gets scale 0. */
function fittedNumber(
  input: NumberInput,
  found: { mean: number | null; sd: number | null; median: number | null },
): FittedNumber {
  const mean = Math.fround(found.mean ?? 0);
  const sd = found.sd ?? 0;
  const scale = Math.fround(1 / sd);
  const constant = !(sd > 1e-9 * Math.abs(mean)) || !Number.isFinite(scale);
  return { input, impute: Math.fround(found.median ?? 0), mean, scale: constant ? 0 : scale };
}

async function fitNumbers(session: DuckSession, place: Place, signature: Signature): Promise<FittedNumber[]> {
  const fitted: FittedNumber[] = [];
  for (let from = 0; from < signature.num.length; from += inputsAtOnce) {
    const slice = signature.num.slice(from, from + inputsAtOnce);
    const cells = slice.map((input, index) => `${numberInputCell(input)}::DOUBLE AS v${index}`);
    const fields = slice.map(
      (_, index) =>
        `{'mean': avg(v${index}), 'sd': stddev_pop(v${index}), 'median': quantile_cont(v${index}, 0.5)} AS s${index}`,
    );
    const [row] = await session.query<
      Record<string, { mean: number | null; sd: number | null; median: number | null }>
    >(`SELECT ${fields.join(', ')} FROM ${ordered(place, signature, cells)}`);
    slice.forEach((input, index) =>
      fitted.push(fittedNumber(input, row?.[`s${index}`] ?? { mean: 0, sd: 0, median: 0 })),
    );
  }
  return fitted;
}

async function fitCategory(
  session: DuckSession,
  place: Place,
  signature: Signature,
  column: string,
): Promise<FittedCategory> {
  const cell = `typed.${identifier(column)}::VARCHAR`;
  const rows = await session.query<{ value: string }>(
    `SELECT value FROM (SELECT ${cell} AS value ${trainRows(place, signature)}) WHERE value <> ''
     GROUP BY value ORDER BY count(*) DESC, value LIMIT ${maxCategoryValues}`,
  );
  return { column, values: rows.map((row) => row.value) };
}

export async function fitFeatures(session: DuckSession, place: Place, signature: Signature): Promise<FittedFeatures> {
  const num = await fitNumbers(session, place, signature);
  const cat: FittedCategory[] = [];
  for (const column of signature.cat) cat.push(await fitCategory(session, place, signature, column));
  return { version: 1, num, cat, width: featureWidth({ num, cat }), signature };
}

/** Labels of the training part: numbers in their order, texts by code units. */
export async function trainClasses(
  session: DuckSession,
  place: Place,
  signature: Signature,
): Promise<Map<string, number>> {
  const rows = await session.query<{ label: string; n: number }>(
    `SELECT typed.${identifier(place.schema.label)} AS label, count(*) AS n ${trainRows(place, signature, true)} GROUP BY 1 ORDER BY 1`,
  );
  const numeric = rows.every(({ label }) => /^-?\d+(\.\d+)?$/.test(label));
  if (numeric) rows.sort((a, b) => Number(a.label) - Number(b.label) || (a.label < b.label ? -1 : 1));
  return new Map(rows.map(({ label, n }) => [label, n]));
}

/** Hints, not errors: features that give the label away by themselves. */
export async function leaks(session: DuckSession, place: Place, signature: Signature): Promise<string[]> {
  const { schema } = place;
  const label = `typed.${identifier(schema.label)}`;
  const from = trainRows(place, signature, true);
  const dates = new Set(schema.columns.filter(({ type }) => type === 'date').map(({ name }) => name));
  const numbers = signature.num
    .flatMap(({ column, part }) => (part === null ? [column] : []))
    .filter((name) => !dates.has(name));
  const found: string[] = [];
  for (const column of [...numbers, ...signature.cat].slice(0, leakColumns)) {
    const cell = `typed.${identifier(column)}`;
    if (schema.task === 'regression') {
      if (!numbers.includes(column)) continue;
      const [row] = await session.query<{ r: number | null }>(
        `SELECT corr(${cell}, TRY_CAST(${label} AS DOUBLE)) AS r ${from}`,
      );
      if (Math.abs(row?.r ?? 0) >= leakShare) found.push(column);
      continue;
    }
    // The share of labels that "the most frequent label of this value" gets right; unique values prove nothing.
    const [row] = await session.query<{ hits: number | null; n: number; distinct: number; most: number }>(
      `WITH pairs AS (SELECT ${cell} AS value, ${label} AS label, count(*) AS n ${from} GROUP BY ALL),
         best AS (SELECT value, max(n) AS hits, sum(n) AS n FROM pairs GROUP BY value)
       SELECT sum(hits)::BIGINT AS hits, sum(n)::BIGINT AS n, count(*) AS distinct,
         (SELECT max(n) FROM (SELECT sum(n)::BIGINT AS n FROM pairs GROUP BY label)) AS most FROM best`,
    );
    if (row?.hits && row.distinct * 2 <= row.n && row.hits >= leakShare * row.n && row.most < leakShare * row.n)
      found.push(column);
  }
  return found;
}
