// What `command` adds to a program: its directory unpacked, the program run by our child within its limits with metrics and a
// checkpoint, its model composed and asked in the scorer; against the same program started by hand. In turns.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { createScorer, type Scorer } from '../adapters/scorer.js';
import { runProgram } from '../adapters/command/run.js';
import { codeLimits, packFolder, readFolder, unpackFolder } from '../adapters/folder/index.js';
import type { CommandSpec } from '../domain/command.js';
import type { FittedFeatures } from '../domain/model.js';
import { composeModel } from '../ml/export/compose.js';
import { Graph, modelBytes } from '../ml/onnx/graph.js';

const repetitions = 5;
const limits = { deadlineMs: 60_000, memoryMb: 1_000, diskMb: 1_000, drainMs: 10_000 };
const training = { checkpointEveryMs: 15_000, inputsDigest: 'sha256:bench', resumedFromStep: 0 } as const;

/** Half a second of work, a metric, a checkpoint, a model. */
const program = `
import { appendFileSync, copyFileSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
const job = process.env.PERENNIAL_JOB;
for (const end = performance.now() + 500; performance.now() < end; );
appendFileSync(job + '/metrics.jsonl', JSON.stringify({ step: 1, loss: 0.5 }) + '\\n');
mkdirSync(job + '/checkpoint', { recursive: true });
writeFileSync(job + '/checkpoint.tmp', 'state');
renameSync(job + '/checkpoint.tmp', job + '/checkpoint/1');
copyFileSync('model.onnx', job + '/model.onnx');
`;

const num = [{ input: { column: 'a', part: null }, impute: 0, mean: 0, scale: 1 }];
const signature = { num: [{ column: 'a', part: null }], cat: [], task: 'regression' as const, classes: [] };
const features: FittedFeatures = { version: 1, num, cat: [], width: 1, signature };

function model(): Uint8Array {
  const graph = new Graph('theirs');
  const x = graph.input('X', 'float', ['N', 1]);
  graph.output(graph.op('Mul', [x, graph.scalar('float', 2)], {}, 'value'), 'float', ['N', 1]);
  return modelBytes(graph, { opset: 18 });
}

const environmentOf = (job: string) => ({ PATH: process.env['PATH'] ?? '', HOME: job, PERENNIAL_JOB: job });

async function byHand(code: string, folder: string): Promise<number> {
  const startedAt = performance.now();
  await mkdir(folder);
  const child = spawn(process.execPath, ['main.mjs'], { cwd: code, env: environmentOf(folder), stdio: 'ignore' });
  const ended = await new Promise<number | null>((resolve) => child.once('close', resolve));
  if (ended !== 0) throw new Error(`the program ended with ${ended}`);
  return performance.now() - startedAt;
}

async function byCommand(archive: Uint8Array, folder: string, scorer: Scorer): Promise<number> {
  const startedAt = performance.now();
  await mkdir(join(folder, 'job'), { recursive: true });
  await unpackFolder(Readable.from([archive]), join(folder, 'code'), codeLimits);
  const spec: CommandSpec = {
    ...{ folder, cwd: join(folder, 'code'), command: [process.execPath, 'main.mjs'], cleanUp: null, ...limits },
    ...{ env: environmentOf(join(folder, 'job')), training },
  };
  const ignore = () => undefined;
  const on = { started: ignore, progress: ignore, metrics: ignore, checkpoint: () => Promise.resolve() };
  const { path } = await (await runProgram(spec, on, { secrets: [] })).done;
  const bytes = composeModel(features, await readFile(path), 'features');
  const served = join(folder, 'composed.onnx');
  await writeFile(served, bytes);
  const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}` as const;
  await scorer.score({ path: served, digest, signature }, { rows: 1, num: Float32Array.from([1]), cat: [] });
  return performance.now() - startedAt;
}

const median = (values: number[]): number => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;

/** `ours`: seconds that `command` adds; `peer`: seconds of the program by hand. */
export async function bench(): Promise<{ ours: number; peer: number; ratio: null; unit: string; runs: number }> {
  const place = await mkdtemp(join(tmpdir(), 'perennial-bench-'));
  const scorer = createScorer({ deadlineMs: 60_000, memoryLimitMb: 2_048 });
  try {
    const code = join(place, 'code');
    await mkdir(code);
    await writeFile(join(code, 'main.mjs'), program);
    await writeFile(join(code, 'model.onnx'), model());
    const chunks: Uint8Array[] = [];
    for await (const chunk of packFolder(code, await readFolder(code, codeLimits))) chunks.push(chunk);
    const [ours, peer]: [number[], number[]] = [[], []];
    for (let round = 0; round < repetitions; round++) {
      peer.push(await byHand(code, join(place, `hand-${round}`)));
      ours.push(await byCommand(Buffer.concat(chunks), join(place, `command-${round}`), scorer));
    }
    const hand = median(peer);
    return { ours: (median(ours) - hand) / 1000, peer: hand / 1000, ratio: null, unit: 's', runs: repetitions };
  } finally {
    scorer.close();
    await rm(place, { recursive: true, force: true });
  }
}
