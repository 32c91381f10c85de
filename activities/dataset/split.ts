// split: which row belongs to which part, decided by its key (or its group, or its time), never by its place in a file.
// u = the first 52 bits of sha256("<seed>:<key>") as a fraction in [0, 1); u < holdout: holdout; u < holdout + validation:
// validation; else train. New rows never move old ones. The seed cannot change while a champion exists.
import { createHash } from 'node:crypto';
import { type DuckSession, identifier, sqlLiteral } from '../../adapters/duckdb.js';
import { type SplitPart, splitParts } from '../../domain/dataset.js';
import { Failure } from '../../domain/failures.js';
import type { PipelineDocument } from '../../domain/pipeline.js';
import type { StepInput } from '../../domain/run.js';
import type { SplitResult, ValidateResult } from '../../domain/steps.js';
import { seenBy } from '../reuse.js';
import { currentStep } from '../step.js';
import { columnsOf, type DatasetDeps, inScratch, parquet, putSelect, resultOf, writeFacts } from './deps.js';

type Shares = Pick<PipelineDocument['split'], 'holdout' | 'validation'>;

/** 13 hex digits: 52 bits, which a double holds exactly. */
const digits = 13;
const range = 2 ** (4 * digits);

/** The part of one key or group. Says the same as the SQL below. */
export function partOf(seed: number, key: string, shares: Shares): SplitPart {
  const hex = createHash('sha256').update(`${seed}:${key}`, 'utf8').digest('hex');
  const u = Number.parseInt(hex.slice(0, digits), 16) / range;
  if (u < shares.holdout) return 'holdout';
  return u < shares.holdout + shares.validation ? 'validation' : 'train';
}

/** SQL: the part of a text. */
export function partCell(seed: number, text: string, shares: Shares): string {
  const u = `(('0x' || substr(sha256(${sqlLiteral(`${seed}:`)} || ${text}), 1, ${digits}))::BIGINT::DOUBLE / ${sqlLiteral(range)})`;
  return `CASE WHEN ${u} < ${sqlLiteral(shares.holdout)} THEN 'holdout'
    WHEN ${u} < ${sqlLiteral(shares.holdout + shares.validation)} THEN 'validation' ELSE 'train' END`;
}

/**
 * SQL: the part by a time column. The latest rows are the holdout, those before them validation; equal times stay together,
 * on the earlier side; rows without a time are for training.
 */
async function timePart(session: DuckSession, file: string, column: string, shares: Shares): Promise<string> {
  const at = identifier(column);
  // 1 - 0.2 - 0.1 is a little more than 0.7: such a little must not take another row.
  const cut = (share: number) => `quantile_disc(${at}, ${sqlLiteral(Number(share.toFixed(12)))})`;
  const trained = Math.max(0, 1 - shares.holdout - shares.validation);
  const [cuts] = await session.query<{ first: string | null; second: string | null; type: string }>(
    `SELECT ${cut(trained)}::VARCHAR AS first, ${cut(1 - shares.holdout)}::VARCHAR AS second, any_value(typeof(${at})) AS type FROM ${file}`,
  );
  if (cuts && !['TIMESTAMP', 'DOUBLE'].includes(cuts.type)) {
    throw new Failure('SchemaMismatch', `${column} is neither a date nor a number: rows cannot be split by it`);
  }
  const limit = (text: string | null | undefined) => `${sqlLiteral(text ?? null)}::${cuts?.type ?? 'TIMESTAMP'}`;
  return `CASE WHEN ${at} > ${limit(cuts?.second)} AND ${sqlLiteral(shares.holdout)} > 0 THEN 'holdout'
    WHEN ${at} > ${limit(cuts?.first)} AND ${at} <= ${limit(cuts?.second)} THEN 'validation' ELSE 'train' END`;
}

/** SQL: the part of each row of a typed file. Throws `SchemaMismatch` when the group or time column is not there. */
async function partExpression(
  session: DuckSession,
  file: string,
  key: string,
  split: PipelineDocument['split'],
): Promise<string> {
  const { by, seed } = split;
  if (by.kind === 'key') return partCell(seed, identifier(key), split);
  const columns = await columnsOf(session, file);
  if (!columns.includes(by.column)) throw new Failure('SchemaMismatch', `there is no column ${by.column} to split by`);
  if (by.kind === 'time') return timePart(session, file, by.column, split);
  // A row without a group is a group of its own.
  return partCell(seed, `coalesce('g:' || ${identifier(by.column)}::VARCHAR, 'k:' || ${identifier(key)})`, split);
}

export async function split(deps: DatasetDeps, whole: StepInput): Promise<SplitResult> {
  const { document, input } = await seenBy(deps.db, 'split', whole);
  const validated = resultOf<ValidateResult>(input, 'validate');
  if (validated.kind !== 'ok') throw new Failure('Internal', 'the data was not validated');
  const path = await deps.artifacts.localPath(validated.file);
  const file = parquet(path);
  const key = identifier(document.dataset.key);
  return inScratch(deps.config.scratch, (folder) =>
    deps.duck.session({ exact: true, signal: currentStep().signal }, async (session) => {
      const part = await partExpression(session, file, document.dataset.key, document.split);
      const select = `SELECT ${key} AS key, ${part} AS part FROM ${file} ORDER BY 1`;
      const { digest } = await putSelect(deps, session, select, folder);
      const rows = await session.query<{ part: SplitPart; n: number }>(
        `SELECT part, count(*) AS n FROM (${select}) GROUP BY part`,
      );
      const counts = { train: 0, validation: 0, holdout: 0 };
      for (const { part: name, n } of rows) counts[name] = n;
      await writeFacts(deps, { split: digest }, () => Promise.resolve());
      return { summary: splitParts.map((name) => `${counts[name]} ${name}`).join(', '), split: digest, counts };
    }),
  );
}
