// Labeling campaigns: rounds of a pipeline's runs, each asking people for one batch, until a stop rule holds.
import { z } from '@hono/zod-openapi';
import { campaignAnswer, campaignDecisionId, createCampaign } from '../db/campaign.js';
import { campaignView, listCampaigns } from '../db/campaign-view.js';
import type { Tx } from '../db/client.js';
import {
  campaignDecisions,
  type CampaignDecisionKind,
  type CampaignSettings,
  campaignStatuses,
  stopReasons,
} from '../domain/campaign.js';
import { parseDuration } from '../domain/duration.js';
import { Failure, type FieldFault } from '../domain/failures.js';
import { workflowIds } from '../domain/ids.js';
import type { Json } from '../domain/json.js';
import { autoStatuses } from '../domain/auto-label.js';
import { type Ask, askWords, keysOf, mostKeys, readAsk } from '../domain/label-ask.js';
import { strategies } from '../domain/labeling.js';
import { decide } from './decide.js';
import { temporalUrl, type ApiDeps } from './deps.js';
import { endpoint, type ApiRequest, type Endpoint } from './endpoint.js';
import { actorOf, auditBehalf } from './identity.js';
import { requireNamedRows } from './known-rows.js';
import { pendingSchema } from './labeling.js';
import { once } from './once.js';
import {
  actorFields,
  idSchema,
  listSchema,
  momentSchema,
  nameSchema,
  pageFields,
  pageOf,
  reasonSchema,
} from './schemas.js';

const share = z.number().min(0).max(1);
const strategy = z.enum(strategies);
const keyList = {
  type: 'array',
  items: { type: 'string' },
  minItems: 1,
  maxItems: mostKeys,
  uniqueItems: true,
} as const;
const askSchema = z
  .unknown()
  .optional()
  .openapi({
    description: 'Rows without a label (default), labelled ones that are probably wrong, or exactly these rows',
    oneOf: [
      { type: 'string', enum: [...askWords] },
      { type: 'object', properties: { keys: keyList }, required: ['keys'], additionalProperties: false },
    ],
  });
const stopSchema = z.strictObject({
  labels: z.int().min(1).max(10_000_000).nullish().openapi({ description: 'Labels by people, over all rounds' }),
  deadline: z
    .string()
    .max(60)
    .nullish()
    .openapi({ description: 'A moment, or a duration from now', example: '14 days' }),
  plateau: z
    .strictObject({ rounds: z.int().min(1).max(100), margin: share.default(0) })
    .nullish()
    .openapi({ description: 'So many rounds in a row not better by more than the margin, by a paired test at 0.05' }),
  target: share
    .nullish()
    .openapi({ description: 'The accuracy is at least this, with 95 % confidence over all looks' }),
});
const autoSchema = z
  .strictObject({
    maxError: z
      .number()
      .gt(0)
      .lt(0.5)
      .default(0.05)
      .openapi({ description: 'Share of wrong automatic labels that may not be exceeded' }),
    confidence: z
      .number()
      .gt(0.5)
      .lt(1)
      .default(0.95)
      .openapi({ description: 'With which it is not, in the whole campaign' }),
    auditShare: z
      .number()
      .gt(0)
      .max(1)
      .default(0.05)
      .openapi({ description: 'Share of the automatic labels that people check unknowingly' }),
  })
  .openapi('AutoRules', { description: 'Labels without people; `{}` takes the defaults, null: none' });
const createSchema = z
  .strictObject({
    pipeline: nameSchema,
    strategy: z
      .union([strategy, z.array(strategy).min(1).max(100)])
      .default('margin')
      .openapi({ description: 'One, or those of the first, second, … round; the last goes on' }),
    ask: askSchema,
    batchSize: z.int().min(1).max(10_000).default(60),
    explore: share.default(0.1),
    auto: autoSchema.nullish(),
    stop: stopSchema
      .default({})
      .openapi({ description: 'At least one rule, unless rows are named: they come to an end' }),
    ...actorFields,
  })
  .openapi('NewCampaign');
