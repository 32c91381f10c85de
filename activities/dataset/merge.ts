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
import { annotatorsOf, labelFacts, loadLabels, requireClasses, writeVersion } from './version.js';

/**
 * Merges the resolved labels of the dataset into the validated version of this run. Rows keep the label they have.
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
  const typed = parquet(await deps.artifacts.localPath(validated.file));
  return inScratch(deps.config.scratch, async (folder) => {
    const made = await deps.duck.session({ exact: true, signal: currentStep().signal }, async (session) => {
      await loadLabels(session, labels);
      const facts = await labelFacts(session, typed, schema);
      requireClasses(facts, schema, false);
      const key = identifier(schema.key);
      const label = identifier(schema.label);
      const select = `SELECT typed.* REPLACE (coalesce(typed.${label}, resolved.label) AS ${label})
        FROM ${typed} AS typed LEFT JOIN resolved ON typed.${key} = resolved.key ORDER BY typed.${key}`;
      return { facts, file: (await putSelect(deps, session, select, folder)).digest };
    });
    // `given` of the typed file counts what validate found labelled, from whatever source; the difference is new.
    const counts = { ...version.labelCounts };
    for (const source of ['human', 'truth', 'auto', 'pseudo'] as const) counts[source] += made.facts.counts[source];
    const { digest } = await writeFacts(deps, { file: made.file }, (tx) =>
      writeVersion(tx, {
        ...version,
        file: made.file,
        run: input.context.run,
        parents: [validated.dataset],
        report: resultOf<ProfileResult>(input, 'profile').report,
        annotators: annotatorsOf(labels),
        labelCounts: counts,
      }),
    );
    const fresh = made.facts.labelled - validated.labelled;
    return {
      summary: `${fresh} labels are new, ${made.facts.labelled} of ${validated.rows} rows are labelled`,
      ...batch,
      dataset: digest,
      file: made.file,
      labelled: made.facts.labelled,
    };
  });
}
