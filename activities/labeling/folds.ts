// Probabilities of labelled rows from models that have not seen their labels: the training part in folds, and for each
// fold a quick model of the others.
import { createHash } from 'node:crypto';
import { type InputRows, readInputs } from '../../adapters/inputs.js';
import { runSpecification } from '../../db/run.js';
import type { Json } from '../../domain/json.js';
import type { JudgedRows } from '../../domain/label-suspects.js';
import { allClasses } from '../../domain/measure.js';
import { pickInputs, piecesOf, type Signature, withoutInputs } from '../../domain/model.js';
import type { StepInput } from '../../domain/run.js';
import { labelledVersion, type SplitResult } from '../../domain/steps.js';
import { currentStep } from '../step.js';
import { type CertifyDeps, withoutLabels } from './certify.js';
import type { PoolDeps } from './pool.js';

/** What makes version files without some labels. */
export type FoldDeps = CertifyDeps;

const mostFolds = 5;
/** Of a fold, on average: below it a model of the others says little of it. */
const leastRows = 10;
const chunkRows = 4_096;

/** How many folds so many labelled rows are cut into; fewer than 2: none. */
export function foldsOf(rows: number): number {
  return Math.min(mostFolds, Math.floor(rows / leastRows));
}

/** Which fold a row is in: by the hash of its key, so that it stays there when others come. */
export function foldOf(key: string, seed: number, folds: number): number {
  return createHash('sha256').update(`${seed}/${key}`).digest().readUInt32BE(0) % folds;
}

/** What one model says of the rows of its fold. */
interface Scored {
  classes: string[];
  rows: { key: string; label: string; probabilities: Float32Array }[];
}

/** Null where the labelled rows are too few. Rows of a fold without a model are left out. */
export async function outOfSample(deps: FoldDeps, input: StepInput, seed: number): Promise<JudgedRows | null> {
  const { document } = await runSpecification(deps.db, input.context.run);
  const { task } = document.dataset;
  const version = labelledVersion(input);
  const part = {
    file: await deps.artifacts.localPath(version.file),
    split: await deps.artifacts.localPath((input.inputs['split'] as unknown as SplitResult).split),
    ...{ part: 'train' as const, labelled: true },
  };
  const bare = withoutInputs({ task, classes: [], num: [], cat: [] });
  const { keys } = await readInputs(deps.duck, { ...part, signature: bare });
  const folds = foldsOf(keys.length);
  if (folds < 2) return null;
  const scored: Scored[] = [];
  for (let fold = 0; fold < folds; fold += 1) {
    currentStep().signal.throwIfAborted();
    const own = keys.filter((key) => foldOf(key, seed, folds) === fold);
    if (own.length === 0) continue;
    const label: Json = { dataset: version.dataset, file: await withoutLabels(deps, version.file, own) };
    const model = await deps.quickModel({ ...input, inputs: { ...input.inputs, label } });
    if (!model) continue;
    const { signature } = model;
    const all = await readInputs(deps.duck, { ...part, signature });
    const rows = all.keys.flatMap((key, row) => (foldOf(key, seed, folds) === fold ? [row] : []));
    scored.push(await scoreRows(deps, model, { all, rows, signature }));
  }
  return joined(scored);
}

async function scoreRows(
  deps: PoolDeps,
  model: NonNullable<Awaited<ReturnType<PoolDeps['quickModel']>>>,
  { all, rows, signature }: { all: InputRows; rows: number[]; signature: Signature },
): Promise<Scored> {
  const width = signature.classes.length;
  const found: Scored = { classes: signature.classes, rows: [] };
  for (const piece of piecesOf(pickInputs(all.inputs, signature, rows), signature, chunkRows)) {
    if (piece.rows === 0) break;
    const { probabilities = new Float32Array(0) } = await deps.scorer.score(model, piece);
    for (let at = 0; at < piece.rows; at += 1) {
      const row = rows[found.rows.length]!;
      const own = probabilities.slice(at * width, (at + 1) * width);
      found.rows.push({ key: all.keys[row]!, label: all.labels[row] ?? '', probabilities: own });
    }
  }
  return found;
}

/** On one scale: a class that a fold's model does not know has probability 0. */
function joined(scored: Scored[]): JudgedRows {
  const rows = scored.flatMap((one) => one.rows);
  const labels = rows.map(({ label }) => label);
  const classes = allClasses(labels, ...scored.map((one) => one.classes));
  const place = new Map(classes.map((name, index) => [name, index]));
  const probabilities = new Float64Array(rows.length * classes.length);
  let row = 0;
  for (const one of scored) {
    const places = one.classes.map((name) => place.get(name)!);
    for (const { probabilities: own } of one.rows) {
      own.forEach((p, index) => (probabilities[row * classes.length + places[index]!] = p));
      row += 1;
    }
  }
  return { keys: rows.map(({ key }) => key), labels, classes, probabilities };
}
