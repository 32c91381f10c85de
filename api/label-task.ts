// The tasks of a label batch for reviewers, their verdicts, and how its labelers do.
import { z } from '@hono/zod-openapi';
import {
  batchAnswers,
  batchAsked,
  batchLabelers,
  batchView,
  listReviewed,
  listTasks,
  reviewTasks,
  taskFilters,
} from '../db/labeling.js';
import { batchAgreement, hasClasses } from '../domain/batch-answers.js';
import {
  annotationOutcomes,
  askReasons,
  reviewRefusals,
  reviewVerdicts,
  taskStatuses,
  type Review,
} from '../domain/labeling.js';
import { Failure } from '../domain/failures.js';
import { roleAllows, type Role } from './deps.js';
import { endpoint, type Endpoint } from './endpoint.js';
import { actorOf, auditBehalf } from './identity.js';
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

const batchParam = { id: idSchema('bat') };
const tag = 'label-batches';

/** A text or a number; a list of classes, spans or boxes where the batch asks for them. */
export const labelSchema = z
  .union([
    z.string().max(100_000),
    z.number(),
    z.array(z.union([z.string().max(1_000), z.number(), z.looseObject({ label: z.string().max(1_000) })])).max(1_000),
  ])
  .openapi('LabelValue', {
    description:
      'A class or a number; `multiple`: classes; `span`: {start, end, label} in UTF-16 units of the item’s text; ' +
      '`box`: {x, y, width, height, label} in shares of the image; `preference`: left, right or tie',
  });

const answerSchema = z.looseObject({
  annotator: z.string(),
  label: z.string().nullable().openapi({ description: 'Null: skipped' }),
  outcome: z.enum(annotationOutcomes),
  past: z.boolean().openapi({ description: 'Sent back since: it does not count' }),
  seconds: z.number().nullable(),
  comment: z.string().nullable(),
  at: momentSchema,
});
const givenReviewSchema = z.looseObject({
  reviewer: z.string(),
  verdict: z.enum(reviewVerdicts),
  label: z.string().nullable(),
  comment: z.string().nullable(),
  at: momentSchema,
});
const taskSchema = z
  .looseObject({
    taskId: z.string(),
    key: z.string(),
    item: z.unknown(),
    status: z.enum(taskStatuses),
    fence: z.int(),
    label: z.string().nullable(),
    confidence: z.number().nullable(),
    review: z.enum(reviewVerdicts).nullable(),
    reviewer: z.string().nullable(),
    needsReview: z.boolean(),
    answers: z.array(answerSchema),
    reviews: z.array(givenReviewSchema),
  })
  .openapi('LabelTask');
const reviewedAnswerSchema = z
  .looseObject({
    taskId: z.string(),
    key: z.string(),
    item: z.unknown(),
    fence: z.int(),
    own: z.string().nullable().openapi({ description: 'Null: skipped' }),
    label: z.string().nullable().openapi({ description: 'The label now; null: open again' }),
    review: z.enum(reviewVerdicts).nullable(),
    reviews: z.array(givenReviewSchema),
    disputable: z.boolean().openapi({ description: 'A reviewer has mended it: dispute is taken' }),
  })
  .openapi('ReviewedAnswer');
const reviewSchema = z
  .strictObject({
    taskId: z.string().max(64),
    fence: z.int().min(0).max(2_147_483_647).openapi({ description: 'Of the task as it was shown' }),
    verdict: z.enum(reviewVerdicts),
    label: labelSchema.optional(),
    to: z.enum(['same', 'other']).optional(),
    comment: reasonSchema.optional(),
  })
  .refine(({ verdict, label }) => (verdict === 'fix') === (label !== undefined), {
    error: 'label goes with fix, and fix needs one',
  })
  .refine(({ verdict, to }) => to === undefined || verdict === 'send-back', { error: 'to goes with send-back' })
  .openapi('LabelReview');
const reviewsSchema = z
  .strictObject({
    ...actorFields,
    reviews: z.array(reviewSchema).min(1).max(1_000, { error: 'has more than 1000 verdicts' }),
  })
  .openapi('LabelReviews');
const reviewedSchema = z.looseObject({
  reviewed: z.int(),
  refused: z.array(z.object({ taskId: z.string(), reason: z.enum(reviewRefusals), detail: z.string().optional() })),
});
const labelerSchema = z
  .looseObject({
    labeler: z.string(),
    served: z.int(),
    answered: z.int(),
    skipped: z.int(),
    gold: z.object({ answered: z.int(), right: z.int() }),
    seconds: z.number().nullable().openapi({ description: 'Median of a task' }),
    agreement: z.number().nullable().openapi({ description: 'Share of the answers that are the label now' }),
    pausedAt: momentSchema.nullable(),
  })
  .openapi('BatchLabeler');

type SentReview = z.infer<typeof reviewSchema>;

function readReview({ taskId, fence, verdict, label, to, comment }: SentReview): Review {
  return {
    ...{ taskId, fence, verdict },
    ...(label === undefined ? {} : { label }),
    ...(to === undefined ? {} : { to }),
    ...(comment === undefined ? {} : { comment }),
  };
}

/** Who labels may object to what was made of their answer; everything else is a reviewer's. */
function requireReviewer(role: Role, reviews: Review[]): void {
  if (roleAllows(role, 'reviewer') || reviews.every(({ verdict }) => verdict === 'dispute')) return;
  throw new Failure('Forbidden', `a verdict other than dispute needs the role reviewer, the token has ${role}`);
}

