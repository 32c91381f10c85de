// Tokens: made by an admin, shown once, revoked at once.
import { z } from '@hono/zod-openapi';
import { inTransaction } from '../db/client.js';
import { createToken, listTokens, revokeToken } from '../db/token.js';
import { roles } from './deps.js';
import { endpoint, type Endpoint } from './endpoint.js';
import { actorOf } from './identity.js';
import { once } from './once.js';
import { idSchema, listSchema, momentSchema, personSchema } from './schemas.js';

const tokenSchema = z
  .looseObject({
    id: z.string(),
    subject: z.string(),
    role: z.enum(roles),
    createdBy: z.string(),
    createdAt: momentSchema,
    revokedAt: momentSchema.nullable(),
  })
  .openapi('Token');
const newTokenSchema = z.looseObject({ subject: personSchema, role: z.enum(roles) }).openapi('NewToken');
const createdSchema = z
  .looseObject({
    id: z.string(),
    subject: z.string(),
    role: z.enum(roles),
    secret: z.string().nullable().openapi({ description: 'Shown once: null when an Idempotency-Key is repeated' }),
  })
  .openapi('CreatedToken');

export function tokenEndpoints(): Endpoint[] {
  const tag = 'tokens';
  return [
    endpoint(
      {
        method: 'post',
        path: '/api/v1/tokens',
        tag,
        summary: 'Make a token',
        role: 'admin',
        body: newTokenSchema,
        idempotent: true,
        answers: { 201: { description: 'The token with its secret', schema: createdSchema } },
      },
      async (request, deps) => {
        const { subject, role } = request.body;
        const { by, verified } = actorOf(request.identity, {}, 'by', 'anonymous');
        const { project } = request.identity;
        let secret: string | null = null;
        const answer = await once(request, deps, async (tx) => {
          const made = await createToken(tx, { project, subject, role, by, verified });
          // not in the body that is kept for repeats
          secret = made.secret;
          return { status: 201, body: { id: made.id, subject, role } };
        });
        return { ...answer, body: { ...(answer.body as object), secret } };
      },
    ),
    endpoint(
      {
        method: 'get',
        path: '/api/v1/tokens',
        tag,
        summary: 'Tokens of the project, without their secrets',
        role: 'admin',
        answers: { 200: { description: 'The tokens', schema: listSchema(tokenSchema) } },
      },
      async ({ identity }, deps) => ({
        status: 200,
        body: { items: await listTokens(deps.db, identity.project), nextCursor: null },
      }),
    ),
    endpoint(
      {
        method: 'delete',
        path: '/api/v1/tokens/{id}',
        tag,
        summary: 'Revoke a token: its next request is refused',
        role: 'admin',
        params: { id: idSchema('tok') },
        answers: {
          200: { description: 'Revoked', schema: z.looseObject({ id: z.string(), revoked: z.literal(true) }) },
        },
      },
      async ({ identity, params }, deps) => {
        const { by, verified } = actorOf(identity, {}, 'by', 'anonymous');
        const { project } = identity;
        await inTransaction(deps.db, (tx) => revokeToken(tx, { project, id: params.id, by, verified }));
        return { status: 200, body: { id: params.id, revoked: true } };
      },
    ),
  ];
}
