// Whether everything that the API needs is there: Postgres, its tables, Temporal with the namespace.
import type { Temporal } from '../adapters/temporal.js';
import type { Db } from '../db/client.js';
import { countTokens } from '../db/token.js';
import type { Readiness } from './deps.js';

const withinMs = 2_000;

async function within<T>(work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('no answer in time')), withinMs);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

async function check(work: () => Promise<unknown>): Promise<string> {
  return within(work()).then(
    () => 'ok',
    () => 'does not answer',
  );
}

/** `prepared`: when the tables are there. */
export function createReadiness(
  db: Db,
  temporal: Temporal,
  namespace: string,
  prepared: Promise<void>,
): () => Promise<Readiness> {
  let migrations = 'pending';
  prepared.then(
    () => (migrations = 'ok'),
    () => (migrations = 'failed'),
  );
  return async () => {
    const { connection } = temporal.client;
    const [postgres, server] = await Promise.all([
      check(() => countTokens(db)),
      check(() =>
        connection.withDeadline(Date.now() + withinMs, () =>
          connection.workflowService.describeNamespace({ namespace }),
        ),
      ),
    ]);
    const checks = { postgres, migrations, temporal: server };
    return { ok: Object.values(checks).every((state) => state === 'ok'), checks };
  };
}
