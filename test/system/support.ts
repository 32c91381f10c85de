// What the system tests say often: post a pipeline, open a run, follow it to its end, count what a run may leave behind.
import { Client, Connection } from '@temporalio/client';
import { expect } from 'vitest';
import type { RunView } from '../../examples/digits/client.js';
import { must } from '../support/person.js';
import { type TestSystem, until } from '../support/system.js';

export type Row = Record<string, unknown>;

export interface Problem {
  type: string;
  status: number;
  detail: string;
  errors?: { path: string; message: string }[];
  run?: string;
}

/** A document that works for `rows()`: key id, label y; what is in `more` replaces whole sections. */
export function pipeline(name: string, more: Row = {}): Row {
  return {
    name,
    dataset: { name, key: 'id', label: 'y', task: 'classification' },
    split: { holdout: 0.3, validation: 0.1, seed: 3 },
    trainer: { type: 'linear', params: { epochs: 2, batch: 32 }, seed: 7 },
    gate: { metric: 'accuracy', min: 0.1 },
    ...more,
  };
}

/** Two classes that one number tells apart; every `unlabelled`-th row comes without its label. */
export function rows(count: number, options: { from?: number; unlabelled?: number; noise?: boolean } = {}): Row[] {
  const { from = 0, unlabelled = 0 } = options;
  return Array.from({ length: count }, (_, i) => {
    const number = from + i;
    const y = truthOf({ id: `k${number}` });
    const x = (y === 'yes' ? 5 : -5) + Math.sin(number);
    return { id: `k${number}`, x, noise: Math.cos(number * 7), y: unlabelled > 0 && i % unlabelled === 0 ? null : y };
  });
}

export function truthOf(item: Row): string {
  return Number(String(item['id']).slice(1)) % 2 === 0 ? 'yes' : 'no';
}

export async function post(system: TestSystem, document: Row, content?: Row[]): Promise<{ version: number }> {
  const saved = await must<{ version: number }>(system, 'POST', '/api/v1/pipelines', document);
  if (content) await must(system, 'POST', `/api/v1/datasets/${String(document['name'])}/rows`, content);
  return saved;
}

export async function open(system: TestSystem, name: string, overrides: Row = {}): Promise<string> {
  const body = { trigger: 'manual', overrides };
  return (await must<{ id: string }>(system, 'POST', `/api/v1/pipelines/${name}/runs`, body)).id;
}

export function view(system: TestSystem, run: string): Promise<RunView> {
  return must<RunView>(system, 'GET', `/api/v1/runs/${run}`);
}

export async function ended(system: TestSystem, run: string, patienceMs = 60_000): Promise<RunView> {
  return until(
    `run ${run} to end`,
    async () => {
      const now = await view(system, run);
      return ['running', 'waiting'].includes(now.status) ? null : now;
    },
    patienceMs,
  );
}

export async function waitsFor(
  system: TestSystem,
  run: string,
  kind: string,
): Promise<NonNullable<RunView['waitingFor']>> {
  return until(`run ${run} to wait for ${kind}`, async () => {
    const now = await view(system, run);
    if (!['running', 'waiting'].includes(now.status))
      throw new Error(`run ended ${now.status}: ${JSON.stringify(now.failure)}`);
    return now.waitingFor?.kind === kind ? now.waitingFor : null;
  });
}

export async function runs(system: TestSystem, name: string): Promise<RunView[]> {
  const { items } = await must<{ items: RunView[] }>(system, 'GET', `/api/v1/runs?pipeline=${name}`);
  return items.sort((a, b) => a.number - b.number);
}

/** The `number`-th run of a pipeline, once it is there. */
export function runNumber(system: TestSystem, name: string, number: number): Promise<RunView> {
  return until(`run ${number} of ${name}`, async () => (await runs(system, name)).find((run) => run.number === number));
}

export async function champion(system: TestSystem, name: string): Promise<number | null> {
  const { aliases } = await must<{ aliases: Record<string, number> }>(system, 'GET', `/api/v1/models/${name}`);
  return aliases['champion'] ?? null;
}

export interface Left {
  datasetVersions: number;
  modelVersions: number;
  liveRuns: number;
  openBatches: number;
  openApprovals: number;
  champion: number | null;
}

/** What a pipeline has in the database: a run that failed early leaves none of it. */
export async function left(system: TestSystem, name: string): Promise<Left> {
  const [counted] = await system.sql<Left>(
    `select (select count(*)::int from dataset_version v where v.dataset = p.dataset) as "datasetVersions",
        (select count(*)::int from model_version v where v.model = p.model) as "modelVersions",
        (select count(*)::int from run r where r.pipeline = p.id and r.finished_at is null) as "liveRuns",
        (select count(*)::int from label_batch b join run r on r.id = b.run
          where r.pipeline = p.id and b.status in ('open', 'review')) as "openBatches",
        (select count(*)::int from approval a join run r on r.id = a.run
          where r.pipeline = p.id and a.status = 'open') as "openApprovals",
        (select version from alias a where a.model = p.model and a.name = 'champion') as champion
      from pipeline p where p.name = $1`,
    [name],
  );
  if (!counted) throw new Error(`there is no pipeline ${name}`);
  return counted;
}

export const nothing: Left = {
  datasetVersions: 0,
  modelVersions: 0,
  liveRuns: 0,
  openBatches: 0,
  openApprovals: 0,
  champion: null,
};

/** Posts, runs, and expects that failure with nothing left behind. */
export async function expectFailure(
  system: TestSystem,
  document: Row,
  content: Row[] | undefined,
  failure: { type: string; step: string },
): Promise<RunView> {
  const name = String(document['name']);
  await post(system, document, content);
  const run = await ended(system, await open(system, name));
  expect(run).toMatchObject({ status: 'failed', failure, modelVersion: null, waitingFor: null });
  expect(run.failure?.detail).not.toBe('');
  expect(run.steps.find((step) => step.name === failure.step)?.status).toBe('failed');
  expect(await left(system, name)).toEqual(nothing);
  return run;
}

export async function problem(
  system: TestSystem,
  method: string,
  path: string,
  body: unknown,
  expected: { status: number; code: string },
  options: { contentType?: string; headers?: Record<string, string> } = {},
): Promise<Problem> {
  const answer = await system.call<Problem>(method, path, body, options);
  expect({ status: answer.status, type: answer.body.type }, JSON.stringify(answer.body)).toEqual({
    status: expected.status,
    type: `/problems/${expected.code}`,
  });
  return answer.body;
}

export function promotion(run: RunView): number {
  expect(run, JSON.stringify(run.failure ?? run.verdict)).toMatchObject({ status: 'succeeded' });
  return run.modelVersion ?? 0;
}

/** A client of Temporal alone, as a person with its CLI is one. */
export async function temporalClient(system: TestSystem): Promise<{ client: Client; close(): Promise<void> }> {
  const connection = await Connection.connect({ address: system.temporal });
  return { client: new Client({ connection, namespace: 'perennial' }), close: () => connection.close() };
}

/** Approves or rejects what waits in `approval`, naming the digest that it has now. */
export async function decide(system: TestSystem, approval: string, decision: 'approve' | 'reject'): Promise<string> {
  const path = `/api/v1/approvals/${approval}`;
  const { digest } = await must<{ digest: string }>(system, 'GET', path);
  await must(system, 'POST', `${path}/decision`, { decision, by: 'lee', digest });
  return digest;
}
