// Writes that a client may repeat: the answer is kept with the rows, in one transaction.
import { inTransaction, type Tx } from '../db/client.js';
import { withIdempotency } from '../db/idempotency.js';
import type { Json } from '../domain/json.js';
import type { ApiDeps } from './deps.js';
import type { Answer, ApiRequest } from './endpoint.js';

export function idempotencyKeyOf(request: ApiRequest, key: string) {
  return {
    project: request.identity.project,
    subject: request.identity.subject ?? 'anonymous',
    key,
    route: `${request.c.req.method} ${request.c.req.path}`,
    bodyDigest: request.bodyDigest,
  };
}

/**
 * Runs `work` in a transaction; with an Idempotency-Key at most once per key. Sends the outbox after the commit, where
 * `work` writes what is due at once.
 */
export async function once(
  request: ApiRequest,
  deps: ApiDeps,
  work: (tx: Tx) => Promise<{ status: number; body: object }>,
  options: { send?: false } = {},
): Promise<Answer> {
  const { key } = request;
  const answer = await inTransaction(deps.db, async (tx): Promise<Answer> => {
    if (key === null) return work(tx);
    const { status, body, replayed } = await withIdempotency(tx, idempotencyKeyOf(request, key), async () => {
      const made = await work(tx);
      return { status: made.status, body: JSON.parse(JSON.stringify(made.body)) as Json };
    });
    return { status, body, ...(replayed ? { headers: { 'idempotent-replay': 'true' } } : {}) };
  });
  if (options.send !== false) deps.kick();
  return answer;
}
