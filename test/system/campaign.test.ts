// A labeling campaign as its users see it: rounds that stop by themselves, over the death of the worker and of everything
// but the two databases; what waiting costs; people who pause it.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { attendRun, must } from '../support/person.js';
import { startTestSystem, type TestSystem, until } from '../support/system.js';
import { heldBy, isWaiting, stopProcesses } from './held.js';
import { ended, open, pipeline, post, rows, truthOf } from './support.js';

let system: TestSystem;
let first: TestSystem;

beforeAll(async () => {
  first = system = await startTestSystem();
});
afterAll(async () => {
  if (first !== system) await system.stop();
  await first?.stop();
});

interface Campaign {
  id: string;
  status: string;
  why: string;
  stopReason: string | null;
  labels: { human: number };
  rounds: {
    run: string;
    status: string;
    strategy: string;
    tasks: number;
    labels: number;
    labelsSoFar: number;
    accuracy: { value: number; lo: number; hi: number; n: number } | null;
    gain: { over: number; p: number } | null;
  }[];
}

const labeling = { strategy: 'margin', batchSize: 5, deadline: '1 hour' };
const look = (id: string) => must<Campaign>(system, 'GET', `/api/v1/campaigns/${id}`);

async function begin(name: string, stop: object): Promise<string> {
  await post(system, pipeline(name, { labeling }), rows(120, { unlabelled: 3 }));
  const body = { pipeline: name, strategy: ['kCenter', 'margin'], batchSize: 8, explore: 0.25, stop, by: 'kim' };
  return (await must<{ id: string }>(system, 'POST', '/api/v1/campaigns', body, `begin-${name}`)).id;
}

const round = (id: string, number: number) =>
  until(`round ${number}`, async () => (await look(id)).rounds[number - 1] ?? null);

test('asks round after round until its labels are spent, whoever dies in between', { timeout: 180_000 }, async () => {
  const id = await begin('spent', { labels: 12 });
  const one = await round(id, 1);
  const { run } = await attendRun(system, one.run, truthOf, { stopAt: 'labels' });
  const waiting = [
    `labels/default/${run.waitingFor?.id}`,
    `run/default/spent/${run.number}`,
    `labels/default/campaign/${id}`,
  ];
  const idle = { connections: 0, locks: 0, workflows: waiting.map(() => ({ status: 'RUNNING', pending: 0 })) };
  await until('everybody to wait', async () => (await heldBy(system, waiting)).workflows.every(isWaiting));
  await stopProcesses(system);
  const held = await heldBy(system, waiting);
  expect(held).toMatchObject(idle);
  // the batch's next reminder, a clock of Temporal's
  expect(held.workflows.map(({ timers }) => timers)).toEqual([1, 0, 0]);
  system = await startTestSystem({}, system.home);
  expect((await attendRun(system, one.run, truthOf)).labels).toBe(8);
  const second = await round(id, 2);
  await attendRun(system, second.run, truthOf, { stopAt: 'labels' });
  process.kill((await system.running()).pids.flow as number, 'SIGKILL');
  expect((await attendRun(system, second.run, truthOf)).labels).toBe(4);
  const done = await until('the campaign to stop', async () => {
    const now = await look(id);
    return now.status === 'stopped' ? now : null;
  });
  expect(done).toMatchObject({ stopReason: 'labels', why: '12 of 12 labels are given', labels: { human: 12 } });
  expect(done.rounds).toMatchObject([
    { strategy: 'kCenter', status: 'succeeded', tasks: 8, labels: 8, labelsSoFar: 8, gain: null },
    { strategy: 'margin', status: 'succeeded', tasks: 4, labels: 4, labelsSoFar: 12, gain: { over: 1 } },
  ]);
  for (const { accuracy } of done.rounds) expect(accuracy!.lo).toBeLessThan(accuracy!.hi);
  const [landed] = await system.sql<{ n: number }>(
    `select count(*)::int as n from label where batch in (select b.id from label_batch b join campaign_round o
      on o.run = b.run where o.campaign = $1) and source = 'human'`,
    [id],
  );
  expect(landed?.n).toBe(12);
});

interface Auto {
  status: string;
  labels: number;
  audited: number;
  errors: number;
  why: string;
}

