// A labeling campaign of 100,000 labels over a pool of 1,000,000 rows, whole and real: how much of Temporal's limit on
// events the longest history of its workflows takes. `-- --rows <n> --labels <n>`: another size.
import { createWriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, Connection } from '@temporalio/client';
import { readRunFile } from '../adapters/home.js';
import { startDemoSystem } from '../examples/digits/system.js';
import { createRandom } from '../stats/prng.js';
import { Refused } from './labeling.support.js';

/** A server ends a workflow whose history has more events, or more bytes. https://docs.temporal.io/workflow-execution/limits */
const [mostEvents, mostBytes] = [51_200, 50 * 2 ** 20];
const [columns, leased, people] = [4, 100, 20];
/** Tasks of one batch: the most that a document may ask for. */
const batchSize = 10_000;
const name = 'campaign-size';

const given = (flag: string, otherwise: number): number => {
  const at = process.argv.indexOf(flag);
  return at < 0 ? otherwise : Number(process.argv[at + 1]);
};
const [rows, labels] = [given('--rows', 1_000_000), given('--labels', 100_000)];

const document = (path: string) => ({
  name,
  dataset: { name, source: { type: 'file', path }, key: 'id', label: 'y', task: 'classification' },
  split: { holdout: 0.05, validation: 0.05, seed: 3 },
  trainer: { type: 'linear', params: { epochs: 2, batch: 256 }, seed: 7 },
  gate: { metric: 'accuracy', min: 0 },
  labeling: { strategy: 'margin', batchSize, deadline: '1 day' },
});

const truthOf = (item: Record<string, unknown>): string =>
  Number(item['x0']) + Number(item['x1']) > 0 ? 'above' : 'below';

/** One row in fifty has a label. */
async function writeRows(path: string): Promise<void> {
  const random = createRandom(1);
  const file = createWriteStream(path);
  file.write(`id,y,${Array.from({ length: columns }, (_, column) => `x${column}`).join(',')}\n`);
  for (let row = 0; row < rows; row += 1) {
    const cells = Array.from({ length: columns }, () => (random.uniform() * 2 - 1).toFixed(4));
    const label = row % 50 === 0 ? truthOf({ x0: cells[0], x1: cells[1] }) : '';
    if (!file.write(`k${row},${label},${cells.join(',')}\n`)) await once(file, 'drain');
  }
  file.end();
  await once(file, 'close');
}

type Ask = <T>(method: string, path: string, body?: unknown) => Promise<T>;

function asking(api: string): Ask {
  return async <T>(method: string, path: string, body?: unknown) => {
    const headers = { 'content-type': 'application/json' };
    const response = await fetch(`${api}/api/v1${path}`, {
      ...{ method, headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const answer = (await response.json()) as T;
    if (!response.ok) throw new Refused(`${method} ${path}: ${response.status} ${JSON.stringify(answer)}`);
    return answer;
  };
}

interface Task {
  taskId: string;
  fence: number;
  item: Record<string, unknown>;
}

/** All of the batch is answered. */
function doneWith(error: unknown): { tasks: Task[] } {
  if (error instanceof Refused && error.message.includes('batch-closed')) return { tasks: [] };
  throw error;
}

/** Works until the batch has nothing more to lend. */
async function work(ask: Ask, batch: string, labeler: string): Promise<void> {
  const path = `/label-batches/${batch}`;
  for (;;) {
    const { tasks } = await ask<{ tasks: Task[] }>('POST', `${path}/lease`, { labeler, count: leased }).catch(doneWith);
    if (tasks.length === 0) return;
    const annotations = tasks.map(({ taskId, fence, item }) => ({ taskId, fence, label: truthOf(item) }));
    await ask('POST', `${path}/annotations`, { labeler, annotations });
  }
}

interface Campaign {
  status: string;
  why: string;
  labels: { human: number };
  rounds: { run: string; batch: string | null; status: string }[];
}

/** Answers every batch until the campaign stops. */
async function attend(ask: Ask, id: string): Promise<Campaign> {
  const done = new Set<string>();
  for (;;) {
    const campaign = await ask<Campaign>('GET', `/campaigns/${id}`);
    if (campaign.status === 'stopped') return campaign;
    const round = campaign.rounds.at(-1);
    if (round?.status === 'waiting' && round.batch !== null && !done.has(round.batch)) {
      const { batch } = round;
      await Promise.all(Array.from({ length: people }, (_, who) => work(ask, batch, `person-${who}`)));
      await ask('POST', `/label-batches/${batch}/decision`, { decision: 'accept', by: 'bench' });
      done.add(batch);
      console.error(`round ${campaign.rounds.length}: batch ${batch} is answered`);
    }
    await sleep(500);
  }
}

interface History {
  type: string;
  events: number;
  bytes: number;
}

/** Of each type of workflow the longest history, in events and in bytes. */
async function longest(address: string): Promise<History[]> {
  const connection = await Connection.connect({ address });
  const found = new Map<string, History>();
  try {
    const client = new Client({ connection, namespace: 'perennial' });
    for await (const { type, historyLength, historySize = 0 } of client.workflow.list()) {
      const before = found.get(type) ?? { type, events: 0, bytes: 0 };
      found.set(type, {
        type,
        events: Math.max(before.events, historyLength),
        bytes: Math.max(before.bytes, historySize),
      });
    }
  } finally {
    await connection.close();
  }
  return [...found.values()];
}

/** `ours`: share of the limit that the longest history has, in events or in bytes. */
export async function bench() {
  const folder = await mkdtemp(join(tmpdir(), 'perennial-bench-'));
  const home = join(folder, 'home');
  const path = join(folder, 'rows.csv');
  await writeRows(path);
  const system = await startDemoSystem(home);
  try {
    const ask = asking(system.api);
    const began = performance.now();
    await ask('POST', '/pipelines', document(path));
    const stop = { labels };
    const campaign = { pipeline: name, strategy: 'margin', batchSize, explore: 0.1, stop, by: 'bench' };
    const { id } = await ask<{ id: string }>('POST', '/campaigns', campaign);
    const { why, rounds, labels: counted } = await attend(ask, id);
    const seconds = (performance.now() - began) / 1000;
    const histories = await longest((await readRunFile(home))!.temporal);
    console.error(
      `${counted.human} labels in ${rounds.length} rounds over ${rows} rows in ${seconds.toFixed(0)} s (${why}); longest histories: ` +
        histories
          .map(({ type, events, bytes }) => `${type} ${events} events, ${(bytes / 1024).toFixed(0)} KiB`)
          .join('; '),
    );
    const shares = histories.map(({ events, bytes }) => Math.max(events / mostEvents, bytes / mostBytes));
    return { ours: Number(Math.max(...shares).toFixed(4)), peer: null, ratio: null, unit: 'of the limit', runs: 1 };
  } finally {
    await system.stop();
    await rm(folder, { recursive: true, force: true });
  }
}
