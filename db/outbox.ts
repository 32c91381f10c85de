// Messages to workflows (architecture, rule 1): committed with the fact, sent after it, again and again until it worked.
// Sends are repeatable: a start by its workflow id, a signal by its content, since payloads are absolute positions or
// decisions with an id. No lock is held during a send: a message is claimed for some seconds, then marked.
import { sql, type SQL } from 'drizzle-orm';
import type { Json } from '../domain/json.js';
import { json, mustRow, preparedRow, rows, type Db, type Tx } from './client.js';
import { newId } from './id.js';

export interface OutboxMessage {
  id: string;
  kind: 'start' | 'signal';
  workflowId: string;
  /** Workflow type or signal name. */
  name: string;
  /** Null for signals. */
  taskQueue: string | null;
  payload: Json;
  /** Search attributes of a start. */
  attributes: Record<string, string>;
  summary: string | null;
}

export interface NewMessage {
  project: string;
  kind: 'start' | 'signal';
  workflowId: string;
  name: string;
  taskQueue?: string;
  payload: Json;
  attributes?: Record<string, string>;
  summary?: string;
  /** Until a message with this key is first tried, a later one replaces its payload; so payloads are absolute. */
  coalesceKey?: string;
  /** Not sent before so long; default 0. */
  delayMs?: number;
}

/** Writes a message in the caller's transaction. */
export async function enqueue(tx: Tx, message: NewMessage): Promise<void> {
  await rows(
    tx,
    sql`insert into outbox (id, project, kind, workflow_id, name, task_queue, payload, attributes, summary, coalesce_key,
        next_attempt_at)
      values (${newId('out')}, ${message.project}, ${message.kind}, ${message.workflowId}, ${message.name},
        ${message.taskQueue ?? null}, ${JSON.stringify(message.payload)}::jsonb, ${json(message.attributes ?? {})},
        ${message.summary ?? null}, ${message.coalesceKey ?? null},
        clock_timestamp() + ${message.delayMs ?? 0}::int * interval '1 millisecond')
      on conflict (coalesce_key) where sent_at is null and claimed_until is null do update set payload = excluded.payload`,
  );
}

/** So long a workflow may not know of an answer: each look counts the whole batch, and people answer many times a second. */
const wakeAfterMs = 1_000;

/**
 * Tells a workflow to look again within a second or so, by an empty signal. Many transactions may do so at once and none waits for another:
 * they lean on one unsent message, which is not sent before the last of them is over, or write one of their own. Nobody
 * leans on a message that is due: else it would be held for ever where transactions overlap without end.
 */
export async function wake(tx: Tx, to: { project: string; workflowId: string; name: string }): Promise<void> {
  const key = `${to.name}/${to.workflowId}`;
  // while one is due, the other takes what comes
  const keys = [key, `${key}/next`] as const;
  const unsent = sql`coalesce_key in (${keys[0]}, ${keys[1]}) and sent_at is null and claimed_until is null`;
  const early = await rows(
    tx,
    sql`select 1 from outbox where ${unsent} and next_attempt_at > clock_timestamp() for share skip locked`,
  );
  if (early.length > 0) return;
  // two that insert the same key would wait for each other's end
  const { alone } = await mustRow<{ alone: boolean }>(
    tx,
    sql`select pg_try_advisory_xact_lock(hashtextextended(${key}, 0)) as alone`,
  );
  const taken = alone
    ? await rows<{ key: string }>(tx, sql`select coalesce_key as key from outbox where ${unsent}`)
    : [];
  const free = alone ? keys.find((one) => !taken.some((other) => other.key === one)) : undefined;
  await enqueue(tx, {
    ...to,
    kind: 'signal',
    payload: {},
    delayMs: wakeAfterMs,
    ...(free === undefined ? {} : { coalesceKey: free }),
  });
}

/** Longer than any send: within it nobody else takes the message, after it its sender counts as dead. */
const claimMs = 15_000;

/**
 * Sends what is due, oldest first; several sweepers share the work, and what a killed one had claimed is taken again
 * after 15 s. A message waits while an earlier one of its workflow, or the workflow's start, is unsent. `send` must end
 * within 10 seconds, must be repeatable, and answers `gone` when the workflow is over; when it throws, the message comes
 * back after 0.2 s, doubling to 30 s.
 * @throws Failure `Unavailable`
 */
export async function sweepOutbox(
  db: Db,
  send: (message: OutboxMessage) => Promise<'sent' | 'gone'>,
  options: { limit?: number } = {},
): Promise<{ sent: number; failed: number }> {
  const done = { sent: 0, failed: 0 };
  for (let turn = 0; turn < (options.limit ?? 100); turn += 1) {
    const outcome = await sendNext(db, send);
    if (outcome === 'idle') break;
    done[outcome] += 1;
  }
  return done;
}