const summaryFields = {
  id: z.string(),
  pipeline: nameSchema,
  status: z.enum(campaignStatuses),
  why: z.string().openapi({ description: 'Why it goes on, waits or stopped' }),
  stopReason: z.enum(stopReasons).nullable(),
  settings: z.looseObject({}),
  startedBy: z.string(),
  createdAt: momentSchema,
  finishedAt: momentSchema.nullable(),
  temporalUrl: z.string().nullable(),
};
const roundSchema = z.looseObject({
  round: z.int(),
  run: z.string(),
  number: z.int(),
  status: z.string(),
  strategy,
  batch: z.string().nullable(),
  tasks: z.int(),
  labels: z.int(),
  labelsSoFar: z.int(),
  accuracy: z
    .looseObject({ value: z.number().nullable(), lo: z.number().nullable(), hi: z.number().nullable(), n: z.int() })
    .nullable(),
  gain: z.looseObject({ over: z.int(), value: z.number(), p: z.number(), better: z.boolean() }).nullable(),
});
const autoBatchSchema = z
  .looseObject({
    id: z.string(),
    round: z.int(),
    batch: z.string(),
    status: z.enum(autoStatuses),
    why: z.string().openapi({ description: 'Why so much is labelled, or nothing; of a revoked one, why it was' }),
    threshold: z.number().nullable(),
    coverage: z.number().openapi({ description: 'Share of the pool' }),
    pool: z.int(),
    sample: z.int().openapi({ description: 'Rows drawn uniformly and labelled by people that vouch for it' }),
    labels: z.int(),
    audit: z.int().openapi({ description: 'Labels that people are asked to check' }),
    audited: z.int(),
    errors: z.int(),
    lo: z
      .number()
      .nullable()
      .openapi({ description: 'Bounds of the error rate by the audit; they hold at every look' }),
    hi: z.number().nullable(),
  })
  .openapi('AutoBatch');
const campaignSchema = z.looseObject(summaryFields).openapi('Campaign');
const viewSchema = z
  .looseObject({
    ...summaryFields,
    rounds: z.array(roundSchema),
    labels: z.looseObject({ human: z.int(), auto: z.int() }),
    auto: z.array(autoBatchSchema),
  })
  .openapi('CampaignWithRounds');
const decisionSchema = z
  .strictObject({ decision: z.enum(campaignDecisions), ...actorFields, reason: reasonSchema.nullish() })
  .openapi('CampaignDecision');
const idParam = { id: idSchema('cam') };

type NewCampaign = z.infer<typeof createSchema>;

/** ISO time of a moment, or of so long from now. @throws Failure `InvalidRequest` */
function moment(text: string | null | undefined): string | null {
  if (text === null || text === undefined) return null;
  const ms = parseDuration(text);
  const written = z.iso.datetime({ offset: true }).safeParse(text).success ? Date.parse(text) : NaN;
  const at = ms === null ? written : Date.now() + ms;
  if (Number.isFinite(at) && at > Date.now() && at < Date.now() + 3_660 * 86_400_000) return new Date(at).toISOString();
  throw new Failure('InvalidRequest', 'the deadline is none', {
    faults: [
      {
        path: 'stop.deadline',
        message:
          'must be a moment to come with its zone, such as "2031-01-31T12:00:00Z", or a duration such as "14 days"',
      },
    ],
  });
}

/** @throws Failure `InvalidRequest` */
function askOf(sent: unknown): Ask {
  const faults: FieldFault[] = [];
  const ask = sent === undefined ? 'unlabelled' : readAsk(sent, 'ask', faults);
  if (ask !== undefined && faults.length === 0) return ask;
  throw new Failure('InvalidRequest', 'the campaign asks about no rows', { faults: faults.slice(0, 100) });
}

function settingsOf(sent: NewCampaign): CampaignSettings {
  const { strategy: asked, batchSize, explore, auto = null, stop } = sent;
  const { labels = null, deadline, plateau = null, target = null } = stop;
  const rules = { labels, deadline: moment(deadline), plateau, target };
  const ask = askOf(sent.ask);
  if (keysOf(ask) === null && Object.values(rules).every((rule) => rule === null)) {
    throw new Failure('InvalidRequest', 'a campaign needs a rule to stop by', {
      faults: [{ path: 'stop', message: 'needs one of labels, deadline, plateau, target' }],
    });
  }
  if (auto && ask !== 'unlabelled') {
    throw new Failure('InvalidRequest', 'rows that have a label are not labelled without people', {
      faults: [{ path: 'auto', message: 'goes with ask unlabelled only' }],
    });
  }
  if (auto && Math.round(batchSize * explore) === 0) {
    throw new Failure('InvalidRequest', 'nothing could vouch for automatic labels', {
      faults: [
        { path: 'explore', message: 'draws nothing; only items drawn uniformly can vouch for automatic labels' },
      ],
    });
  }
  return { ask, strategies: Array.isArray(asked) ? asked : [asked], batchSize, explore, auto, stop: rules };
}

