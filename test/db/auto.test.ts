import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  type AutoRound,
  autoRound,
  dropAudits,
  dueAudits,
  openAuto,
  revokedKeys,
  withdrawnFrom,
} from '../../db/auto.js';
import { advanceCampaign, createCampaign } from '../../db/campaign.js';
import { campaignPeople } from '../../db/campaign-asked.js';
import { campaignView } from '../../db/campaign-view.js';
import { inTransaction } from '../../db/client.js';
import { addDatasetVersion, getDatasetVersion } from '../../db/dataset.js';
import {
  batchAsked,
  checkedKeys,
  decideBatch,
  type DecideBatch,
  labelsOf,
  leaseTasks,
  listTasks,
  openBatch,
} from '../../db/labeling.js';
import { closeRun, runSpecification } from '../../db/run.js';
import { beginStep, finishStep } from '../../db/step.js';
import type { AutoPlan } from '../../domain/auto-label.js';
import { testDatabase, type TestDatabase } from '../support/database.js';
import { ask, count, digestOf, makeBatch, makePipeline, tasks, versionOf } from './facts.js';

let base: TestDatabase;
beforeAll(async () => {
  base = await testDatabase();
});
afterAll(() => base.close());

const rules = { maxError: 0.1, confidence: 0.95, auditShare: 0.5 };
const labeling = { strategy: 'margin', batchSize: 5, deadline: '1 hour' };
const stop = { labels: 1_000, deadline: null, plateau: null, target: null };
const keys = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => `p${from + i}`);

/** Labels all of them `a`; the first `audits` are to be checked. */
function planned(labelled: string[], audits: number): AutoPlan {
  const labels = labelled.map((key) => ({ key, label: 0, confidence: 0.9 }));
  const why = '0 of 60 checked items are wrong';
  return {
    ...{
      threshold: labels.length > 0 ? 0.8 : null,
      coverage: 0.5,
      labels,
      tests: [],
      leastSample: 59,
      tested: true,
      why,
    },
    audit: labelled.slice(0, audits),
  };
}

async function begun() {
  const { name } = await makePipeline(base.db, undefined, { labeling });
  const settings = {
    ask: 'unlabelled' as const,
    strategies: ['margin' as const],
    batchSize: 8,
    explore: 0.2,
    stop,
    auto: rules,
  };
  const who = { project: 'default', by: 'kim', verified: true };
  const { id } = await inTransaction(base.db, (tx) => createCampaign(tx, { ...who, pipeline: name, settings }));
  return id;
}

interface Opened {
  run: string;
  batch: string;
  dataset: string;
  auto: AutoRound;
}

/** The next round's batch: `own` and due audits among its tasks, each answered at once as `answer` says. */
async function openRound(id: string, plan: AutoPlan, answer: (key: string) => string | null): Promise<Opened> {
  await inTransaction(base.db, (tx) => advanceCampaign(tx, id, new Map(), Date.now()));
  const run = (await campaignView(base.db, 'default', id)).rounds.at(-1)!.run;
  const { dataset } = await runSpecification(base.db, run);
  const auto = (await autoRound(base.db, run))!;
  const earlier = await dueAudits(base.db, id);
  const checked = [...plan.audit, ...earlier.map(({ key }) => key)];
  const given = { annotator: 'kim', seconds: null, comment: null, source: null };
  const open = () =>
    inTransaction(base.db, async (tx) => {
      const opened = await openBatch(tx, {
        ...{ run, node: 'label', project: 'default', dataset, classes: ['a', 'b'], task: 'classification' },
        deadline: new Date(Date.now() + 3_600_000),
        tasks: [
          ...tasks(2).map((task) => ({ ...task, key: `${auto.round}${task.key}` })),
          ...checked.map((key) => ({
            ...{ key, item: { id: key }, reason: 'audit' as const, probability: null, score: null },
            suggestion: { label: 'a', confidence: 0.9 },
            answers: [answer(key)].flatMap((label) => (label === null ? [] : [{ ...given, label }])),
          })),
        ],
      });
      const asked = { own: plan.audit, earlier };
      const facts = {
        auto,
        batch: opened.id,
        dataset,
        plan,
        classes: ['a', 'b'],
        pool: 100,
        sample: 60,
        covered: ['c1'],
      };
      await openAuto(tx, { ...facts, asked });
      return opened.id;
    });
  const batch = await open();
  // an attempt that died after its commit comes again
  expect(await open()).toBe(batch);
  return { run, batch, dataset, auto };
}

