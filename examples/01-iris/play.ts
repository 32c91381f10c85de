// What the small examples share: post a pipeline, open a run, follow it to its end, ask the new champion about a few rows.
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parse } from 'yaml';
import { readConfig } from '../../adapters/config.js';
import { readRunFile } from '../../adapters/home.js';
import { projectRoot } from '../../adapters/paths.js';
import { Api, type RunView } from '../digits/client.js';

export interface Prediction {
  id: string;
  label?: string;
  probabilities?: Record<string, number>;
  value?: number;
}

export interface Played {
  pipeline: string;
  run: RunView;
  champion: number;
  predictions: Prediction[];
}

export type Say = (line: string) => void;

interface Document {
  name: string;
  dataset: { source: { path: string } };
  trainer: { params?: { directory?: string } };
  gate: { checks?: { command?: { directory?: string } }[] };
}

/** `folder` is one of examples/; `rows` are what the champion is asked about. */
export async function play(
  api: Api,
  folder: string,
  rows: Record<string, unknown>[],
  say: Say = () => undefined,
): Promise<Played> {
  const document = parse(await readFile(join(projectRoot, 'examples', folder, 'pipeline.yaml'), 'utf8')) as Document;
  const { name } = document;
  document.dataset.source.path = resolve(projectRoot, document.dataset.source.path);
  const programs = [document.trainer.params, ...(document.gate.checks ?? []).map(({ command }) => command)];
  for (const program of programs) {
    if (program?.directory !== undefined) program.directory = resolve(projectRoot, program.directory);
  }
  await api.post('/api/v1/pipelines', document);
  const { id } = await api.post<{ id: string }>(`/api/v1/pipelines/${name}/runs`, { trigger: 'manual' });
  for await (const { type, data } of api.events(id)) {
    if (type === 'step.finished') say(`${String(data['node']).padEnd(10)} ${String(data['summary'] ?? '')}`);
  }
  const run = await api.get<RunView>(`/api/v1/runs/${id}`);
  if (run.status !== 'succeeded')
    throw new Error(`${name} ended ${run.status}: ${JSON.stringify(run.failure ?? run.verdict)}`);
  const { aliases } = await api.get<{ aliases: { champion: number } }>(`/api/v1/models/${name}`);
  const answer = await api.post<{ predictions: Prediction[] }>(`/api/v1/models/${name}/predict`, { rows });
  return { pipeline: name, run, champion: aliases.champion, predictions: answer.predictions };
}

/** For `npm run example`: against PERENNIAL_URL or the perennial of this home. */
export async function show(run: (api: Api, say: Say) => Promise<Played>): Promise<void> {
  const running = await readRunFile(readConfig().home);
  const url = process.env['PERENNIAL_URL'] ?? running?.api;
  if (!url) throw new Error('no perennial runs here: start one with `npm start`, or set PERENNIAL_URL');
  const { pipeline, champion, run: ended, predictions } = await run(new Api(url), console.log);
  console.log(`${pipeline}: version ${champion} is champion, ${JSON.stringify(ended.metrics)} on the holdout`);
  for (const { label, value, probabilities } of predictions) {
    const sure = label === undefined ? '' : ` (${((probabilities?.[label] ?? 0) * 100).toFixed(1)} %)`;
    console.log(`  ${label ?? value?.toFixed(3)}${sure}`);
  }
}
