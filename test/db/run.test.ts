import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { appendEvent, eventsAfter } from '../../db/event.js';
import { openApproval } from '../../db/approval.js';
import { inTransaction } from '../../db/client.js';
import { sweepOutbox } from '../../db/outbox.js';
import { loopFacts, noteDue } from '../../db/pipeline.js';
import { addDatasetVersion, addIngest } from '../../db/dataset.js';
import { registerVersion } from '../../db/model.js';
import {
  closeRun,
  listRuns,
  liveRuns,
  openRun,
  pinRun,
  requestCancel,
  requireOwnRun,
  runSpecification,
  runView,
  setRunPlan,
  setRunResult,
  setRunWaiting,
} from '../../db/run.js';
import { beginStep, recordWaitStep } from '../../db/step.js';
import { testDatabase, type TestDatabase } from '../support/database.js';
import { ask, count, digestOf, failureOf, freshName, makeArtifact, makePipeline, makeRun, versionOf } from './facts.js';

let base: TestDatabase;
beforeAll(async () => {
  base = await testDatabase({ max: 60 });
});
afterAll(() => base.close());

const open = (pipeline: string, startKey: string, more = {}) =>
  openRun(base.db, {
    project: 'default',
    pipeline,
    startKey,
    trigger: 'manual',
    overrides: {},
    startedBy: 'kim',
    verified: true,
    ...more,
  });

