// Label batches: people lease tasks, answer them, and decide about the whole.
import { z } from '@hono/zod-openapi';
import { inTransaction, type Tx } from '../db/client.js';
import { annotate, batchView, decideBatch, leaseTasks, listBatches, requireComplete } from '../db/labeling.js';
import { decisionIdOf } from '../domain/decision.js';
import { workflowIds } from '../domain/ids.js';
import type { Json } from '../domain/json.js';
import { labelKinds } from '../domain/label-kind.js';
import { batchDecisions, batchStatuses, refusals, type Answer, type BatchDecisionKind } from '../domain/labeling.js';
import { decide } from './decide.js';
import type { ApiDeps } from './deps.js';
import { endpoint, type ApiRequest, type Endpoint } from './endpoint.js';
import { actorOf, auditBehalf } from './identity.js';
import { labelSchema } from './label-task.js';
import { once } from './once.js';
import {
  actorFields,
  idSchema,
  listSchema,
  momentSchema,
  pageFields,
  pageOf,
  personSchema,
  reasonSchema,
} from './schemas.js';

const countsSchema = z.object({ tasks: z.int(), labelled: z.int(), skipped: z.int(), auto: z.int() });
export const batchSchema = z
  .looseObject({
    id: z.string(),
    run: z.string().nullable().openapi({ description: 'Null: a batch of its own' }),
    dataset: z.string(),
    status: z.enum(batchStatuses),
    counts: countsSchema,
    deadline: momentSchema,
    decided: z
      .looseObject({ decision: z.string(), by: z.string(), reason: z.string().nullable(), at: momentSchema })
      .nullable()
      .openapi({ description: 'The decision that closed it; null: it is not closed, or no decision did' }),
    kind: z.enum(labelKinds),
    classes: z.array(z.string()).nullable().openapi({ description: 'Null: any label is taken' }),
    policy: z.looseObject({}).openapi({ description: 'docs/pipeline.md, Labeling' }),
  })
  .openapi('LabelBatch');
const taskSchema = z.looseObject({
  taskId: z.string(),
  fence: z.int(),
  expiresAt: momentSchema,
  item: z.unknown().openapi({ description: 'The key and every feature column, never the label' }),
  suggestion: z.looseObject({ label: z.string(), confidence: z.number().nullable() }).nullable(),
  sentBack: z
    .looseObject({ by: z.string(), comment: z.string().nullable() })
    .nullable()
    .openapi({ description: 'Who sent it back and why; null: nobody did' }),
});
const leaseSchema = z
  .strictObject({
    labeler: personSchema.optional(),
    onBehalfOf: personSchema.optional(),
    count: z.int({ error: 'must be a whole number, 1 to 100' }).min(1).max(100).default(10),
  })
  .openapi('Lease');
const answerSchema = z
  .strictObject({
    taskId: z.string().max(64),
    fence: z.int().min(0).max(2_147_483_647),
    label: labelSchema.optional(),
    skip: z.literal(true).optional(),
    comment: reasonSchema.optional(),
  })
  .refine(({ label, skip }) => (label === undefined) !== (skip === undefined), { error: 'needs one of label and skip' })
  .openapi('Annotation');
const annotationsSchema = z
  .strictObject({
    labeler: personSchema.optional(),
    onBehalfOf: personSchema.optional(),
    annotations: z.array(answerSchema).max(1_000, { error: 'has more than 1000 answers' }),
  })
  .openapi('Annotations');
const annotatedSchema = z
  .looseObject({
    accepted: z.int(),
    surplus: z.int(),
    refused: z.array(z.object({ taskId: z.string(), reason: z.enum(refusals), detail: z.string().optional() })),
  })
  .openapi('Annotated');
const decisionSchema = z
  .strictObject({
    decision: z.enum(batchDecisions),
    ...actorFields,
    reason: reasonSchema.nullish(),
    tasks: z
      .array(idSchema('task'))
      .max(10_000)
      .optional()
      .openapi({ description: 'send-back: which tasks; all when absent' }),
  })
  .openapi('BatchDecision');
export const pendingSchema = z.object({ status: z.literal('pending'), decisionId: z.string() }).openapi('Pending');

const batchParam = { id: idSchema('bat') };

interface DecisionBody {
  decision: BatchDecisionKind;
  by?: string | undefined;
  onBehalfOf?: string | undefined;
  reason?: string | null | undefined;
  tasks?: string[] | undefined;
}

