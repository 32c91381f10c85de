// A run again: the data and every unchanged step are taken over, nobody is asked for labels twice, no trainer is forked; with
// `fresh` one is, and it ends in the same bytes.
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { workflowIds } from '../../domain/ids.js';
import { openRun, openScene, type Scene } from '../faults/scene.js';
import { attendRun, must } from '../support/person.js';
import { type TestSystem, until } from '../support/system.js';
import type { RunView } from '../../db/run.js';
import { ended, type Left, left, problem, temporalClient, view as viewed } from './support.js';

const view = (system: TestSystem, run: string) => viewed(system, run) as unknown as Promise<RunView>;

const name = 'again';
let scene: Scene;
let system: TestSystem;
let first: RunView;
beforeAll(async () => {
  scene = await openScene(null);
  ({ system } = scene);
  const done = await attendRun(system, await openRun(scene, name), scene.truth);
  first = await view(system, done.run.id);
}, 240_000);
afterAll(() => system?.stop());

/** How often a trainer child has begun, as the workers' logs tell. */
async function trainings(): Promise<number> {
  const folder = join(system.home, 'log');
  const logs = await Promise.all((await readdir(folder)).map((file) => readFile(join(folder, file), 'utf8')));
  return logs.join('').split('train.started').length - 1;
}

async function again(body: object, key?: string): Promise<{ id: string; number: number }> {
  return must(system, 'POST', `/api/v1/runs/${first.id}/rerun`, body, key);
}

/** Names of the activities that a run's workflow has scheduled. */
async function activities(number: number): Promise<string[]> {
  const { client, close } = await temporalClient(system);
  try {
    const { events } = await client.workflow.getHandle(workflowIds.run('default', name, number)).fetchHistory();
    return (events ?? []).flatMap(({ activityTaskScheduledEventAttributes: scheduled }) =>
      scheduled?.activityType?.name ? [scheduled.activityType.name] : [],
    );
  } finally {
    await close();
  }
}

const sha256 = async (version: number | null): Promise<string> => {
  const path = `/api/v1/models/${name}/versions/${version}/artifacts/model.onnx`;
  return (await fetch(system.url + path)).headers.get('etag') ?? '';
};

const batches = () => system.sql('select id from label_batch');

test(
  'takes data, labels and training over; with `fresh` it trains again, to the same bytes',
  { timeout: 240_000 },
  async () => {
    expect(first).toMatchObject({ status: 'succeeded', modelVersion: 1, rerunOf: null, fresh: true, until: null });
    const trained = await trainings();
    expect(trained).toBeGreaterThan(0);
    const key = 'again-1';
    const opened = await again({ by: 'kim' }, key);
    expect(await again({ by: 'kim' }, key)).toEqual(opened);
    const live = { status: 409, code: 'run-live' };
    await problem(system, 'POST', `/api/v1/runs/${first.id}/rerun`, {}, live);
    const done = await attendRun(system, opened.id, scene.truth);
    expect(done.labels).toBe(0);
    const second = await view(system, opened.id);
    expect(second).toMatchObject({
      status: 'succeeded',
      modelVersion: 2,
      rerunOf: { run: first.id, number: 1, from: null },
    });
    const from = { run: first.id, number: 1 };
    const reused = Object.fromEntries(second.steps.map((step) => [step.name, step.reused]));
    const taken = ['extract', 'profile', 'validate', 'split', 'label', 'featurize', 'train', 'package'];
    // the champion is another one now, so the evaluation is too
    const own = ['evaluate', 'register', 'approve', 'release'];
    expect(reused).toEqual({
      ...Object.fromEntries(taken.map((step) => [step, from])),
      ...Object.fromEntries(own.map((step) => [step, null])),
    });
    expect(second.steps.find((step) => step.name === 'train')?.summary).toMatch(/^reused from run 1: linear/);
    expect(await activities(2)).toEqual(expect.arrayContaining(['beginRun', 'profile', 'train', 'release']));
    for (const never of ['extract', 'validate', 'openLabels', 'mergeLabels']) {
      expect(await activities(2)).not.toContain(never);
    }
    expect(await trainings()).toBe(trained);
    expect(await batches()).toHaveLength(1);
    expect(await sha256(2)).toBe(await sha256(1));

    const fresh = await again({ fresh: true });
    const third = (await attendRun(system, fresh.id, scene.truth)).run;
    expect(third.status).toBe('succeeded');
    expect(await trainings()).toBe(trained + 1);
    expect(await sha256(3)).toBe(await sha256(1));
  },
);

test('ends where it is told, also when somebody starts it in Temporal', { timeout: 120_000 }, async () => {
  const before: Left = await left(system, name);
  const { id } = await again({ until: 'evaluate', from: 'package', overrides: { 'gate.min': 0.2 } });
  const run = await ended(system, id);
  expect(run).toMatchObject({ status: 'succeeded', modelVersion: null, until: 'evaluate', verdict: { passed: true } });
  expect(run.steps.map((step) => step.name)).toEqual(first.steps.slice(0, 9).map((step) => step.name));
  const { client, close } = await temporalClient(system);
  try {
    const args = [{ pipeline: name, until: 'split', fresh: true }];
    const workflowId = 'by-hand-until';
    await client.workflow.execute('trainingRun', { args, taskQueue: 'flow', workflowId });
    const [started] = await system.sql<{ id: string }>('select id from run where workflow_id = $1', [workflowId]);
    const shown = await view(system, started?.id ?? '');
    expect(shown).toMatchObject({ status: 'succeeded', fresh: true, until: 'split' });
    expect(shown.steps.map((step) => step.name)).toEqual(['extract', 'profile', 'validate', 'split']);
    expect(shown.steps.every((step) => step.reused === null)).toBe(true);
    const wrong = [{ pipeline: name, until: 'nowhere', fresh: 'yes' }];
    const refused = client.workflow.execute('trainingRun', { args: wrong, taskQueue: 'flow', workflowId: 'wrong' });
    await expect(refused).rejects.toMatchObject({ cause: { type: 'InvalidRequest' } });
  } finally {
    await close();
  }
  const after = await left(system, name);
  expect(after.modelVersions).toBe(before.modelVersions);
  expect(after.champion).toBe(before.champion);
});

test('says what it cannot do', async () => {
  const invalid = { status: 422, code: 'invalid-request' };
  const path = `/api/v1/pipelines/${name}/runs`;
  const { errors } = await problem(system, 'POST', path, { trigger: 'manual', until: 'deploy' }, invalid);
  expect(errors).toEqual([{ path: 'until', message: expect.stringContaining('allowed: extract, profile') as string }]);
  await problem(system, 'POST', path, { trigger: 'manual', fresh: 'yes' }, invalid);
  const rerun = `/api/v1/runs/${first.id}/rerun`;
  await problem(system, 'POST', rerun, { from: 'label' }, invalid);
  await problem(system, 'POST', rerun, { overrides: { 'labeling.batchSize': 3 } }, invalid);
  await problem(system, 'POST', '/api/v1/runs/run_0/rerun', {}, { status: 404, code: 'not-found' });
  await until('the loop to have seen all ends', async () => (await left(system, name)).liveRuns === 0);
});
