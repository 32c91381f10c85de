// What the API needs from outside, handed in by main.ts and by tests, and who is asking.
import type { Context } from 'hono';
import type { Scorer as ForkedScorer } from '../adapters/scorer.js';
import type { Config } from '../adapters/config.js';
import type { Duck } from '../adapters/duckdb.js';
import type { Log } from '../adapters/log.js';
import type { Artifacts } from '../adapters/store/index.js';
import type { DecisionClient, DecisionOutcome } from '../adapters/temporal.js';
import type { Db } from '../db/client.js';
import { roles, type Role } from '../db/token.js';

export type { DecisionClient, DecisionOutcome };

export { roles, type Role };

/** The forked child that runs models: golden rows are checked before the first answer. */
export type Scorer = Pick<ForkedScorer, 'score'>;

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
  /** Aborted when the process is about to end: streams end, and their readers come back to another process. */
  closing?: AbortSignal;
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
  /** `identity` is missing on open addresses only. */
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