const close = ({ batch }: Pick<Opened, 'batch'>, decision: DecideBatch['decision'] = 'close') =>
  inTransaction(base.db, (tx) =>
    decideBatch(tx, { batch, decisionId: 'd', decision, by: 'lee', verified: true, reason: null, tasks: null }),
  );
const end = ({ run }: Opened) => closeRun(base.db, { run, status: 'succeeded', failure: null });
const auto = async (id: string) => (await campaignView(base.db, 'default', id)).auto;

/** As `mergeLabels` leaves it: a version with the labels of today, and the step that made it. */
async function versionMade({ run, dataset }: Opened): Promise<`sha256:${string}`> {
  const batches = (await labelsOf(base.db, dataset)).flatMap((one) => (one.source === 'auto' ? [one.batch!] : []));
  const version = { ...versionOf(dataset, run), autoBatches: [...new Set(batches)] };
  const { digest } = await addDatasetVersion(base.db, version);
  const step = { workflowId: run, workflowRunId: 'w', activityId: 'merge', run, node: 'label' };
  const { fence } = await beginStep(base.db, { ...step, worker: 'w', attempt: 1 });
  await finishStep(base.db, { ...step, fence, result: { summary: '', dataset: digest }, summary: '' });
  return digest;
}

it('automatic labels land with the batch that people have checked, and never over a label of theirs', async () => {
  const id = await begun();
  const opened = await openRound(id, planned(keys(0, 20), 4), () => 'a');
  expect(await auto(id)).toMatchObject([{ status: 'landing', labels: 20, audit: 4, audited: 0, lo: null }]);
  expect(await labelsOf(base.db, opened.dataset)).toEqual([]);
  await base.db.execute(sql`insert into label (dataset, key, label, source, annotators)
    values (${opened.dataset}, 'p9', 'b', 'human', '["lee"]')`);
  await close(opened);
  await close(opened);
  const landed = await labelsOf(base.db, opened.dataset);
  expect(landed.filter(({ source }) => source === 'auto')).toHaveLength(15);
  expect(landed.find(({ key }) => key === 'p9')).toMatchObject({ label: 'b', source: 'human' });
  expect(landed.find(({ key }) => key === 'p0')).toMatchObject({ label: 'a', source: 'human', annotators: ['kim'] });
  expect(landed.find(({ key }) => key === 'p19')).toMatchObject({ label: 'a', source: 'auto', batch: opened.batch });
  const [standing] = await auto(id);
  expect(standing).toMatchObject({ status: 'standing', audited: 4, errors: 0, lo: 0 });
  expect(standing!.hi).toBeLessThan(1);
  expect(await campaignView(base.db, 'default', id)).toMatchObject({ labels: { human: 4, auto: 16 } });
});

it('what people disprove at once never lands', async () => {
  const id = await begun();
  const opened = await openRound(id, planned(keys(0, 10), 5), (key) => (key === 'p0' ? 'a' : 'b'));
  await close(opened);
  expect(await auto(id)).toMatchObject([{ status: 'revoked', audited: 5, errors: 4 }]);
  const labels = await labelsOf(base.db, opened.dataset);
  expect(labels.map(({ key, label, source }) => `${key} ${label} ${source}`)).toEqual(
    keys(0, 5).map((key) => `${key} ${key === 'p0' ? 'a' : 'b'} human`),
  );
  await end(opened);
  await inTransaction(base.db, (tx) => advanceCampaign(tx, id, new Map(), Date.now()));
  const next = (await campaignView(base.db, 'default', id)).rounds.at(-1)!.run;
  // its share of the error is spent
  expect(await autoRound(base.db, next)).toMatchObject({ number: 2, round: 2 });
});

