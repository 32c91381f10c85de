// Runs: what they do, what they wait for, what they measured, where their model came from; and how to end one.
import { z } from '@hono/zod-openapi';
import { setTimeout as sleep } from 'node:timers/promises';
import { inTransaction } from '../db/client.js';
import { withdrawnFrom } from '../db/auto.js';
import { listDatasetVersions } from '../db/dataset.js';
import { readIdempotent, storeIdempotent } from '../db/idempotency.js';
import { metricsOf } from '../db/metric.js';
import { modelVersionView } from '../db/model.js';
import { pipelineView } from '../db/pipeline.js';
import { listRuns, requestCancel, runView, type RunView } from '../db/run.js';
import { Failure } from '../domain/failures.js';
import { runStatuses, stepStatuses, waitKinds } from '../domain/run.js';
import { temporalUrl, type ApiDeps } from './deps.js';
import { endpoint, type ApiRequest, type Endpoint } from './endpoint.js';
import { actorOf, auditBehalf } from './identity.js';
import { idempotencyKeyOf } from './once.js';
import { actorFields, idSchema, listSchema, momentSchema, nameSchema, pageFields, pageOf } from './schemas.js';

const stepSchema = z.looseObject({
  name: z.string(),
  status: z.enum(stepStatuses),
  startedAt: momentSchema.nullable(),
  finishedAt: momentSchema.nullable(),
  summary: z.string().nullable().openapi({ description: 'Of a failed step: why it failed' }),
  attempts: z.int().openapi({ description: 'How often it was begun; 0: never' }),
  lastFailure: z
    .looseObject({ type: z.string(), title: z.string(), detail: z.string(), at: momentSchema.nullable() })
    .nullable()
    .openapi({ description: 'Of the last attempt that failed; null once the step has succeeded' }),
  reused: z
    .object({ run: z.string(), number: z.int() })
    .nullable()
    .openapi({ description: 'The run that its result was taken from; null: computed in this run' }),
});
const checkSchema = z.looseObject({
  name: z.string(),
  kind: z.string(),
  passed: z.boolean(),
  measured: z.number().nullable(),
  bound: z.string(),
  reason: z.string(),
  parts: z.array(z.looseObject({ of: z.string(), value: z.number().nullable(), n: z.int() })),
  failure: z
    .string()
    .optional()
    .openapi({ description: 'Code of docs/errors.md, where nothing could be found', example: 'command-timed-out' }),
});
const verdictSchema = z.looseObject({
  passed: z.boolean(),
  reasons: z.array(z.string()),
  checks: z.array(checkSchema).optional(),
});
const runSchema = z
  .looseObject({
    id: z.string(),
    pipeline: z.string(),
    number: z.int(),
    status: z.enum(runStatuses),
    stage: z.string().nullable(),
    waitingFor: z
      .object({ kind: z.enum(waitKinds), id: z.string(), since: momentSchema, deadline: momentSchema })
      .nullable(),
    steps: z.array(stepSchema),
    metrics: z.record(z.string(), z.number()).openapi({ description: 'On the holdout' }),
    verdict: verdictSchema.nullable(),
    modelVersion: z.int().nullable(),
    failure: z
      .looseObject({ type: z.string(), title: z.string(), detail: z.string(), step: z.string().nullable() })
      .nullable(),
    rerunOf: z.object({ run: z.string(), number: z.int(), from: z.string().nullable() }).nullable(),
    until: z.string().nullable(),
    fresh: z.boolean(),
    workflowId: z.string(),
    temporalUrl: z.string().nullable(),
    labelsRevoked: z
      .array(
        z.looseObject({
          autoBatch: z.string(),
          campaign: z.string(),
          round: z.int(),
          reason: z.string(),
          at: momentSchema,
        }),
      )
      .optional()
      .openapi({ description: 'Of one run: automatic labels in its data that people have disproved since' }),
  })
  .openapi('Run');

const runParam = { id: idSchema('run') };
const cancelWaitMs = 5_000;

