// After people have answered: the dataset version with their labels in it. Nobody answered: the version as it was.
import { identifier } from '../../adapters/duckdb.js';
import { datasetOf, type DatasetVersionRow, getDatasetVersion } from '../../db/dataset.js';
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
import { annotatorsOf, autoBatchesOf, labelFacts, loadLabels, requireClasses, writeVersion } from './version.js';

const resolvedSources = ['human', 'truth', 'auto', 'pseudo'] as const;

/** FROM item of the typed rows with no other labels than those of the data itself. */
async function ownLabels(
  deps: Pick<DatasetDeps, 'artifacts'>,
  { typed, version }: { typed: string; version: DatasetVersionRow },
): Promise<string> {
  const { raw } = version.watermark as RawWatermark;
  if (raw === undefined) throw new Failure('Internal', 'the version names no raw file');
  const [key, label] = [identifier(version.schema.key), identifier(version.schema.label)];
  return `(SELECT typed.* REPLACE (own.${label} AS ${label}) FROM ${typed} AS typed
    LEFT JOIN ${parquet(await deps.artifacts.localPath(raw))} AS own ON typed.${key} = own.${key})`;
}

/**
 * Merges the resolved labels of the dataset into the validated version of this run. Rows keep the label they have; where
 * there are automatic labels, which may have been withdrawn or mended since, only those of the data itself are kept.
 * Throws `OneClass` and `NoLabels` when the answers are not enough to train on.
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
  const checked = parquet(await deps.artifacts.localPath(validated.file));
  const anew = version.autoBatches.length > 0;
  const typed = anew ? await ownLabels(deps, { typed: checked, version }) : checked;
  return inScratch(deps.config.scratch, async (folder) => {
    const made = await deps.duck.session({ exact: true, signal: currentStep().signal }, async (session) => {
      await loadLabels(session, labels);
      const facts = await labelFacts(session, typed, schema);
      requireClasses(facts, schema, false);
      const key = identifier(schema.key);
      const label = identifier(schema.label);
      const select = `SELECT typed.* REPLACE (coalesce(typed.${label}, resolved.label) AS ${label})
        FROM ${typed} AS typed LEFT JOIN resolved ON typed.${key} = resolved.key ORDER BY typed.${key}`;
      const before = anew ? undefined : validated.sources;
      const sources = await putResolvedSources(deps, session, { raw: typed, schema, folder, before });
      return { facts, file: (await putSelect(deps, session, select, folder)).digest, sources };
    });
    // `given` of the validated file counts what validate found labelled, from whatever source; the difference is new
    const counts = anew ? made.facts.counts : { ...version.labelCounts };
    for (const source of anew ? [] : resolvedSources) counts[source] += made.facts.counts[source];
    const { digest } = await writeFacts(deps, { file: made.file }, (tx) =>
      writeVersion(tx, {
        ...version,
        file: made.file,
        sources: made.sources ?? null,
        run: input.context.run,
        parents: [validated.dataset],
        report: resultOf<ProfileResult>(input, 'profile').report,
        annotators: annotatorsOf(labels),
        autoBatches: autoBatchesOf(labels),
        labelCounts: counts,
      }),
    );
    const fresh = made.facts.labelled - validated.labelled;
    return {
      summary: `${Math.abs(fresh)} labels are ${fresh < 0 ? 'withdrawn' : 'new'}, ${made.facts.labelled} of ${validated.rows} rows are labelled`,
      ...batch,
      dataset: digest,
      file: made.file,
      labelled: made.facts.labelled,
      ...(made.sources && { sources: made.sources }),
    };
  });
}
