// Statistics of the features, fitted on the training part alone, in key order and on one thread (architecture, rule 9).
import { numberInputCell, partRows } from '../../adapters/inputs.js';
import { type DuckSession, identifier, sqlLiteral } from '../../adapters/duckdb.js';
import type { Schema } from '../../domain/dataset.js';
import { type FeatureTreatments, type NumberTreatment, treatmentOf } from '../../domain/features.js';
import type {
  DatePart,
  FittedCategory,
  FittedFeatures,
  FittedNumber,
  FittedText,
  NumberInput,
  Signature,
} from '../../domain/model.js';
import { featureWidth } from '../../ml/features/columns.js';

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
  /** Parquet `LabelProvenance`; absent: every label is given or by people. */
  sources?: string;
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

interface Found {
  n: number;
  missing: number;
  mean: number | null;
  sd: number | null;
  min: number | null;
  max: number | null;
  /** At 0.25, 0.5 and 0.75. */
  quartiles: number[] | null;
}

const found = (cell: string, index: number): string => {
  const moments = `'mean': avg(${cell}), 'sd': stddev_pop(${cell}), 'min': min(${cell}), 'max': max(${cell})`;
  const quartiles = `quantile_cont(${cell}, [0.25::DOUBLE, 0.5::DOUBLE, 0.75::DOUBLE])`;
  return `{'n': count(${cell}), 'missing': count(*) - count(${cell}), ${moments}, 'quartiles': ${quartiles}} AS s${index}`;
};

function imputed(how: NumberTreatment['impute'], { mean, quartiles }: Found): number | null {
  if (typeof how === 'number') return Math.fround(how);
  if (how === 'none') return null;
  const values = { median: quartiles?.[1], mean, zero: 0 };
  return Math.fround(values[how] ?? 0);
}

/**
 * Centre and unit as the float32 file will hold them; a constant or empty input gets scale 0. Where half of the values
 * are one, the interquartile range is 0, and the deviation stands in for it.
 */
function scaled(how: NumberTreatment['scale'], stats: Found): { mean: number; scale: number } {
  if (how === 'none') return { mean: 0, scale: 1 };
  const { mean, sd, min, max, quartiles } = stats;
  const [low = 0, middle = 0, high = 0] = quartiles ?? [];
  const centre = Math.fround({ standard: mean ?? 0, robust: middle, minmax: min ?? 0 }[how]);
  const unit = { standard: sd ?? 0, robust: high - low || (sd ?? 0), minmax: (max ?? 0) - (min ?? 0) }[how];
  const scale = Math.fround(1 / unit);
  const constant = isConstant(stats) || !Number.isFinite(scale);
  return { mean: centre, scale: constant ? 0 : scale };
}

const isConstant = ({ sd, mean }: Found): boolean => !((sd ?? 0) > 1e-9 * Math.abs(Math.fround(mean ?? 0)));

/** Parts that come round again. */
const cycles: Partial<Record<DatePart, { first: number; count: number }>> = {
  month: { first: 1, count: 12 },
  day: { first: 1, count: 31 },
  weekday: { first: 1, count: 7 },
  hour: { first: 0, count: 24 },
};

function fittedNumber(input: NumberInput, stats: Found, features: FeatureTreatments): FittedNumber {
  const { number, date } = treatmentOf(features, input.column);
  const cycle = input.part !== null && date.cyclic ? cycles[input.part] : undefined;
  const told = number.indicator === 'always' || (number.indicator === 'auto' && stats.missing > 0);
  return {
    input,
    ...(cycle
      ? { impute: 0, mean: 0, scale: 1, cycle }
      : { impute: imputed(number.impute, stats), ...scaled(number.scale, stats) }),
    ...(told && { indicator: true }),
  };
}

/** What is fitted, and from what. */
export interface FitRequest {
  place: Place;
  signature: Signature;
  features: FeatureTreatments;
}

