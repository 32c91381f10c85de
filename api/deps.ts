// What the API needs from outside, handed in by main.ts and by tests, and who is asking.
import type { Context } from 'hono';
import type { Config } from '../adapters/config.js';
import type { Duck } from '../adapters/duckdb.js';
import type { Log } from '../adapters/log.js';
import type { Artifacts } from '../adapters/store/index.js';
import type { DecisionClient, DecisionOutcome } from '../adapters/temporal.js';
import type { Db } from '../db/client.js';
import type { Digest } from '../domain/artifact.js';
import type { GoldenRows, ModelInputs, ModelOutputs, Signature } from '../domain/model.js';

export type { DecisionClient, DecisionOutcome };

export const roles = ['viewer', 'labeler', 'reviewer', 'operator', 'admin'] as const;
export type Role = (typeof roles)[number];

/** A packaged model as the scorer loads it: golden rows are checked before the first answer. */
export interface ScoredModel {
  path: string;
  digest: Digest;
  golden: GoldenRows;
  signature: Signature;
}

/** The forked child that runs models; adapters/child.ts. */
export interface Scorer {
  score(model: ScoredModel, inputs: ModelInputs): Promise<ModelOutputs>;
}

export interface Readiness {
  ok: boolean;
  checks: Record<string, string>;
}

export interface ApiDeps {
  db: Db;
  config: Config;
  log: Log;
  artifacts: Artifacts;
  duck: Duck;
  scorer: Scorer;
  decisions: DecisionClient;
  /** Sends the outbox now; called after each commit, returns at once. */
  kick(): void;
  /** Base URL of Temporal's UI, without a trailing slash; null when unknown. */
  temporalUi: string | null;
  namespace: string;
  ready(): Promise<Readiness>;
  /** Every answer is compared with its declared schema, a difference is a 500. For tests; default false. */
  checkAnswers?: boolean;
}

/** Who asks. Without tokens (loopback) nobody is known: `subject` is null and the role is admin. */
export interface Identity {
  project: string;
  subject: string | null;
  role: Role;
}

export interface Env {
  Variables: { requestId: string; identity: Identity; route: string };
}
export type ApiContext = Context<Env>;

export function roleAllows(has: Role, needed: Role): boolean {
  return roles.indexOf(has) >= roles.indexOf(needed);
}

/** Where a person sees this workflow; null without a known UI. */
export function temporalUrl(deps: Pick<ApiDeps, 'temporalUi' | 'namespace'>, workflowId: string): string | null {
  if (deps.temporalUi === null) return null;
  return `${deps.temporalUi}/namespaces/${encodeURIComponent(deps.namespace)}/workflows/${encodeURIComponent(workflowId)}`;
}