it('what is disproved later is withdrawn: labels gone, versions marked, runs told, in the audit', async () => {
  const id = await begun();
  const first = await openRound(id, planned(keys(0, 20), 10), (key) => (key < 'p5' ? 'a' : 'b'));
  // so far people were asked about two of them
  await base.db.execute(sql`update label_task set status = 'open', label = null
    where batch = ${first.batch} and reason = 'audit' and key not in ('p0', 'p1')`);
  await close(first);
  expect(await auto(id)).toMatchObject([{ status: 'standing', audited: 2, errors: 0 }]);
  const held = await versionMade(first);
  const before = await addDatasetVersion(base.db, {
    ...versionOf(first.dataset, first.run),
    digest: digestOf('other'),
  });
  await end(first);

  const second = await openRound(id, planned([], 0), (key) => (key < 'p5' ? 'a' : 'b'));
  expect(await auto(id)).toMatchObject([{ status: 'standing' }, { status: 'none', labels: 0 }]);
  await close(second);
  const reason = '5 of 10 checked labels are wrong: at least 25.0 % of all, 10.0 % are promised at most';
  expect((await auto(id))[0]).toMatchObject({ status: 'revoked', audited: 10, errors: 5, why: reason });
  const labels = await labelsOf(base.db, first.dataset);
  expect(labels.map(({ source }) => source)).toEqual(Array(10).fill('human'));
  expect(await getDatasetVersion(base.db, first.dataset, held)).toMatchObject({
    superseded: { reason, campaign: id, autoBatch: (await auto(id))[0]!.id },
  });
  expect((await getDatasetVersion(base.db, first.dataset, before.digest)).superseded).toBeNull();
  expect(await withdrawnFrom(base.db, first.run)).toMatchObject([{ campaign: id, round: 1, reason }]);
  expect(await withdrawnFrom(base.db, second.run)).toEqual([]);
  expect([...(await revokedKeys(base.db, id))].sort()).toEqual(keys(0, 20).sort());
  const [entry] = await ask<{ details: object }>(
    base.db,
    sql`select details from audit where action = 'labels.revoked' and subject = ${(await auto(id))[0]!.id}`,
  );
  expect(entry?.details).toMatchObject({ audited: 10, errors: 5, versions: 1, runs: [first.run] });

  // somebody read the labels before and writes a version of them only now
  const late = { ...versionOf(first.dataset, second.run), autoBatches: [first.batch] };
  await addDatasetVersion(base.db, late);
  expect((await getDatasetVersion(base.db, first.dataset, late.digest)).superseded).toMatchObject({ reason });
  expect(await withdrawnFrom(base.db, second.run)).toHaveLength(1);
  // the same content with labels that stand is as good as any
  await addDatasetVersion(base.db, { ...late, autoBatches: [] });
  expect((await getDatasetVersion(base.db, first.dataset, late.digest)).superseded).toBeNull();
});

it.each(['batch', 'run'])(
  'a cancelled %s: its labels come to nothing, what it was to check is asked again',
  async (what) => {
    const id = await begun();
    const first = await openRound(id, planned(keys(0, 20), 10), () => 'a');
    await base.db.execute(sql`update label_task set status = 'open', label = null
    where batch = ${first.batch} and reason = 'audit' and key <> 'p0'`);
    await close(first);
    await end(first);
    const second = await openRound(id, planned(keys(30, 40), 2), () => 'b');
    if (what === 'batch') await close(second, 'cancel');
    else await closeRun(base.db, { run: second.run, status: 'cancelled', failure: null });
    expect(await auto(id)).toMatchObject([
      { status: 'standing', audited: 1 },
      { status: 'void', audited: 0 },
    ]);
    expect((await labelsOf(base.db, first.dataset)).every(({ label }) => label === 'a')).toBe(true);
    expect((await dueAudits(base.db, id)).map(({ key }) => key)).toEqual(keys(1, 10));
    expect(await count(base.db, 'auto_label', sql`asked = ${second.batch}`)).toBe(0);
  },
);

it('nobody is told which items are checks while people answer', async () => {
  const id = await begun();
  const opened = await openRound(id, planned(keys(0, 20), 4), (key) => (key === 'p0' ? 'a' : null));
  const page = { limit: 100, cursor: null };
  const leased = await leaseTasks(base.db, { project: 'default', batch: opened.batch, labeler: 'lee', count: 10 });
  expect(leased).toHaveLength(5);
  expect(leased.some(({ suggestion }) => suggestion?.label === 'a')).toBe(true);
  expect(leased.filter(({ suggestion }) => suggestion && suggestion.confidence !== null)).toEqual([]);
  const sure = async () => {
    const { items } = await listTasks(base.db, { project: 'default', batch: opened.batch, page });
    return items.filter(({ suggestion }) => suggestion && suggestion.confidence !== null).length;
  };
  expect(await sure()).toBe(0);
  const reasons = async () => {
    const { items } = await listTasks(base.db, { project: 'default', batch: opened.batch, page });
    return [...new Set(items.map(({ reason }) => reason))].sort();
  };
  expect(await reasons()).toEqual(['explore', 'strategy']);
  const asked = await batchAsked(base.db, opened.batch);
  expect(asked.reasons.map(({ reason, tasks: n }) => [reason, n])).toEqual([
    ['explore', 4],
    ['strategy', 2],
  ]);
  expect(asked.first.filter(({ reason }) => reason === 'explore')).toHaveLength(4);
  expect(asked.first.filter(({ reason }) => reason === 'audit')).toEqual([]);
  const round = async () => (await campaignPeople(base.db, id)).asked.map(({ reason }) => reason);
  expect(await round()).toEqual(['explore', 'strategy']);
  await close(opened);
  expect(await reasons()).toEqual(['audit', 'strategy']);
  expect(await round()).toEqual(['audit', 'strategy']);
  expect(await sure()).toBe(5);
});