async function fitNumbers(session: DuckSession, { place, signature, features }: FitRequest) {
  const fitted: FittedNumber[] = [];
  const constant: string[] = [];
  const nothing: Found = { n: 0, missing: 0, mean: 0, sd: 0, min: 0, max: 0, quartiles: null };
  for (let from = 0; from < signature.num.length; from += inputsAtOnce) {
    const slice = signature.num.slice(from, from + inputsAtOnce);
    const cells = slice.map((input, index) => `${numberInputCell(input)}::DOUBLE AS v${index}`);
    const fields = slice.map((_, index) => found(`v${index}`, index));
    const [row] = await session.query<Record<string, Found>>(
      `SELECT ${fields.join(', ')} FROM ${ordered(place, signature, cells)}`,
    );
    slice.forEach((input, index) => {
      const stats = row?.[`s${index}`] ?? nothing;
      fitted.push(fittedNumber(input, stats, features));
      if (input.part === null && isConstant(stats)) constant.push(input.column);
    });
  }
  return { fitted, constant };
}

async function fitCategory(session: DuckSession, request: FitRequest, column: string): Promise<FittedCategory> {
  const { place, signature, features } = request;
  const { encode, limit, buckets, values } = treatmentOf(features, column).category;
  // Where missing numbers stay missing, so do categories; else a number must stand for them.
  const own = encode === 'ordinal' || (encode === 'hash' && features.plain);
  const code = own ? { code: { missing: features.plain ? null : -1 } } : {};
  if (encode === 'hash') return { column, values: [], buckets, ...code };
  if (values) return { column, values, ...code };
  const cell = `typed.${identifier(column)}::VARCHAR`;
  const rows = await session.query<{ value: string }>(
    `SELECT value FROM (SELECT ${cell} AS value ${trainRows(place, signature)}) WHERE value <> ''
     GROUP BY value ORDER BY count(*) DESC, value LIMIT ${limit}`,
  );
  return { column, values: rows.map((row) => row.value), ...code };
}

/** Nothing of a text is fitted: n-grams are hashed. */
function fittedText(features: FeatureTreatments, column: string): FittedText {
  const { words, characters, lower, counts, hashes, length, ids } = treatmentOf(features, column).text;
  return {
    ...{ column, words, characters, lower, counts },
    hashes: features.tokens === 'only' ? 0 : hashes,
    ...(features.tokens !== 'none' && { tokens: { length, ids } }),
  };
}

/** Statistics of the training part, and the names of columns that are constant in it. */
export async function fitFeatures(
  session: DuckSession,
  request: FitRequest,
): Promise<{ fitted: FittedFeatures; constant: string[] }> {
  const { signature, features } = request;
  const { fitted: num, constant } = await fitNumbers(session, request);
  const cat: FittedCategory[] = [];
  for (const column of signature.cat) cat.push(await fitCategory(session, request, column));
  const text = (signature.text ?? []).map((column) => fittedText(features, column));
  const texts = text.length > 0 && { text };
  const one = cat.filter(({ values, buckets }) => !buckets && values.length < 2).map(({ column }) => column);
  return {
    fitted: { version: 1, num, cat, ...texts, width: featureWidth({ num, cat, text }), signature },
    constant: [...constant, ...one],
  };
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

/** Without labels that a model made from these very features. */
function withoutModels({ schema, sources }: Place): string {
  if (sources === undefined) return '';
  const keys = `SELECT key FROM read_parquet(${sqlLiteral(sources)}) WHERE source IN ('auto', 'pseudo')`;
  return `AND typed.${identifier(schema.key)} NOT IN (${keys})`;
}

/** Hints, not errors: features that give the label away by themselves. */
export async function leaks(session: DuckSession, place: Place, signature: Signature): Promise<string[]> {
  const { schema } = place;
  const label = `typed.${identifier(schema.label)}`;
  const from = `${trainRows(place, signature, true)} ${withoutModels(place)}`;
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
