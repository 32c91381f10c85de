// profile: what is in the data, as JSON for machines and as one HTML page for people. Exact and on one thread,
// since the profile is content: the same rows give the same bytes.
import { typedCell } from '../../adapters/cells.js';
import { type DuckSession, identifier, sqlLiteral } from '../../adapters/duckdb.js';
import { mediaTypes } from '../../domain/artifact.js';
import type { Column, ColumnProfile, Profile, Schema } from '../../domain/dataset.js';
import type { StepInput } from '../../domain/run.js';
import type { ExtractResult, ProfileResult } from '../../domain/steps.js';
import { seenBy } from '../reuse.js';
import { currentStep } from '../step.js';
import { columnsOf, type DatasetDeps, parquet, resultOf, writeFacts } from './deps.js';
import { inferSchema } from './infer.js';
import { profileReport } from './report.js';

/** Columns in one statement. */
const columnsAtOnce = 100;
const bins = 20;
const topValues = 20;
export const quantileLevels = [0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99];

interface Measured {
  count: number;
  missing: number;
  distinct: number;
  min: number | string | null;
  max: number | string | null;
  mean?: number | null;
  sd?: number | null;
  quantiles?: number[] | null;
}

/** What is measured of one column, as an SQL structure. `cell` is the text, `value` what it means. */
function measures(cell: string, value: string, type: Column['type']): string {
  const common = `'count': count(${value}), 'missing': count(*) - count(${cell}), 'distinct': count(DISTINCT ${value})`;
  if (type === 'category' || type === 'text') return `{${common}, 'min': NULL, 'max': NULL}`;
  if (type === 'date') {
    const text = (aggregate: string) => `strftime(${aggregate}(${value}), '%Y-%m-%dT%H:%M:%SZ')`;
    return `{${common}, 'min': ${text('min')}, 'max': ${text('max')}}`;
  }
  const levels = `[${quantileLevels.map(sqlLiteral).join(', ')}]`;
  return `{${common}, 'min': min(${value}), 'max': max(${value}), 'mean': avg(${value}), 'sd': stddev_pop(${value}),
    'quantiles': quantile_cont(${value}, ${levels})}`;
}

async function histogramOf(session: DuckSession, raw: string, column: Column, measured: Measured) {
  const { min, max } = measured;
  if (typeof min !== 'number' || typeof max !== 'number') return undefined;
  const width = (max - min) / bins;
  if (!(width > 0) || !Number.isFinite(width)) return { edges: [min, max], counts: [measured.count] };
  const value = typedCell(identifier(column.name), column.type);
  const rows = await session.query<{ bin: number; n: number }>(
    `SELECT least(floor((value - ${sqlLiteral(min)}) / ${sqlLiteral(width)}), ${bins - 1})::INTEGER AS bin, count(*) AS n
     FROM (SELECT ${value} AS value FROM ${raw}) WHERE value IS NOT NULL GROUP BY bin`,
  );
  const counts = new Array<number>(bins).fill(0);
  for (const { bin, n } of rows) counts[bin] = n;
  return {
    edges: Array.from({ length: bins + 1 }, (_, index) => (index === bins ? max : min + index * width)),
    counts,
  };
}

async function topOf(session: DuckSession, raw: string, name: string): Promise<{ value: string; count: number }[]> {
  const cell = identifier(name);
  return session.query(
    `SELECT ${cell} AS value, count(*) AS count FROM ${raw} WHERE ${cell} IS NOT NULL
     GROUP BY ${cell} ORDER BY 2 DESC, 1 LIMIT ${topValues}`,
  );
}

async function profileColumns(session: DuckSession, raw: string, columns: Column[]): Promise<ColumnProfile[]> {
  const profiles: ColumnProfile[] = [];
  for (let from = 0; from < columns.length; from += columnsAtOnce) {
    const slice = columns.slice(from, from + columnsAtOnce);
    const cells = slice.map(({ name, type }, index) => {
      const cell = identifier(name);
      return `${cell} AS c${index}, ${typedCell(cell, type)} AS v${index}`;
    });
    const fields = slice.map(({ type }, index) => `${measures(`c${index}`, `v${index}`, type)} AS m${index}`);
    const [row] = await session.query<Record<string, Measured>>(
      `SELECT ${fields.join(', ')} FROM (SELECT ${cells.join(', ')} FROM ${raw})`,
    );
    for (const [index, column] of slice.entries()) {
      const measured = row?.[`m${index}`] as Measured;
      const known = Object.fromEntries(Object.entries(measured).filter(([, value]) => value !== null));
      const profile = { ...column, ...known } as unknown as ColumnProfile;
      if (column.type === 'category') profile.top = await topOf(session, raw, column.name);
      const histogram = column.type === 'number' ? await histogramOf(session, raw, column, measured) : undefined;
      if (histogram) profile.histogram = histogram;
      profiles.push(profile);
    }
  }
  return profiles;
}

/** The profile of a raw file (every cell text) under a schema. */
export async function profileOf(session: DuckSession, raw: string, schema: Schema): Promise<Profile> {
  const [counted] = await session.query<{ rows: number }>(`SELECT count(*) AS rows FROM ${raw}`);
  const labelColumn: Column = { name: schema.label, type: schema.task === 'regression' ? 'number' : 'category' };
  const [label, ...columns] = await profileColumns(session, raw, [labelColumn, ...schema.columns]);
  return { rows: counted?.rows ?? 0, columns, label: label as ColumnProfile };
}

/** FROM item of raw rows; where there is no label column, which `validate` refuses, one without any value. */
async function withLabel(session: DuckSession, raw: string, label: string): Promise<string> {
  if ((await columnsOf(session, raw)).includes(label)) return raw;
  return `(SELECT *, NULL::VARCHAR AS ${identifier(label)} FROM ${raw})`;
}

export async function profile(deps: DatasetDeps, whole: StepInput): Promise<ProfileResult> {
  const { document, input } = await seenBy(deps.db, 'profile', whole);
  const { raw: digest } = resultOf<ExtractResult>(input, 'extract');
  const path = await deps.artifacts.localPath(digest);
  const { schema, found } = await deps.duck.session({ exact: true, signal: currentStep().signal }, async (session) => {
    const raw = await withLabel(session, parquet(path), document.dataset.label);
    const inferred = await inferSchema(session, raw, document);
    return { schema: inferred, found: await profileOf(session, raw, inferred) };
  });
  const stored = {
    profile: (await deps.artifacts.putJson(found)).digest,
    report: (await deps.artifacts.putBytes(Buffer.from(profileReport(document.dataset.name, found)), mediaTypes.html))
      .digest,
    schema: (await deps.artifacts.putJson(schema)).digest,
  };
  await writeFacts(deps, stored, () => Promise.resolve());
  const missing = found.columns.reduce((sum, column) => sum + column.missing, 0);
  const { columns } = schema;
  const of = (type: Column['type']) => columns.filter((column) => column.type === type).length;
  return {
    summary: `${columns.length} columns: ${of('number')} numbers, ${of('category')} categories, ${of('date')} dates${of('text') > 0 ? `, ${of('text')} texts` : ''}; ${missing} cells missing`,
    ...stored,
  };
}
