// An app over a real database, a real store and a real DuckDB; only the workflows are scripted.
import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Secret, type Config } from '../../adapters/config.js';
import { createDuck } from '../../adapters/duckdb.js';
import { createLog } from '../../adapters/log.js';
import { createArtifacts, createStore } from '../../adapters/store/index.js';
import type { Json } from '../../domain/json.js';
import type { ModelInputs, ModelOutputs, Signature } from '../../domain/model.js';
import { createApp } from '../../api/app.js';
import type { ApiDeps, DecisionOutcome } from '../../api/deps.js';
import { artifactHooks } from '../../db/artifact.js';
import { inTransaction } from '../../db/client.js';
import { ensureAdminToken } from '../../db/token.js';
import { testDatabase, type TestDatabase } from '../support/database.js';

/** What the workflows would answer: a queue of outcomes, `pending` when it is empty. */
export class ScriptedDecisions {
  readonly asked: { workflowId: string; decision: Json; decisionId: string }[] = [];
  readonly cancelled: string[] = [];
  readonly answers: (DecisionOutcome | ((decision: Json) => Promise<DecisionOutcome>))[] = [];
  cancelFails = 0;

  async decide(workflowId: string, decision: Json, options: { decisionId: string }): Promise<DecisionOutcome> {
    this.asked.push({ workflowId, decision, decisionId: options.decisionId });
    const next = this.answers.shift() ?? { kind: 'pending' };
    return typeof next === 'function' ? next(decision) : next;
  }

  async cancel(workflowId: string): Promise<void> {
    if (this.cancelFails > 0) {
      this.cancelFails -= 1;
      throw new Error('not there yet');
    }
    this.cancelled.push(workflowId);
  }
}

/** Adds up each row's numbers; `answer` may be replaced. */
export class ScriptedScorer {
  readonly asked: { digest: string; inputs: ModelInputs }[] = [];
  answer: (inputs: ModelInputs, signature: Signature) => ModelOutputs = (inputs, signature) => {
    if (signature.task === 'regression') return { value: new Float32Array(inputs.rows).fill(1.5) };
    const first = signature.classes[0] ?? '';
    const probabilities = new Float32Array(inputs.rows * signature.classes.length);
    for (let row = 0; row < inputs.rows; row += 1) probabilities[row * signature.classes.length] = 1;
    return { label: Array.from({ length: inputs.rows }, () => first), probabilities };
  };

  async score(model: { digest: string; signature: Signature }, inputs: ModelInputs): Promise<ModelOutputs> {
    this.asked.push({ digest: model.digest, inputs });
    return this.answer(inputs, model.signature);
  }
}

export interface TestApi {
  deps: ApiDeps;
  app: ReturnType<typeof createApp>;
  database: TestDatabase;
  decisions: ScriptedDecisions;
  scorer: ScriptedScorer;
  kicks: () => number;
  home: string;
  get(path: string, headers?: Record<string, string>): Promise<Response>;
  post(path: string, body?: unknown, headers?: Record<string, string>): Promise<Response>;
  close(): Promise<void>;
}

export interface TestApiOptions {
  token?: string;
  host?: string;
  sources?: string;
  temporalUi?: string | null;
}

function configFor(home: string, options: TestApiOptions): Config {
  return {
    home,
    port: 0,
    host: options.host ?? '127.0.0.1',
    databaseUrl: undefined,
    temporal: { address: undefined, namespace: 'perennial', cli: undefined },
    store: join(home, 'store'),
    url: undefined,
    token: options.token === undefined ? undefined : new Secret(options.token),
    sources: options.sources,
    gpu: { devices: [] },
    memoryMb: 4096,
    results: { days: 30, bytes: 50e9 },
    command: { python: 'python3', environments: join(home, 'environments'), variables: [], network: 'none' },
    hold: undefined,
    logLevel: 'error',
  };
}

export async function testApi(options: TestApiOptions = {}): Promise<TestApi> {
  const database = await testDatabase();
  const { db } = database;
  const home = mkdtempSync(join(tmpdir(), 'perennial-api-'));
  const config = configFor(home, options);
  const duck = createDuck({ tempFolder: join(home, 'duck') });
  const store = createStore(config.store);
  const decisions = new ScriptedDecisions();
  const scorer = new ScriptedScorer();
  let kicked = 0;
  const deps: ApiDeps = {
    db,
    config,
    log: createLog({ logLevel: 'error' }, 'test', { write: () => undefined }),
    artifacts: createArtifacts(store, artifactHooks(db)),
    duck,
    scorer,
    decisions,
    kick: () => (kicked += 1),
    temporalUi: options.temporalUi === undefined ? 'http://127.0.0.1:8233' : options.temporalUi,
    namespace: 'perennial',
    ready: async () => ({ ok: true, checks: { postgres: 'ok' } }),
    checkAnswers: true,
  };
  const { token } = options;
  if (token) await inTransaction(db, (tx) => ensureAdminToken(tx, { project: 'default', secret: token }));
  const app = createApp(deps);
  return {
    deps,
    app,
    database,
    decisions,
    scorer,
    home,
    kicks: () => kicked,
    get: async (path, headers = {}) => app.request(path, { headers }),
    post: async (path, body, headers = {}) =>
      app.request(path, {
        method: 'POST',
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
      }),
    async close() {
      duck.close();
      await store.close();
      await database.close();
      await rm(home, { recursive: true, force: true });
    },
  };
}

export const digits = {
  name: 'digits',
  dataset: { name: 'digits', key: 'id', label: 'label', task: 'classification' },
  trainer: { type: 'linear' },
  gate: { metric: 'accuracy', min: 0.85 },
};

export interface Problem {
  type: string;
  title: string;
  status: number;
  detail: string;
  instance: string;
  requestId: string;
  errors: { path: string; message: string }[];
  [member: string]: unknown;
}

/** The problem document of an answer, checked for what must never be in one. */
export async function problemOf(response: Response): Promise<Problem> {
  const text = await response.text();
  if (!response.headers.get('content-type')?.startsWith('application/problem+json')) {
    throw new Error(`no problem document but ${response.status} ${text.slice(0, 300)}`);
  }
  if (/\bat .+\.(ts|js):\d+|select |insert into|\/tmp\/|\/home\/|\/work\/|node_modules/i.test(text)) {
    throw new Error(`the problem shows insides: ${text}`);
  }
  const problem = JSON.parse(text) as Problem;
  if (problem.status !== response.status) throw new Error('the status differs from the member');
  return problem;
}

export async function codeOf(response: Response): Promise<string> {
  const problem = await problemOf(response);
  return `${problem.status} ${problem.type.replace('/problems/', '')}`;
}

export async function jsonOf<T = Record<string, unknown>>(response: Response): Promise<T> {
  return (await response.json()) as T;
}
