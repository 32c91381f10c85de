// After people have answered: the dataset version with their labels in it. Nobody answered: the version as it was.
import { identifier } from '../../adapters/duckdb.js';
import { datasetOf, getDatasetVersion } from '../../db/dataset.js';
import { labelsOf } from '../../db/labeling.js';
import { runSpecification } from '../../db/run.js';
import type { BatchCounts } from '../../domain/labeling.js';
import { Failure } from '../../domain/failures.js';
import type { StepInput } from '../../domain/run.js';
import type { LabelResult, ValidateResult, ProfileResult } from '../../domain/steps.js';
import { currentStep } from '../step.js';
import { type DatasetDeps, inScratch, parquet, putSelect, resultOf, writeFacts } from './deps.js';
import type { RawWatermark } from './extract.js';
import { putResolvedSources } from './sources.js';
import {
  annotatorsOf,
  autoBatchesOf,
  labelCell,
  labelFacts,
  loadLabels,
  requireClasses,
  writeVersion,
} from './version.js';

/**
 * The validated version of this run with the labels that the dataset has now: some may have been withdrawn or mended
 * since. A row keeps the label that came with it, unless people were asked again about it. Throws `OneClass` and
 * `NoLabels` when the answers are not enough to train on.
 */
export async function mergeLabels(
  deps: Pick<DatasetDeps, 'db' | 'duck' | 'artifacts' | 'config'>,
  input: StepInput,
  batch: { batch: string | null; counts: BatchCounts | null },
): Promise<LabelResult> {
  const { document, context } = await runSpecification(deps.db, input.context.run);
  const validated = resultOf<ValidateResult>(input, 'validate');
  if (validated.kind !== 'ok') throw new Failure('Internal', 'the data was not validated');
  const dataset = await datasetOf(deps.db, context.project, document.dataset.name);
  const version = await getDatasetVersion(deps.db, dataset.id, validated.dataset);
  const { schema } = version;
  const labels = await labelsOf(deps.db, dataset.id);
  const typed = parquet(await deps.artifacts.localPath(validated.file));
  const { raw } = version.watermark as RawWatermark;
  if (raw === undefined) throw new Failure('Internal', 'the version names no raw file');
  const rows = parquet(await deps.artifacts.localPath(raw));
  return inScratch(deps.config.scratch, async (folder) => {
    const made = await deps.duck.session({ exact: true, signal: currentStep().signal }, async (session) => {
      await loadLabels(session, labels);
      const key = identifier(schema.key);
      // the labels as they came, of the rows that passed: who gave which label is seen there alone
      const passed = `(SELECT * FROM ${rows} WHERE ${key} IN (SELECT ${key} FROM ${typed}))`;
      const facts = await labelFacts(session, passed, schema);
      requireClasses(facts, schema, false);
      const label = identifier(schema.label);
      const from = `${typed} AS typed JOIN ${rows} AS raw ON raw.${key} = typed.${key}
        LEFT JOIN resolved ON typed.${key} = resolved.key`;
      const select = `SELECT typed.* REPLACE (${labelCell(schema)} AS ${label}) FROM ${from} ORDER BY typed.${key}`;
      const [changed] = await session.query<{ n: number }>(
        `SELECT count(*) AS n FROM ${from} WHERE typed.${label} <> ${labelCell(schema)}`,
      );
      const sources = await putResolvedSources(deps, session, { raw: passed, schema, folder });
      const { digest: file } = await putSelect(deps, session, select, folder);
      return { facts, changed: changed?.n ?? 0, file, sources };
    });
    const { facts, changed, file } = made;
    const { digest } = await writeFacts(deps, { file }, (tx) =>
      writeVersion(tx, {
        ...version,
        file,
        sources: made.sources ?? null,
        run: input.context.run,
        parents: [validated.dataset],
        report: resultOf<ProfileResult>(input, 'profile').report,
        annotators: annotatorsOf(labels),
        autoBatches: autoBatchesOf(labels),
        labelCounts: facts.counts,
      }),
    );
    const fresh = facts.labelled - validated.labelled;
    const other = changed > 0 ? `, ${changed} are other than before` : '';
    return {
      summary: `${Math.abs(fresh)} labels are ${fresh < 0 ? 'withdrawn' : 'new'}${other}, ${facts.labelled} of ${validated.rows} rows are labelled`,
      ...batch,
      dataset: digest,
      file,
      labelled: facts.labelled,
      ...(made.sources && { sources: made.sources }),
    };
  });
}
