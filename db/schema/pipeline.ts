// Pipelines and their documents.
import { bigint, boolean, foreignKey, integer, jsonb, pgTable, primaryKey, text, unique } from 'drizzle-orm/pg-core';
import type { PipelineDocument } from '../../domain/pipeline.js';
import type { Json } from '../../domain/json.js';
import { at, createdAt, digest, named, prefixed } from './columns.js';
import { dataset } from './dataset.js';
import { model } from './model.js';
import { project } from './project.js';

export const pipeline = pgTable(
  'pipeline',
  {
    id: text('id').primaryKey(),
    project: text('project')
      .notNull()
      .references(() => project.name),
    name: text('name').notNull(),
    dataset: text('dataset')
      .notNull()
      .references(() => dataset.id),
    model: text('model')
      .notNull()
      .references(() => model.id),
    /** The present version. */
    version: integer('version').notNull(),
    paused: boolean('paused').notNull().default(false),
    lastRun: integer('last_run').notNull().default(0),
    /** `dataset.accepted_rows` when the last run was opened. */
    acceptedRowsAtLastRun: bigint('accepted_rows_at_last_run', { mode: 'number' }).notNull().default(0),
    /** The newest time that its schedule named; null: none came yet. */
    dueAt: at('due_at'),
    createdAt: createdAt(),
    updatedAt: at('updated_at').notNull().defaultNow(),
  },
  (t) => [
    prefixed('pipeline', 'pip'),
    named('pipeline'),
    unique('pipeline_name').on(t.project, t.name),
    // addIngest: loops to tell
    unique('pipeline_dataset').on(t.dataset, t.id),
  ],
);

export const pipelineVersion = pgTable(
  'pipeline_version',
  {
    pipeline: text('pipeline').notNull(),
    version: integer('version').notNull(),
    /** As sent. */
    source: jsonb('source').$type<Json>().notNull(),
    /** As parsed, defaults filled in. */
    document: jsonb('document').$type<PipelineDocument>().notNull(),
    digest: digest('digest').notNull(),
    createdBy: text('created_by').notNull(),
    createdAt: createdAt(),
  },
  (t) => [
    primaryKey({ columns: [t.pipeline, t.version] }),
    foreignKey({ columns: [t.pipeline], foreignColumns: [pipeline.id] }),
  ],
);