/**
 * One sweep at a time; a kick during one makes another follow. `onSweep` hears of the end of each, with what it threw.
 * `idle` resolves when none runs.
 */
export function kicker(
  db: Db,
  send: (message: OutboxMessage) => Promise<'sent' | 'gone'>,
  onSweep: (error?: unknown) => void,
): { kick(): void; idle(): Promise<void> } {
  let running: Promise<void> | null = null;
  let again = false;
  const sweep = async (): Promise<void> => {
    do {
      again = false;
      await sweepOutbox(db, send).then(() => onSweep(), onSweep);
    } while (again);
    running = null;
  };
  return {
    kick() {
      if (running) again = true;
      else running = sweep();
    },
    idle: async () => (await running) ?? undefined,
  };
}

/** How many messages wait to be sent. */
export async function unsentCount(tx: Tx): Promise<number> {
  const { unsent } = await mustRow<{ unsent: number }>(
    tx,
    sql`select count(*)::int as unsent from outbox where sent_at is null`,
  );
  return unsent;
}

/**
 * Forgets messages that were sent, and keys of requests, so many days ago: nobody repeats them any more. In portions that
 * leave out what somebody holds.
 */
export async function forgetOld(db: Db, days: { messages: number; keys: number }): Promise<void> {
  const age = (count: number) => sql`now() - ${count}::int * interval '1 day'`;
  await inPortions(
    db,
    sql`delete from outbox where number in (select number from outbox where sent_at < ${age(days.messages)}
      limit ${portion} for update skip locked) returning 1`,
  );
  await inPortions(
    db,
    sql`delete from idempotency_key k using (select ctid from idempotency_key where created_at < ${age(days.keys)}
      limit ${portion} for update skip locked) old where k.ctid = old.ctid returning 1`,
  );
}

const portion = 1_000;

async function inPortions(db: Db, statement: SQL): Promise<void> {
  while ((await rows(db, statement)).length === portion);
}

async function sendNext(
  db: Db,
  send: (message: OutboxMessage) => Promise<'sent' | 'gone'>,
): Promise<'sent' | 'failed' | 'idle'> {
  const message = await claim(db);
  if (message === null) return 'idle';
  let gone: boolean;
  try {
    gone = (await send(message)) === 'gone';
    if (gone && message.mayBegin) throw new Error('its workflow has not begun, or is over');
  } catch (error) {
    await putBack(db, message.id, error);
    return 'failed';
  }
  await rows(db, sql`update outbox set sent_at = clock_timestamp(), gone = ${gone} where id = ${message.id}`);
  return 'sent';
}

// its claim is over but stays: what came with its key since then is a message of its own, sent after it
async function putBack(db: Db, id: string, error: unknown): Promise<void> {
  const text = error instanceof Error ? error.message : String(error);
  await rows(
    db,
    sql`update outbox set attempts = attempts + 1, last_error = ${text.replaceAll('\0', '').slice(0, 500)},
        claimed_until = clock_timestamp(),
        next_attempt_at = clock_timestamp() + least(30, 0.2 * power(2, least(attempts, 10))) * interval '1 second'
      where id = ${id} and sent_at is null`,
  );
}

interface Claimed extends OutboxMessage {
  /** A person's decision, sent lately: the workflow that it is for may be about to begin. */
  mayBegin: boolean;
}

// prepared: each round of each sweeper asks this
function claim(db: Db): Promise<Claimed | null> {
  return preparedRow<Claimed>(
    db,
    sql`with next as (
        select number from outbox m
        where sent_at is null and next_attempt_at <= clock_timestamp()
          and (claimed_until is null or claimed_until <= clock_timestamp())
          and not exists (
            select 1 from outbox e
            where e.sent_at is null and e.workflow_id = m.workflow_id
              and (e.kind = 'start' and m.kind = 'signal' or e.kind = m.kind and e.number < m.number)
          )
        order by number limit 1
        for update of m skip locked
      )
      update outbox o set claimed_until = clock_timestamp() + ${claimMs}::int * interval '1 millisecond'
      from next where o.number = next.number
      returning o.id, o.kind, o.workflow_id as "workflowId", o.name, o.task_queue as "taskQueue", o.payload,
        o.attributes, o.summary,
        o.name = 'decideSignal' and o.created_at > now() - interval '2 minutes' as "mayBegin"`,
  );
}
