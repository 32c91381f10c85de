// validate: raw rows against schema and expectations. Bad rows go to quarantine with their reasons; the good ones become
// a dataset version. A new column is for a person to decide; a missing or retyped one ends the run.
import { type DuckSession, identifier } from '../../adapters/duckdb.js';
import { acceptSchema, type DatasetRow, datasetOf, latestDatasetVersion } from '../../db/dataset.js';
import { labelsOf } from '../../db/labeling.js';
import { referArtifact } from '../../db/artifact.js';
import { runSpecification } from '../../db/run.js';
import type { Digest } from '../../domain/artifact.js';
import type { Schema } from '../../domain/dataset.js';
import { Failure } from '../../domain/failures.js';
import type { PipelineDocument } from '../../domain/pipeline.js';
import type { StepInput } from '../../domain/run.js';
import { requireFit, unfitChanges, unknownColumns, unknownElsewhere } from '../../domain/schema-fit.js';
import type { ExtractResult, ProfileResult, ValidateResult } from '../../domain/steps.js';
import { currentStep } from '../step.js';
import { columnsOf, type DatasetDeps, inScratch, parquet, putSelect, resultOf, writeFacts } from './deps.js';
import type { RawWatermark } from './extract.js';
import { statedTypes } from './infer.js';
import { checkTable, type RowRule, rowRules } from './rules.js';
import { decideSchema } from './schema.js';
import { putResolvedSources } from './sources.js';
import {
  annotatorsOf,
  autoBatchesOf,
  labelFacts,
  loadLabels,
  requireClasses,
  writeTyped,
  writeVersion,
} from './version.js';

interface Work {
  deps: DatasetDeps;
  document: PipelineDocument;
  schema: Schema;
  /** FROM item of all raw rows, and of those of the version before. */
  raw: string;
  before: string | null;
  folder: string;
  run: string;
}

interface Quarantine {
  digest: Digest | null;
  count: number;
  /** FROM item of the rows that passed. */
  good: string;
}

/** Marks the bad rows in a temporary table `bad(key, reasons)`. */
async function findBad(session: DuckSession, work: Work): Promise<number> {
  const { rules, from } = rowRules(work.raw, work.schema, work.document);
  const key = identifier(work.schema.key);
  const flags = rules.map((rule) => `(${rule.bad})`).join(', ');
  const reasons = rules.map((_, index) => `CASE WHEN __bad[${index + 1}] THEN ${index} END`).join(', ');
  if (rules.length === 0) await session.run('CREATE OR REPLACE TEMP TABLE bad (key VARCHAR, rules INTEGER[])');
  else {
    await session.run(
      `CREATE OR REPLACE TEMP TABLE bad AS
       SELECT __key AS key, list_filter([${reasons}], lambda rule: rule IS NOT NULL) AS rules
       FROM (SELECT ${key} AS __key, [${flags}] AS __bad FROM ${from}) WHERE list_contains(__bad, true)`,
    );
  }
  const [counted] = await session.query<{ n: number }>('SELECT count(*) AS n FROM bad');
  if (counted?.n) await refuseRetyped(session, work, rules);
  return counted?.n ?? 0;
}

/**
 * Throws `SchemaMismatch` when a column has another type now: more rows than the pipeline tolerates are not of its type,
 * and most of the values that came since the version before are not.
 */
async function refuseRetyped(session: DuckSession, work: Work, rules: RowRule[]): Promise<void> {
  const { raw, before, document, schema } = work;
  const counts = await session.query<{ rule: number; n: number }>(
    'SELECT rule, count(*) AS n FROM (SELECT unnest(rules) AS rule FROM bad) GROUP BY rule ORDER BY rule',
  );
  const [all] = await session.query<{ n: number }>(`SELECT count(*) AS n FROM ${raw}`);
  const key = identifier(schema.key);
  const known = before ? await columnsOf(session, before) : [];
  for (const { rule, n } of counts) {
    const { column, retyped, bad, reason } = rules[rule] as RowRule;
    if (!retyped || n <= document.quarantine.maxShare * (all?.n ?? 0)) continue;
    const cell = identifier(column);
    const fresh = known.includes(column)
      ? `(SELECT ${key}, ${cell} FROM ${raw} EXCEPT SELECT ${key}, ${cell} FROM ${before})`
      : raw;
    const [share] = await session.query<{ bad: number; n: number }>(
      `SELECT count(*) FILTER (WHERE ${bad}) AS bad, count(${cell}) AS n FROM ${fresh}`,
    );
    if (share && share.bad > share.n / 2) {
      throw new Failure('SchemaMismatch', `${reason} in ${n} of ${all?.n} rows: ${whyTyped(document, column)}`, {
        members: { retyped: [column] },
      });
    }
  }
}