function shown(deps: ApiDeps, view: RunView) {
  const { temporal: workflowId, ...rest } = view;
  return { ...rest, workflowId, temporalUrl: temporalUrl(deps, workflowId) };
}

async function withWithdrawn<T extends { id: string }>(deps: ApiDeps, run: T) {
  return { ...run, labelsRevoked: await withdrawnFrom(deps.db, run.id) };
}

/** A start may still be on its way: asks again for some seconds, then says that nothing was promised. */
async function tellWorkflow(deps: ApiDeps, workflowId: string): Promise<void> {
  const until = Date.now() + cancelWaitMs;
  for (;;) {
    try {
      return await deps.decisions.cancel(workflowId);
    } catch (error) {
      if (Date.now() >= until) {
        throw new Failure('Unavailable', 'the run could not be told to end; ask again', { cause: error });
      }
      await sleep(200);
    }
  }
}

async function cancel(
  request: ApiRequest<{ id: string }, unknown, { by?: string | undefined; onBehalfOf?: string | undefined }>,
  deps: ApiDeps,
) {
  const { body, identity, params } = request;
  const { project } = identity;
  const actor = actorOf(identity, { name: body.by, onBehalfOf: body.onBehalfOf }, 'by', 'anonymous');
  const key = request.key === null ? null : idempotencyKeyOf(request, request.key);
  const kept = key && (await readIdempotent(deps.db, key));
  if (kept) return kept;
  const view = await runView(deps.db, project, params.id);
  if (view.status === 'cancelled') return { status: 202, body: { id: view.id, status: 'cancelled' } };
  const { workflowId } = await inTransaction(deps.db, async (tx) => {
    const asked = await requestCancel(tx, { project, run: params.id, by: actor.by });
    await auditBehalf(tx, project, actor, 'run.cancelled', params.id);
    return asked;
  });
  deps.kick();
  await tellWorkflow(deps, workflowId);
  const answer = { status: 202, body: { id: params.id, status: 'cancelling' } };
  if (key) await inTransaction(deps.db, (tx) => storeIdempotent(tx, key, answer));
  return answer;
}

/** What a run made: the files of its model version, its evaluation, and the dataset version it learnt from. */
async function artifactsOf(deps: ApiDeps, project: string, view: RunView) {
  const items: { name: string; digest: string; url: string }[] = [];
  const add = (name: string, digest: string | null) => {
    if (digest !== null) items.push({ name, digest, url: `/api/v1/artifacts/${digest}` });
  };
  add('evaluation.json', view.evaluation);
  if (view.modelVersion !== null) {
    const version = await modelVersionView(deps.db, project, view.pipeline, view.modelVersion);
    for (const file of version.files) add(file.path, file.digest);
  }
  const made = await versionsOfRun(deps, project, view);
  for (const version of made) {
    add(`dataset-${version.version}/profile.json`, version.profile);
    add(`dataset-${version.version}/quarantine.parquet`, version.quarantine);
    add(`dataset-${version.version}/sources.parquet`, version.sources);
    version.files.forEach((file, index) => add(`dataset-${version.version}/part-${index}.parquet`, file.digest));
  }
  return items;
}

async function versionsOfRun(deps: ApiDeps, project: string, view: RunView) {
  const pipeline = await pipelineView(deps.db, project, view.pipeline);
  const document = pipeline.document as { dataset?: { name?: string } };
  const page = await listDatasetVersions(deps.db, project, document.dataset?.name ?? view.pipeline, {
    limit: 200,
    cursor: null,
  });
  return page.items.filter((version) => version.run === view.id);
}

async function lineageOf(deps: ApiDeps, project: string, view: RunView) {
  const versions = await versionsOfRun(deps, project, view);
  const model =
    view.modelVersion === null ? null : await modelVersionView(deps.db, project, view.pipeline, view.modelVersion);
  return {
    run: view.id,
    pipeline: view.pipeline,
    model: model && { name: view.pipeline, version: model.version, digest: model.digest },
    datasets: versions.map(({ version, digest, rows, parents, labelCounts, annotators }) => ({
      version,
      digest,
      rows,
      parents,
      labelCounts,
      annotators,
    })),
    ...(model && 'lineage' in model ? { lineage: model.lineage } : {}),
  };
}

