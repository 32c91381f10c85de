// Rows with a label, asked about again: the suspects of a dataset with labels that were turned, and rows by name.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { withoutLabels } from '../../activities/labeling/certify.js';
import { foldOf, foldsOf } from '../../activities/labeling/folds.js';
import { askNamed } from '../../activities/labeling/relabel.js';
import { createLabelingSteps } from '../../activities/labeling/steps.js';
import { quickModel } from '../../activities/training/quick.js';
import { createScorer, type Scorer } from '../../adapters/scorer.js';
import { runSpecification } from '../../db/run.js';
import type { Digest } from '../../domain/artifact.js';
import type { Json } from '../../domain/json.js';
import type { StepInput } from '../../domain/run.js';
import { createRandom } from '../../stats/prng.js';
import { type Done, documentOf, openWorld } from './dataset-run.js';

let world: Awaited<ReturnType<typeof openWorld>>;
let scorer: Scorer;
let done: Done;

/** Digits, of which a tenth has the label of another class, by a seed; every twentieth has none. */
const lines = readFileSync('examples/digits/digits.csv', 'utf8').trim().split('\n').slice(0, 701);
const random = createRandom(5);
const turned = new Map<string, string>();
const csv = lines
  .map((line, row) => {
    if (row === 0) return line;
    const cells = line.split(',');
    const key = cells[0]!;
    const label = cells.at(-1)!;
    if (row % 20 === 0) return [...cells.slice(0, -1), ''].join(',');
    if (random.uniform() >= 0.1) return line;
    turned.set(key, label);
    return [...cells.slice(0, -1), (Number(label) + 1 + random.below(9)) % 10].join(',');
  })
  .join('\n');

beforeAll(async () => {
  world = await openWorld();
  scorer = createScorer({ deadlineMs: 60_000, memoryLimitMb: 2048, onChild: () => undefined });
  const source = { type: 'file', path: world.write('turned.csv', csv) };
  const trainer = { type: 'linear', params: { epochs: 10 }, seed: 1 };
  const label = lines[0]!.split(',').at(-1)!;
  const labeling = { ask: 'suspects', batchSize: 400, explore: 0 };
  done = await world.run(documentOf('turned', { trainer, dataset: { source, label }, labeling }));
});

afterAll(async () => {
  scorer.close();
  await world.close();
});

function depsOf() {
  const scratch = join(world.folder, 'scratch');
  const deps = { ...world.deps, scorer, scratch };
  const training = {
    ...{ ...deps, memoryLimitMb: 2000, checkpointEveryMs: 60_000, childEnv: {} },
    device: { provider: 'cpu' as const, name: 'cpu', note: '', threads: 1 },
    onChild: () => undefined,
  };
  const model = (one: StepInput) => quickModel(training as unknown as Parameters<typeof quickModel>[0], one);
  return { ...deps, quickModel: model };
}

function inputOf({ context, ...results }: Done): StepInput {
  return { context, node: 'label', candidate: 0, inputs: results as unknown as Record<string, Json> };
}

interface Task {
  key: string;
  reason: string;
  given: string;
  score: number;
  suggestion: { label: string; confidence: number };
}

it('suspects are labels that were turned, the surest first; the guess is what they were', async () => {
  // the step waits for people: its run is alive
  await world.db.execute(sql`update run set status = 'running', finished_at = null where id = ${done.context.run}`);
  const nobody = () => Promise.reject(new Error('nothing is merged here'));
  const later = { mergeLabels: nobody, pseudoFile: nobody, settlePseudo: nobody };
  const { openLabels } = createLabelingSteps({ ...depsOf(), ...later });
  const { batch } = await world.runStep('label', done.context, () => openLabels(inputOf(done)));
  const found = await world.db.execute(
    sql`select key, reason, given, score, suggestion from label_task where batch = ${batch!.id} order by position`,
  );
  const tasks = found.rows as unknown as Task[];
  const scores = tasks.map(({ score }) => score);
  expect(scores).toEqual([...scores].sort((a, b) => a - b));
  const parts = new Map((await world.rows(done.split.split)).map((row) => [row['key'] as string, row['part']]));
  expect(tasks.every(({ key, reason }) => parts.get(key) === 'train' && reason === 'suspect')).toBe(true);
  const inTraining = [...turned.keys()].filter((key) => parts.get(key) === 'train');
  const right = tasks.filter(({ key }) => turned.has(key));
  expect(right.length / tasks.length).toBeGreaterThan(0.7);
  expect(right.length / inTraining.length).toBeGreaterThan(0.7);
  const guessed = right.filter(({ key, given, suggestion }) => {
    expect(given).not.toBe(turned.get(key));
    return suggestion.label === turned.get(key);
  });
  expect(guessed.length / right.length).toBeGreaterThan(0.8);
}, 300_000);

it('a fold stays where it is when rows come, and its labels are missing in the file that its model learns from', async () => {
  expect([5, 20, 49, 50, 1000].map(foldsOf)).toEqual([0, 2, 4, 5, 5]);
  const keys = lines.slice(1).map((line) => line.split(',')[0]!);
  const sizes = [0, 0, 0, 0, 0];
  for (const key of keys) sizes[foldOf(key, 1, 5)]! += 1;
  expect(Math.min(...sizes)).toBeGreaterThan(100);
  const hidden = keys.filter((key) => foldOf(key, 1, 5) === 0);
  const label = lines[0]!.split(',').at(-1)!;
  const { file } = done.validate as unknown as { file: Digest };
  const before = await world.rows(file);
  const after = await world.rows(
    await world.runStep('label', done.context, () => withoutLabels(depsOf(), file, hidden)),
  );
  const expected = before.map((row) => (hidden.includes(String(row['id'])) ? { ...row, [label]: null } : row));
  expect(after).toEqual(expected);
});

it('asks exactly the named rows, of any part, labelled or not; a name that nobody has ends the step', async () => {
  const { document } = await runSpecification(world.db, done.context.run);
  const named = (keys: string[]) => {
    const labeling = { ...document.labeling!, ask: { keys } };
    return world.runStep('label', done.context, () => askNamed(depsOf(), inputOf(done), labeling));
  };
  const parts = await world.rows(done.split.split);
  const held = parts.find(({ part, key }) => part === 'holdout' && Number(key) % 20 !== 19)!['key'] as string;
  const { picks, suggestions } = await named([held, '19', '0']);
  expect(picks.map(({ key, reason, probability }) => [key, reason, probability])).toEqual(
    [held, '19', '0'].map((key) => [key, 'named', null]),
  );
  expect(picks.map(({ given }) => given === null)).toEqual([false, true, false]);
  expect([...suggestions.keys()].sort()).toEqual([held, '19', '0'].sort());
  await expect(named(['0', "it's"])).rejects.toMatchObject({
    failure: 'RowsUnknown',
    faults: [{ path: 'labeling.ask.keys[1]' }],
  });
});
