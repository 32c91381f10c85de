// `npm run demo`: the whole loop on real digits, in a home of its own, with a person in it. Every figure is measured here.
// --keep leaves the system running; --json prints one JSON object as the last line of stdout (the rest goes to stderr).
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readConfig } from '../../adapters/config.js';
import { partOf } from '../../activities/dataset/split.js';
import { Api, type RunView } from './client.js';
import { compareRandomDraws } from './draws.js';
import { attend } from './person.js';
import { demoRows, type Row, shares, toCsv } from './rows.js';
import { createScreen, type Screen } from './screen.js';
import { type DemoSystem, startDemoSystem } from './system.js';

const model = 'digits';
const keep = process.argv.includes('--keep');
const asJson = process.argv.includes('--json');

interface VersionFigures {
  version: number;
  accuracy: number;
  interval: [number, number];
  n: number;
  humanLabels: number;
  sha256: string;
  run: RunView;
}

function pipelineDocument(source: string) {
  return {
    name: model,
    dataset: { name: model, source: { type: 'file', path: source }, key: 'id', label: 'label', task: 'classification' },
    features: { exclude: ['id'] },
    expectations: [{ column: 'px00', min: 0, max: 16 }, { rows: { min: 100 } }],
    labeling: { strategy: 'margin', batchSize: 170, explore: 0.1, deadline: '3 days' },
    split: { ...shares },
    trainer: { type: 'linear', params: { epochs: 10, batch: 32, learningRate: 0.01, weightDecay: 0.3 }, seed: 7 },
    gate: { metric: 'accuracy', min: 0.85, champion: { notWorseBy: 0.01 } },
    approval: { quorum: 1, deadline: '7 days', onDeadline: 'reject' },
    triggers: { newRows: 400 },
  };
}

async function figures(api: Api, run: RunView, humanLabels: number): Promise<VersionFigures> {
  if (run.status !== 'succeeded' || run.modelVersion === null || run.evaluation === null) {
    throw new Error(`run ${run.number} ended ${run.status}: ${JSON.stringify(run.failure ?? run.verdict)}`);
  }
  const evaluation = JSON.parse(await api.text(`/api/v1/artifacts/${run.evaluation}`)) as {
    n: number;
    metrics: { accuracy: { value: number; lo: number; hi: number } };
  };
  const { value, lo, hi } = evaluation.metrics.accuracy;
  const { etag } = await api.file(`/api/v1/models/${model}/versions/${run.modelVersion}/artifacts/model.onnx`);
  const sha256 = etag.replaceAll('"', '');
  return { version: run.modelVersion, accuracy: value, interval: [lo, hi], n: evaluation.n, humanLabels, sha256, run };
}

/** Rows that the model has never seen: the labels they get, beside the truth. */
async function predictUnseen(api: Api, rows: Row[], truth: Map<string, string>) {
  const asked = rows.map(({ label: _, ...columns }) => columns);
  const answer = await api.post<{ modelVersion: number; predictions: { label: string }[] }>(
    `/api/v1/models/${model}/predict`,
    { rows: asked },
  );
  const expected = rows.map((row) => truth.get(row['id'] ?? '') ?? '');
  const got = answer.predictions.map(({ label }) => label);
  const right = got.filter((label, i) => label === expected[i]).length;
  return { version: answer.modelVersion, expected: expected[0] ?? '', got: got[0] ?? '', right, n: rows.length };
}

