// Requests to people for labels: batches, tasks, leases, answers, reviews, decisions, and the labels that came of them.
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
import { labelKinds, type LabelKind } from '../../domain/label-kind.js';
import type { LabelPolicy } from '../../domain/label-policy.js';
import {
  annotationOutcomes,
  askReasons,
  batchStatuses,
  reviewVerdicts,
  taskStatuses,
  type AnnotationOutcome,
  type AskReason,
  type BatchStatus,
  type ReviewVerdict,
  type Suggestion,
  type TaskStatus,
} from '../../domain/labeling.js';
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
    /** The run that asks and its node; both null: a batch of its own, which somebody opened over HTTP. */
    run: text('run').references(() => run.id),
    node: text('node'),
    workflowId: text('workflow_id').notNull(),
    /** The fence of all answers: they need `open`. */
    status: text('status').$type<BatchStatus>().notNull().default('open'),
    /** 1, and one more after each send-back. */
    round: integer('round').notNull().default(1),
    task: text('task').$type<Task>().notNull(),
    kind: text('kind').$type<LabelKind>().notNull().default('single'),
    /** What differs from the default policy (domain/label-policy.ts). */
    policy: jsonb('policy')
      .$type<Partial<LabelPolicy>>()
      .notNull()
      .default(sql`'{}'::jsonb`),
    /** Null: any label is taken. */
    classes: jsonb('classes').$type<string[]>(),
    /** What an import has to know to give the whole back in its form (domain/exchange); null: not imported. */
    origin: jsonb('origin').$type<Json>(),
    /** Secret: where gold items come and which labels a reviewer must look at cannot be told from the batch's id. */
    salt: text('salt').notNull().default(''),
    /** Some items test people or a model: until it is decided no suggestion says how sure the model is. */
    blind: boolean('blind').notNull().default(false),
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
    oneOf('label_batch', 'kind', labelKinds),
    check('label_batch_asker', sql.raw(`("run" is null) = ("node" is null)`)),
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
    suggestion: jsonb('suggestion').$type<Suggestion>(),
    reason: text('reason').$type<AskReason>().notNull(),
    /** With which it was drawn; null where it was chosen. */
    probability: doublePrecision('probability'),
    score: doublePrecision('score'),
    status: text('status').$type<TaskStatus>().notNull().default('open'),
    /** Raised by each lease and each send-back. */
    fence: integer('fence').notNull().default(0),
    /** Fences up to this one were sent back: their answers count no more. */
    floor: integer('floor').notNull().default(0),
    /** Answers of different people that are wanted; rises while they leave doubt. */
    wanted: integer('wanted').notNull().default(1),
    /** Answers that count, above the floor. */
    answered: integer('answered').notNull().default(0),
    /** The label that the row had when it was asked about again; null: it had none, or no run asks. */
    given: text('given'),
    /** The known answer of a gold item; null: this is one to be asked about. */
    gold: text('gold'),
    /** What the answers come to; null while open or skipped. */
    label: text('label'),
    /** Probability of the label; null where nothing can be said. */
    confidence: doublePrecision('confidence'),
    annotatedAt: at('annotated_at'),
    /** The last verdict of a reviewer on the label; null: none yet. */
    review: text('review').$type<ReviewVerdict>(),
    reviewer: text('reviewer'),
    /** After a send-back: who is asked; null: anybody. */
    again: text('again').$type<'same' | 'other'>(),
    /** As an import brought it, without its answers; null: not imported. */
    source: jsonb('source').$type<Json>(),
  },
  (t) => [
    prefixed('label_task', 'task'),
    oneOf('label_task', 'status', taskStatuses),
    oneOf('label_task', 'reason', askReasons),
    oneOf('label_task', 'review', reviewVerdicts),
    oneOf('label_task', 'again', ['same', 'other']),
    check('label_task_answer', sql.raw(`("status" in ('labelled', 'auto')) = ("label" is not null)`)),
    // I1: never more answers that count than were asked for
    check('label_task_overlap', sql.raw(`"gold" is not null or "answered" <= "wanted"`)),
    unique('label_task_key').on(t.batch, t.key),
    unique('label_task_position').on(t.batch, t.position),
    // leaseTasks: open ones in order, however many were answered before them; hasOpenTasks
    index('label_task_open').on(t.batch, t.position).where(sql.raw(`"status" = 'open' and "gold" is null`)),
    // leaseTasks: the few gold ones
    index('label_task_gold').on(t.batch, t.position).where(sql.raw(`"gold" is not null`)),
  ],
);

