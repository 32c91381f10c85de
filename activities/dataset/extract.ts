// extract: all rows that the dataset has now, each cell as text, in one Parquet file ordered by key.
// Incremental: the raw file of the latest version (its digest is kept in that version's watermark) plus the files that
// changed and the pushes that came since. Where that file is gone, everything is read again, and the rows may differ: files
// count as older than every push then, and rows that a file no longer has are forgotten.
import { createReadStream } from 'node:fs';
import { realpath, stat } from 'node:fs/promises';
import { createHash } from 'node:crypto';
import { isAbsolute, join, relative, resolve, sep } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { type DuckSession, identifier, sqlLiteral } from '../../adapters/duckdb.js';
import { parseRows } from '../../adapters/rows.js';
import { datasetOf, ingestsAfter, latestDatasetVersion } from '../../db/dataset.js';
import { runSpecification } from '../../db/run.js';
import type { Digest } from '../../domain/artifact.js';
import type { Watermark } from '../../domain/dataset.js';
import { Failure } from '../../domain/failures.js';
import type { StepInput } from '../../domain/run.js';
import type { ExtractResult } from '../../domain/steps.js';
import { currentStep } from '../step.js';
import { type Arrived, missingColumns } from './schema.js';
import { columnsOf, type DatasetDeps, inScratch, parquet, putSelect, writeFacts } from './deps.js';

/** As stored with a version: `raw` is the file that `extract` goes on from. */
export type RawWatermark = Watermark & { raw?: Digest };

/** Files merged in one statement. */
const partsAtOnce = 100;
export const maxColumns = 5_000;

interface Parts {
  /** Local Parquet files, later ones win. */
  paths: string[];
  /** Which of them came since the latest version, with their columns. */
  arrived: Arrived[];
  newRows: number;
  unparsable: number;
  /** What the latest version has read, and what is read after this step. */
  seen: Watermark;
  watermark: Watermark;
}

function requireInside(path: string, folder: string): void {
  const way = relative(folder, path);
  if (way === '..' || way.startsWith(`..${sep}`) || isAbsolute(way)) {
    throw new Failure('SourceNotAllowed', 'the source lies outside of PERENNIAL_SOURCES');
  }
}

/** The files of a source, sorted. Throws `SourceNotFound` and `SourceNotAllowed`; links are followed before the check. */
export async function sourceFiles(deps: Pick<DatasetDeps, 'duck' | 'config'>, source: string): Promise<string[]> {
  const { cwd, sources } = deps.config;
  const path = resolve(cwd, source);
  const allowed = sources === undefined ? undefined : resolve(cwd, sources);
  if (allowed !== undefined) requireInside(path, allowed);
  const found = await stat(path).catch(() => null);
  let files = found?.isFile() ? [path] : [];
  if (!found && /[*?[]/.test(path)) {
    const matches = await deps.duck.query<{ file: string }>(`SELECT file FROM glob(${sqlLiteral(path)})`);
    files = matches.map((match) => match.file).sort();
  }
  if (files.length === 0) throw new Failure('SourceNotFound', `${source} names no file`);
  if (allowed !== undefined) {
    const root = await realpath(allowed);
    for (const file of files) requireInside(await realpath(file), root);
  }
  return files;
}

async function digestOfFile(path: string): Promise<Digest> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), hash);
  return `sha256:${hash.digest('hex')}`;
}

