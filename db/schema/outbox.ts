// Messages to workflows, written in the transaction of the fact that they tell.
import { sql } from 'drizzle-orm';
import { bigint, boolean, index, integer, jsonb, pgTable, text, unique, uniqueIndex } from 'drizzle-orm/pg-core';
import type { Json } from '../../domain/json.js';
import { at, createdAt, oneOf, prefixed } from './columns.js';

export const messageKinds = ['start', 'signal'] as const;

export const outbox = pgTable(
  'outbox',
  {
    /** Order of sending per workflow; not a cursor. */
    number: bigint('number', { mode: 'number' }).primaryKey().generatedAlwaysAsIdentity(),
    id: text('id').notNull(),
    project: text('project').notNull(),
    kind: text('kind').$type<(typeof messageKinds)[number]>().notNull(),
    workflowId: text('workflow_id').notNull(),
    /** Workflow type or signal name. */
    name: text('name').notNull(),
    taskQueue: text('task_queue'),
    payload: jsonb('payload').$type<Json>().notNull(),
    attributes: jsonb('attributes').$type<Record<string, string>>().notNull(),
    summary: text('summary'),
    coalesceKey: text('coalesce_key'),
    createdAt: createdAt(),
    /** Null: not sent yet. */
    sentAt: at('sent_at'),
    /** Until then one process is sending it. Null: nobody has tried yet, its payload may still be replaced. */
    claimedUntil: at('claimed_until'),
    /** Its workflow was over: nobody to tell. */
    gone: boolean('gone').notNull().default(false),
    attempts: integer('attempts').notNull().default(0),
    nextAttemptAt: at('next_attempt_at').notNull().defaultNow(),
    lastError: text('last_error'),
  },
  (t) => [
    prefixed('outbox', 'out'),
    oneOf('outbox', 'kind', messageKinds),
    unique('outbox_id').on(t.id),
    // enqueue: later payloads replace one that nobody has tried to send
    uniqueIndex('outbox_coalesce').on(t.coalesceKey).where(sql.raw('"sent_at" is null and "claimed_until" is null')),
    // sweepOutbox: what is due, in order
    index('outbox_due').on(t.number).where(sql.raw('"sent_at" is null')),
    // sweepOutbox: is an earlier one of the workflow unsent
    index('outbox_workflow').on(t.workflowId, t.number).where(sql.raw('"sent_at" is null')),
  ],
);
