// A model that people's answers can vouch for. The rows that were drawn uniformly and labelled by people are a random
// sample of the pool, as long as nothing learnt from them: so this model is trained without their labels, and without
// labels that a model gave. It also says what people are asked about next, so that the sample chooses nothing either.
import { join } from 'node:path';
import { identifier, sqlList, sqlLiteral } from '../../adapters/duckdb.js';
import { streamInputs, typedColumns } from '../../adapters/inputs.js';
import { inScratchFolder } from '../../adapters/scratch.js';
import { checkedKeys, keysOfModels } from '../../db/labeling.js';
import { runSpecification } from '../../db/run.js';
import { type Digest, mediaTypes } from '../../domain/artifact.js';
import type { CheckedItem } from '../../domain/auto-label.js';
import type { Json } from '../../domain/json.js';
import { pickInputs } from '../../domain/model.js';
import type { StepInput } from '../../domain/run.js';
import { labelledVersion, type SplitResult } from '../../domain/steps.js';
import { currentStep, keeping } from '../step.js';
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
  /** What people said of the rows that the model did not learn from, in key order. */
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
  const hidden = [...new Set([...checked, ...(await keysOfModels(deps.db, dataset))])];
  const model = await modelWithout(deps, input, hidden);
  if (!model) return null;
  const by = `a model that has not seen the ${checked.length} rows that people drew and labelled`;
  const scored = await scorePool(deps, input, { ...asked, model: { ...model, by } });
  const sample = await sampleOf(deps, input, model, new Set(checked));
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

/** Of these rows those that are still in the training part, as the model sees them. */
async function sampleOf(
  deps: CertifyDeps,
  input: StepInput,
  { signature, score }: ChosenModel,
  keys: ReadonlySet<string>,
): Promise<Checked[]> {
  const sample: Checked[] = [];
  if (keys.size === 0) return sample;
  const { split } = input.inputs['split'] as unknown as SplitResult;
  const place = {
    file: await deps.artifacts.localPath(labelledVersion(input).file),
    split: await deps.artifacts.localPath(split),
  };
  const { signal } = currentStep();
  for await (const rows of streamInputs(deps.duck, { ...place, part: 'train', labelled: true, signature, signal })) {
    const own = rows.keys.flatMap((key, row) => (keys.has(key) ? [row] : []));
    if (own.length === 0) continue;
    const { probabilities } = await score(pickInputs(rows.inputs, signature, own));
    const width = signature.classes.length;
    own.forEach((row, at) => {
      sample.push({
        key: rows.keys[row]!,
        label: signature.classes.indexOf(rows.labels[row] ?? ''),
        probabilities: Array.from(probabilities?.subarray(at * width, (at + 1) * width) ?? []),
      });
    });
  }
  return sample;
}
