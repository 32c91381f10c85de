// The scorer child, seen from the parent: requests in order, a new child after a death, each request told how it ended.
// Deadline, memory limit and SIGKILL are fork.ts's.
import type { Digest } from '../domain/artifact.js';
import { Failure, isFailureName } from '../domain/failures.js';
import type { GoldenRows, ModelInputs, ModelOutputs, Signature } from '../domain/model.js';
import type { Latency } from '../domain/variant.js';
import type { Child, ChildOptions } from './fork.js';
import { deadline, startChild } from './fork.js';

export interface TensorValue {
  type: 'float32' | 'string';
  dims: number[];
  /** Row-major. */
  data: Float32Array | string[];
}

export interface ScoredModel {
  /** A local file; the child verifies its bytes against `digest`. */
  path: string;
  digest: Digest;
  /** Checked when the child loads the model. */
  golden?: GoldenRows;
  /** How far the golden rows may be off, relative to numbers above 1. Default 0: bit for bit. */
  goldenTolerance?: number;
  signature: Signature;
}

export type ScorerRequest =
  | { id: number; kind: 'score'; digest: Digest; model: ScoredModel | null; inputs: ModelInputs }
  | { id: number; kind: 'time'; digest: Digest; model: ScoredModel | null; inputs: ModelInputs; batches: number[] }
  | { id: number; kind: 'run'; model: { path: string; digest: Digest }; feeds: Record<string, TensorValue> };

export type ScorerReply =
  /** `drift`: told with the first answer, where the golden rows are off, but within the tolerance. */
  | { id: number; type: 'score'; value: ModelOutputs; drift?: number }
  | { id: number; type: 'run'; value: Record<string, TensorValue> }
  | { id: number; type: 'time'; value: Latency[] }
  /** The child does not know the model of this request yet. */
  | { id: number; type: 'unknown' }
  | { id: number; type: 'failed'; failure: string; detail: string };

export interface Scorer {
  /**
   * Raw rows to answers. Rejects with a `Failure`: ModelInvalid (ModelBroken where a tolerance was given), ArtifactCorrupt,
   * InvalidRequest, DeadlineExceeded, OutOfMemory, ChildDied; Unavailable when too many requests wait.
   */
  score(model: ScoredModel, inputs: ModelInputs): Promise<ModelOutputs>;
  /** How long the model takes for so many rows at once, made of `inputs` (at least one row). Same failures. */
  time(model: ScoredModel, inputs: ModelInputs, batches: number[]): Promise<Latency[]>;
  /** Any ONNX file with float32 and string tensors, such as the featuriser. Same failures. */
  run(
    model: { path: string; digest: Digest },
    feeds: Record<string, TensorValue>,
  ): Promise<Record<string, TensorValue>>;
  /** Ends the child; requests under way reject with WorkerShutdown. */
  close(): void;
  /** null while no child is alive. */
  readonly pid: number | null;
}

export interface ScorerOptions extends ChildOptions {
  /** For each request, from when it is the oldest, since they run one after another. Past it the child is killed. */
  deadlineMs: number;
  /** Called once for each model whose golden rows are off here, but within the tolerance. */
  onDrift?: (digest: Digest, difference: number) => void;
}

interface Pending {
  request: ScorerRequest;
  /** What the request needs when the child does not know the model. */
  model: ScoredModel | null;
  sent: number;
  /** How often it was the oldest in a child. */
  runs: number;
  resolve(value: never): void;
  reject(failure: Failure): void;
}

/** Scoring changes nothing, so a request whose child died is run once more; one that only waited is sent more often. */
const runsPerRequest = 2;
const sendsPerRequest = 10;
/** Beyond these the caller is told to come back. */
const mostWaiting = 1_000;

class ForkedScorer implements Scorer {
  readonly #options: ScorerOptions;
  readonly #pending = new Map<number, Pending>();
  /** What the present child was told about each model. */
  #introduced = new Map<Digest, string>();
  #child: Child | null = null;
  #culprit: number | null = null;
  #running: Pending | null = null;
  #timer: NodeJS.Timeout | undefined;
  readonly #drifted = new Set<Digest>();
  #nextId = 1;
  #closed = false;

  constructor(options: ScorerOptions) {
    this.#options = options;
  }

  get pid(): number | null {
    return this.#child?.pid ?? null;
  }

  score(model: ScoredModel, inputs: ModelInputs): Promise<ModelOutputs> {
    return this.#ask({ id: this.#nextId++, kind: 'score', digest: model.digest, model: null, inputs }, model);
  }

  time(model: ScoredModel, inputs: ModelInputs, batches: number[]): Promise<Latency[]> {
    return this.#ask({ id: this.#nextId++, kind: 'time', digest: model.digest, model: null, inputs, batches }, model);
  }

  run(
    model: { path: string; digest: Digest },
    feeds: Record<string, TensorValue>,
  ): Promise<Record<string, TensorValue>> {
    return this.#ask({ id: this.#nextId++, kind: 'run', model, feeds }, null);
  }