/** A task lent to a labeler. It outlives its expiry, so that a late answer is known as one that was asked for. */
export const lease = pgTable(
  'lease',
  {
    task: text('task')
      .notNull()
      .references(() => labelTask.id),
    batch: text('batch').notNull(),
    labeler: text('labeler').notNull(),
    fence: integer('fence').notNull(),
    /** Which item of this labeler it is, from 0: the order in which they are shown. */
    place: integer('place').notNull().default(0),
    leasedAt: at('leased_at').notNull().defaultNow(),
    expiresAt: at('expires_at').notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.task, t.labeler] }),
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
    /** `surplus`: kept, but others count; `skipped`: somebody else is asked. */
    outcome: text('outcome').$type<AnnotationOutcome>().notNull(),
    /** From the lease to the answer. */
    seconds: doublePrecision('seconds'),
    comment: text('comment'),
    /** As an import brought it; null: given here. */
    source: jsonb('source').$type<Json>(),
    createdAt: createdAt(),
  },
  (t) => [
    prefixed('annotation', 'ann'),
    oneOf('annotation', 'outcome', annotationOutcomes),
    // the same answer again is the same row
    unique('annotation_once').on(t.task, t.annotator, t.fence),
  ],
);

/** What a labeler was given in a batch and how they did on its gold items. */
export const batchLabeler = pgTable(
  'batch_labeler',
  {
    batch: text('batch')
      .notNull()
      .references(() => labelBatch.id),
    labeler: text('labeler').notNull(),
    /** Items given, gold ones among them. */
    served: integer('served').notNull().default(0),
    goldServed: integer('gold_served').notNull().default(0),
    goldAnswered: integer('gold_answered').notNull().default(0),
    goldRight: integer('gold_right').notNull().default(0),
    /** Null: goes on. */
    pausedAt: at('paused_at'),
  },
  (t) => [primaryKey({ columns: [t.batch, t.labeler] })],
);

/** What a labeler can do; who is not listed can do nothing special. */
export const labeler = pgTable(
  'labeler',
  {
    project: text('project')
      .notNull()
      .references(() => project.name),
    name: text('name').notNull(),
    skills: jsonb('skills').$type<string[]>().notNull(),
    languages: jsonb('languages').$type<string[]>().notNull(),
    createdAt: createdAt(),
  },
  (t) => [primaryKey({ columns: [t.project, t.name] })],
);

/** Every verdict on a task's label, in order; raw answers stay as they are. */
export const labelReview = pgTable(
  'label_review',
  {
    id: text('id').primaryKey(),
    task: text('task')
      .notNull()
      .references(() => labelTask.id),
    reviewer: text('reviewer').notNull(),
    /** Of the task when it was looked at. */
    fence: integer('fence').notNull(),
    verdict: text('verdict').$type<ReviewVerdict>().notNull(),
    /** `fix`: the label instead. */
    label: text('label'),
    comment: text('comment'),
    createdAt: createdAt(),
  },
  (t) => [
    prefixed('label_review', 'rev'),
    oneOf('label_review', 'verdict', reviewVerdicts),
    index('label_review_task').on(t.task),
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
    /** People were asked again about a labelled row: this label goes before the one that came with the data. */
    relabel: boolean('relabel').notNull().default(false),
    resolvedAt: at('resolved_at').notNull().defaultNow(),
  },
  (t) => [
    primaryKey({ columns: [t.dataset, t.key] }),
    foreignKey({ columns: [t.dataset], foreignColumns: [dataset.id] }),
    oneOf('label', 'source', labelSources),
  ],
);