test('labels alone what people vouch for, and takes it back when they do not', { timeout: 180_000 }, async () => {
  const name = 'alone';
  await post(system, pipeline(name, { labeling }), rows(240, { unlabelled: 3 }));
  const auto = { maxError: 0.2, confidence: 0.9, auditShare: 1 };
  const body = { pipeline: name, batchSize: 16, explore: 1, auto, stop: { labels: 48 }, by: 'kim' };
  const { id } = await must<{ id: string }>(system, 'POST', '/api/v1/campaigns', body, 'begin-alone');
  const found = () =>
    must<Campaign & { labels: { auto: number }; auto: Auto[] }>(system, 'GET', `/api/v1/campaigns/${id}`);
  const sources = () =>
    system.sql<{ source: string; n: number }>(
      `select source, count(*)::int as n from label
        where dataset = (select dataset from pipeline where name = $1) group by 1 order by 1`,
      [name],
    );
  // people draw and label so many that these can vouch for a model
  const first = await round(id, 1);
  expect((await attendRun(system, first.run, truthOf)).labels).toBe(16);
  const second = await round(id, 2);
  // it knows all that is left, and people check eight of that
  expect((await attendRun(system, second.run, truthOf)).labels).toBe(8);
  const standing = await found();
  expect(standing.auto).toMatchObject([{ status: 'none' }, { status: 'standing', audited: 8, errors: 0 }]);
  expect(standing.auto[0]!.why).toBe('0 checked items can show nothing, 14 are needed');
  const alone = standing.auto[1]!.labels;
  expect(standing.labels).toEqual({ human: 24, auto: alone - 8 });
  expect(await sources()).toEqual([
    { source: 'auto', n: alone - 8 },
    { source: 'human', n: 24 },
  ]);
  const third = await round(id, 3);
  await must(system, 'POST', `/api/v1/campaigns/${id}/decision`, { decision: 'pause', by: 'lee' });
  const wrong = (item: Record<string, unknown>) => (truthOf(item) === 'yes' ? 'no' : 'yes');
  expect((await attendRun(system, third.run, wrong)).labels).toBe(8);
  const after = await found();
  expect(after.auto[1]).toMatchObject({ status: 'revoked', audited: 16, errors: 8 });
  expect(after.labels).toEqual({ human: 32, auto: 0 });
  expect(await sources()).toEqual([{ source: 'human', n: 32 }]);
  for (const { run } of [second, third]) {
    const told = await must<{ labelsRevoked: object[] }>(system, 'GET', `/api/v1/runs/${run}`);
    expect(told.labelsRevoked).toMatchObject([{ campaign: id, round: 2, reason: after.auto[1]!.why }]);
  }
  const { items } = await must<{
    items: { run: string; labelCounts: { auto: number; human: number; given: number }; superseded: object | null }[];
  }>(system, 'GET', `/api/v1/datasets/${name}/versions`);
  // the third run's own version is without them, whatever it began with
  expect(items[0]).toMatchObject({ run: third.run, labelCounts: { auto: 0, human: 32, given: 160 }, superseded: null });
  expect(items.filter(({ superseded }) => superseded)).toMatchObject([{ run: second.run }]);
  expect(items.filter(({ labelCounts }) => labelCounts.auto > 0)).toMatchObject([{ run: second.run }]);
});

test('is paused and stopped by people; one lives per pipeline', { timeout: 120_000 }, async () => {
  const id = await begin('halted', { deadline: '1 hour' });
  const first = await round(id, 1);
  const second = { pipeline: 'halted', stop: { labels: 1 } };
  const refused = await system.call<{ type: string; campaign: string }>('POST', '/api/v1/campaigns', second);
  expect(refused).toMatchObject({ status: 409, body: { type: '/problems/campaign-live', campaign: id } });
  const say = (decision: string) =>
    must<{ status: string }>(system, 'POST', `/api/v1/campaigns/${id}/decision`, { decision, by: 'lee' });
  expect(await say('pause')).toMatchObject({ status: 'paused' });
  await attendRun(system, first.run, truthOf);
  await until('the first round to be measured', async () => (await look(id)).rounds[0]?.accuracy);
  expect(await look(id)).toMatchObject({ status: 'paused', why: 'pause by lee' });
  expect((await look(id)).rounds).toHaveLength(1);
  expect(await say('resume')).toMatchObject({ status: 'running' });
  await round(id, 2);
  expect(await say('stop')).toMatchObject({ status: 'stopped' });
  expect(await say('stop')).toMatchObject({ status: 'stopped' });
  const late = await system.call('POST', `/api/v1/campaigns/${id}/decision`, { decision: 'pause', by: 'lee' });
  expect(late.status).toBe(409);
  expect(await look(id)).toMatchObject({ status: 'stopped', stopReason: 'person' });
});

