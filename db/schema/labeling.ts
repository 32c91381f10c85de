// Requests to people for labels: batches, tasks, leases, answers, decisions, and the labels that came of them.
import { sql } from 'drizzle-orm';
import {
  boolean,
  check,
  doublePrecision,
  foreignKey,
  index,
  integer,
  jsonb,
  pgTable,
  primaryKey,
  text,
  unique,
} from 'drizzle-orm/pg-core';
import { labelSources, tasks, type LabelSource, type Task } from '../../domain/dataset.js';
import type { Json } from '../../domain/json.js';
import { batchStatuses, taskStatuses, type BatchStatus, type TaskStatus } from '../../domain/labeling.js';
import { at, createdAt, oneOf, prefixed } from './columns.js';
import { dataset } from './dataset.js';
import { project } from './project.js';
import { run } from './run.js';

export const labelBatch = pgTable(
  'label_batch',
  {
    id: text('id').primaryKey(),
    project: text('project')
      .notNull()
      .references(() => project.name),
    dataset: text('dataset')
      .notNull()
      .references(() => dataset.id),
    run: text('run')
      .notNull()
      .references(() => run.id),
    node: text('node').notNull(),
    workflowId: text('workflow_id').notNull(),
    /** The fence of all answers: they need `open`. */
    status: text('status').$type<BatchStatus>().notNull().default('open'),
    /** 1, and one more after each send-back. */
    round: integer('round').notNull().default(1),
    task: text('task').$type<Task>().notNull(),
    /** Null: any label is taken. */
    classes: jsonb('classes').$type<string[]>(),
    deadline: at('deadline').notNull(),
    /** Largest share of the deadline, in percent, that labelers were reminded at. */
    reminded: integer('reminded').notNull().default(0),
    createdAt: createdAt(),
    closedAt: at('closed_at'),
  },
  (t) => [
    prefixed('label_batch', 'bat'),
    oneOf('label_batch', 'status', batchStatuses),
    oneOf('label_batch', 'task', tasks),
    unique('label_batch_node').on(t.run, t.node),
    // listBatches
    index('label_batch_project').on(t.project, t.createdAt, t.id),
    // liveBatches
    index('label_batch_live').on(t.status).where(sql.raw(`"status" in ('open', 'review')`)),
  ],
);

export const labelTask = pgTable(
  'label_task',
  {
    id: text('id').primaryKey(),
    batch: text('batch')
      .notNull()
      .references(() => labelBatch.id),
    position: integer('position').notNull(),
    key: text('key').notNull(),
    item: jsonb('item').$type<Json>().notNull(),
    suggestion: jsonb('suggestion').$type<{ label: string; confidence: number }>(),
    reason: text('reason').$type<'strategy' | 'explore'>().notNull(),
    /** With which it was drawn; null where it was chosen. */
    probability: doublePrecision('probability'),
    score: doublePrecision('score'),
    status: text('status').$type<TaskStatus>().notNull().default('open'),
    /** Raised by each lease and each send-back. */
    fence: integer('fence').notNull().default(0),
    /** The answer that counts; null while open or skipped. */
    label: text('label'),
    annotator: text('annotator'),
    annotatedAt: at('annotated_at'),
  },
  (t) => [
    prefixed('label_task', 'task'),
    oneOf('label_task', 'status', taskStatuses),
    oneOf('label_task', 'reason', ['strategy', 'explore']),
    check('label_task_answer', sql.raw(`("status" in ('labelled', 'auto')) = ("label" is not null)`)),
    unique('label_task_key').on(t.batch, t.key),
    // leaseTasks: open ones in order
    unique('label_task_position').on(t.batch, t.position),
  ],
);

/** The primary key is the rule: one open slot per task. */
export const lease = pgTable(
  'lease',
  {
    task: text('task')
      .primaryKey()
      .references(() => labelTask.id),
    batch: text('batch').notNull(),
    labeler: text('labeler').notNull(),
    fence: integer('fence').notNull(),
    expiresAt: at('expires_at').notNull(),
  },
  (t) => [
    // leaseTasks: the labeler's own live leases
    index('lease_batch').on(t.batch, t.labeler),
  ],
);

export const annotation = pgTable(
  'annotation',
  {
    id: text('id').primaryKey(),
    task: text('task')
      .notNull()
      .references(() => labelTask.id),
    annotator: text('annotator').notNull(),
    fence: integer('fence').notNull(),
    round: integer('round').notNull(),
    /** Null: skipped. */
    label: text('label'),
    /** `surplus`: kept, but another answer counts. */
    outcome: text('outcome').$type<'accepted' | 'surplus'>().notNull(),
    createdAt: createdAt(),
  },
  (t) => [
    prefixed('annotation', 'ann'),
    oneOf('annotation', 'outcome', ['accepted', 'surplus']),
    // the same answer again is the same row
    unique('annotation_once').on(t.task, t.annotator, t.fence),
  ],
);

export const labelDecision = pgTable(
  'label_decision',
  {
    batch: text('batch').notNull(),
    decisionId: text('decision_id').notNull(),
    decision: text('decision').notNull(),
    by: text('by').notNull(),
    verified: boolean('verified').notNull(),
    reason: text('reason'),
    tasks: jsonb('tasks').$type<string[]>(),
    /** What the first to ask was told; a repeat is told the same. */
    answer: jsonb('answer').$type<Json>().notNull(),
    createdAt: createdAt(),
  },
  (t) => [
    primaryKey({ columns: [t.batch, t.decisionId] }),
    foreignKey({ columns: [t.batch], foreignColumns: [labelBatch.id] }),
    oneOf('label_decision', 'decision', ['accept', 'send-back', 'close', 'deadline', 'cancel']),
  ],
);

/** The primary key is the rule: one current label per key of a dataset. */
export const label = pgTable(
  'label',
  {
    dataset: text('dataset').notNull(),
    key: text('key').notNull(),
    label: text('label').notNull(),
    source: text('source').$type<LabelSource>().notNull(),
    annotators: jsonb('annotators').$type<string[]>().notNull(),
    batch: text('batch').references(() => labelBatch.id),
    resolvedAt: at('resolved_at').notNull().defaultNow(),
  },
  (t) => [
    primaryKey({ columns: [t.dataset, t.key] }),
    foreignKey({ columns: [t.dataset], foreignColumns: [dataset.id] }),
    oneOf('label', 'source', labelSources),
  ],
);
