// Shapes that several nouns share, as zod schemas with the names they have in the OpenAPI document.
import { z } from '@hono/zod-openapi';
import type { PageRequest } from '../db/page.js';

export const nameSchema = z.string().regex(/^[a-z0-9][a-z0-9_-]{0,62}$/, {
  error: 'must match [a-z0-9][a-z0-9_-]{0,62}',
});

export function idSchema(prefix: string) {
  return z.string().regex(new RegExp(`^${prefix}_[0-9a-z]{1,40}$`), { error: `must be an id, ${prefix}_…` });
}

export const digestSchema = z
  .string()
  .regex(/^sha256:[0-9a-f]{64}$/, { error: 'must be sha256: and 64 hex digits' })
  .openapi({ example: `sha256:${'0'.repeat(64)}` });

/** A person or a service, as it stands in the audit. */
export const personSchema = z
  .string()
  .min(1, { error: 'must not be empty' })
  .max(200, { error: 'has more than 200 characters' })
  .refine((text) => text.trim() === text && !/[\u0000-\u001f\u007f]/.test(text), {
    error: 'must not begin or end with a space or hold control characters',
  });

export const reasonSchema = z.string().max(2_000, { error: 'has more than 2000 characters' });

export const momentSchema = z.string().openapi({ format: 'date-time' });

/** Who acts (architecture, rule 12): with a token its subject, which an admin may replace by `onBehalfOf`. */
export const actorFields = { by: personSchema.optional(), onBehalfOf: personSchema.optional() };

const number = (least: number, most: number) =>
  z
    .string()
    .regex(/^\d{1,6}$/, { error: `must be a whole number, ${least} to ${most}` })
    .transform(Number)
    .refine((value) => value >= least && value <= most, { error: `must be a whole number, ${least} to ${most}` })
    .openapi({ type: 'integer', minimum: least, maximum: most });

export const pageFields = {
  limit: number(1, 200).optional().openapi({ description: 'Items at most, 1 to 200; default 50' }),
  cursor: z.string().max(1_000).optional().openapi({ description: '`nextCursor` of the page before' }),
};

export function pageOf(query: { limit?: number | undefined; cursor?: string | undefined }): PageRequest {
  return { limit: query.limit ?? 50, cursor: query.cursor ?? null };
}

/** A number in a path, such as a version: what is none names nothing. */
export const versionParam = z
  .string()
  .regex(/^[1-9]\d{0,8}$/)
  .transform(Number)
  .openapi({ type: 'integer', minimum: 1 });

export function listSchema<T extends z.ZodType>(item: T) {
  return z.looseObject({ items: z.array(item), nextCursor: z.string().nullable() });
}

export const problemSchema = z
  .looseObject({
    type: z.string().openapi({ example: '/problems/not-found' }),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    instance: z.string(),
    requestId: z.string(),
    errors: z.array(z.object({ path: z.string(), message: z.string() })),
  })
  .openapi('Problem');