describe('openRun', () => {
  it('opens one of many at once; the others learn its id', async () => {
    const { name } = await makePipeline(base.db);
    const outcomes = await Promise.allSettled(Array.from({ length: 10 }, (_, n) => open(name, `key-${n}`)));
    const opened = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
    expect(opened).toHaveLength(1);
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') {
        expect(outcome.reason).toMatchObject({ failure: 'RunLive', members: { run: opened[0]!.id } });
      }
    }
    expect(await count(base.db, 'run', sql`start_key like 'key-%'`)).toBe(1);
    expect(await count(base.db, 'outbox', sql`name = 'trainingRun' and workflow_id = ${opened[0]!.workflowId}`)).toBe(
      1,
    );
  });

  it('gives the same run for the same start key, at once and after its end', async () => {
    const { name } = await makePipeline(base.db);
    const same = await Promise.all([open(name, 'once'), open(name, 'once'), open(name, 'once')]);
    expect(new Set(same.map((run) => run.id)).size).toBe(1);
    expect(same.filter((run) => run.opened)).toHaveLength(1);
    await closeRun(base.db, { run: same[0].id, status: 'succeeded', failure: null });
    expect(await open(name, 'once')).toEqual({ ...same[0], opened: false });
    expect((await open(name, 'twice')).number).toBe(2);
  });

  it('is guarded by the database too: a second live run cannot be inserted', async () => {
    const run = await makeRun(base.db);
    const copy = base.db
      .execute(sql`insert into run (id, project, pipeline, pipeline_version, dataset, number, start_key, trigger,
        started_by, verified, workflow_id, overrides, specification, specification_digest, accepted_rows_at_open)
      select 'run_other', project, pipeline, pipeline_version, dataset, 99, 'x', trigger, started_by, verified, 'other',
        overrides, specification, specification_digest, 0 from run where id = ${run.id}`);
    await expect(copy).rejects.toMatchObject({ cause: { constraint: 'run_live' } });
  });

  it('stores the document after overrides, and refuses overrides that do not fit', async () => {
    const { name } = await makePipeline(base.db);
    const wrong = open(name, 'a', { overrides: { 'trainer.params.epochs': 'many' } });
    await expect(wrong).rejects.toMatchObject({
      failure: 'InvalidRequest',
      faults: [{ path: 'overrides.trainer.params.epochs' }],
    });
    const run = await open(name, 'a', { overrides: { 'trainer.params.epochs': 20 } });
    const { document, documentDigest, context } = await runSpecification(base.db, run.id);
    expect(document.trainers[0]!.params).toMatchObject({ epochs: 20 });
    expect(documentDigest).toBe(digestOf(document));
    expect(context).toEqual({ run: run.id, project: 'default', pipeline: name, number: 1 });
  });

  it('gives a document that older software stored the fields that were added since', async () => {
    const { name } = await makePipeline(base.db);
    const run = await open(name, 'a', { overrides: { 'trainer.params.epochs': 20 } });
    const { document } = await runSpecification(base.db, run.id);
    // the shape of issue 3
    await base.db.execute(sql`update run set specification = specification #- '{serving}' #- '{gate,checks}'
      #- '{features,numbers}' #- '{features,tokens}' #- '{trainers,0,params,patience}' where id = ${run.id}`);
    const [old] = await ask<{ old: object }>(base.db, sql`select specification as old from run where id = ${run.id}`);
    expect(old!.old).not.toHaveProperty('serving');
    expect((await runSpecification(base.db, run.id)).document).toEqual(document);
  });

  it('pins the version: a live run keeps it when the pipeline changes', async () => {
    const name = freshName();
    await makePipeline(base.db, name);
    const run = await open(name, 'a');
    await makePipeline(base.db, name, { gate: { metric: 'accuracy', min: 0.9 } });
    expect((await runSpecification(base.db, run.id)).document.gate.min).toBe(0.5);
    await closeRun(base.db, { run: run.id, status: 'succeeded', failure: null });
    expect((await open(name, 'b')).version).toBe(2);
  });

  it('pins the dataset: a live run keeps it when the pipeline names another', async () => {
    const name = freshName();
    await makePipeline(base.db, name);
    const run = await open(name, 'a');
    const { dataset, model } = await runSpecification(base.db, run.id);
    const other = { name: `${name}-other`, key: 'id', label: 'label', task: 'classification' };
    await makePipeline(base.db, name, { dataset: other });
    expect((await runSpecification(base.db, run.id)).dataset).toBe(dataset);
    const version = await addDatasetVersion(base.db, versionOf(dataset, run.id));
    const file = await makeArtifact(base.db);
    const kept = { digest: file, sizeBytes: 3, mediaType: 'application/onnx' };
    const registered = {
      model,
      run: run.id,
      digest: digestOf(name),
      files: ['model.onnx', 'golden.json'].map((path) => ({ path, ...kept })),
      metrics: {},
      datasetVersion: version.digest,
      details: {},
      card: file,
    };
    expect(await registerVersion(base.db, registered)).toMatchObject({ version: 1 });
    await closeRun(base.db, { run: run.id, status: 'succeeded', failure: null });
    const next = await open(name, 'b');
    expect((await runSpecification(base.db, next.id)).dataset).not.toBe(dataset);
  });

  it('starts no workflow when the caller is that workflow', async () => {
    const { name } = await makePipeline(base.db);
    const run = await open(name, 'cli/mine', { workflowId: 'mine', trigger: 'cli' });
    expect(run.workflowId).toBe('mine');
    expect(await count(base.db, 'outbox', sql`workflow_id = 'mine'`)).toBe(0);
  });

  it('counts rows from the last opened run on', async () => {
    const { name } = await makePipeline(base.db);
    const [dataset] = await ask<{ id: string }>(base.db, sql`select id from dataset where name = ${name}`);
    const artifact = await makeArtifact(base.db);
    const ingest = {
      dataset: dataset!.id,
      artifact,
      rows: 7,
      quarantined: 1,
      format: 'csv',
      columns: ['id'],
      by: 'kim',
    };
    await addIngest(base.db, { ...ingest, format: 'csv' });
    await open(name, 'a');
    await addIngest(base.db, { ...ingest, format: 'csv' });
    const facts = await loopFacts(base.db, 'default', name);
    expect(facts).toMatchObject({ acceptedRows: 14, acceptedRowsAtLastRun: 7, lastNumber: 1, version: 1 });
    expect(facts.openedLast24h).toEqual([facts.lastOpenedAt]);
  });
});

