// The audit log of a project, and whether its chain is whole.
import { z } from '@hono/zod-openapi';
import { listAudit, verifyAudit } from '../db/audit.js';
import { endpoint, type Endpoint } from './endpoint.js';
import { listSchema, momentSchema, pageFields, pageOf } from './schemas.js';

const entrySchema = z
  .looseObject({
    number: z.int(),
    at: momentSchema,
    actor: z.string(),
    verified: z.boolean().openapi({ description: 'false: nobody checked who the actor is' }),
    action: z.string(),
    subject: z.string(),
    details: z.unknown(),
    previous: z.string(),
    hash: z.string(),
  })
  .openapi('AuditEntry');
const checkSchema = z
  .looseObject({ entries: z.int(), intact: z.boolean(), firstBroken: z.int().nullable() })
  .openapi('AuditCheck');

export function auditEndpoints(): Endpoint[] {
  const tag = 'audit';
  return [
    endpoint(
      {
        method: 'get',
        path: '/api/v1/audit',
        tag,
        summary: 'Entries of the audit log, the latest first',
        role: 'admin',
        query: pageFields,
        answers: { 200: { description: 'A page of entries', schema: listSchema(entrySchema) } },
      },
      async ({ identity, query }, deps) => ({
        status: 200,
        body: await listAudit(deps.db, identity.project, pageOf(query)),
      }),
    ),
    endpoint(
      {
        method: 'get',
        path: '/api/v1/audit/check',
        tag,
        summary: 'Recompute the hash chain',
        role: 'admin',
        answers: { 200: { description: 'Whether it is whole', schema: checkSchema } },
      },
      async ({ identity }, deps) => ({ status: 200, body: await verifyAudit(deps.db, identity.project) }),
    ),
  ];
}
