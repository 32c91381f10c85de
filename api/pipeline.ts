// Pipelines: posted as documents, paused, resumed.
import { z } from '@hono/zod-openapi';
import { listPipelines, pipelineView, savePipeline, setPaused, type PipelineView } from '../db/pipeline.js';
import { parsePipeline } from '../domain/document.js';
import { Failure } from '../domain/failures.js';
import { canonicalJson, type Json } from '../domain/json.js';
import type { PipelineDocument } from '../domain/pipeline.js';
import { programsOf } from '../domain/program.js';
import { sha256Of } from './body.js';
import { keepTheCode, pinCode } from './code.js';
import { temporalUrl, type ApiDeps } from './deps.js';
import { endpoint, type ApiRequest, type Endpoint, requireRole } from './endpoint.js';
import { actorOf, auditBehalf } from './identity.js';
import { once } from './once.js';
import { resolveSource } from './source.js';
import { actorFields, listSchema, momentSchema, nameSchema, pageFields, pageOf } from './schemas.js';

const loopSchema = z.object({ workflowId: z.string() });
const savedSchema = z
  .looseObject({ name: nameSchema, version: z.int(), loop: loopSchema, temporalUrl: z.string().nullable() })
  .openapi('SavedPipeline');
const pipelineSchema = z
  .looseObject({
    name: nameSchema,
    version: z.int(),
    paused: z.boolean(),
    document: z.unknown().openapi({ description: 'The document as sent' }),
    createdAt: momentSchema,
    updatedAt: momentSchema,
    liveRun: z.string().nullable(),
    champion: z.int().nullable(),
    rowsSinceLastRun: z.int(),
    loop: loopSchema,
    temporalUrl: z.string().nullable(),
  })
  .openapi('Pipeline');
const pausedSchema = z.looseObject({ name: nameSchema, paused: z.boolean() }).openapi('Paused');
const documentSchema = z.record(z.string(), z.unknown()).openapi('PipelineDocument', {
  description: 'name, dataset, trainer and gate are required; every fault of a document is listed with its path',
  example: {
    name: 'digits',
    dataset: { name: 'digits', key: 'id', label: 'label', task: 'classification' },
    trainer: { type: 'linear' },
    gate: { metric: 'accuracy', min: 0.85 },
  },
});
const nameParam = { name: nameSchema };

function shown(deps: ApiDeps, view: PipelineView): PipelineView & { temporalUrl: string | null } {
  return { ...view, temporalUrl: temporalUrl(deps, view.loop.workflowId) };
}

function parsed(value: Json): PipelineDocument {
  const result = parsePipeline(value);
  if ('document' in result) return result.document;
  const count = result.faults.length;
  throw new Failure('InvalidPipeline', `${count} ${count === 1 ? 'fault' : 'faults'}`, { faults: result.faults });
}

async function create(request: ApiRequest, deps: ApiDeps) {
  const sent = parsed(request.body as Json);
  // a program runs as the workers' user (docs/command-trainer.md)
  if (programsOf(sent, true).length > 0) requireRole(request.identity, 'admin');
  const { source, packed } = await pinCode(resolveSource(request.body as Json, sent, deps.config), sent, deps);
  const document = parsed(source);
  const digest = `sha256:${sha256Of(canonicalJson(document))}` as const;
  const actor = actorOf(request.identity, {}, 'by', 'anonymous');
  return once(request, deps, async (tx) => {
    const { project } = request.identity;
    await keepTheCode(tx, project, document, packed);
    const saved = await savePipeline(tx, { project, document, source, digest, by: actor.by, verified: actor.verified });
    const { name, version, workflowId } = saved;
    const body = { name, version, loop: { workflowId }, temporalUrl: temporalUrl(deps, workflowId) };
    return { status: saved.outcome === 'same' ? 200 : 201, body };
  });
}

function pausing(word: 'pause' | 'resume'): Endpoint {
  return endpoint(
    {
      method: 'post',
      path: `/api/v1/pipelines/{name}/${word}`,
      tag: 'pipelines',
      summary: word === 'pause' ? 'Remember triggers instead of opening runs; a live run goes on' : 'Open runs again',
      role: 'operator',
      params: nameParam,
      body: z.looseObject(actorFields),
      bodyMode: 'optional',
      idempotent: true,
      answers: { 200: { description: 'As it is now', schema: pausedSchema } },
    },
    async (request, deps) => {
      const { body, identity, params } = request;
      const actor = actorOf(identity, { name: body.by, onBehalfOf: body.onBehalfOf }, 'by', 'anonymous');
      return once(request, deps, async (tx) => {
        const { project } = identity;
        const change = { project, name: params.name, paused: word === 'pause', by: actor.by, verified: actor.verified };
        const answer = await setPaused(tx, change);
        await auditBehalf(tx, project, actor, `pipeline.${word}`, params.name);
        return { status: 200, body: answer };
      });
    },
  );
}

export function pipelineEndpoints(): Endpoint[] {
  const tag = 'pipelines';
  return [
    endpoint(
      {
        method: 'post',
        path: '/api/v1/pipelines',
        tag,
        summary: 'Create or change a pipeline; starts no run',
        role: 'operator',
        body: documentSchema,
        yaml: true,
        idempotent: true,
        answers: {
          200: { description: 'The same document as before: the same version', schema: savedSchema },
          201: { description: 'Created, or changed to the next version', schema: savedSchema },
        },
        problems: ['InvalidPipeline', 'SourceNotAllowed', 'SourceNotFound', 'CodeRefused', 'StoreFull'],
      },
      create,
    ),
    endpoint(
      {
        method: 'get',
        path: '/api/v1/pipelines',
        tag,
        summary: 'Pipelines by name',
        role: 'viewer',
        query: pageFields,
        answers: { 200: { description: 'A page of pipelines', schema: listSchema(pipelineSchema) } },
      },
      async ({ identity, query }, deps) => {
        const page = await listPipelines(deps.db, identity.project, pageOf(query));
        return { status: 200, body: { ...page, items: page.items.map((view) => shown(deps, view)) } };
      },
    ),
    endpoint(
      {
        method: 'get',
        path: '/api/v1/pipelines/{name}',
        tag,
        summary: 'One pipeline with its document and its live run',
        role: 'viewer',
        params: nameParam,
        answers: { 200: { description: 'The pipeline', schema: pipelineSchema } },
      },
      async ({ identity, params }, deps) => ({
        status: 200,
        body: shown(deps, await pipelineView(deps.db, identity.project, params.name)),
      }),
    ),
    pausing('pause'),
    pausing('resume'),
  ];
}