interface Wrong {
  items: { key: string; label: string; predicted: string; probability: number }[];
  nextCursor: string | null;
}

test('mistakes on the holdout that a person picked get labels that win', { timeout: 240_000 }, async () => {
  const isTurned = (key: string) => Number(key.slice(1)) % 10 === 3;
  const content = rows(120).map((row) => (isTurned(String(row['id'])) ? { ...row, y: 'yes' } : row));
  const trainer = { type: 'linear', params: { epochs: 20, batch: 32 }, seed: 7 };
  await post(system, pipeline('turned', { trainer }), content);
  const run = await open(system, 'turned');
  expect((await ended(system, run, 120_000)).status).toBe('succeeded');
  const page = await must<Wrong>(system, 'GET', `/api/v1/runs/${run}/wrong?limit=2`);
  expect(page.items).toHaveLength(2);
  const rest = await must<Wrong>(system, 'GET', `/api/v1/runs/${run}/wrong?cursor=${page.nextCursor}`);
  const wrong = [...page.items, ...rest.items];
  expect(wrong.every(({ key, label, predicted }) => isTurned(key) && label === 'yes' && predicted === 'no')).toBe(true);
  const keys = wrong.map(({ key }) => key);
  const refused = await system.call<{ errors: { path: string }[] }>('POST', '/api/v1/campaigns', {
    ...{ pipeline: 'turned', ask: { keys: [...keys, 'nobody'] } },
  });
  expect(refused).toMatchObject({ status: 422, body: { errors: [{ path: `ask.keys[${keys.length}]` }] } });
  const begun = { pipeline: 'turned', ask: { keys }, by: 'kim' };
  const { id } = await must<{ id: string }>(system, 'POST', '/api/v1/campaigns', begun);
  await attendRun(system, (await round(id, 1)).run, truthOf);
  const done = await until('the campaign to stop', async () => {
    const now = await look(id);
    return now.status === 'stopped' ? now : null;
  });
  const total = keys.length;
  expect(done).toMatchObject({ stopReason: 'nothing-left', why: `all ${total} rows were asked about` });
  expect(done.rounds).toMatchObject([{ tasks: total, labels: total, accuracy: { value: 1 } }]);
  expect((await must<Wrong>(system, 'GET', `/api/v1/runs/${done.rounds[0]!.run}/wrong`)).items).toEqual([]);
  const versions = await must<{ items: { labelCounts: object }[] }>(system, 'GET', '/api/v1/datasets/turned/versions');
  expect(versions.items[0]!.labelCounts).toMatchObject({ given: 120 - total, human: total });
});

test.each([
  [{ stop: {} }, 'stop'],
  [{ stop: { labels: 5 }, ask: { keys: ['a', 'a'] } }, 'ask.keys[1]'],
  [{ stop: { deadline: 'yesterday' } }, 'stop.deadline'],
  [{ stop: { labels: 5 }, strategy: 'margins' }, 'strategy'],
  [{ stop: { labels: 5 }, batchSize: 0 }, 'batchSize'],
  [{ stop: { labels: 5 }, auto: { maxError: 0.5 } }, 'auto.maxError'],
  [{ stop: { labels: 5 }, auto: { audit: 0.1 } }, 'auto'],
  [{ stop: { labels: 5 }, auto: {}, explore: 0 }, 'explore'],
])('refuses %j', async (more, path) => {
  const answer = await system.call<{ errors: { path: string }[] }>('POST', '/api/v1/campaigns', {
    pipeline: 'halted',
    ...more,
  });
  expect(answer.status).toBe(422);
  expect(answer.body.errors[0]?.path.startsWith(path)).toBe(true);
});
