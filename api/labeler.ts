// Labelers: what they can do, so that batches that ask for skills or languages reach the right people.
import { z } from '@hono/zod-openapi';
import { labelerOf, saveLabeler } from '../db/labeling.js';
import { endpoint, type Endpoint } from './endpoint.js';
import { once } from './once.js';
import { personSchema } from './schemas.js';

const words = z
  .array(z.string().min(1).max(200))
  .max(100, { error: 'has more than 100 words' })
  .default([])
  .transform((all) => [...new Set(all)].sort());
const abilitiesSchema = z.strictObject({ skills: words, languages: words }).openapi('LabelerAbilities');
const labelerSchema = z
  .looseObject({ name: z.string(), skills: z.array(z.string()), languages: z.array(z.string()) })
  .openapi('Labeler');
const nameParam = { name: personSchema };

export function labelerEndpoints(): Endpoint[] {
  const tag = 'labelers';
  return [
    endpoint(
      {
        method: 'get',
        path: '/api/v1/labelers/{name}',
        tag,
        summary: 'What a labeler can do; nothing special for who is not listed',
        role: 'viewer',
        params: nameParam,
        answers: { 200: { description: 'The labeler', schema: labelerSchema } },
      },
      async ({ identity, params }, deps) => ({
        status: 200,
        body: await labelerOf(deps.db, identity.project, params.name),
      }),
    ),
    endpoint(
      {
        method: 'put',
        path: '/api/v1/labelers/{name}',
        tag,
        summary: 'Say what a labeler can do, instead of what was said before',
        role: 'operator',
        params: nameParam,
        body: abilitiesSchema,
        idempotent: true,
        answers: { 200: { description: 'The labeler', schema: labelerSchema } },
      },
      async (request, deps) => {
        const { body, identity, params } = request;
        const labeler = { name: params.name, skills: body.skills, languages: body.languages };
        return once(request, deps, async (tx) => {
          await saveLabeler(tx, identity.project, labeler);
          return { status: 200, body: labeler };
        });
      },
    ),
  ];
}
