// Scorer child, forked by adapters/scorer.ts: the only place where packaged and user-supplied models run.
// One request at a time, in order. It keeps the eight sessions used last. Exits when the parent is gone.
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { InferenceSession } from 'onnxruntime-node';
import { Tensor } from 'onnxruntime-node';
import type { Digest } from '../domain/artifact.js';
import { Failure } from '../domain/failures.js';
import {
  type GoldenRows,
  joinedOutputs,
  type ModelInputs,
  type ModelOutputs,
  pickInputs,
  piecesOf,
  type Signature,
} from '../domain/model.js';
import type { Latency } from '../domain/variant.js';
import type { ScorerReply, ScorerRequest, ScoredModel, TensorValue } from '../adapters/scorer.js';
import { feedsOf } from '../adapters/feeds.js';
import { dieWithParent } from '../adapters/fork.js';
import { hasExternalData } from '../ml/onnx/external.js';
import { createSession } from '../ml/provider.js';

const sessionLimit = 8;
const descriptionLimit = 64;

interface Loaded {
  session: InferenceSession;
  /** How far the golden rows are off here; Infinity before that was looked at. */
  goldenWithin: number;
}

const loaded = new Map<Digest, Loaded>();
/** What the parent said about each model, so that it need not say it with each request. */
const described = new Map<Digest, ScoredModel>();

/** Puts an entry at the young end and answers what fell off the old one. */
function touch<T>(map: Map<Digest, T>, digest: Digest, value: T, limit: number): T | null {
  map.delete(digest);
  map.set(digest, value);
  const oldest = map.entries().next().value;
  if (map.size <= limit || oldest === undefined) return null;
  map.delete(oldest[0]);
  return oldest[1];
}

async function openSession(path: string, digest: Digest): Promise<InferenceSession> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (error) {
    throw new Failure(
      'ArtifactCorrupt',
      `model ${digest} cannot be read: ${(error as NodeJS.ErrnoException).code ?? ''}`,
    );
  }
  const found = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
  if (found !== digest) throw new Failure('ArtifactCorrupt', `the model's bytes are ${found}, expected ${digest}`);
  try {
    if (hasExternalData(bytes)) throw new Error('its tensors lie in other files');
    return await createSession(bytes);
  } catch (error) {
    throw new Failure('ModelInvalid', `model ${digest} does not load: ${(error as Error).message}`);
  }
}

async function sessionOf(model: { path: string; digest: Digest }): Promise<Loaded> {
  const known = loaded.get(model.digest);
  const entry = known ?? {
    session: await openSession(model.path, model.digest),
    goldenWithin: Number.POSITIVE_INFINITY,
  };
  const evicted = touch(loaded, model.digest, entry, sessionLimit);
  await evicted?.session.release();
  return entry;
}

function tensorOf(value: TensorValue): Tensor {
  return value.type === 'string'
    ? new Tensor('string', value.data as string[], value.dims)
    : new Tensor('float32', value.data as Float32Array, value.dims);
}

async function runFeeds(
  session: InferenceSession,
  feeds: Record<string, TensorValue>,
): Promise<Record<string, Tensor>> {
  const tensors = Object.fromEntries(Object.entries(feeds).map(([name, value]) => [name, tensorOf(value)]));
  try {
    return (await session.run(tensors)) as Record<string, Tensor>;
  } catch (error) {
    throw new Failure('ModelInvalid', `the model does not run on these inputs: ${(error as Error).message}`);
  }
}

/** Rows of one session.run at most; fewer where texts are long, since the graph holds them all side by side. */
const rowsPerRun = 16_384;

async function scoreRows(session: InferenceSession, signature: Signature, inputs: ModelInputs): Promise<ModelOutputs> {
  feedsOf(signature, inputs);
  const outputs: ModelOutputs[] = [];
  for (const piece of piecesOf(inputs, signature, rowsPerRun)) {
    const result = await runFeeds(session, feedsOf(signature, piece));
    outputs.push({
      ...(result['label'] && { label: result['label'].data as string[] }),
      ...(result['probabilities'] && { probabilities: result['probabilities'].data as Float32Array }),
      ...(result['value'] && { value: result['value'].data as Float32Array }),
    });
  }
  return joinedOutputs(outputs);
}

/** The largest difference, relative to numbers above 1; Infinity where lengths or missing numbers differ. */
function difference(expected: number[] | undefined, actual: Float32Array | undefined): number {
  if (expected === undefined && actual === undefined) return 0;
  if (expected?.length !== actual?.length) return Number.POSITIVE_INFINITY;
  let most = 0;
  expected?.forEach((value, place) => {
    const found = actual?.[place] as number;
    if (Object.is(value, found)) return;
    const off = Math.abs(value - found) / Math.max(1, Math.abs(value));
    // a zero of another sign is off too, by as little as there is
    most = Math.max(most, Number.isNaN(off) ? Number.POSITIVE_INFINITY : Math.max(off, Number.MIN_VALUE));
  });
  return most;
}

