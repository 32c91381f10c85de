// A version with pseudo-labels: its file, which is made to be judged, and the version itself, once they are kept.
import { type DuckSession, identifier, sqlList } from '../../adapters/duckdb.js';
import { datasetOf, getDatasetVersion } from '../../db/dataset.js';
import { appendEventOnce } from '../../db/event.js';
import { runSpecification } from '../../db/run.js';
import type { Digest } from '../../domain/artifact.js';
import { Failure } from '../../domain/failures.js';
import type { Json } from '../../domain/json.js';
import { type PseudoLabelled, type PseudoReport, pseudoSummary } from '../../domain/pseudo-label.js';
import type { StepInput } from '../../domain/run.js';
import type { LabelResult } from '../../domain/steps.js';
import { currentStep } from '../step.js';
import { type DatasetDeps, inScratch, parquet, putSelect, writeFacts } from './deps.js';
import { putSources } from './sources.js';
import { writeVersion } from './version.js';

type Deps = Pick<DatasetDeps, 'db' | 'duck' | 'artifacts' | 'config'>;

/** Labels in one statement. */
const labelsAtOnce = 10_000;

async function versionOf(deps: Deps, input: StepInput, { dataset: digest }: LabelResult) {
  const { document, context } = await runSpecification(deps.db, input.context.run);
  const dataset = await datasetOf(deps.db, context.project, document.dataset.name);
  return getDatasetVersion(deps.db, dataset.id, digest);
}

/** A temporary table `pseudo(key, label, confidence)` of the session. */
async function loadPseudo(session: DuckSession, labels: readonly PseudoLabelled[]): Promise<void> {
  await session.run('CREATE OR REPLACE TEMP TABLE pseudo (key VARCHAR, label VARCHAR, confidence DOUBLE)');
  for (let from = 0; from < labels.length; from += labelsAtOnce) {
    const slice = labels.slice(from, from + labelsAtOnce);
    const [keys, names] = [slice.map(({ key }) => key), slice.map(({ label }) => label)];
    const confidences = `[${slice.map(({ confidence }) => confidence).join(', ')}]::DOUBLE[]`;
    const columns = [sqlList(keys), sqlList(names), confidences].map((list) => `unnest(${list})`);
    await session.run(`INSERT INTO pseudo SELECT ${columns.join(', ')}`);
  }
}

/** The rows of the version with pseudo-labels where they have none, and the sources of its labels. Writes no version. */
export async function pseudoFile(
  deps: Deps,
  input: StepInput,
  { merged, labels, weight }: { merged: LabelResult; labels: readonly PseudoLabelled[]; weight: number },
): Promise<{ file: Digest; sources: Digest }> {
  const { schema } = await versionOf(deps, input, merged);
  const typed = parquet(await deps.artifacts.localPath(merged.file));
  const [key, label] = [identifier(schema.key), identifier(schema.label)];
  return inScratch(deps.config.scratch, (folder) =>
    deps.duck.session({ exact: true, signal: currentStep().signal }, async (session) => {
      await loadPseudo(session, labels);
      const rows = `SELECT typed.* REPLACE (coalesce(typed.${label}, pseudo.label) AS ${label})
        FROM ${typed} AS typed LEFT JOIN pseudo ON typed.${key} = pseudo.key ORDER BY typed.${key}`;
      const made = `SELECT key, 'pseudo' AS source, confidence, ${weight}::FLOAT AS weight FROM pseudo`;
      const sources = await putSources(deps, session, { select: made, before: merged.sources, folder });
      if (sources === undefined) throw new Failure('Internal', 'there are no pseudo-labels to write');
      return { file: (await putSelect(deps, session, rows, folder)).digest, sources };
    }),
  );
}

/** What became of a run's pseudo-labels: the version with them, or the one without, and an event with the numbers. */
export async function settlePseudo(
  deps: Deps,
  input: StepInput,
  settled: { merged: LabelResult; made: { file: Digest; sources: Digest } | null; report: PseudoReport },
): Promise<LabelResult> {
  const { merged, made, report } = settled;
  const version = await versionOf(deps, input, merged);
  const { run } = input.context;
  const files = made && report.kept ? made : null;
  const dataset = await writeFacts(deps, { ...files }, async (tx) => {
    const data = { node: input.node, ...report } as unknown as Json;
    await appendEventOnce(tx, { run, type: 'label.pseudo', data });
    if (!files) return merged.dataset;
    const labelCounts = { ...version.labelCounts, pseudo: report.labels };
    const { digest } = await writeVersion(tx, {
      ...version,
      ...{ ...files, run, parents: [merged.dataset], labelCounts, rows: version.rows },
    });
    return digest;
  });
  const summary = `${merged.summary}; ${pseudoSummary(report)}`;
  return { ...merged, ...files, summary, dataset, pseudo: report };
}
