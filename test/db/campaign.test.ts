import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  advanceCampaign,
  campaignDecisionId,
  createCampaign,
  decideCampaign,
  liveCampaigns,
  type Measured,
} from '../../db/campaign.js';
import { campaignView, listCampaigns } from '../../db/campaign-view.js';
import { inTransaction } from '../../db/client.js';
import { closeRun } from '../../db/run.js';
import type { CampaignSettings } from '../../domain/campaign.js';
import { testDatabase, type TestDatabase } from '../support/database.js';
import { ask, count, failureOf, makePipeline, makeRun } from './facts.js';

let base: TestDatabase;
beforeAll(async () => {
  base = await testDatabase();
});
afterAll(() => base.close());

const labeling = { strategy: 'margin', batchSize: 5, deadline: '1 hour' };
const rules = { labels: 20, deadline: null, plateau: null, target: null };
const settings: CampaignSettings = {
  ask: 'unlabelled',
  strategies: ['badge'],
  batchSize: 8,
  explore: 0.2,
  stop: rules,
};
const create = (pipeline: string, more: Partial<CampaignSettings> = {}) =>
  inTransaction(base.db, (tx) =>
    createCampaign(tx, { project: 'default', pipeline, settings: { ...settings, ...more }, by: 'kim', verified: true }),
  );
const advance = (id: string, measured = new Map<string, Measured>()) =>
  inTransaction(base.db, (tx) => advanceCampaign(tx, id, measured, Date.now()));
const decide = (campaign: string, decision: 'stop' | 'pause' | 'resume', decisionId: string | null = null) =>
  inTransaction(base.db, (tx) =>
    decideCampaign(tx, { campaign, decisionId, decision, by: 'lee', verified: true, reason: null }),
  );
const view = (id: string) => campaignView(base.db, 'default', id);

async function begun(more: Partial<CampaignSettings> = {}) {
  const { name } = await makePipeline(base.db, undefined, { labeling });
  return { name, ...(await create(name, more)) };
}

it('opens one round however often it is told, and however many tell it', async () => {
  const { id, name } = await begun();
  const all = await Promise.all([advance(id), advance(id), advance(id)]);
  expect(all.every((one) => one?.step.kind === 'wait')).toBe(true);
  const { rounds } = await view(id);
  expect(rounds).toMatchObject([{ round: 1, number: 1, strategy: 'badge', labels: 0, batch: null }]);
  const [run] = await ask<{ trigger: string; overrides: object }>(
    base.db,
    sql`select trigger, overrides from run where id = ${rounds[0]!.run}`,
  );
  expect(run).toMatchObject({
    trigger: 'campaign',
    overrides: { 'labeling.strategy': 'badge', 'labeling.batchSize': 8, 'labeling.explore': 0.2 },
  });
  expect(await count(base.db, 'run', sql`pipeline = (select id from pipeline where name = ${name})`)).toBe(1);
});

it('hears of the end of every run of its pipeline, and opens the next round then', async () => {
  const { name } = await makePipeline(base.db, undefined, { labeling });
  const other = await makeRun(base.db, name, 'other');
  const { id, workflowId } = await create(name);
  expect(await advance(id)).toMatchObject({ step: { kind: 'wait', why: `${other.id} is alive` } });
  const told = () => count(base.db, 'outbox', sql`workflow_id = ${workflowId} and name = 'stirred'`);
  expect(await told()).toBe(0);
  await closeRun(base.db, { run: other.id, status: 'succeeded', failure: null });
  expect(await told()).toBe(1);
  await advance(id);
  const [first] = (await view(id)).rounds;
  await closeRun(base.db, { run: first!.run, status: 'cancelled', failure: null });
  expect(await advance(id)).toMatchObject({ status: 'stopped', step: { reason: 'run-cancelled' } });
  expect(await advance(id)).toMatchObject({ status: 'stopped' });
  expect(await view(id)).toMatchObject({ status: 'stopped', stopReason: 'run-cancelled' });
});

it('waits for the round that a stopped campaign left', async () => {
  const { id, name } = await begun();
  await advance(id);
  const [left] = (await view(id)).rounds;
  await decide(id, 'stop');
  const next = await create(name);
  expect(await advance(next.id)).toMatchObject({ step: { kind: 'wait', why: `${left!.run} is alive` } });
  await closeRun(base.db, { run: left!.run, status: 'succeeded', failure: null });
  expect(await advance(next.id)).toMatchObject({ step: { kind: 'wait', why: 'round 1 goes on: run 2' } });
});

