// What the fault tests run: iris with hidden labels, ten of them asked of a person, trained on the gpu queue, approved by hand.
// Each pipeline has a name of its own and the same rows, so all of them end in the same bytes.
import { createHash } from 'node:crypto';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { TrainerType } from '../../domain/model.js';
import { partOf } from '../../activities/dataset/split.js';
import { projectRoot } from '../../adapters/paths.js';
import { attendRun, must } from '../support/person.js';
import { startTestSystem, type TestSystem } from '../support/system.js';
import { holdOf, type Step } from './matrix.js';

export const asked = 10;
const split = { holdout: 0.2, validation: 0.1, seed: 1 };

/** Trainers that iris is something for: it has no texts, and four numbers are no image. */
export const sceneTrainers: readonly TrainerType[] = ['linear', 'mlp', 'trees'];

/** Parameters with which iris takes a trainer some seconds; those not named here train with their defaults. */
const params: Partial<Record<TrainerType, Record<string, number | number[]>>> = {
  linear: { epochs: 200, batch: 4, learningRate: 0.01 },
  mlp: { hidden: [16], epochs: 30, batch: 8 },
  trees: { rounds: 60, leaves: 6, minRows: 2 },
};

export interface Scene {
  trainer: TrainerType;
  system: TestSystem;
  source: string;
  /** Id of the row to its label. */
  truth: (item: Record<string, unknown>) => string;
  /** The file whose presence holds the step; null where nothing is held. */
  hold: string | null;
}

/** A system in which `step` can be held, and its rows: every second label of the training part is hidden. */
export async function openScene(step: Step | null, trainer: TrainerType = 'linear'): Promise<Scene> {
  const held = step === null ? null : holdOf(step);
  const system = await startTestSystem(held === null ? {} : { PERENNIAL_HOLD: held });
  const text = await readFile(join(projectRoot, 'examples/iris/iris.csv'), 'utf8');
  const [header = '', ...lines] = text.trim().split('\n');
  const labels = new Map(
    lines.map((line) => [line.slice(0, line.indexOf(',')), line.slice(line.lastIndexOf(',') + 1)]),
  );
  const rows = lines.map((line) => {
    const id = line.slice(0, line.indexOf(','));
    const hide = partOf(split.seed, id, split) === 'train' && Number(id) % 2 === 0;
    return hide ? line.slice(0, line.lastIndexOf(',') + 1) : line;
  });
  const source = await system.write('iris.csv', `${[header, ...rows].join('\n')}\n`);
  const hold = held === null ? null : join(system.home, 'hold', held.replace(':', '.'));
  return { trainer, system, source, truth: (item) => labels.get(String(item['id'])) ?? '', hold };
}

/** The document of a pipeline over `source`; for other cases a part of it is replaced. */
export function documentOf(name: string, source: string, trainer: TrainerType = 'linear') {
  return {
    name,
    dataset: { name, source: { type: 'file', path: source }, key: 'id', label: 'label', task: 'classification' },
    features: { exclude: ['id'] },
    labeling: { strategy: 'margin', batchSize: asked, explore: 0.1, deadline: '1 day' },
    split,
    trainer: { type: trainer, params: params[trainer] ?? {}, seed: 7, pool: 'gpu' },
    gate: { metric: 'accuracy', min: 0.3 },
    approval: { quorum: 1, deadline: '1 day', onDeadline: 'reject' },
  };
}

/** Creates the pipeline `name` and its first run. */
export async function openRun({ system, source, trainer }: Scene, name: string): Promise<string> {
  await must(system, 'POST', '/api/v1/pipelines', documentOf(name, source, trainer), `create-${name}`);
  const path = `/api/v1/pipelines/${name}/runs`;
  const { id } = await must<{ id: string }>(system, 'POST', path, { trigger: 'manual', fresh: true }, `run-${name}`);
  return id;
}

/** Lets go of the attempt that is held now. */
export async function letPass({ hold }: Scene): Promise<void> {
  if (hold === null) return;
  await rm(hold, { force: true });
}

/** From now on attempts of the step are not held. */
export async function markDone(hold: string): Promise<void> {
  await mkdir(dirname(hold), { recursive: true });
  await writeFile(`${hold}.done`, '');
}

/** sha256 of the served model, which its ETag must say too. */
export async function servedDigest(system: TestSystem, model: string): Promise<string> {
  const path = `/api/v1/models/${model}/versions/1/artifacts/model.onnx`;
  const response = await fetch(system.url + path);
  if (!response.ok) throw new Error(`GET ${path}: ${response.status}`);
  const bytes = new Uint8Array(await response.arrayBuffer());
  const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
  const etag = response.headers.get('etag');
  if (etag !== `"${digest}"`) throw new Error(`the ETag is ${etag}, the bytes are ${digest}`);
  return digest;
}

/** The bytes that a run nobody disturbs ends in. */
export async function undisturbed(scene: Scene): Promise<string> {
  if (scene.hold !== null) await markDone(scene.hold);
  const { run } = await attendRun(scene.system, await openRun(scene, 'undisturbed'), scene.truth);
  if (run.status === 'succeeded') return servedDigest(scene.system, 'undisturbed');
  throw new Error(`the undisturbed run ended ${run.status}: ${JSON.stringify(run.failure)}`);
}