it('checked rows that automatic labels cover leave the sample as long as these stand', async () => {
  const id = await begun();
  const given = { annotator: 'kim', seconds: null, comment: null, source: null };
  const { run, dataset, batch } = await openRound(id, planned(keys(0, 10), 5), () => 'b');
  await inTransaction(base.db, (tx) =>
    openBatch(tx, {
      ...{ run, node: 'other', project: 'default', dataset, classes: ['a', 'b'], task: 'classification' },
      deadline: new Date(Date.now() + 3_600_000),
      tasks: ['c1', 'c2'].map((key) => ({
        ...{ key, item: {}, suggestion: null, reason: 'explore' as const, probability: 0.1, score: null },
        answers: [{ ...given, label: 'a' }],
      })),
    }),
  ).then(({ id: other }) => close({ batch: other }));
  expect(await checkedKeys(base.db, dataset)).toEqual([{ key: 'c2', answered: true }]);
  await close({ batch });
  expect(await auto(id)).toMatchObject([{ status: 'revoked' }]);
  expect(await checkedKeys(base.db, dataset)).toEqual(['c1', 'c2'].map((key) => ({ key, answered: true })));
});

it('what people label on another occasion is checked: asked no more, and judged with the rest', async () => {
  const id = await begun();
  const first = await openRound(id, planned(keys(0, 20), 10), (key) => (key === 'p0' ? 'a' : null));
  await close(first);
  await end(first);
  expect((await dueAudits(base.db, id)).map(({ key }) => key)).toEqual(keys(1, 10));
  await base.db.execute(sql`update label set label = 'b', source = 'human', batch = null
    where dataset = ${first.dataset} and key in ('p1', 'p2', 'p3', 'p4', 'p5')`);
  expect((await dueAudits(base.db, id)).map(({ key }) => key)).toEqual(keys(6, 10));
  await dropAudits(base.db, await dueAudits(base.db, id));
  expect(await dueAudits(base.db, id)).toEqual([]);
  await close(await openRound(id, planned([], 0), () => 'a'));
  // what was dropped is no answer, neither a right nor a wrong one
  expect((await auto(id))[0]).toMatchObject({ status: 'revoked', audited: 6, errors: 5 });
});

it('what people leave as often as they are asked counts as wrong', async () => {
  const id = await begun();
  const left = (key: string) => (key < 'p5' ? null : 'a');
  for (const plan of [planned(keys(0, 10), 10), planned([], 0)]) {
    const opened = await openRound(id, plan, left);
    await close(opened);
    await end(opened);
  }
  expect((await auto(id))[0]).toMatchObject({ status: 'revoked', audited: 10, errors: 5 });
  expect(await dueAudits(base.db, id)).toEqual([]);
});

it('a drawn row that people skipped or left is part of the sample', async () => {
  const { dataset, batch } = await makeBatch(base.db, 1, {
    more: tasks(4).map((task, at) => ({
      ...{ ...task, key: `d${task.key}`, reason: 'explore', probability: 0.1 },
      answers: at === 2 ? [{ annotator: 'kim', label: 'a', seconds: null, comment: null, source: null }] : [],
    })),
  });
  expect(await checkedKeys(base.db, dataset)).toEqual([]);
  await base.db.execute(sql`update label_task set status = 'skipped' where batch = ${batch} and key = 'dk0001'`);
  await close({ batch });
  expect(await checkedKeys(base.db, dataset)).toEqual(
    ['dk0000', 'dk0001', 'dk0002', 'dk0003'].map((key) => ({ key, answered: key === 'dk0002' })),
  );
});