it('ends with the reason where the software takes the stored document no more', async () => {
  const { id, name } = await begun();
  await advance(id);
  const [first] = (await view(id)).rounds;
  await base.db.execute(sql`update pipeline_version set source = source || '{"gone": 1}'
    where pipeline = (select id from pipeline where name = ${name})`);
  // the round that lives is waited for
  expect((await advance(id))?.step.kind).toBe('wait');
  await closeRun(base.db, { run: first!.run, status: 'failed', failure: null });
  expect(await advance(id)).toMatchObject({ step: { kind: 'stop', reason: 'failed-runs' }, status: 'stopped' });
  expect((await view(id)).why).toContain('round 2 does not fit the pipeline');
});

it('goes on after one run that failed', async () => {
  const { id } = await begun();
  await advance(id);
  const run = (await view(id)).rounds[0]!.run;
  await closeRun(base.db, { run, status: 'failed', failure: null });
  expect(await advance(id)).toMatchObject({ step: { kind: 'wait', why: 'round 2 goes on: run 2' } });
});

it('one lives per pipeline, and only where every round fits the document', async () => {
  const { name, id } = await begun();
  expect(await failureOf(create(name))).toBe('CampaignLive');
  expect((await view(id)).status).toBe('running');
  expect(await failureOf(create('nowhere'))).toBe('NotFound');
  const dataset = { name: 'numbers', key: 'id', label: 'label', task: 'regression' };
  const gate = { metric: 'rmse', max: 1 };
  const { name: numbers } = await makePipeline(base.db, undefined, { dataset, gate });
  expect(await failureOf(create(numbers))).toBe('InvalidRequest');
  const stop = { ...rules, target: 0.9 };
  expect(await failureOf(create(numbers, { strategies: ['random'], stop }))).toBe('InvalidRequest');
  const auto = { maxError: 0.05, confidence: 0.95, auditShare: 0.05 };
  expect(await failureOf(create(numbers, { strategies: ['random'], auto }))).toBe('InvalidRequest');
  await create(numbers, { strategies: ['random'] });
});

it('a decision counts once; the same later is another one', async () => {
  const { id } = await begun();
  expect(await decide(id, 'pause', 'mine')).toMatchObject({ status: 'paused', decisionId: 'mine' });
  expect(await decide(id, 'pause', 'mine')).toMatchObject({ status: 'paused', decisionId: 'mine' });
  const before = await campaignDecisionId(base.db, { campaign: id, decision: 'pause', by: 'lee' });
  expect(await advance(id)).toMatchObject({ status: 'paused', step: { kind: 'wait' } });
  expect(await decide(id, 'resume')).toMatchObject({ status: 'running' });
  expect(await campaignDecisionId(base.db, { campaign: id, decision: 'pause', by: 'lee' })).not.toBe(before);
  expect((await decide(id, 'pause')).decisionId).not.toBe(before);
  const stopped = await decide(id, 'stop');
  expect(await decide(id, 'stop')).toEqual(stopped);
  expect(await failureOf(decide(id, 'resume'))).toBe('AlreadyDecided');
  const actions = await ask<{ action: string }>(
    base.db,
    sql`select action from audit where subject = ${id} order by number`,
  );
  expect(actions.map(({ action }) => action)).toEqual(['campaign.begun', ...Array(4).fill('campaign.decided')]);
});

it('is listed, and started again where its workflow is lost', async () => {
  const { id, name } = await begun();
  const page = { limit: 1, cursor: null };
  const { items, nextCursor } = await listCampaigns(base.db, { project: 'default', page });
  expect(items).toMatchObject([{ id, pipeline: name, status: 'running' }]);
  const next = await listCampaigns(base.db, { project: 'default', page: { limit: 50, cursor: nextCursor } });
  expect(next.items.map((one) => one.id)).not.toContain(id);
  expect((await listCampaigns(base.db, { project: 'default', pipeline: name, page })).items).toHaveLength(1);
  const lost = async () => (await liveCampaigns(base.db)).some((one) => one.id === id);
  expect(await lost()).toBe(false);
  await base.db.execute(sql`update outbox set sent_at = now() where workflow_id like ${`%${id}`}`);
  expect(await lost()).toBe(true);
});
