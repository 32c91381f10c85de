// Versions and champions: promoted, rolled back, moved under a run's feet; and runs that end before they register one.
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { must } from '../support/person.js';
import { startTestSystem, type TestSystem, until } from '../support/system.js';
import {
  champion,
  decide,
  ended,
  left,
  nothing,
  open,
  pipeline,
  post,
  problem,
  promotion,
  rows,
  view,
  waitsFor,
} from './support.js';

let system: TestSystem;

beforeAll(async () => {
  system = await startTestSystem();
});
afterAll(() => system?.stop());

const approval = { deadline: '1 hour' };
const nowhere = { status: 409, code: 'nothing-to-roll-back-to' };

async function promote(name: string, overrides = {}): Promise<number> {
  return promotion(await ended(system, await open(system, name, overrides)));
}

function rollback(name: string): Promise<{ champion: number }> {
  return must(system, 'POST', `/api/v1/models/${name}/rollback`, { by: 'lee', reason: 'test' });
}

interface Evaluated {
  champion: { version: number } | null;
  candidates: { chosen: boolean; reason: string; trainer: string }[];
  calibration: { temperature: number; after: { logLoss: number } };
  importance: { columns: { column: string; mean: number }[] };
}

async function evaluation(run: string): Promise<Evaluated> {
  const { evaluation: digest } = await view(system, run);
  const answer = await system.call<Evaluated | string>('GET', `/api/v1/artifacts/${digest}`);
  return typeof answer.body === 'string' ? (JSON.parse(answer.body) as Evaluated) : answer.body;
}

describe.concurrent('champions', { timeout: 120_000 }, () => {
  test('a second version replaces the first; rollback goes back, once', async () => {
    const path = '/api/v1/models/replaced/rollback';
    const by = { by: 'lee', reason: 'test' };
    await post(system, pipeline('replaced'), rows(60));
    await problem(system, 'POST', path, by, nowhere);
    expect(await promote('replaced')).toBe(1);
    await problem(system, 'POST', path, by, nowhere);
    await problem(system, 'POST', path, { reason: 'test' }, { status: 422, code: 'invalid-request' });
    expect(await promote('replaced', { 'trainer.seed': 8 })).toBe(2);
    expect(await champion(system, 'replaced')).toBe(2);
    const predict = () => must(system, 'POST', '/api/v1/models/replaced/predict', { rows: [{ x: 5, noise: 0 }] });
    expect(await predict()).toMatchObject({ modelVersion: 2, predictions: [{ label: 'yes' }] });
    expect(await rollback('replaced')).toEqual({ champion: 1 });
    expect(await predict()).toMatchObject({ modelVersion: 1 });
    await problem(system, 'POST', path, by, nowhere);
    const { items } = await must<{ items: object[] }>(system, 'GET', '/api/v1/models/replaced/history');
    expect(items).toMatchObject([
      { from: 2, to: 1, kind: 'rollback', by: 'lee' },
      { from: 1, to: 2, kind: 'promotion' },
      { from: null, to: 1, kind: 'promotion' },
    ]);
  });

  test('the champion moves while a candidate waits: evaluated and asked again', async () => {
    await post(system, pipeline('moved', { gate: { metric: 'accuracy', champion: { notWorseBy: 1 } } }), rows(60));
    expect(await promote('moved')).toBe(1);
    expect(await promote('moved', { 'trainer.seed': 8 })).toBe(2);
    const run = await open(system, 'moved', { approval, 'trainer.seed': 9 });
    const first = await waitsFor(system, run, 'approval');
    expect((await evaluation(run)).champion?.version).toBe(2);
    expect(await rollback('moved')).toEqual({ champion: 1 });
    const digest = await decide(system, first.id, 'approve');
    const second = await until('the run to ask again', async () => {
      const { waitingFor } = await view(system, run);
      return waitingFor?.kind === 'approval' && waitingFor.id !== first.id ? waitingFor : null;
    });
    expect((await evaluation(run)).champion?.version).toBe(1);
    expect(await champion(system, 'moved')).toBe(1);
    const path = (id: string) => `/api/v1/approvals/${id}/decision`;
    const other = { decision: 'reject', by: 'lee', digest };
    await problem(system, 'POST', path(first.id), other, { status: 409, code: 'already-decided' });
    const stale = { decision: 'approve', by: 'lee', digest: `sha256:${'1'.repeat(64)}` };
    await problem(system, 'POST', path(second.id), stale, { status: 409, code: 'stale-candidate' });
    await decide(system, second.id, 'approve');
    expect(promotion(await ended(system, run))).toBe(3);
    expect(await champion(system, 'moved')).toBe(3);
    expect((await left(system, 'moved')).modelVersions).toBe(3);
  });

  test('several candidates: the best goes on, the other keeps its reason', async () => {
    const good = { type: 'linear', params: { epochs: 20, batch: 16, learningRate: 0.05 }, seed: 7 };
    const poor = { type: 'linear', params: { epochs: 1, batch: 65_536, learningRate: 0.00000001 }, seed: 3 };
    await post(system, pipeline('several', { trainer: [poor, good], gate: { metric: 'logLoss', max: 0.6 } }), rows(90));
    const run = await open(system, 'several');
    expect(promotion(await ended(system, run))).toBe(1);
    const { candidates } = await evaluation(run);
    expect(candidates.map(({ chosen }) => chosen)).toEqual([false, true]);
    for (const { reason } of candidates) expect(reason).toContain('logLoss');
    const { calibration, importance } = await evaluation(run);
    expect(calibration.temperature).toBeGreaterThan(0);
    expect(calibration.after.logLoss).toBe((await view(system, run)).metrics['logLoss']);
    expect(importance).toMatchObject({ metric: 'logLoss', repeats: 5, unmeasured: 0, columns: [{ column: 'x' }, {}] });
    const version = await must<{ details: { experiment: Evaluated } }>(
      system,
      'GET',
      '/api/v1/models/several/versions/1',
    );
    expect(version.details.experiment).toMatchObject({ calibration, importance });
  });

  test('a gate that does not pass rejects, with its reasons', async () => {
    await post(system, pipeline('gated', { gate: { metric: 'logLoss', max: 0.00000001 } }), rows(60));
    const run = await ended(system, await open(system, 'gated'));
    expect(run).toMatchObject({ status: 'rejected', failure: null, modelVersion: null, verdict: { passed: false } });
    expect(run.verdict?.reasons.join()).toContain('logLoss');
    expect(run.metrics['accuracy']).toBeGreaterThan(0);
    expect(await left(system, 'gated')).toEqual({ ...nothing, datasetVersions: 1 });
  });
});