const metricSchema = z.looseObject({
  name: z.string(),
  candidate: z.int(),
  step: z.int(),
  value: z.number().nullable().openapi({ description: 'null: not a number' }),
});

function readings(): Endpoint[] {
  const tag = 'runs';
  return [
    endpoint(
      {
        method: 'get',
        path: '/api/v1/runs/{id}/metrics',
        tag,
        summary: 'Every metric that the run logged, by step',
        role: 'viewer',
        params: runParam,
        query: { name: z.string().max(200).optional() },
        answers: { 200: { description: 'The metrics', schema: listSchema(metricSchema) } },
      },
      async ({ identity, params, query }, deps) => {
        await runView(deps.db, identity.project, params.id);
        return { status: 200, body: { items: await metricsOf(deps.db, params.id, query.name), nextCursor: null } };
      },
    ),
    endpoint(
      {
        method: 'get',
        path: '/api/v1/runs/{id}/artifacts',
        tag,
        summary: 'Files that the run made',
        role: 'viewer',
        params: runParam,
        answers: {
          200: {
            description: 'Names, digests and addresses',
            schema: listSchema(z.looseObject({ name: z.string(), digest: z.string(), url: z.string() })),
          },
        },
      },
      async ({ identity, params }, deps) => {
        const view = await runView(deps.db, identity.project, params.id);
        return { status: 200, body: { items: await artifactsOf(deps, identity.project, view), nextCursor: null } };
      },
    ),
    endpoint(
      {
        method: 'get',
        path: '/api/v1/runs/{id}/lineage',
        tag,
        summary: 'From the model version down to dataset versions and labels',
        role: 'viewer',
        params: runParam,
        answers: { 200: { description: 'The lineage', schema: z.looseObject({ run: z.string() }) } },
      },
      async ({ identity, params }, deps) => {
        const view = await runView(deps.db, identity.project, params.id);
        return { status: 200, body: await lineageOf(deps, identity.project, view) };
      },
    ),
  ];
}

export function runEndpoints(): Endpoint[] {
  const tag = 'runs';
  return [
    endpoint(
      {
        method: 'get',
        path: '/api/v1/runs',
        tag,
        summary: 'Runs, the latest first',
        role: 'viewer',
        query: { pipeline: nameSchema.optional(), status: z.enum(runStatuses).optional(), ...pageFields },
        answers: { 200: { description: 'A page of runs', schema: listSchema(runSchema) } },
        problems: ['NotFound'],
      },
      async ({ identity, query }, deps) => {
        const { pipeline, status } = query;
        const page = await listRuns(deps.db, {
          project: identity.project,
          ...(pipeline === undefined ? {} : { pipeline }),
          ...(status === undefined ? {} : { status }),
          page: pageOf(query),
        });
        return { status: 200, body: { ...page, items: page.items.map((view) => shown(deps, view)) } };
      },
    ),
    endpoint(
      {
        method: 'get',
        path: '/api/v1/runs/{id}',
        tag,
        summary: 'One run with its steps',
        role: 'viewer',
        params: runParam,
        answers: { 200: { description: 'The run', schema: runSchema } },
      },
      async ({ identity, params }, deps) => ({
        status: 200,
        body: await withWithdrawn(deps, shown(deps, await runView(deps.db, identity.project, params.id))),
      }),
    ),
    ...readings(),
    endpoint(
      {
        method: 'post',
        path: '/api/v1/runs/{id}/cancel',
        tag,
        summary: 'End a run: a checkpoint is kept, nothing half registered',
        role: 'operator',
        params: runParam,
        body: z.looseObject(actorFields),
        bodyMode: 'optional',
        idempotent: true,
        answers: {
          202: { description: 'The run was told', schema: z.looseObject({ id: z.string(), status: z.string() }) },
        },
        problems: ['RunEnded'],
      },
      cancel,
    ),
  ];
}
