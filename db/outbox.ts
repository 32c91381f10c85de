// Messages to workflows (DESIGN §3b.1): committed with the fact, sent after it, again and again until it worked.
// Sends are repeatable: a start by its workflow id, a signal by its message id.
import { sql } from 'drizzle-orm';
import type { Json } from '../domain/json.js';
import { inTransaction, json, mustRow, row, rows, type Db, type Tx } from './client.js';
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
  /** While a message with this key is unsent, a later one replaces its payload; so payloads are absolute. */
  coalesceKey?: string;
}

/** Writes a message in the caller's transaction. */
export async function enqueue(tx: Tx, message: NewMessage): Promise<void> {
  await rows(
    tx,
    sql`insert into outbox (id, project, kind, workflow_id, name, task_queue, payload, attributes, summary, coalesce_key)
      values (${newId('out')}, ${message.project}, ${message.kind}, ${message.workflowId}, ${message.name},
        ${message.taskQueue ?? null}, ${JSON.stringify(message.payload)}::jsonb, ${json(message.attributes ?? {})},
        ${message.summary ?? null}, ${message.coalesceKey ?? null})
      on conflict (coalesce_key) where sent_at is null do update set payload = excluded.payload`,
  );
}

/**
 * Sends what is due, oldest first, each in its own transaction that holds the message's row: several sweepers share the
 * work, a killed one lets go at once. A message waits while an earlier one of its workflow, or the workflow's start, is
 * unsent. `send` must end within some seconds, must be repeatable, and answers `gone` when the workflow is over; when it
 * throws, the message comes back after 0.2 s, doubling to 30 s.
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

/** How many messages wait to be sent. */
export async function unsentCount(tx: Tx): Promise<number> {
  const { unsent } = await mustRow<{ unsent: number }>(
    tx,
    sql`select count(*)::int as unsent from outbox where sent_at is null`,
  );
  return unsent;
}

/** Forgets messages that were sent, and keys of requests, so many days ago: nobody repeats them any more. */
export async function forgetOld(db: Db, days: { messages: number; keys: number }): Promise<void> {
  await rows(db, sql`delete from outbox where sent_at < now() - ${days.messages}::int * interval '1 day'`);
  await rows(db, sql`delete from idempotency_key where created_at < now() - ${days.keys}::int * interval '1 day'`);
}

// deadlocks cannot happen here: one row is locked at a time, so `send` is called once per transaction
async function sendNext(
  db: Db,
  send: (message: OutboxMessage) => Promise<'sent' | 'gone'>,
): Promise<'sent' | 'failed' | 'idle'> {
  return inTransaction(db, async (tx) => {
    const message = await claim(tx);
    if (message === null) return 'idle';
    try {
      const outcome = await send(message);
      if (outcome === 'gone' && message.mayBegin) throw new Error('its workflow has not begun, or is over');
      await rows(tx, sql`update outbox set sent_at = now(), gone = ${outcome === 'gone'} where id = ${message.id}`);
      return 'sent';
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      await rows(
        tx,
        sql`update outbox set attempts = attempts + 1, last_error = ${text.replaceAll('\0', '').slice(0, 500)},
            next_attempt_at = clock_timestamp() + least(30, 0.2 * power(2, least(attempts, 10))) * interval '1 second'
          where id = ${message.id}`,
      );
      return 'failed';
    }
  });
}

interface Claimed extends OutboxMessage {
  /** A person's decision, sent lately: the workflow that it is for may be about to begin. */
  mayBegin: boolean;
}

function claim(tx: Tx): Promise<Claimed | null> {
  return row<Claimed>(
    tx,
    sql`select id, kind, workflow_id as "workflowId", name, task_queue as "taskQueue", payload, attributes, summary,
        name = 'decideSignal' and created_at > now() - interval '2 minutes' as "mayBegin"
      from outbox m
      where sent_at is null and next_attempt_at <= clock_timestamp()
        and not exists (
          select 1 from outbox e
          where e.sent_at is null and e.workflow_id = m.workflow_id
            and (e.kind = 'start' and m.kind = 'signal' or e.kind = m.kind and e.number < m.number)
        )
      order by number limit 1
      for update of m skip locked`,
  );
}
