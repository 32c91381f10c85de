// What the model's last layer sees of the rows that `kCenter` and `badge` compare: a seeded uniform draw of the pool where
// it is large. Where a program's file shows no last layer, the probabilities stand in.
import { readFile } from 'node:fs/promises';
import { feedsOf } from '../../adapters/feeds.js';
import type { InputRows } from '../../adapters/inputs.js';
import { type Digest, mediaTypes } from '../../domain/artifact.js';
import { Failure } from '../../domain/failures.js';
import { diverseBounds, type DiverseStrategy, standardise } from '../../domain/label-diverse.js';
import { type ModelInputs, pickInputs, piecesOf, type Signature } from '../../domain/model.js';
import { embeddingModel, embeddingOutput } from '../../ml/export/embedding.js';
import { createRandom, drawWithout } from '../../stats/prng.js';
import { keeping } from '../step.js';
import type { ChosenModel, PoolDeps, PoolRows, ScoredPool } from './pool.js';

const rowsAtOnce = 4_096;

export interface VectorsAsked {
  strategy: DiverseStrategy;
  batchSize: number;
  seed: number;
  model: ChosenModel;
  from: PoolRows;
}

type Embed = (inputs: ModelInputs) => Promise<Float32Array[]>;

/** Rows of a matrix, each an array of its own. */
function rowsOf(data: Float32Array, rows: number): Float32Array[] {
  const width = rows === 0 ? 0 : data.length / rows;
  return Array.from({ length: rows }, (_, row) => data.slice(row * width, (row + 1) * width));
}

async function inPieces(
  signature: Signature,
  inputs: ModelInputs,
  one: (piece: ModelInputs) => Promise<Float32Array | undefined>,
): Promise<Float32Array[]> {
  const vectors: Float32Array[] = [];
  if (inputs.rows === 0) return vectors;
  for (const piece of piecesOf(inputs, signature, rowsAtOnce)) {
    const data = await one(piece);
    if (!data) throw new Failure('Internal', 'the model gave no vectors');
    for (const vector of rowsOf(data, piece.rows)) vectors.push(vector);
  }
  return vectors;
}

/** By the last layer's inputs; null where the file shows none, or not one vector for each row. */
async function lastLayer(
  deps: PoolDeps,
  { path, signature }: ChosenModel,
  probe: ModelInputs,
): Promise<{ embed: Embed; trees: boolean } | null> {
  const found = embeddingModel(await readFile(path));
  if (!found) return null;
  const { digest } = await keeping(deps, 'embedding').putBytes(found.bytes, mediaTypes.onnx);
  const model: { path: string; digest: Digest } = { path: await deps.artifacts.localPath(digest), digest };
  const run = async (piece: ModelInputs) => (await deps.scorer.run(model, feedsOf(signature, piece)))[embeddingOutput];
  const first = await run(probe).catch((error: unknown) => {
    if (error instanceof Failure && error.failure === 'ModelInvalid') return null;
    throw error;
  });
  if (!first || first.dims.length !== 2 || first.dims[0] !== probe.rows) return null;
  const embed: Embed = (inputs) =>
    inPieces(signature, inputs, async (piece) => (await run(piece))?.data as Float32Array | undefined);
  return { embed, trees: found.trees };
}

/** Of the rows with these numbers, which rise, in their order. Nothing else of the rows is held. */
async function embedRows(
  rows: AsyncIterable<InputRows>,
  wanted: readonly number[],
  { signature, embed }: { signature: Signature; embed: Embed },
): Promise<Float32Array[]> {
  const vectors: Float32Array[] = [];
  let from = 0;
  for await (const { inputs } of rows) {
    const own: number[] = [];
    for (let at = vectors.length; at < wanted.length && wanted[at]! < from + inputs.rows; at += 1) {
      own.push(wanted[at]! - from);
    }
    if (own.length > 0) for (const vector of await embed(pickInputs(inputs, signature, own))) vectors.push(vector);
    if (vectors.length === wanted.length) break;
    from += inputs.rows;
  }
  return vectors;
}

/** The first row of the pool. */
async function probeOf(from: PoolRows, signature: Signature): Promise<ModelInputs> {
  for await (const { inputs } of from.stream(false)) return pickInputs(inputs, signature, [0]);
  throw new Failure('Internal', 'the pool has no row');
}

/** The pool with vectors for the rows to compare, and those of labelled rows. */
export async function addVectors(deps: PoolDeps, pool: ScoredPool, asked: VectorsAsked): Promise<ScoredPool> {
  const { model, from, seed, batchSize } = asked;
  const { signature } = model;
  const probe = await probeOf(from, signature);
  const layer = await lastLayer(deps, model, probe);
  const byProbabilities: Embed = (inputs) =>
    inPieces(signature, inputs, async (piece) => (await model.score(piece)).probabilities);
  const embed = layer?.embed ?? byProbabilities;
  const width = (await embed(probe))[0]?.length ?? 0;
  const sizes = { rows: pool.rows.keys.length, labelled: await from.count(true) };
  const bounds = diverseBounds({ ...sizes, width, batchSize });
  const random = createRandom(seed);
  const drawn = drawWithout(random, sizes.rows, bounds.pool).sort((a, b) => a - b);
  const vectors = await embedRows(from.stream(false), drawn, { signature, embed });
  const wanted = asked.strategy === 'kCenter' ? bounds.covered : 0;
  const known = drawWithout(random, sizes.labelled, wanted).sort((a, b) => a - b);
  const covered = known.length === 0 ? [] : await embedRows(from.stream(true), known, { signature, embed });
  if (layer?.trees) standardise([...vectors, ...covered]);
  const compared = new Map(drawn.map((row, i) => [row, vectors[i]!]));
  const some = drawn.length === sizes.rows ? '' : `, which compared ${drawn.length} of ${sizes.rows} rows`;
  const rows = { ...pool.rows, vector: (row: number) => compared.get(row) };
  return { ...pool, rows, covered, by: `${pool.by}${some}` };
}
