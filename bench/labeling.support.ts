// A whole perennial with one large label batch, and labelers who work on it over HTTP, for benches of labeling.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { readRunFile, type RunFile } from '../adapters/home.js';
import { createDb, type Db, inTransaction } from '../db/client.js';
import { datasetOf } from '../db/dataset.js';
import { openOwnBatch } from '../db/labeling.js';
import { savePipeline } from '../db/pipeline.js';
import { parsePipeline } from '../domain/document.js';
import type { LabelPolicy } from '../domain/label-policy.js';
import { startDemoSystem } from '../examples/digits/system.js';

const classes = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9'];
const source = {
  name: 'labelers',
  dataset: { name: 'labelers', key: 'id', label: 'label', task: 'classification' },
  trainer: { type: 'linear' },
  gate: { metric: 'accuracy', min: 0 },
};

export interface LabelingBed {
  api: string;
  batch: string;
  db: Db;
  /** What runs now. */
  running(): Promise<RunFile>;
  stop(): Promise<void>;
}

/** Starts perennial in an empty home with one open batch of `tasks` tasks. */
export async function labelingBed(tasks: number, policy: Partial<LabelPolicy>): Promise<LabelingBed> {
  const home = await mkdtemp(join(tmpdir(), 'perennial-bench-'));
  const system = await startDemoSystem(join(home, 'home'));
  const running = async (): Promise<RunFile> => {
    const found = await readRunFile(join(home, 'home'));
    if (!found) throw new Error('perennial does not run');
    return found;
  };
  const { db, close } = createDb((await running()).database, { name: 'bench' });
  return {
    api: system.api,
    batch: await openLargeBatch(db, tasks, policy),
    db,
    running,
    stop: async () => {
      await close();
      await system.stop();
      await rm(home, { recursive: true, force: true });
    },
  };
}

async function openLargeBatch(db: Db, count: number, policy: Partial<LabelPolicy>): Promise<string> {
  const parsed = parsePipeline(source);
  if ('faults' in parsed) throw new Error(JSON.stringify(parsed.faults));
  const digest = `sha256:${'0'.repeat(64)}` as const;
  return inTransaction(db, async (tx) => {
    const { document } = parsed;
    const saved = { project: 'default', document, source, digest, by: 'bench', verified: false };
    await savePipeline(tx, saved);
    const dataset = await datasetOf(tx, 'default', source.dataset.name);
    const batch = await openOwnBatch(tx, {
      ...{
        project: 'default',
        dataset: dataset.id,
        classes,
        task: 'classification',
        policy,
        by: 'bench',
        verified: false,
      },
      deadline: new Date(Date.now() + 3_600_000),
      tasks: Array.from({ length: count }, (_, place) => ({
        key: `k${String(place).padStart(7, '0')}`,
        item: {
          id: place,
          ...Object.fromEntries(Array.from({ length: 64 }, (__, px) => [`px${px}`, (place * px) % 17])),
        },
        suggestion: null,
        ...{ reason: 'strategy' as const, probability: null, score: null },
      })),
    });
    return batch.id;
  });
}

/** Seconds on a core since each began: of every service, and of this process with all its people. Linux only. */
export async function cpuSeconds(bed: LabelingBed): Promise<Record<string, number>> {
  const { pids } = await bed.running();
  const services = Object.entries(pids).filter((one): one is [string, number] => typeof one[1] === 'number');
  const spent = Object.fromEntries(
    services.map(([name, pid]) => {
      const ticks = ticksOf(statOf(pid)) + (name === 'postgres' ? ticksOfChildren(pid) : 0);
      return [name, ticks / ticksPerSecond];
    }),
  );
  const { user, system } = process.cpuUsage();
  return { ...spent, people: (user + system) / 1e6 };
}

const ticksPerSecond = 100;

function statOf(pid: number | string): string[] {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /, '')
      .split(' ');
  } catch {
    return [];
  }
}

const ticksOf = (stat: string[]): number => Number(stat[11] ?? 0) + Number(stat[12] ?? 0);

/** Of Postgres: it has a process for each connection. */
function ticksOfChildren(parent: number): number {
  const all = existsSync('/proc') ? readdirSync('/proc').filter((name) => /^\d+$/.test(name)) : [];
  const children = all.map(statOf).filter((stat) => stat[1] === String(parent));
  return children.reduce((sum, stat) => sum + ticksOf(stat), 0);
}

export interface Leased {
  taskId: string;
  fence: number;
}

/** A call that is sent again until somebody answers: what a page does on a bad network. */
export async function persistently<T>(bed: LabelingBed, path: string, body: unknown, key?: string): Promise<T> {
  for (;;) {
    try {
      const { status, text } = await post(`${bed.api}/api/v1/label-batches/${bed.batch}/${path}`, body, key);
      const answer = JSON.parse(text) as T & { type?: string; detail?: string };
      if (status < 400) return answer;
      if (status < 500) throw new Refused(`${status} ${answer.type}: ${answer.detail}`);
    } catch (error) {
      if (error instanceof Refused) throw error;
    }
    await sleep(100);
  }
}

const agent = new Agent({ keepAlive: true });

// people have machines of their own: fetch would take as much of this one as the API
function post(url: string, body: unknown, key: string | undefined): Promise<{ status: number; text: string }> {
  const content = JSON.stringify(body);
  const headers = {
    ...{ 'content-type': 'application/json', 'content-length': Buffer.byteLength(content) },
    ...(key === undefined ? {} : { 'idempotency-key': key }),
  };
  return new Promise((resolve, reject) => {
    const sent = request(url, { method: 'POST', headers, agent, timeout: 30_000 }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() }));
      response.on('error', reject);
    });
    sent.on('timeout', () => sent.destroy(new Error('no answer in time')));
    sent.on('error', reject);
    sent.end(content);
  });
}

/** The API understood and said no. */
export class Refused extends Error {}
