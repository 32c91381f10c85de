// A model that people's answers can vouch for. The rows that were drawn uniformly and labelled by people are a random
// sample of the pool, as long as nothing learnt from them: so this model is trained without their labels, and without
// labels that a model gave. It also says what people are asked about next, so that the sample chooses nothing either.
import { join } from 'node:path';
import { identifier, sqlList, sqlLiteral } from '../../adapters/duckdb.js';
import { typedColumns } from '../../adapters/inputs.js';
import { inScratchFolder } from '../../adapters/scratch.js';
import { type CheckedKey, checkedKeys, keysOfModels } from '../../db/labeling.js';
import { runSpecification } from '../../db/run.js';
import { type Digest, mediaTypes } from '../../domain/artifact.js';
import type { CheckedItem } from '../../domain/auto-label.js';
import type { Json } from '../../domain/json.js';
import type { StepInput } from '../../domain/run.js';
import { labelledVersion } from '../../domain/steps.js';
import { currentStep, keeping } from '../step.js';
import { scoreKnown } from './known.js';
import { type ChosenModel, type PoolAsked, type PoolDeps, type ScoredPool, scorePool } from './pool.js';

export interface CertifyDeps extends PoolDeps {
  /** Folder for files on their way to the store. */
  scratch: string;
}

export interface Checked extends CheckedItem {
  key: string;
}

export interface Certified {
  /** Every unlabelled row of the training part as the model sees it, for picks and for labels without people. */
  scored: ScoredPool;
  /** What people said of the rows that the model did not learn from, in key order; -1 too where they said nothing. */
  sample: Checked[];
  /** In the order of the probabilities. */
  classes: string[];
}

/** Keys of one statement. */
const keysAtOnce = 10_000;

/** Null: a regression, or too few labels beside the sample to learn anything from. */
export async function certify(deps: CertifyDeps, input: StepInput, asked: PoolAsked): Promise<Certified | null> {
  const { document, dataset } = await runSpecification(deps.db, input.context.run);
  if (document.dataset.task !== 'classification') return null;
  const checked = await checkedKeys(deps.db, dataset);
  const models = new Set(await keysOfModels(deps.db, dataset));
  const hidden = [...new Set([...checked.map(({ key }) => key), ...models])];
  const model = await modelWithout(deps, input, hidden);
  if (!model) return null;
  const by = `a model that has not seen the ${checked.length} rows that were drawn and shown to people`;
  const scored = await scorePool(deps, input, { ...asked, model: { ...model, by } });
  const sample = await sampleOf(deps, input, { model, scored, checked, models });
  return { scored, sample, classes: scored.classes };
}

async function modelWithout(deps: CertifyDeps, input: StepInput, hidden: string[]): Promise<ChosenModel | null> {
  const { dataset, file } = labelledVersion(input);
  const label = { dataset, file: hidden.length === 0 ? file : await withoutLabels(deps, file, hidden) };
  const inputs = { ...input.inputs, label: label as unknown as Json };
  const quick = await deps.quickModel({ ...input, inputs });
  return quick && { by: '', ...quick, score: (rows) => deps.scorer.score(quick, rows) };
}

/** The version's file with empty labels in the rows of these keys; kept until the run ends. */
export async function withoutLabels(deps: CertifyDeps, version: Digest, keys: string[]): Promise<Digest> {
  const file = await deps.artifacts.localPath(version);
  return inScratchFolder(deps.scratch, 'certify', async (folder) => {
    const path = join(folder, 'rows.parquet');
    await deps.duck.session({ exact: true, signal: currentStep().signal }, async (session) => {
      const [key = '', label = ''] = (await typedColumns(session, file)).map(identifier);
      await session.run('CREATE OR REPLACE TEMP TABLE hidden (key VARCHAR)');
      for (let from = 0; from < keys.length; from += keysAtOnce) {
        await session.run(`INSERT INTO hidden SELECT unnest(${sqlList(keys.slice(from, from + keysAtOnce))})`);
      }
      await session.run(
        `COPY (SELECT typed.* REPLACE (CASE WHEN hidden.key IS NULL THEN typed.${label} END AS ${label})
           FROM read_parquet(${sqlLiteral(file)}) AS typed LEFT JOIN hidden ON typed.${key} = hidden.key
           ORDER BY typed.${key}) TO ${sqlLiteral(path)} (FORMAT parquet, COMPRESSION zstd)`,
      );
    });
    return (await keeping(deps, 'certify').putFile(path, mediaTypes.parquet)).digest;
  });
}

/**
 * What people said of these rows, as far as they are still in the training part. A row without a word of theirs counts as
 * one where the model is wrong: people skip what is hard, and a sample without it would flatter the model.
 */
async function sampleOf(
  deps: CertifyDeps,
  input: StepInput,
  of: { model: ChosenModel; scored: ScoredPool; checked: readonly CheckedKey[]; models: ReadonlySet<string> },
): Promise<Checked[]> {
  const { model, checked, models } = of;
  const { rows } = of.scored;
  const { classes } = model.signature;
  const answered = new Map(checked.map((one) => [one.key, one.answered]));
  const known = await scoreKnown(deps, input, model, new Set(answered.keys()));
  const labelled = known.map(({ key, label, probabilities }): Checked => {
    return { key, probabilities, label: models.has(key) ? -1 : classes.indexOf(label) };
  });
  const silent = rows.keys.flatMap((key, row): Checked[] =>
    answered.get(key) === false ? [{ key, probabilities: Array.from(rows.probabilities(row) ?? []), label: -1 }] : [],
  );
  return [...labelled, ...silent].sort((a, b) => (a.key < b.key ? -1 : 1));
}