describe('closeRun', () => {
  it('ends everything of the run in one go, once, and tells the loop', async () => {
    const { name } = await makePipeline(base.db);
    const run = await open(name, 'a');
    const key = { workflowId: run.workflowId, workflowRunId: 'r', activityId: '1' };
    await beginStep(base.db, { ...key, run: run.id, node: 'train', worker: 'w', attempt: 1 });
    const ask2 = {
      run: run.id,
      node: 'approve',
      kind: 'candidate',
      round: 1,
      digest: digestOf(1),
      evidence: {},
    } as const;
    const { id, since, deadline } = await openApproval(base.db, { ...ask2, deadline: new Date(Date.now() + 1000) });
    await setRunWaiting(base.db, run.id, { kind: 'approval', id, since, deadline }, 'approve');
    const failure = { type: 'out-of-memory', title: 't', detail: 'd', step: 'train' };
    await closeRun(base.db, { run: run.id, status: 'failed', failure });
    await closeRun(base.db, { run: run.id, status: 'succeeded', failure: null });
    expect(await runView(base.db, 'default', run.id)).toMatchObject({
      status: 'failed',
      failure,
      waitingFor: null,
      stage: null,
      steps: [{ name: 'train', status: 'cancelled' }],
    });
    expect(await count(base.db, 'approval', sql`id = ${id} and status = 'void'`)).toBe(1);
    expect(await count(base.db, 'outbox', sql`name = 'runEnded' and payload ->> 'run' = ${run.id}`)).toBe(1);
    expect((await eventsAfter(base.db, run.id, 0, 100)).filter((event) => event.type === 'run.ended')).toHaveLength(1);
    const late = beginStep(base.db, { ...key, run: run.id, node: 'train', worker: 'w', attempt: 2 });
    expect(await failureOf(late)).toBe('RunEnded');
    expect(await failureOf(setRunResult(base.db, run.id, { metrics: {} }))).toBe('RunEnded');
  });

  it('leaves live runs to the reconciler only when their start was sent', async () => {
    const run = await makeRun(base.db);
    expect((await liveRuns(base.db)).map((live) => live.id)).not.toContain(run.id);
    await sweepOutbox(base.db, async () => 'sent', { limit: 1000 });
    expect((await liveRuns(base.db)).map((live) => live.id)).toContain(run.id);
  });
});

describe('events', () => {
  it('number without gaps under 50 writers, and a reader misses none', async () => {
    const run = await makeRun(base.db);
    const seen: number[] = [];
    let writing = true;
    const reading = (async () => {
      let last = 0;
      while (writing || seen.length < 51) {
        for (const event of await eventsAfter(base.db, run.id, last, 7)) {
          expect(event.number).toBe(last + 1);
          last = event.number;
          seen.push(last);
        }
      }
    })();
    await Promise.all(
      Array.from({ length: 50 }, (_, n) =>
        inTransaction(base.db, async (tx) => {
          await appendEvent(tx, { run: run.id, type: 'test', data: n });
          await new Promise((resolve) => setTimeout(resolve, Math.random() * 5));
        }),
      ),
    );
    writing = false;
    await reading;
    expect(seen).toEqual(Array.from({ length: 51 }, (_, n) => n + 1));
  });
});

