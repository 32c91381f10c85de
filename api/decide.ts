// Decisions of people (architecture, rule 5): an Update of the workflow with five seconds to answer, else its Signal by outbox.
import { inTransaction, type Tx } from '../db/client.js';
import { claimIdempotent, storeIdempotent } from '../db/idempotency.js';
import { enqueue } from '../db/outbox.js';
import { Failure } from '../domain/failures.js';
import { canonicalJson, type Json } from '../domain/json.js';
import { sha256Of } from './body.js';
import type { ApiDeps } from './deps.js';
import type { Answer, ApiRequest } from './endpoint.js';
import { auditBehalf, type Actor } from './identity.js';
import { idempotencyKeyOf } from './once.js';

export const answerWithinMs = 5_000;

export interface Decision {
  workflowId: string;
  decisionId: string;
  /** What the Update and the Signal carry. */
  payload: { [name: string]: Json };
  actor: Actor;
  /** What is decided on, for the audit. */
  subject: string;
  /**
   * What the row says: the first answer to this decision id; null while it is open to decide; throws why it is not.
   * Asked before the workflow, and after it when the workflow is closed.
   */
  standing(tx: Tx): Promise<object | null>;
}

/**
 * The key is the decision's id, of which a workflow knows one payload: so it belongs to one person, target and body, also
 * where two people send the same. An id that was made of the decision can be nobody's key either.
 */
function decisionKey(request: ApiRequest, { decisionId, workflowId }: Decision) {
  const sent = idempotencyKeyOf(request, decisionId);
  const content = request.key === null ? [] : [request.identity.subject, sent.route, request.bodyDigest];
  return { ...sent, subject: '*', route: `decide ${workflowId}`, bodyDigest: sha256Of(canonicalJson(content)) };
}

/** Key and body belong together before the workflow is asked: its answer may come by a Signal only. */
async function remembered(request: ApiRequest, deps: ApiDeps, decision: Decision): Promise<Answer | null> {
  const kept = await claimIdempotent(deps.db, decisionKey(request, decision));
  return kept && { status: kept.status, body: kept.body, headers: { 'idempotent-replay': 'true' } };
}

async function answered(request: ApiRequest, deps: ApiDeps, decision: Decision, body: object): Promise<Answer> {
  const decided = (body as { decision?: unknown }).decision;
  if (typeof decided === 'string' && decided !== decision.payload['decision']) {
    throw new Failure('IdempotencyKeyReused', `this key stands for the decision ${decided}`);
  }
  const answer = { status: 200, body: JSON.parse(JSON.stringify(body)) as Json };
  await inTransaction(deps.db, async (tx) => {
    if (request.key !== null) await storeIdempotent(tx, decisionKey(request, decision), answer);
    await auditBehalf(tx, request.identity.project, decision.actor, 'decision', decision.subject);
  });
  return answer;
}

async function fallBack(request: ApiRequest, deps: ApiDeps, decision: Decision): Promise<Answer> {
  const { decisionId, workflowId, payload } = decision;
  await inTransaction(deps.db, (tx) =>
    enqueue(tx, {
      project: request.identity.project,
      kind: 'signal',
      workflowId,
      name: 'decideSignal',
      payload,
      coalesceKey: `decide/${workflowId}/${decisionId}`,
    }),
  );
  deps.kick();
  return { status: 202, body: { status: 'pending', decisionId } };
}

export async function decide(request: ApiRequest, deps: ApiDeps, decision: Decision): Promise<Answer> {
  const kept = await remembered(request, deps, decision);
  if (kept) return kept;
  const standing = await inTransaction(deps.db, decision.standing);
  if (standing) return answered(request, deps, decision, standing);
  const { workflowId, decisionId, payload } = decision;
  deps.kick();
  const outcome = await deps.decisions.decide(workflowId, payload, { decisionId, timeoutMs: answerWithinMs });
  switch (outcome.kind) {
    case 'answer':
      return answered(request, deps, decision, outcome.answer as object);
    case 'refused':
      throw new Failure(outcome.failure, outcome.detail);
    case 'pending':
      return fallBack(request, deps, decision);
    case 'closed': {
      const stands = await inTransaction(deps.db, decision.standing);
      if (stands) return answered(request, deps, decision, stands);
      // open in the row, gone in Temporal: a start still on its way, or lost, which the reconciler settles
      return fallBack(request, deps, decision);
    }
  }
}