/** Whether the two likeliest classes of a golden row are so close that either may be named. */
function isTie({ inputs, outputs }: GoldenRows, row: number, tolerance: number): boolean {
  const width = (outputs.probabilities?.length ?? 0) / inputs.rows;
  const [first, second] = [...(outputs.probabilities?.slice(row * width, (row + 1) * width) ?? [])].sort(
    (a, b) => b - a,
  );
  return tolerance > 0 && first !== undefined && second !== undefined && first - second <= 2 * tolerance;
}

/** How far the golden rows are off. Bits repeat on the kind of machine that packaged the model, and not on every other. */
async function checkGolden(session: InferenceSession, model: ScoredModel, golden: GoldenRows): Promise<number> {
  const { signature, goldenTolerance: tolerance = 0 } = model;
  const num = Float32Array.from(golden.inputs.num, (value) => value ?? NaN);
  const found = await scoreRows(session, signature, { ...golden.inputs, num });
  const { label, probabilities, value } = golden.outputs;
  const labels =
    label?.length === found.label?.length &&
    (label ?? []).every((name, row) => name === found.label?.[row] || isTie(golden, row, tolerance));
  const off = {
    label: labels ? 0 : Number.POSITIVE_INFINITY,
    probabilities: difference(probabilities, found.probabilities),
    value: difference(value, found.value),
  };
  const bad = Object.entries(off).find(([, most]) => most > tolerance);
  if (bad) {
    const detail = `the golden rows of ${model.digest} give another ${bad[0]} than when the model was packaged`;
    throw new Failure(tolerance > 0 ? 'ModelBroken' : 'ModelInvalid', detail);
  }
  return Math.max(...Object.values(off));
}

/** Runs that are not counted, at least and at most counted; a slow model gets fewer, so that no step waits for minutes. */
const [warmUps, leastRuns, mostRuns] = [10, 30, 300];
const [warmMs, longEnoughMs, tooLongMs] = [250, 250, 10_000];

async function timeRows(session: InferenceSession, model: ScoredModel, inputs: ModelInputs, batch: number) {
  const picked = Array.from({ length: batch }, (_, row) => row % inputs.rows);
  const rows = pickInputs(inputs, model.signature, picked);
  const once = async (): Promise<number> => {
    const start = performance.now();
    await scoreRows(session, model.signature, rows);
    return performance.now() - start;
  };
  for (let [run, spent] = [0, 0]; run < warmUps && spent < warmMs; run++) spent += await once();
  const times: number[] = [];
  for (let spent = 0; times.length < mostRuns && spent < tooLongMs;) {
    if (times.length >= leastRuns && spent >= longEnoughMs) break;
    const took = await once();
    times.push(took);
    spent += took;
  }
  times.sort((a, b) => a - b);
  // nearest rank, to a tenth of a microsecond
  const quantile = (share: number) => Number((times[Math.ceil(share * times.length) - 1] ?? NaN).toFixed(4));
  return { batch, p50Ms: quantile(0.5), p99Ms: quantile(0.99) };
}

async function answer(request: ScorerRequest): Promise<ScorerReply> {
  if (request.kind === 'run') {
    const { session } = await sessionOf(request.model);
    const result = await runFeeds(session, request.feeds);
    const values = Object.entries(result).map(([name, { type, dims, data }]) => [
      name,
      { type, dims: [...dims], data },
    ]);
    return { id: request.id, type: 'run', value: Object.fromEntries(values) as Record<string, TensorValue> };
  }
  if (request.model) touch(described, request.digest, request.model, descriptionLimit);
  const model = described.get(request.digest);
  if (!model) return { id: request.id, type: 'unknown' };
  const entry = await sessionOf(model);
  let drift = 0;
  if (model.golden && entry.goldenWithin > (model.goldenTolerance ?? 0)) {
    drift = await checkGolden(entry.session, model, model.golden);
    entry.goldenWithin = drift;
  }
  if (request.kind === 'time') {
    const timed: Latency[] = [];
    for (const batch of request.batches) timed.push(await timeRows(entry.session, model, request.inputs, batch));
    return { id: request.id, type: 'time', value: timed };
  }
  const value = await scoreRows(entry.session, model.signature, request.inputs);
  return { id: request.id, type: 'score', value, ...(drift > 0 && { drift }) };
}

async function handle(request: ScorerRequest): Promise<void> {
  let reply: ScorerReply;
  try {
    reply = await answer(request);
  } catch (error) {
    const failure = error instanceof Failure ? error.failure : 'Internal';
    const detail = error instanceof Error ? error.message : String(error);
    reply = { id: request.id, type: 'failed', failure, detail };
  }
  // A model holds this thread, so a long answer must be out before the next one begins: the parent's clock waits for it.
  await new Promise<void>((resolve) => {
    if (process.send) process.send(reply, () => resolve());
    else resolve();
  });
}

let tail: Promise<void> = Promise.resolve();
dieWithParent(0);
process.on('message', (request: ScorerRequest) => {
  tail = tail.then(() => handle(request));
});
