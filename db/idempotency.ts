// Idempotency keys (architecture, rule 1): the same key and body give the same answer, committed with the work itself.
import { sql } from 'drizzle-orm';
import { Failure } from '../domain/failures.js';
import type { Json } from '../domain/json.js';
import { atomically, mustRow, preparedRow, preparedRows, row, type Tx } from './client.js';

export interface IdempotencyKey {
  project: string;
  /** Who sent it: two people may use one key. */
  subject: string;
  key: string;
  /** Method and path: a key belongs to one call. */
  route: string;
  bodyDigest: string;
}

export interface Answer {
  status: number;
  body: Json;
}

interface StoredKey {
  bodyDigest: string;
  status: number | null;
  body: Json;
}

/**
 * Does `work` once per key, in the caller's transaction: two at once wait for each other, and a stored answer is given
 * again. A key whose work never committed is executed again.
 * @throws Failure `IdempotencyKeyReused` for another body, whatever `work` throws
 */
export async function withIdempotency(
  tx: Tx,
  key: IdempotencyKey,
  work: (tx: Tx) => Promise<Answer>,
): Promise<Answer & { replayed: boolean }> {
  return atomically(tx, async (inner) => {
    // who inserted it holds it: nobody else sees it before the commit
    if (!(await insertKey(inner, key))) {
      const held = await mustRow<StoredKey>(inner, sql`${stored(key)} for update`);
      const answer = answerIn(key, held);
      if (answer !== null) return { ...answer, replayed: true };
    }
    const made = await work(inner);
    await writeAnswer(inner, key, made);
    return { ...made, replayed: false };
  });
}

/**
 * Notes the key with its body before anything is done elsewhere. The stored answer, or null when the request is to be
 * executed.
 * @throws Failure `IdempotencyKeyReused`
 */
export async function claimIdempotent(tx: Tx, key: IdempotencyKey): Promise<Answer | null> {
  return atomically(tx, async (inner) => {
    await insertKey(inner, key);
    return answerIn(key, await mustRow<StoredKey>(inner, stored(key)));
  });
}

/** The stored answer, or null when the request is to be executed. @throws Failure `IdempotencyKeyReused` */
export async function readIdempotent(tx: Tx, key: IdempotencyKey): Promise<Answer | null> {
  const held = await row<StoredKey>(tx, stored(key));
  return held === null ? null : answerIn(key, held);
}

/**
 * Stores an answer whose work was done elsewhere (a decision, in its workflow); the first one stands.
 * @throws Failure `IdempotencyKeyReused`
 */
export async function storeIdempotent(tx: Tx, key: IdempotencyKey, answer: Answer): Promise<void> {
  await atomically(tx, async (inner) => {
    await insertKey(inner, key);
    const held = await mustRow<StoredKey>(inner, sql`${stored(key)} for update`);
    if (answerIn(key, held) === null) await writeAnswer(inner, key, answer);
  });
}

/** Whether it was new. */
async function insertKey(tx: Tx, key: IdempotencyKey): Promise<boolean> {
  const made = await preparedRow(
    tx,
    sql`insert into idempotency_key (project, subject, route, key, body_digest)
      values (${key.project}, ${key.subject}, ${key.route}, ${key.key}, ${key.bodyDigest}) on conflict do nothing
      returning 1`,
  );
  return made !== null;
}

async function writeAnswer(tx: Tx, key: IdempotencyKey, answer: Answer): Promise<void> {
  await preparedRows(
    tx,
    sql`update idempotency_key set status = ${answer.status}, body = ${JSON.stringify(answer.body)}::jsonb
      where ${isKey(key)}`,
  );
}

function answerIn(key: IdempotencyKey, held: StoredKey): Answer | null {
  if (held.bodyDigest !== key.bodyDigest) {
    throw new Failure('IdempotencyKeyReused', 'this idempotency key was sent with another body before');
  }
  return held.status === null ? null : { status: held.status, body: held.body };
}

function stored(key: IdempotencyKey) {
  return sql`select body_digest as "bodyDigest", status, body from idempotency_key where ${isKey(key)}`;
}

function isKey(key: IdempotencyKey) {
  return sql`project = ${key.project} and subject = ${key.subject} and route = ${key.route} and key = ${key.key}`;
}