/** Reads the changed files of the source. A file that changes while it is read is read again. */
async function readFiles(deps: DatasetDeps, source: string, key: string, folder: string, parts: Parts): Promise<void> {
  const { signal } = currentStep();
  const seen = new Set(parts.seen.files.map((file) => `${file.path} ${file.digest}`));
  const known = new Map(parts.watermark.files.map((file) => [file.path, file.digest]));
  for (const path of await sourceFiles(deps, source)) {
    for (let tries = 1; ; tries++) {
      const digest = await digestOfFile(path);
      if (known.get(path) === digest) break;
      const parsed = await parseRows(
        deps.duck,
        { path, format: 'auto' },
        { key, maxColumns, outFolder: folder, signal },
      );
      if ((await digestOfFile(path)) !== digest) {
        if (tries === 3) throw new Failure('Unavailable', 'the source file is still being written');
        continue;
      }
      if (!seen.has(`${path} ${digest}`)) parts.arrived.push({ place: parts.paths.length, columns: parsed.columns });
      parts.paths.push(parsed.path);
      parts.newRows += parsed.rows;
      parts.unparsable += parsed.quarantined;
      known.set(path, digest);
      break;
    }
  }
  parts.watermark.files = [...known]
    .map(([path, digest]) => ({ path, digest }))
    .sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** One SELECT over parts, later ones winning by key; an empty label never erases a label. Keys are unique within a part. */
async function mergeSelect(session: DuckSession, paths: string[], key: string, label: string): Promise<string> {
  const union = paths
    .map((path, index) => `SELECT *, ${index} AS __part FROM ${parquet(path)}`)
    .join(' UNION ALL BY NAME ');
  const columns = (await columnsOf(session, `(${union})`)).filter((name) => name !== '__part');
  const k = identifier(key);
  const l = identifier(label);
  const labelled = columns.includes(label);
  const keep = labelled ? `, arg_max(${l}, __part) FILTER (WHERE ${l} IS NOT NULL) AS __label` : '';
  const cells = columns.map((name) =>
    labelled && name === label ? `__label AS ${l}` : `everything.${identifier(name)}`,
  );
  return `WITH everything AS (${union}), latest AS (SELECT ${k} AS __key, max(__part) AS __last${keep} FROM everything GROUP BY ${k})
    SELECT ${cells.join(', ')} FROM everything JOIN latest ON everything.${k} = __key AND __part = __last ORDER BY everything.${k}`;
}

async function merge(deps: DatasetDeps, parts: Parts, key: string, label: string, folder: string) {
  return deps.duck.session({ exact: true, signal: currentStep().signal }, async (session) => {
    let paths = parts.paths;
    for (let round = 0; paths.length > partsAtOnce; round++) {
      const target = join(folder, `merged-${round}.parquet`);
      const select = await mergeSelect(session, paths.slice(0, partsAtOnce), key, label);
      await session.run(`COPY (${select}) TO ${sqlLiteral(target)} (FORMAT parquet, COMPRESSION zstd)`);
      paths = [target, ...paths.slice(partsAtOnce)];
    }
    const ref = await putSelect(deps, session, await mergeSelect(session, paths, key, label), folder);
    const path = await deps.artifacts.localPath(ref.digest);
    const columns = await columnsOf(session, parquet(path));
    if (columns.length > maxColumns) {
      throw new Failure('TooManyColumns', `the dataset has ${columns.length} columns, ${maxColumns} are allowed`);
    }
    const [counted] = await session.query<{ rows: number }>(`SELECT count(*) AS rows FROM ${parquet(path)}`);
    return { raw: ref.digest, rows: counted?.rows ?? 0 };
  });
}

/** Throws what `sourceFiles` and `parseRows` throw, and `DatasetEmpty` when there is nothing at all. */
export async function extract(deps: DatasetDeps, input: StepInput): Promise<ExtractResult> {
  const { document, context } = await runSpecification(deps.db, input.context.run);
  const { key, label, source, name } = document.dataset;
  const dataset = await datasetOf(deps.db, context.project, name);
  const latest = await latestDatasetVersion(deps.db, dataset.id);
  const before = latest?.watermark as RawWatermark | undefined;
  const base = before?.raw && (await deps.artifacts.store.has(before.raw)) ? before.raw : null;
  return inScratch(deps.config.scratch, async (folder) => {
    const parts: Parts = {
      arrived: [],
      seen: before ?? { ingest: 0, files: [] },
      paths: base ? [await deps.artifacts.localPath(base)] : [],
      newRows: 0,
      unparsable: 0,
      watermark: base && before ? { ingest: before.ingest, files: before.files } : { ingest: 0, files: [] },
    };
    if (source) await readFiles(deps, source.path, key, folder, parts);
    for (const ingest of await ingestsAfter(deps.db, dataset.id, parts.watermark.ingest)) {
      if (ingest.number > parts.seen.ingest) {
        parts.arrived.push({ place: parts.paths.length, columns: ingest.columns });
      }
      parts.paths.push(await deps.artifacts.localPath(ingest.artifact));
      parts.newRows += ingest.rows;
      parts.watermark.ingest = ingest.number;
    }
    if (parts.paths.length === 0) throw new Failure('DatasetEmpty', 'no rows were pushed yet, and there is no source');
    const missing = dataset.schema ? await missingColumns(deps, parts, dataset.schema) : null;
    const { raw, rows } = await merge(deps, parts, key, label, folder);
    await writeFacts(deps, { raw }, () => Promise.resolve());
    return {
      summary: `${rows} rows, ${parts.newRows} read now${parts.unparsable > 0 ? `, ${parts.unparsable} could not be read` : ''}`,
      raw,
      rows,
      newRows: parts.newRows,
      watermark: { ...parts.watermark, raw } as RawWatermark,
      parent: latest?.digest ?? null,
      unparsable: parts.unparsable,
      ...(missing ? { missing } : {}),
    };
  });
}
