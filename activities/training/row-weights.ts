// How much the rows of the training part count: less than 1 where a model made their label (a version's `sources`).
import { type Duck, sqlLiteral } from '../../adapters/duckdb.js';
import type { Artifacts } from '../../adapters/store/index.js';
import type { Digest } from '../../domain/artifact.js';
import { currentStep } from '../step.js';

/** By key, those other than 1; null where all count the same. */
export type RowWeights = ReadonlyMap<string, number>;

export async function readWeights(
  deps: { duck: Duck; artifacts: Artifacts },
  sources: Digest | undefined,
): Promise<RowWeights | null> {
  if (sources === undefined) return null;
  const file = sqlLiteral(await deps.artifacts.localPath(sources));
  const rows = await deps.duck.session({ exact: true, signal: currentStep().signal }, (session) =>
    session.query<{ key: string; weight: number }>(`SELECT key, weight FROM read_parquet(${file}) WHERE weight <> 1`),
  );
  return rows.length === 0 ? null : new Map(rows.map(({ key, weight }) => [key, weight]));
}

/** One number for each key, as bytes of a vector. */
export function weightBytes(weights: RowWeights, keys: readonly string[]): Uint8Array {
  return new Uint8Array(Float32Array.from(keys, (key) => weights.get(key) ?? 1).buffer);
}