async function nextRun(api: Api, after: number): Promise<string> {
  for (;;) {
    const { items } = await api.get<{ items: RunView[] }>(`/api/v1/runs?pipeline=${model}`);
    const run = items.find(({ number }) => number > after);
    if (run) return run.id;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function play(system: DemoSystem, home: string, screen: Screen) {
  const api = new Api(system.api);
  const { say } = screen;
  const data = await demoRows((key) => partOf(shares.seed, key, shares));
  const source = join(home, 'digits.csv');
  await writeFile(source, toCsv(data.columns, data.first));
  const visible = data.first.filter((row) => row['label'] !== '').length;
  say(`${data.first.length} digits, ${visible} of them with a label; ${data.later.length} more will arrive later`);
  await api.post('/api/v1/pipelines', pipelineDocument(source));
  const { id } = await api.post<{ id: string }>(`/api/v1/pipelines/${model}/runs`, { trigger: 'manual' });
  say(`run 1: ${system.api}/api/v1/runs/${id}`);
  const first = await attend(api, id, data.truth, say, screen.event);
  const one = await figures(api, first.run, first.labels);
  const prediction = await predictUnseen(api, data.later, data.truth);
  say(
    `version ${prediction.version} reads ${prediction.right} of ${prediction.n} digits it has never seen; the first is a ${prediction.expected}, read as ${prediction.got}`,
  );
  const columns = data.later.map(({ label: _, ...row }) => row);
  await api.post(`/api/v1/datasets/${model}/rows`, columns);
  say(`${data.later.length} new rows arrived: the loop starts a run by itself`);
  const second = await attend(api, await nextRun(api, first.run.number), data.truth, say, screen.event);
  const two = await figures(api, second.run, first.labels + second.labels);
  const draws = await compareRandomDraws(data, { labels: one.humanLabels, document: pipelineDocument(source) });
  say(`20 random draws of ${one.humanLabels} labels, trained the same way: median accuracy ${draws.median.toFixed(4)}`);
  const { aliases } = await api.get<{ aliases: { champion: number } }>(`/api/v1/models/${model}`);
  return { one, two, prediction, draws, champion: aliases.champion, rows: data.truth.size };
}

type Played = Awaited<ReturnType<typeof play>>;

function showTable(screen: Screen, system: DemoSystem, played: Played): void {
  const { one, two, draws, champion, rows } = played;
  const share = (labels: number) => `${labels} (${((100 * labels) / rows).toFixed(1)} % of ${rows} rows)`;
  const interval = ({ interval: [lo, hi], n }: VersionFigures) => `${lo.toFixed(3)} to ${hi.toFixed(3)}, n ${n}`;
  screen.table([
    ['', 'version 1', 'version 2'],
    ['labels asked of people', share(one.humanLabels), share(two.humanLabels)],
    ['accuracy on the holdout', one.accuracy.toFixed(4), two.accuracy.toFixed(4)],
    ['95 % interval', interval(one), interval(two)],
    ['as many labels at random', `${draws.median.toFixed(4)} (median of ${draws.accuracies.length})`, ''],
    ['model.onnx', `${one.sha256.slice(0, 23)}…`, `${two.sha256.slice(0, 23)}…`],
  ]);
  screen.table([
    ['champion', `version ${champion}`],
    ['perennial', `${system.api}`],
    ['the second run', `${system.api}/api/v1/runs/${two.run.id}`],
    ['in Temporal', two.run.temporalUrl ?? ''],
  ]);
}

async function main(): Promise<void> {
  const startedAt = performance.now();
  const home = join(readConfig().home, 'demo');
  const screen = createScreen(asJson ? process.stderr : process.stdout);
  screen.say('starting Postgres, Temporal, the API and three workers');
  const system = await startDemoSystem(home);
  const stopOnSignal = () => void system.stop().then(() => process.exit(130));
  process.once('SIGINT', stopOnSignal);
  process.once('SIGTERM', stopOnSignal);
  try {
    screen.say(`perennial is ready: ${system.api}`);
    const played = await play(system, home, screen);
    showTable(screen, system, played);
    const seconds = (performance.now() - startedAt) / 1000;
    screen.say(keep ? 'the system stays up: PERENNIAL_HOME as now, npm run stop ends it' : 'stopping');
    if (!keep) await system.stop();
    if (asJson) process.stdout.write(`${JSON.stringify(summary(played, seconds))}\n`);
  } catch (error) {
    await system.stop();
    throw error;
  }
  process.exit(0);
}

function summary({ one, two, prediction, champion, draws }: Played, seconds: number) {
  const version = ({ version: number, accuracy, interval, humanLabels, sha256, n }: VersionFigures) => ({
    ...{ version: number, accuracy, interval, n, humanLabels, sha256 },
  });
  const { expected, got } = prediction;
  return {
    model,
    champion,
    versions: [one, two].map(version),
    prediction: { expected, got },
    randomMedian: draws.median,
    seconds,
  };
}

await main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exit(1);
});