/** Why its values are read as those of another type. */
function whyTyped(document: PipelineDocument, column: string): string {
  const { types } = document.features;
  if (Object.hasOwn(types, column)) return `features.types says ${types[column]}, but its values are none`;
  if (statedTypes(document).has(column)) return 'expectations bound it as a number, but its values are none';
  return 'its type has changed';
}

/** Counts of the most frequent reasons, with keys to look at. */
async function topReasons(session: DuckSession, rules: RowRule[]): Promise<string> {
  const top = await session.query<{ rule: number; n: number; keys: string[] }>(
    `SELECT rule, count(*) AS n, list(key ORDER BY key)[1:3] AS keys FROM (SELECT key, unnest(rules) AS rule FROM bad)
     GROUP BY rule ORDER BY n DESC, rule LIMIT 5`,
  );
  return top.map(({ rule, n, keys }) => `${rules[rule]?.reason} (${n}, as in ${keys.join(', ')})`).join('; ');
}

/** Stores the bad rows with their reasons. Throws `QuarantineExceeded`, the file kept for people to look at. */
async function quarantine(session: DuckSession, work: Work, total: number): Promise<Quarantine> {
  const { raw, schema, document } = work;
  const count = await findBad(session, work);
  if (count === 0) return { digest: null, count, good: raw };
  const { rules } = rowRules(raw, schema, document);
  const key = identifier(schema.key);
  const columns = await columnsOf(session, raw);
  const name = columns.some((column) => column.toLowerCase() === 'reasons') ? '__reasons' : 'reasons';
  await session.run('CREATE OR REPLACE TEMP TABLE reason (rule INTEGER, text VARCHAR)');
  for (const [rule, { reason }] of rules.entries())
    await session.run('INSERT INTO reason VALUES (?, ?)', [rule, reason]);
  const texts = `SELECT key AS __key, list(text ORDER BY rule) AS __texts FROM (SELECT key, unnest(rules) AS rule FROM bad) JOIN reason USING (rule) GROUP BY key`;
  const select = `SELECT everything.*, __texts AS ${name} FROM ${raw} AS everything JOIN (${texts}) ON ${key} = __key ORDER BY ${key}`;
  const { digest } = await putSelect(work.deps, session, select, work.folder);
  if (count > document.quarantine.maxShare * total) {
    await writeFacts(work.deps, {}, (tx) =>
      referArtifact(tx, { digest, owner: `quarantine:${work.run}`, role: 'quarantine' }),
    );
    const detail = `${count} of ${total} rows are bad, ${document.quarantine.maxShare * 100} % are tolerated: ${await topReasons(session, rules)}; all of them are in ${digest}`;
    throw new Failure('QuarantineExceeded', detail, { members: { quarantine: digest } });
  }
  return { digest, count, good: `(SELECT * FROM ${raw} WHERE ${key} NOT IN (SELECT key FROM bad))` };
}

async function ask(deps: DatasetDeps, schema: Schema, newColumns: string[]): Promise<ValidateResult> {
  const { digest } = await deps.artifacts.putJson(schema);
  await writeFacts(deps, { schema: digest }, () => Promise.resolve());
  return { kind: 'ask', summary: `new columns: ${newColumns.join(', ')}`, schema: digest, newColumns };
}