const agreementSchema = z
  .looseObject({
    answers: z.int(),
    items: z.int().openapi({ description: 'With two answers or more' }),
    pairs: z.number().nullable().openapi({ description: 'Mean share of pairs of answers that agree' }),
    alpha: z.number().nullable().openapi({ description: 'Krippendorff’s alpha, nominal' }),
    ac1: z.number().nullable().openapi({ description: 'Gwet’s AC1' }),
  })
  .openapi('Agreement');

const askReasonSchema = z.enum(askReasons);
const askedSchema = z
  .looseObject({
    reasons: z.array(
      z.looseObject({
        reason: askReasonSchema,
        tasks: z.int(),
        probability: z.number().nullable(),
        relabelled: z.int().openapi({ description: 'Rows with a label before that got one now' }),
        changed: z.int().openapi({ description: 'Of these, with another label; of explore: estimates the wrong ones' }),
      }),
    ),
    scores: z.array(z.looseObject({ from: z.number(), to: z.number(), tasks: z.int() })),
    labels: z.array(z.looseObject({ label: z.string(), tasks: z.int() })),
    first: z.array(
      z.looseObject({
        key: z.string(),
        reason: askReasonSchema,
        score: z.number().nullable(),
        probability: z.number().nullable(),
        status: z.enum(taskStatuses),
        label: z.string().nullable(),
        given: z.string().nullable().openapi({ description: 'The label that the row had; null: none' }),
        guess: z.string().nullable().openapi({ description: 'What the model takes it for' }),
      }),
    ),
  })
  .openapi('BatchAsked');

export function labelTaskEndpoints(): Endpoint[] {
  return [
    endpoint(
      {
        method: 'get',
        path: '/api/v1/label-batches/{id}/tasks',
        tag,
        summary: 'Tasks with every answer and verdict',
        role: 'reviewer',
        params: batchParam,
        query: { filter: z.enum(taskFilters).optional(), ...pageFields },
        answers: { 200: { description: 'A page of tasks, in the order of the batch', schema: listSchema(taskSchema) } },
      },
      async ({ identity, params, query }, deps) => {
        const { filter } = query;
        const request = { project: identity.project, batch: params.id, page: pageOf(query) };
        return { status: 200, body: await listTasks(deps.db, { ...request, ...(filter ? { filter } : {}) }) };
      },
    ),
    endpoint(
      {
        method: 'post',
        path: '/api/v1/label-batches/{id}/reviews',
        tag,
        summary: 'Accept, mend or send back labels; object to a mended one',
        role: 'labeler',
        params: batchParam,
        body: reviewsSchema,
        idempotent: true,
        answers: { 200: { description: 'What became of the verdicts', schema: reviewedSchema } },
        problems: ['BatchClosed', 'NotYou', 'Forbidden'],
      },
      async (request, deps) => {
        const { body, identity, params } = request;
        const { project } = identity;
        const actor = actorOf(identity, { name: body.by, onBehalfOf: body.onBehalfOf }, 'by');
        const reviews = body.reviews.map(readReview);
        requireReviewer(identity.role, reviews);
        return once(request, deps, async (tx) => {
          const outcome = await reviewTasks(tx, { project, batch: params.id, reviewer: actor.by, reviews });
          await auditBehalf(tx, project, actor, 'labels.reviewed', params.id);
          return { status: 200, body: outcome };
        });
      },
    ),
    endpoint(
      {
        method: 'get',
        path: '/api/v1/label-batches/{id}/reviewed',
        tag,
        summary: 'One’s own answers that a reviewer looked at',
        role: 'labeler',
        params: batchParam,
        query: { labeler: personSchema.optional(), ...pageFields },
        answers: {
          200: {
            description: 'A page of answers, in the order of the batch',
            schema: listSchema(reviewedAnswerSchema),
          },
        },
        problems: ['NotYou'],
      },
      async ({ identity, params, query }, deps) => {
        const { by: labeler } = actorOf(identity, { name: query.labeler }, 'labeler');
        const request = { project: identity.project, batch: params.id, labeler, page: pageOf(query) };
        return { status: 200, body: await listReviewed(deps.db, request) };
      },
    ),
    endpoint(
      {
        method: 'get',
        path: '/api/v1/label-batches/{id}/labelers',
        tag,
        summary: 'What each labeler was given and how they did',
        role: 'reviewer',
        params: batchParam,
        answers: {
          200: {
            description:
              'By name; and how far they agree, null where no two answered the same item or answers are no classes',
            schema: z.looseObject({ items: z.array(labelerSchema), agreement: agreementSchema.nullable() }),
          },
        },
      },
      async ({ identity, params }, deps) => {
        const { kind } = await batchView(deps.db, identity.project, params.id);
        const agreement = hasClasses(kind) ? batchAgreement(await batchAnswers(deps.db, params.id)) : null;
        return { status: 200, body: { items: await batchLabelers(deps.db, params.id), agreement } };
      },
    ),
    endpoint(
      {
        method: 'get',
        path: '/api/v1/label-batches/{id}/asked',
        tag,
        summary: 'What was asked and why: reasons, scores, labels so far, the first items',
        role: 'reviewer',
        params: batchParam,
        answers: { 200: { description: 'Gold items are left out', schema: askedSchema } },
      },
      async ({ identity, params }, deps) => {
        await batchView(deps.db, identity.project, params.id);
        return { status: 200, body: await batchAsked(deps.db, params.id) };
      },
    ),
  ];
}