async function create(request: ApiRequest<unknown, unknown, NewCampaign>, deps: ApiDeps) {
  const { body, identity } = request;
  const { project } = identity;
  const actor = actorOf(identity, { name: body.by, onBehalfOf: body.onBehalfOf }, 'by', 'anonymous');
  const settings = settingsOf(body);
  return once(request, deps, async (tx) => {
    const { by, verified } = actor;
    const { pipeline } = body;
    const overrides = { 'labeling.ask': settings.ask };
    await requireNamedRows(deps, tx, { project, pipeline, overrides, path: 'ask.keys' });
    const { id, workflowId } = await createCampaign(tx, { project, pipeline, settings, by, verified });
    await auditBehalf(tx, project, actor, 'campaign.begun', id);
    return { status: 202, body: { id, workflowId, temporalUrl: temporalUrl(deps, workflowId) } };
  });
}

interface DecisionBody {
  decision: CampaignDecisionKind;
  by?: string | undefined;
  onBehalfOf?: string | undefined;
  reason?: string | null | undefined;
}

async function decideOn(request: ApiRequest<{ id: string }, unknown, DecisionBody>, deps: ApiDeps) {
  const { body, identity, params } = request;
  const { project } = identity;
  const actor = actorOf(identity, { name: body.by, onBehalfOf: body.onBehalfOf }, 'by');
  await campaignView(deps.db, project, params.id);
  const { decision } = body;
  const asked = { campaign: params.id, decision, by: actor.by };
  const decisionId = request.key ?? (await campaignDecisionId(deps.db, asked));
  const payload: { [name: string]: Json } = { decisionId, decision, by: actor.by, verified: actor.verified };
  if (body.reason !== null && body.reason !== undefined) payload['reason'] = body.reason;
  const standing = async (tx: Tx) => {
    const answer = await campaignAnswer(tx, params.id, decisionId);
    if (answer) return answer;
    const { status } = await campaignView(tx, project, params.id);
    if (status === 'stopped') throw new Failure('AlreadyDecided', `the campaign ${params.id} has stopped`);
    return null;
  };
  const workflowId = workflowIds.campaign(project, params.id);
  return decide(request, deps, { workflowId, decisionId, payload, actor, subject: params.id, standing });
}

function shown<T extends { temporal: string }>(deps: ApiDeps, { temporal, ...view }: T) {
  return { ...view, temporalUrl: temporalUrl(deps, temporal) };
}

export function campaignEndpoints(): Endpoint[] {
  const tag = 'campaigns';
  return [
    endpoint(
      {
        ...{ method: 'post', path: '/api/v1/campaigns', tag, role: 'operator', idempotent: true },
        summary: 'Begin a labeling campaign: rounds of runs until a stop rule holds',
        body: createSchema,
        answers: {
          202: {
            description: 'It begins',
            schema: z.looseObject({ id: z.string(), workflowId: z.string(), temporalUrl: z.string().nullable() }),
          },
        },
        problems: ['CampaignLive'],
      },
      create,
    ),
    endpoint(
      {
        ...{ method: 'get', path: '/api/v1/campaigns', tag, role: 'viewer' },
        summary: 'Campaigns, the latest first',
        query: { pipeline: nameSchema.optional(), status: z.enum(campaignStatuses).optional(), ...pageFields },
        answers: { 200: { description: 'A page of campaigns', schema: listSchema(campaignSchema) } },
      },
      async ({ identity, query }, deps) => {
        const { pipeline, status } = query;
        const wanted = { ...(pipeline && { pipeline }), ...(status && { status }) };
        const page = await listCampaigns(deps.db, { project: identity.project, ...wanted, page: pageOf(query) });
        return { status: 200, body: { ...page, items: page.items.map((one) => shown(deps, one)) } };
      },
    ),
    endpoint(
      {
        ...{ method: 'get', path: '/api/v1/campaigns/{id}', tag, role: 'viewer' },
        summary: 'One campaign with its rounds: the learning curve, labels so far, why it goes on or stopped',
        params: idParam,
        answers: { 200: { description: 'The campaign', schema: viewSchema } },
      },
      async ({ identity, params }, deps) => ({
        status: 200,
        body: shown(deps, await campaignView(deps.db, identity.project, params.id)),
      }),
    ),
    endpoint(
      {
        ...{ method: 'post', path: '/api/v1/campaigns/{id}/decision', tag, role: 'operator', idempotent: true },
        summary: 'Stop, pause or resume; the round that lives goes on as a run of its own',
        params: idParam,
        body: decisionSchema,
        answers: {
          200: {
            description: 'The workflow’s answer',
            schema: z.looseObject({ status: z.enum(campaignStatuses), decisionId: z.string() }),
          },
          202: {
            description: 'No worker answered in time; the decision is kept, the same POST asks again',
            schema: pendingSchema,
          },
        },
        problems: ['AlreadyDecided', 'NotYou'],
      },
      decideOn,
    ),
  ];
}
