// The registry: models, immutable versions with their files, the champion and its history, rollback.
import { z } from '@hono/zod-openapi';
import { newId } from '../db/id.js';
import { aliasHistory, listModels, modelVersionView, modelView, rollback, versionFile } from '../db/model.js';
import { variants } from '../domain/variant.js';
import type { ApiDeps } from './deps.js';
import { endpoint, type ApiRequest, type Endpoint } from './endpoint.js';
import { sendArtifact } from './artifact.js';
import { actorOf, auditBehalf } from './identity.js';
import { once } from './once.js';
import { predictEndpoint } from './predict.js';
import type { Predictor } from './predictor.js';
import {
  actorFields,
  listSchema,
  momentSchema,
  nameSchema,
  pageFields,
  pageOf,
  reasonSchema,
  versionParam,
} from './schemas.js';

const aliasesSchema = z.record(z.string(), z.int()).openapi({ example: { champion: 1 } });
const versionItemSchema = z.looseObject({
  version: z.int(),
  run: z.string(),
  digest: z.string(),
  metrics: z.record(z.string(), z.number()),
  createdAt: momentSchema,
});
const modelSchema = z
  .looseObject({ name: z.string(), aliases: aliasesSchema, versions: z.array(versionItemSchema) })
  .openapi('Model');
const latencySchema = z.looseObject({ batch: z.int(), p50Ms: z.number(), p99Ms: z.number() });
const variantSchema = z.looseObject({
  name: z.enum(variants),
  file: z.string(),
  sha256: z.string(),
  sizeBytes: z.int(),
  agreement: z.number(),
  latency: z.array(latencySchema),
  served: z.boolean(),
});
const versionSchema = versionItemSchema
  .extend({ servedVariant: z.enum(variants), variants: z.array(variantSchema) })
  .openapi('ModelVersion', {
    description:
      'The eight kinds: definition, parameters, functions, dependencies, data, code, experiment, tags; the variants; and the lineage',
  });
const historySchema = z
  .looseObject({ number: z.int(), kind: z.string(), by: z.string(), at: momentSchema })
  .openapi('AliasMove');
const rollbackSchema = z
  .looseObject({ ...actorFields, reason: reasonSchema.nullish(), version: z.int().min(1).max(999_999_999).optional() })
  .openapi('Rollback');

const nameParam = { name: nameSchema };
const versionParams = { name: nameSchema, version: versionParam };

interface RollbackBody {
  by?: string | undefined;
  onBehalfOf?: string | undefined;
  reason?: string | null | undefined;
  version?: number | undefined;
}

async function rollBack(request: ApiRequest<{ name: string }, unknown, RollbackBody>, deps: ApiDeps) {
  const { body, identity, params } = request;
  const { project } = identity;
  const actor = actorOf(identity, { name: body.by, onBehalfOf: body.onBehalfOf }, 'by');
  return once(request, deps, async (tx) => {
    const answer = await rollback(tx, {
      project,
      model: params.name,
      ...(body.version === undefined ? {} : { to: body.version }),
      by: actor.by,
      verified: actor.verified,
      reason: body.reason ?? null,
      // whose it is says the id: two people may use one key
      decisionId: request.key === null ? newId('req') : `rollback/${actor.by}/${request.key}`,
    });
    await auditBehalf(tx, project, actor, 'model.rolled-back', params.name);
    return { status: 200, body: answer };
  });
}

function reading(): Endpoint[] {
  const tag = 'models';
  return [
    endpoint(
      {
        method: 'get',
        path: '/api/v1/models',
        tag,
        summary: 'Models by name',
        role: 'viewer',
        query: pageFields,
        answers: { 200: { description: 'A page of models', schema: listSchema(z.looseObject({ name: z.string() })) } },
      },
      async ({ identity, query }, deps) => ({
        status: 200,
        body: await listModels(deps.db, identity.project, pageOf(query)),
      }),
    ),
    endpoint(
      {
        method: 'get',
        path: '/api/v1/models/{name}',
        tag,
        summary: 'One model with its versions and aliases',
        role: 'viewer',
        params: nameParam,
        answers: { 200: { description: 'The model', schema: modelSchema } },
      },
      async ({ identity, params }, deps) => ({
        status: 200,
        body: await modelView(deps.db, identity.project, params.name),
      }),
    ),
    endpoint(
      {
        method: 'get',
        path: '/api/v1/models/{name}/versions',
        tag,
        summary: 'Versions of a model',
        role: 'viewer',
        params: nameParam,
        answers: { 200: { description: 'The versions', schema: listSchema(versionItemSchema) } },
      },
      async ({ identity, params }, deps) => {
        const { versions } = await modelView(deps.db, identity.project, params.name);
        return { status: 200, body: { items: versions, nextCursor: null } };
      },
    ),
    endpoint(
      {
        method: 'get',
        path: '/api/v1/models/{name}/aliases',
        tag,
        summary: 'Which version each alias names',
        role: 'viewer',
        params: nameParam,
        answers: { 200: { description: 'The aliases', schema: z.looseObject({ aliases: aliasesSchema }) } },
      },
      async ({ identity, params }, deps) => {
        const { aliases } = await modelView(deps.db, identity.project, params.name);
        return { status: 200, body: { aliases } };
      },
    ),
  ];
}

function versions(): Endpoint[] {
  const tag = 'models';
  return [
    endpoint(
      {
        method: 'get',
        path: '/api/v1/models/{name}/history',
        tag,
        summary: 'Every move of the champion, the latest first',
        role: 'viewer',
        params: nameParam,
        query: pageFields,
        answers: { 200: { description: 'A page of moves', schema: listSchema(historySchema) } },
      },
      async ({ identity, params, query }, deps) => ({
        status: 200,
        body: await aliasHistory(deps.db, identity.project, params.name, pageOf(query)),
      }),
    ),
    endpoint(
      {
        method: 'get',
        path: '/api/v1/models/{name}/versions/{version}',
        tag,
        summary: 'One version: everything that made it, and its lineage',
        role: 'viewer',
        params: versionParams,
        answers: { 200: { description: 'The version', schema: versionSchema } },
      },
      async ({ identity, params }, deps) => ({
        status: 200,
        body: await modelVersionView(deps.db, identity.project, params.name, params.version),
      }),
    ),
    endpoint(
      {
        method: 'get',
        path: '/api/v1/models/{name}/versions/{version}/artifacts/{file}',
        tag,
        summary: 'A file of a version, such as model.onnx',
        role: 'viewer',
        params: { ...versionParams, file: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,200}$/) },
        answers: {
          200: {
            description: 'The bytes; ETag is their sha256',
            schema: z.string(),
            mediaType: 'application/octet-stream',
          },
          304: { description: 'If-None-Match names these bytes' },
        },
      },
      async ({ c, identity, params }, deps) => {
        const file = await versionFile(deps.db, identity.project, params.name, params.version, params.file);
        return sendArtifact(c, deps, file, params.file);
      },
    ),
  ];
}

export function modelEndpoints(predictor: Predictor): Endpoint[] {
  return [
    ...reading(),
    ...versions(),
    endpoint(
      {
        method: 'post',
        path: '/api/v1/models/{name}/rollback',
        tag: 'models',
        summary: 'Go back to the champion before, or to a named version',
        role: 'operator',
        params: nameParam,
        body: rollbackSchema,
        idempotent: true,
        answers: { 200: { description: 'Who is champion now', schema: z.looseObject({ champion: z.int() }) } },
        problems: ['NothingToRollBackTo', 'NotYou'],
      },
      rollBack,
    ),
    predictEndpoint(predictor),
  ];
}
