// Labelled rows of the training part as the model sees them that scores the pool.
import { identifier, sqlList, sqlLiteral } from '../../adapters/duckdb.js';
import { readInputs, streamInputs } from '../../adapters/inputs.js';
import type { Suggestion } from '../../domain/labeling.js';
import { pickInputs, piecesOf } from '../../domain/model.js';
import type { StepInput } from '../../domain/run.js';
import { labelledVersion, type SplitResult } from '../../domain/steps.js';
import { argMax } from '../../stats/rank.js';
import { currentStep } from '../step.js';
import type { ChosenModel, PoolDeps } from './pool.js';

export interface KnownRow {
  key: string;
  label: string;
  /** In the order of the model's classes. */
  probabilities: number[];
}

/** Those of these keys that are still there, in key order. */
export async function scoreKnown(
  deps: PoolDeps,
  input: StepInput,
  { signature, score }: ChosenModel,
  keys: ReadonlySet<string>,
): Promise<KnownRow[]> {
  const known: KnownRow[] = [];
  if (keys.size === 0) return known;
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
      known.push({
        key: rows.keys[row]!,
        label: rows.labels[row] ?? '',
        probabilities: Array.from(probabilities?.subarray(at * width, (at + 1) * width) ?? []),
      });
    });
  }
  return known;
}

const mostScored = 4_096;

/** What the model takes these rows for, of any part; nothing where there is none. */
export async function guessesBy(
  deps: PoolDeps,
  input: StepInput,
  model: ChosenModel | null,
  keys: readonly string[],
): Promise<Map<string, Suggestion>> {
  const suggestions = new Map<string, Suggestion>();
  if (!model) return suggestions;
  const { signature } = model;
  const { classes } = signature;
  const file = await deps.artifacts.localPath(labelledVersion(input).file);
  const rows = await readInputs(deps.duck, { file, keys: [...keys], signature });
  for (const piece of piecesOf(rows.inputs, signature, mostScored)) {
    if (piece.rows === 0) break;
    const { probabilities = new Float32Array(0) } = await model.score(piece);
    for (let row = 0; row < piece.rows; row += 1) {
      const best = argMax(probabilities, row * classes.length, classes.length);
      const confidence = probabilities[row * classes.length + best] ?? 0;
      suggestions.set(rows.keys[suggestions.size]!, { label: classes[best] ?? '', confidence });
    }
  }
  return suggestions;
}

/** Keys of one statement. */
const keysAtOnce = 10_000;

/** Those of these keys that the version has a row of. */
export async function keysInVersion(
  deps: PoolDeps,
  input: StepInput,
  { column, keys }: { column: string; keys: readonly string[] },
): Promise<Set<string>> {
  const found = new Set<string>();
  const file = sqlLiteral(await deps.artifacts.localPath(labelledVersion(input).file));
  const cell = identifier(column);
  for (let from = 0; from < keys.length; from += keysAtOnce) {
    const some = sqlList(keys.slice(from, from + keysAtOnce));
    const rows = await deps.duck.query<{ key: string }>(
      `SELECT ${cell} AS key FROM read_parquet(${file}) WHERE ${cell} IN (SELECT unnest(${some}))`,
    );
    for (const { key } of rows) found.add(key);
  }
  return found;
}