  close(): void {
    this.#closed = true;
    const failure = new Failure('WorkerShutdown', 'the scorer was closed');
    for (const pending of [...this.#pending.values()]) this.#settle(pending).reject(failure);
    this.#child?.kill(failure);
  }

  #ask<T>(request: ScorerRequest, model: ScoredModel | null): Promise<T> {
    if (this.#closed) return Promise.reject(new Failure('WorkerShutdown', 'the scorer was closed'));
    if (this.#pending.size >= mostWaiting) {
      return Promise.reject(new Failure('Unavailable', `${mostWaiting} requests wait for a model already`));
    }
    return new Promise<T>((resolve, reject) => {
      const answer = resolve as (value: never) => void;
      const pending: Pending = { request, model, sent: 0, runs: 0, resolve: answer, reject };
      this.#pending.set(request.id, pending);
      this.#send(pending);
      this.#watch();
    });
  }

  #send(pending: Pending): void {
    const child = (this.#child ??= this.#start());
    const { request, model } = pending;
    if (request.kind !== 'run' && model) {
      const told = `${model.golden ? (model.goldenTolerance ?? 0) : 'plain'} ${model.path}`;
      request.model = this.#introduced.get(model.digest) === told ? null : model;
      this.#introduced.set(model.digest, told);
    }
    pending.sent++;
    child.process.ref();
    child.process.channel?.ref();
    if (child.process.connected) child.process.send(request, () => undefined);
  }

  /** The oldest request is the one that runs: the clock is set when that is another one. */
  #watch(): void {
    const [oldest = null] = this.#pending.values();
    if (oldest === this.#running) return;
    clearTimeout(this.#timer);
    this.#running = oldest;
    if (!oldest) return;
    oldest.runs++;
    const child = this.#child;
    this.#timer = deadline(this.#options.deadlineMs, () => {
      this.#culprit ??= oldest.request.id;
      child?.kill(new Failure('DeadlineExceeded', `the model took longer than ${this.#options.deadlineMs} ms`));
    });
  }

  #start(): Child {
    const child = startChild('workers/scorer.ts', [], this.#options);
    this.#introduced = new Map();
    this.#culprit = null;
    child.process.on('message', (reply: ScorerReply) => this.#receive(reply));
    void child.ended.then((death) => this.#bury(child, death));
    return child;
  }

  #settle(pending: Pending): Pending {
    this.#pending.delete(pending.request.id);
    this.#watch();
    // An idle scorer keeps no process alive.
    if (this.#pending.size === 0) {
      this.#child?.process.unref();
      this.#child?.process.channel?.unref();
    }
    return pending;
  }

  #receive(reply: ScorerReply): void {
    const pending = this.#pending.get(reply.id);
    if (!pending) return;
    if (reply.type === 'unknown' && pending.model) {
      this.#introduced.delete(pending.model.digest);
      // it runs after all that were sent before
      this.#pending.delete(reply.id);
      this.#pending.set(reply.id, pending);
      pending.runs = 0;
      this.#send(pending);
      this.#watch();
      return;
    }
    this.#settle(pending);
    if (reply.type === 'score' && reply.drift !== undefined) this.#noteDrift(pending, reply.drift);
    if (reply.type === 'failed') {
      pending.reject(new Failure(isFailureName(reply.failure) ? reply.failure : 'Internal', reply.detail));
    } else if (reply.type !== 'unknown') pending.resolve(reply.value as never);
    else pending.reject(new Failure('Internal', 'the scorer does not know the model'));
  }

  #noteDrift({ model }: Pending, difference: number): void {
    if (!model || this.#drifted.has(model.digest)) return;
    this.#drifted.add(model.digest);
    this.#options.onDrift?.(model.digest, difference);
  }

  /** The oldest request is the one that ran. It answers for a death by deadline or memory; the others are sent again. */
  #bury(child: Child, death: Failure): void {
    if (this.#child === child) this.#child = null;
    const first = this.#pending.keys().next().value;
    const culprit = this.#culprit ?? (death.failure === 'OutOfMemory' ? first : undefined);
    const spent = (one: Pending) => one.runs >= runsPerRequest || one.sent >= sendsPerRequest;
    const all = [...this.#pending.values()];
    const over = new Set(all.filter((one) => one.request.id === culprit || spent(one)));
    // before anything is sent, so that nobody's clock runs in the dead child
    this.#pending.clear();
    this.#watch();
    for (const pending of all) if (!over.has(pending)) this.#pending.set(pending.request.id, pending);
    for (const pending of this.#pending.values()) this.#send(pending);
    this.#watch();
    for (const pending of over) pending.reject(death);
  }
}

/** A scorer that forks its child with the first request and again after a death. Requests are pipelined, in order. */
export function createScorer(options: ScorerOptions): Scorer {
  return new ForkedScorer(options);
}