/** Checks, writes the typed file and records the version. */
async function makeVersion(
  work: Work,
  dataset: DatasetRow,
  input: StepInput,
  accept: boolean,
): Promise<ValidateResult> {
  const { deps, document, schema } = work;
  const extracted = resultOf<ExtractResult>(input, 'extract');
  const profiled = resultOf<ProfileResult>(input, 'profile');
  const labels = await labelsOf(deps.db, dataset.id);
  const made = await deps.duck.session({ exact: true, signal: currentStep().signal }, async (session) => {
    const bad = await quarantine(session, work, extracted.rows);
    checkTable(extracted.rows - bad.count, document);
    await loadLabels(session, labels);
    const facts = await labelFacts(session, bad.good, schema);
    requireClasses(facts, schema, document.labeling !== null);
    const from = { raw: bad.good, schema, folder: work.folder };
    const typed = await writeTyped(deps, session, from);
    return { bad, facts, typed, sources: await putResolvedSources(deps, session, from) };
  });
  const { bad, facts, typed, sources } = made;
  if (typed.rows === 0) throw new Failure('DatasetEmpty', 'no row is left');
  const schemaDigest = accept ? (await deps.artifacts.putJson(schema)).digest : null;
  const { digest } = await writeFacts(
    deps,
    { file: typed.file, quarantine: bad.digest, schema: schemaDigest },
    async (tx) => {
      if (schemaDigest)
        await acceptSchema(tx, { dataset: dataset.id, schema, digest: schemaDigest, by: `run ${input.context.run}` });
      return writeVersion(tx, {
        ...typed,
        dataset: dataset.id,
        run: input.context.run,
        schema,
        watermark: extracted.watermark as RawWatermark,
        parents: [extracted.parent],
        profile: profiled.profile,
        report: profiled.report,
        sources: sources ?? null,
        quarantine: bad.digest,
        quarantined: bad.count,
        annotators: annotatorsOf(labels),
        autoBatches: autoBatchesOf(labels),
        labelCounts: facts.counts,
      });
    },
  );
  return {
    kind: 'ok',
    summary: `${typed.rows} rows, ${facts.labelled} labelled${bad.count > 0 ? `, ${bad.count} in quarantine` : ''}`,
    dataset: digest,
    file: typed.file,
    rows: typed.rows,
    labelled: facts.labelled,
    quarantine: bad.digest,
    quarantined: bad.count,
    ...(sources && { sources }),
  };
}

/** FROM item of the raw rows of the latest version, if they are still there. */
async function rawBefore(deps: DatasetDeps, dataset: string): Promise<string | null> {
  const latest = await latestDatasetVersion(deps.db, dataset);
  const raw = (latest?.watermark as RawWatermark | undefined)?.raw;
  return raw && (await deps.artifacts.store.has(raw)) ? parquet(await deps.artifacts.localPath(raw)) : null;
}

/** Throws `LabelColumnMissing`. */
async function requireLabelColumn(deps: DatasetDeps, raw: string, label: string): Promise<void> {
  const all = await deps.duck.session({ exact: true, signal: currentStep().signal }, (session) =>
    columnsOf(session, raw),
  );
  if (all.includes(label)) return;
  throw new Failure(
    'LabelColumnMissing',
    `there is no column ${JSON.stringify(label)}; there are ${all.slice(0, 20).join(', ')}`,
  );
}

/** Throws `LabelColumnMissing`, `SchemaMismatch`, `QuarantineExceeded`, `ExpectationFailed`, `OneClass`, `NoLabels` and `DatasetEmpty`. */
export async function validate(deps: DatasetDeps, input: StepInput): Promise<ValidateResult> {
  const { document, context } = await runSpecification(deps.db, input.context.run);
  const dataset = await datasetOf(deps.db, context.project, document.dataset.name);
  const extracted = resultOf<ExtractResult>(input, 'extract');
  const path = parquet(await deps.artifacts.localPath(extracted.raw));
  await requireLabelColumn(deps, path, document.dataset.label);
  const inferred = await deps.artifacts.readJson<Schema>(resultOf<ProfileResult>(input, 'profile').schema);
  const { schema, newColumns, changed } = decideSchema(
    dataset.schema,
    inferred,
    document,
    extracted.missing?.columns,
    extracted.missing?.rows,
  );
  requireFit([
    ...unknownColumns(schema, document.features),
    ...unknownElsewhere(schema, document),
    ...unfitChanges(schema, document.features, document.gate.checks),
  ]);
  if (newColumns.length > 0 && input.inputs['schema:answer'] !== 'approve') return ask(deps, schema, newColumns);
  const before = await rawBefore(deps, dataset.id);
  return inScratch(deps.config.scratch, (folder) =>
    makeVersion({ deps, document, schema, raw: path, before, folder, run: context.run }, dataset, input, changed),
  );
}