async function decideOn(request: ApiRequest<{ id: string }, unknown, DecisionBody>, deps: ApiDeps) {
  const { body, identity, params } = request;
  const { project } = identity;
  const actor = actorOf(identity, { name: body.by, onBehalfOf: body.onBehalfOf }, 'by');
  const { round } = await batchView(deps.db, project, params.id);
  const { decision } = body;
  const decisionId = request.key ?? decisionIdOf({ target: params.id, round, by: actor.by, decision });
  const reason = body.reason ?? null;
  const tasks = body.tasks ?? null;
  const payload: { [name: string]: Json } = { decisionId, decision, by: actor.by, verified: actor.verified };
  if (reason !== null) payload['reason'] = reason;
  if (tasks !== null) payload['tasks'] = tasks;
  const standing = async (tx: Tx) => {
    const { status, counts } = await batchView(tx, project, params.id);
    if (status === 'open' || status === 'review') {
      // told before a workflow is asked
      const open = counts.tasks - counts.labelled - counts.skipped - counts.auto;
      if (decision === 'accept') await requireComplete(tx, params.id, open);
      return null;
    }
    // over: gives the first answer of this decision id, or AlreadyDecided
    const { by, verified } = actor;
    return decideBatch(tx, { batch: params.id, decisionId, decision, by, verified, reason, tasks });
  };
  const workflowId = workflowIds.labels(project, params.id);
  return decide(request, deps, { workflowId, decisionId, payload, actor, subject: params.id, standing });
}

function answering(): Endpoint[] {
  const tag = 'label-batches';
  return [
    endpoint(
      {
        method: 'post',
        path: '/api/v1/label-batches/{id}/lease',
        tag,
        summary: 'Take tasks to answer; one’s own live leases first',
        role: 'labeler',
        params: batchParam,
        body: leaseSchema,
        bodyMode: 'optional',
        answers: {
          200: {
            description: 'Tasks, none when nothing is left',
            schema: z.looseObject({ tasks: z.array(taskSchema) }),
          },
        },
        problems: ['BatchClosed', 'LabelerPaused', 'LabelerUnfit', 'NotYou'],
      },
      async ({ body, identity, params }, deps) => {
        const { project } = identity;
        const actor = actorOf(identity, { name: body.labeler, onBehalfOf: body.onBehalfOf }, 'labeler');
        const tasks = await inTransaction(deps.db, async (tx) => {
          const leased = await leaseTasks(tx, { project, batch: params.id, labeler: actor.by, count: body.count });
          await auditBehalf(tx, project, actor, 'labels.leased', params.id);
          return leased;
        });
        return { status: 200, body: { tasks } };
      },
    ),
    endpoint(
      {
        method: 'post',
        path: '/api/v1/label-batches/{id}/annotations',
        tag,
        summary: 'Answer leased tasks, 1,000 a call at most',
        role: 'labeler',
        params: batchParam,
        body: annotationsSchema,
        idempotent: true,
        answers: { 200: { description: 'What became of the answers', schema: annotatedSchema } },
        problems: ['NotYou'],
      },
      async (request, deps) => {
        const { body, identity, params } = request;
        const { project } = identity;
        const actor = actorOf(identity, { name: body.labeler, onBehalfOf: body.onBehalfOf }, 'labeler');
        const answers = body.annotations.map(({ taskId, fence, label, skip, comment }): Answer => ({
          ...{ taskId, fence },
          ...(label === undefined ? {} : { label }),
          ...(skip === undefined ? {} : { skip }),
          ...(comment === undefined ? {} : { comment }),
        }));
        const work = async (tx: Tx) => {
          const outcome = await annotate(tx, { project, batch: params.id, labeler: actor.by, answers });
          await auditBehalf(tx, project, actor, 'labels.annotated', params.id);
          return { status: 200, body: outcome };
        };
        // the workflow is told a second later
        return once(request, deps, work, { send: false });
      },
    ),
    endpoint(
      {
        method: 'post',
        path: '/api/v1/label-batches/{id}/decision',
        tag,
        summary: 'Accept the batch, send it back, or close it with what there is',
        role: 'reviewer',
        params: batchParam,
        body: decisionSchema,
        idempotent: true,
        answers: {
          200: {
            description: 'The workflow’s answer',
            schema: z.looseObject({ status: z.enum(batchStatuses), decisionId: z.string() }),
          },
          202: {
            description: 'No worker answered in time; the decision is kept, the same POST asks again',
            schema: pendingSchema,
          },
        },
        problems: ['BatchIncomplete', 'ReviewIncomplete', 'AlreadyDecided', 'NotYou'],
      },
      decideOn,
    ),
  ];
}

export function labelingEndpoints(): Endpoint[] {
  const tag = 'label-batches';
  return [
    endpoint(
      {
        method: 'get',
        path: '/api/v1/label-batches',
        tag,
        summary: 'Label batches, the latest first',
        role: 'viewer',
        query: { status: z.enum(batchStatuses).optional(), ...pageFields },
        answers: { 200: { description: 'A page of batches', schema: listSchema(batchSchema) } },
      },
      async ({ identity, query }, deps) => {
        const { status } = query;
        const { project } = identity;
        const page = await listBatches(deps.db, { project, ...(status ? { status } : {}), page: pageOf(query) });
        return { status: 200, body: page };
      },
    ),
    endpoint(
      {
        method: 'get',
        path: '/api/v1/label-batches/{id}',
        tag,
        summary: 'Progress of one batch',
        role: 'viewer',
        params: batchParam,
        answers: { 200: { description: 'The batch', schema: batchSchema } },
      },
      async ({ identity, params }, deps) => ({
        status: 200,
        body: await batchView(deps.db, identity.project, params.id),
      }),
    ),
    ...answering(),
  ];
}
