// What must hold after a run that was disturbed (architecture): read from Postgres, Temporal and the API, not from our code's word.
import { connectTemporal } from '../../adapters/temporal.js';
import { createDb } from '../../db/client.js';
import { verifyAudit } from '../../db/audit.js';
import { workflowIds } from '../../domain/ids.js';
import { type TestSystem, until } from '../support/system.js';
import { asked, servedDigest } from './scene.js';

interface Facts {
  status: string;
  failure: unknown;
  versions: number;
  moves: number;
  champion: number | null;
  tasks: number;
  labels: number;
  answered: number;
  events: number;
  last_event: number;
  highest_event: number;
  live_runs: number;
  live_batches: number;
  open_approvals: number;
  open_steps: number;
  ended: number;
}

const factsOf = `select r.status, r.failure, r.last_event,
    (select count(*)::int from model_version v where v.run = r.id) as versions,
    (select count(*)::int from alias_history h join model m on m.id = h.model where m.name = $2) as moves,
    (select version from alias a join model m on m.id = a.model where m.name = $2 and a.name = 'champion') as champion,
    (select count(*)::int from label_task t join label_batch b on b.id = t.batch where b.run = r.id) as tasks,
    (select count(*)::int from label l join label_batch b on b.id = l.batch where b.run = r.id) as labels,
    (select count(distinct a.task)::int from annotation a join label_task t on t.id = a.task
      join label_batch b on b.id = t.batch where b.run = r.id and a.outcome = 'accepted') as answered,
    (select count(*)::int from event e where e.run = r.id) as events,
    (select max(number) from event e where e.run = r.id) as highest_event,
    (select count(*)::int from event e where e.run = r.id and e.type = 'run.ended') as ended,
    (select count(*)::int from run o where o.pipeline = r.pipeline and o.status in ('running', 'waiting')) as live_runs,
    (select count(*)::int from label_batch b where b.run = r.id and b.status in ('open', 'review')) as live_batches,
    (select count(*)::int from approval a where a.run = r.id and a.status = 'open') as open_approvals,
    (select count(*)::int from step s where s.run = r.id and s.status in ('running', 'waiting', 'pending')) as open_steps
  from run r where r.id = $1`;

/** Everything that does not hold, in words; empty when all is well. */
export async function brokenInvariants(
  system: TestSystem,
  run: string,
  model: string,
  reference: string,
): Promise<string[]> {
  const [facts] = await system.sql<Facts>(factsOf, [run, model]);
  if (!facts) return [`there is no run ${run}`];
  const broken: string[] = [];
  const expect = (what: string, found: unknown, wanted: unknown) => {
    if (found !== wanted) broken.push(`${what}: ${JSON.stringify(found)} instead of ${JSON.stringify(wanted)}`);
  };
  expect('status of the run', facts.failure ? JSON.stringify(facts.failure) : facts.status, 'succeeded');
  expect('versions of the run', facts.versions, 1);
  expect('moves of the champion', facts.moves, 1);
  expect('champion', facts.champion, 1);
  expect('tasks', facts.tasks, asked);
  expect('accepted annotations', facts.answered, asked);
  expect('labels', facts.labels, facts.answered);
  expect('highest event', facts.highest_event, facts.events);
  expect('last event', facts.last_event, facts.events);
  expect('ends of the run', facts.ended, 1);
  for (const what of ['live_runs', 'live_batches', 'open_approvals', 'open_steps'] as const) {
    expect(what, facts[what], 0);
  }
  if (broken.length > 0) return broken;
  expect('sha256 of model.onnx', await servedDigest(system, model), reference);
  return [...broken, ...(await auditFaults(system)), ...(await workflowFaults(system, run, model))];
}

async function auditFaults(system: TestSystem): Promise<string[]> {
  const { database } = await system.running();
  const { db, close } = createDb(database, { name: 'perennial-faults', onError: () => undefined });
  try {
    const audit = await verifyAudit(db, 'default');
    const [{ entries } = { entries: -1 }] = await system.sql<{ entries: number }>(
      'select count(*)::int as entries from audit',
    );
    if (!audit.intact) return [`the audit is broken at ${audit.firstBroken}`];
    return audit.entries === entries ? [] : [`the audit has ${entries} entries and counts ${audit.entries}`];
  } finally {
    await close();
  }
}

/** The run's and the batch's workflows are over, the loop lives, and every message was sent. */
async function workflowFaults(system: TestSystem, run: string, pipeline: string): Promise<string[]> {
  const { temporal } = await system.running();
  const { client, close } = connectTemporal(temporal, 'perennial');
  const statusOf = async (id: string) => (await client.workflow.getHandle(id).describe()).status.name;
  const batches = await system.sql<{ workflow_id: string }>('select workflow_id from label_batch where run = $1', [
    run,
  ]);
  const ids = [workflowIds.run('default', pipeline, 1), ...batches.map(({ workflow_id }) => workflow_id)];
  const unsent = 'select name from outbox where sent_at is null and strpos(workflow_id, $1) > 0';
  const faults: string[] = [];
  const wait = (what: string, look: () => Promise<boolean>) =>
    until(what, look, 20_000).catch((error: Error) => void faults.push(error.message));
  try {
    for (const id of ids) await wait(`${id} to complete`, async () => (await statusOf(id)) === 'COMPLETED');
    const loop = workflowIds.loop('default', pipeline);
    await wait(`${loop} to run`, async () => (await statusOf(loop)) === 'RUNNING');
    await wait('the outbox to be empty', async () => (await system.sql(unsent, [pipeline])).length === 0);
    return faults;
  } finally {
    await close();
  }
}
