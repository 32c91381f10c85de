// Approvals: a person says yes or no to one exact candidate or schema, named by its digest.
import { z } from '@hono/zod-openapi';
import { approvalView, decideApproval, listApprovals } from '../db/approval.js';
import type { Tx } from '../db/client.js';
import { runView } from '../db/run.js';
import { approvalDecisions, approvalKinds, approvalStatuses, type ApprovalDecisionKind } from '../domain/approval.js';
import { isDigest } from '../domain/artifact.js';
import { decisionIdOf } from '../domain/decision.js';
import { Failure } from '../domain/failures.js';
import type { Json } from '../domain/json.js';
import { decide } from './decide.js';
import type { ApiDeps } from './deps.js';
import { endpoint, type ApiRequest, type Endpoint } from './endpoint.js';
import { actorOf } from './identity.js';
import { pendingSchema } from './labeling.js';
import { invalid } from './problem.js';
import {
  actorFields,
  digestSchema,
  idSchema,
  listSchema,
  momentSchema,
  pageFields,
  pageOf,
  reasonSchema,
} from './schemas.js';

const approvalSchema = z
  .looseObject({
    id: z.string(),
    run: z.string(),
    kind: z.enum(approvalKinds),
    digest: z.string(),
    since: momentSchema,
    deadline: momentSchema,
    status: z.enum(approvalStatuses),
  })
  .openapi('Approval');
const decisionSchema = z
  .looseObject({
    decision: z.enum(approvalDecisions),
    ...actorFields,
    reason: reasonSchema.nullish(),
    digest: digestSchema,
  })
  .openapi('ApprovalDecision');
const answerSchema = z
  .looseObject({
    approval: z.string(),
    status: z.enum(approvalStatuses),
    decision: z.string(),
    by: z.string(),
    decisionId: z.string(),
  })
  .openapi('ApprovalAnswer');

const approvalParam = { id: idSchema('apr') };

interface DecisionBody {
  decision: ApprovalDecisionKind;
  by?: string | undefined;
  onBehalfOf?: string | undefined;
  reason?: string | null | undefined;
  digest: string;
}

async function decideOn(request: ApiRequest<{ id: string }, unknown, DecisionBody>, deps: ApiDeps) {
  const { body, identity, params } = request;
  const { project } = identity;
  const { decision, digest } = body;
  if (!isDigest(digest)) throw invalid('digest', 'must be sha256: and 64 hex digits');
  const actor = actorOf(identity, { name: body.by, onBehalfOf: body.onBehalfOf }, 'by');
  const { by, verified } = actor;
  const view = await approvalView(deps.db, project, params.id);
  const { temporal: workflowId } = await runView(deps.db, project, view.run);
  const decisionId = request.key ?? decisionIdOf({ target: params.id, round: view.round, by, decision, digest });
  const reason = body.reason ?? null;
  const payload: { [name: string]: Json } = { decisionId, decision, by, digest, verified };
  if (reason !== null) payload['reason'] = reason;
  const standing = async (tx: Tx) => {
    const now = await approvalView(tx, project, params.id);
    if (now.status === 'open') {
      if (now.digest === digest) return null;
      throw new Failure('StaleCandidate', `this approval is about ${now.digest}`, { members: { digest: now.digest } });
    }
    // over: gives the first answer of this decision id, or AlreadyDecided
    const outcome = decision === 'approve' ? 'approved' : 'rejected';
    return decideApproval(tx, { approval: params.id, decisionId, decision, outcome, by, verified, reason, digest });
  };
  return decide(request, deps, { workflowId, decisionId, payload, actor, subject: params.id, standing });
}

export function approvalEndpoints(): Endpoint[] {
  const tag = 'approvals';
  return [
    endpoint(
      {
        method: 'get',
        path: '/api/v1/approvals',
        tag,
        summary: 'Approvals, the latest first',
        role: 'viewer',
        query: { status: z.enum(approvalStatuses).optional(), ...pageFields },
        answers: { 200: { description: 'A page of approvals', schema: listSchema(approvalSchema) } },
      },
      async ({ identity, query }, deps) => {
        const { status } = query;
        const { project } = identity;
        const page = await listApprovals(deps.db, { project, ...(status ? { status } : {}), page: pageOf(query) });
        return { status: 200, body: page };
      },
    ),
    endpoint(
      {
        method: 'get',
        path: '/api/v1/approvals/{id}',
        tag,
        summary: 'One approval with what the person should see',
        role: 'viewer',
        params: approvalParam,
        answers: { 200: { description: 'The approval', schema: approvalSchema } },
      },
      async ({ identity, params }, deps) => ({
        status: 200,
        body: await approvalView(deps.db, identity.project, params.id),
      }),
    ),
    endpoint(
      {
        method: 'post',
        path: '/api/v1/approvals/{id}/decision',
        tag,
        summary: 'Approve or reject exactly what the digest names',
        role: 'reviewer',
        params: approvalParam,
        body: decisionSchema,
        idempotent: true,
        answers: {
          200: { description: 'The workflow’s answer', schema: answerSchema },
          202: {
            description: 'No worker answered in time; the decision is kept, the same POST asks again',
            schema: pendingSchema,
          },
        },
        problems: ['StaleCandidate', 'AlreadyDecided', 'NotYou'],
      },
      decideOn,
    ),
  ];
}