/** No trainer works for a run that has ended. */
async function expectNoTrainer(): Promise<void> {
  await until('the trainers to be gone', async () => (await system.running()).pids.trainer.length === 0);
}

describe.concurrent('cancelled', { timeout: 120_000 }, () => {
  test('while an approval is waited for; a second run is refused until then', async () => {
    await post(system, pipeline('waits', { approval }), rows(60));
    const run = await open(system, 'waits');
    const { id } = await waitsFor(system, run, 'approval');
    const path = '/api/v1/pipelines/waits/runs';
    const refused = await problem(system, 'POST', path, { trigger: 'manual' }, { status: 409, code: 'run-live' });
    expect(refused.run).toBe(run);
    const answer = await system.call('POST', `/api/v1/runs/${run}/cancel`);
    expect(answer.status).toBe(202);
    expect(await ended(system, run)).toMatchObject({ status: 'cancelled', waitingFor: null, failure: null });
    expect(await left(system, 'waits')).toMatchObject({ liveRuns: 0, openApprovals: 0, champion: null });
    const { digest } = await must<{ digest: string }>(system, 'GET', `/api/v1/approvals/${id}`);
    const late = { decision: 'approve', by: 'lee', digest };
    await problem(system, 'POST', `/api/v1/approvals/${id}/decision`, late, { status: 409, code: 'already-decided' });
  });

  test('while labels are waited for', async () => {
    const labeling = { strategy: 'random', batchSize: 5, deadline: '1 hour' };
    await post(system, pipeline('asks', { labeling }), rows(80, { unlabelled: 3 }));
    const run = await open(system, 'asks');
    const { id } = await waitsFor(system, run, 'labels');
    await must(system, 'POST', `/api/v1/runs/${run}/cancel`);
    expect(await ended(system, run)).toMatchObject({ status: 'cancelled', waitingFor: null });
    expect(await left(system, 'asks')).toEqual({ ...nothing, datasetVersions: 1 });
    await until('the batch to be closed', async () => {
      const { status } = await must<{ status: string }>(system, 'GET', `/api/v1/label-batches/${id}`);
      return status === 'cancelled';
    });
    const lease = { labeler: 'kim', count: 1 };
    await problem(system, 'POST', `/api/v1/label-batches/${id}/lease`, lease, { status: 409, code: 'batch-closed' });
  });

  test('while it trains: the trainer is gone, nothing is registered', async () => {
    const trainer = { type: 'linear', params: { epochs: 10_000, batch: 1 }, seed: 7 };
    await post(system, pipeline('trains', { trainer }), rows(80));
    const run = await open(system, 'trains');
    await until('a checkpoint', async () => {
      const steps = await system.sql<{ progress: { step?: number } | null }>(
        `select progress from step where run = $1 and node = 'train'`,
        [run],
      );
      return (steps[0]?.progress?.step ?? 0) > 0;
    });
    await must(system, 'POST', `/api/v1/runs/${run}/cancel`);
    const done = await ended(system, run);
    expect(done).toMatchObject({ status: 'cancelled', modelVersion: null, failure: null });
    expect(done.steps.find(({ name }) => name === 'train')?.status).toBe('cancelled');
    expect(await left(system, 'trains')).toEqual({ ...nothing, datasetVersions: 1 });
  });
});

test('in the end no trainer runs, and the log names no error of ours', async () => {
  await expectNoTrainer();
  const log = await readFile(`${system.home}/log/flow.log`, 'utf8');
  expect(log.split('\n').filter((line) => line.includes('Nondeterminism'))).toEqual([]);
});