describe('runView', () => {
  it('has one entry per node of the plan; the latest begun row of a node speaks', async () => {
    const run = await makeRun(base.db);
    await setRunPlan(base.db, run.id, [
      { name: 'extract', skipReason: null },
      { name: 'label', skipReason: 'no labeling in the document' },
      { name: 'evaluate', skipReason: null },
      { name: 'release', skipReason: null },
    ]);
    const step = (activityId: string, node: string) =>
      beginStep(base.db, {
        workflowId: run.workflowId,
        workflowRunId: 'r',
        activityId,
        run: run.id,
        node,
        worker: 'w',
        attempt: 1,
      });
    await step('1', 'extract');
    await step('2', 'evaluate');
    await recordWaitStep(base.db, { run: run.id, node: 'evaluate', status: 'succeeded', summary: 'asked' });
    await step('3', 'evaluate');
    const view = await runView(base.db, 'default', run.id);
    expect(view.steps.map(({ name, status }) => [name, status])).toEqual([
      ['extract', 'running'],
      ['label', 'skipped'],
      ['evaluate', 'running'],
      ['release', 'pending'],
    ]);
    expect(view.stage).toBe('evaluate');
    expect(
      (await listRuns(base.db, { project: 'default', status: 'running', page: { limit: 1, cursor: null } })).items[0],
    ).toEqual(view);
  });

  it('pages through all runs, each once', async () => {
    const { name } = await makePipeline(base.db);
    for (let n = 0; n < 5; n += 1) {
      const { id } = await open(name, `k${n}`);
      await closeRun(base.db, { run: id, status: 'rejected', failure: null });
    }
    const numbers: number[] = [];
    let cursor: string | null = null;
    do {
      const page: Awaited<ReturnType<typeof listRuns>> = await listRuns(base.db, {
        project: 'default',
        pipeline: name,
        page: { limit: 2, cursor },
      });
      numbers.push(...page.items.map((run) => run.number));
      cursor = page.nextCursor;
    } while (cursor !== null);
    expect(numbers).toEqual([5, 4, 3, 2, 1]);
    const foreign = listRuns(base.db, { project: 'default', page: { limit: 2, cursor: 'bm8' } });
    expect(await failureOf(foreign)).toBe('InvalidRequest');
  });

  it('keeps the first pins and counts a cancel once', async () => {
    const run = await makeRun(base.db);
    const pins = await Promise.all([{ p: 'cpu' }, { p: 'cuda' }].map((pin) => pinRun(base.db, run.id, pin)));
    expect(pins[0]).toEqual(pins[1]);
    await requestCancel(base.db, { project: 'default', run: run.id, by: 'kim' });
    await requestCancel(base.db, { project: 'default', run: run.id, by: 'lee' });
    expect(await count(base.db, 'event', sql`run = ${run.id} and type = 'run.cancelling'`)).toBe(1);
    const other = requestCancel(base.db, { project: 'other', run: run.id, by: 'kim' });
    expect(await failureOf(other)).toBe('NotFound');
  });
});

describe('requireOwnRun', () => {
  it('lets a workflow execute its own living run only', async () => {
    const run = await makeRun(base.db);
    await requireOwnRun(base.db, run.id, run.workflowId);
    expect(await failureOf(requireOwnRun(base.db, run.id, 'stranger'))).toBe('NotFound');
    expect(await failureOf(requireOwnRun(base.db, 'run_none', 'stranger'))).toBe('NotFound');
    await closeRun(base.db, { run: run.id, status: 'failed', failure: null, workflowId: 'stranger' });
    await requireOwnRun(base.db, run.id, run.workflowId);
    await closeRun(base.db, { run: run.id, status: 'cancelled', failure: null });
    expect(await failureOf(requireOwnRun(base.db, run.id, run.workflowId))).toBe('RunEnded');
  });
});

describe('noteDue', () => {
  it('keeps the newest time that the schedule named, for a loop that was lost', async () => {
    const { name } = await makePipeline(base.db);
    expect((await loopFacts(base.db, 'default', name)).dueAt).toBeNull();
    for (const due of ['2026-03-01T02:00:00.000Z', '2026-03-03T02:00:00.000Z', '2026-03-02T02:00:00.000Z']) {
      await noteDue(base.db, 'default', name, due);
    }
    expect((await loopFacts(base.db, 'default', name)).dueAt).toBe('2026-03-03T02:00:00.000Z');
    await noteDue(base.db, 'default', 'nobody', '2026-03-01T02:00:00.000Z');
  });
});

describe('savePipeline', () => {
  it('creates once of two at once, and tells the loop of a change', async () => {
    const name = freshName();
    const outcomes = await Promise.all([makePipeline(base.db, name), makePipeline(base.db, name)]);
    expect(outcomes.map((saved) => saved.outcome).sort()).toEqual(['created', 'same']);
    expect(await count(base.db, 'outbox', sql`name = 'pipelineLoop' and workflow_id like ${`%/${name}`}`)).toBe(1);
    expect((await makePipeline(base.db, name, { gate: { metric: 'accuracy', min: 0.7 } })).outcome).toBe('changed');
    expect(await count(base.db, 'outbox', sql`name = 'pipelineChanged' and workflow_id like ${`%/${name}`}`)).toBe(1);
  });

  it('refuses another key for a dataset that exists', async () => {
    const name = freshName();
    await makePipeline(base.db, name);
    const dataset = { name, key: 'other', label: 'label', task: 'classification' };
    await expect(makePipeline(base.db, name, { dataset })).rejects.toMatchObject({
      failure: 'InvalidPipeline',
      faults: [{ path: 'dataset.key' }],
    });
  });
});
