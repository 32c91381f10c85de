// What recording costs: a run of 40 no-op steps with every record written, against a bare Temporal workflow of 40 no-op
// activities on the same server, in turns.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Connection, Client } from '@temporalio/client';
import { bundleWorkflowCode, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { createRunActivities } from '../activities/run.js';
import { stepRecorder } from '../activities/step.js';
import { ensurePostgres, stopPostgres } from '../adapters/embedded/postgres.js';
import { ensureTemporal, stopTemporal } from '../adapters/embedded/temporal.js';
import { createLog } from '../adapters/log.js';
import { projectRoot } from '../adapters/paths.js';
import { createDb, type Db, inTransaction } from '../db/client.js';
import { migrate } from '../db/migrate.js';
import { savePipeline } from '../db/pipeline.js';
import { parsePipeline } from '../domain/document.js';
import { closeRun, openRun } from '../db/run.js';

const repetitions = 5;
const namespace = 'perennial';

const document = {
  name: 'overhead',
  dataset: { name: 'overhead', key: 'id', label: 'label', task: 'classification' },
  trainer: { type: 'linear' },
  gate: { metric: 'accuracy', min: 0 },
};

async function prepare(db: Db): Promise<void> {
  const parsed = parsePipeline(document);
  if ('faults' in parsed) throw new Error(JSON.stringify(parsed.faults));
  const digest = `sha256:${'0'.repeat(64)}` as const;
  await inTransaction(db, (tx) =>
    savePipeline(tx, {
      project: 'default',
      document: parsed.document,
      source: document,
      digest,
      by: 'bench',
      verified: false,
    }),
  );
}

const median = (values: number[]): number => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;

async function recordedRun(db: Db, client: Client, index: number): Promise<number> {
  const workflowId = `bench/recorded/${index}`;
  const startedAt = performance.now();
  const opened = await inTransaction(db, (tx) =>
    openRun(tx, {
      project: 'default',
      pipeline: 'overhead',
      startKey: workflowId,
      trigger: 'manual',
      overrides: {},
      startedBy: 'bench',
      verified: false,
      workflowId,
    }),
  );
  await client.workflow.execute('recordedNoops', { taskQueue: 'bench', workflowId, args: [opened.id] });
  const took = performance.now() - startedAt;
  await inTransaction(db, (tx) => closeRun(tx, { run: opened.id, status: 'succeeded', failure: null }));
  return took;
}

async function bareRun(client: Client, index: number): Promise<number> {
  const startedAt = performance.now();
  await client.workflow.execute('bareNoops', { taskQueue: 'bare', workflowId: `bench/bare/${index}` });
  return performance.now() - startedAt;
}

/** Ratio of medians over interleaved repetitions, in milliseconds of one run. */
export async function bench(): Promise<{ ours: number; peer: number; ratio: number; unit: string; runs: number }> {
  const home = await mkdtemp(join(tmpdir(), 'perennial-bench-'));
  Runtime.install({
    telemetryOptions: { logging: { filter: { core: 'ERROR', other: 'ERROR' } } },
    shutdownSignals: [],
  });
  const { url } = await ensurePostgres(home);
  const { address } = await ensureTemporal(home, { namespace });
  await migrate(url);
  const { db, close } = createDb(url);
  try {
    await prepare(db);
    return await compare(db, address);
  } finally {
    await close();
    await stopTemporal(home);
    await stopPostgres(home);
    await rm(home, { recursive: true, force: true });
  }
}

async function compare(db: Db, address: string) {
  const log = createLog({ logLevel: 'error' }, 'bench');
  const workflowBundle = await bundleWorkflowCode({
    workflowsPath: join(projectRoot, 'dist/bench/overhead.workflows.js'),
  });
  const connection = await NativeConnection.connect({ address });
  const clientConnection = await Connection.connect({ address });
  const client = new Client({ connection: clientConnection, namespace });
  const recorder = stepRecorder({ db, log, config: { hold: undefined, home: '' }, worker: 'bench' });
  const noop = async () => ({ summary: 'done' });
  const shared = { connection, namespace, workflowBundle };
  const recorded = await Worker.create({
    ...shared,
    taskQueue: 'bench',
    activities: { ...createRunActivities({ db, kick: () => undefined }), noop },
    interceptors: { activity: [recorder] },
  });
  const bare = await Worker.create({ ...shared, taskQueue: 'bare', activities: { noop } });
  const [ours, peer]: [number[], number[]] = [[], []];
  await recorded.runUntil(
    bare.runUntil(async () => {
      await recordedRun(db, client, -1);
      await bareRun(client, -1);
      for (let index = 0; index < repetitions; index += 1) {
        ours.push(await recordedRun(db, client, index));
        peer.push(await bareRun(client, index));
      }
    }),
  );
  await clientConnection.close();
  await connection.close();
  return { ours: median(ours), peer: median(peer), ratio: median(ours) / median(peer), unit: 'ms', runs: repetitions };
}
