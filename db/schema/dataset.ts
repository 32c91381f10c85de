// Datasets, the arrivals of rows, and frozen versions.
import { sql } from 'drizzle-orm';
import { bigint, foreignKey, index, integer, jsonb, pgTable, primaryKey, text, unique } from 'drizzle-orm/pg-core';
import {
  formats,
  tasks,
  type Format,
  type LabelSource,
  type Schema,
  type Superseded,
  type Task,
  type Watermark,
} from '../../domain/dataset.js';
import { artifact } from './artifact.js';
import { createdAt, digest, digested, named, oneOf, prefixed } from './columns.js';
import { project } from './project.js';

export const dataset = pgTable(
  'dataset',
  {
    id: text('id').primaryKey(),
    project: text('project')
      .notNull()
      .references(() => project.name),
    name: text('name').notNull(),
    key: text('key').notNull(),
    label: text('label').notNull(),
    task: text('task').$type<Task>().notNull(),
    lastIngest: integer('last_ingest').notNull().default(0),
    lastVersion: integer('last_version').notNull().default(0),
    /** Rows accepted by the two POSTs, ever. */
    acceptedRows: bigint('accepted_rows', { mode: 'number' }).notNull().default(0),
    /** Null: none accepted yet; the first passing version proposes it. */
    schema: jsonb('schema').$type<Schema>(),
    schemaDigest: digest('schema_digest'),
    createdAt: createdAt(),
  },
  (t) => [prefixed('dataset', 'ds'), named('dataset'), oneOf('dataset', 'task', tasks), unique().on(t.project, t.name)],
);

export const ingest = pgTable(
  'ingest',
  {
    dataset: text('dataset').notNull(),
    number: integer('number').notNull(),
    artifact: text('artifact').notNull(),
    rows: integer('rows').notNull(),
    quarantined: integer('quarantined').notNull(),
    format: text('format').$type<Format>().notNull(),
    columns: jsonb('columns').$type<string[]>().notNull(),
    createdBy: text('created_by').notNull(),
    createdAt: createdAt(),
  },
  (t) => [
    primaryKey({ columns: [t.dataset, t.number] }),
    foreignKey({ columns: [t.dataset], foreignColumns: [dataset.id] }),
    foreignKey({ columns: [t.artifact], foreignColumns: [artifact.digest] }),
    oneOf('ingest', 'format', formats),
    // collectArtifacts: is anything referring to it
    index('ingest_artifact').on(t.artifact),
  ],
);

export const datasetVersion = pgTable(
  'dataset_version',
  {
    dataset: text('dataset').notNull(),
    version: integer('version').notNull(),
    /** Id of the content (DESIGN: sha256 of canonical `{schema, files}`). */
    digest: digest('digest').notNull(),
    rows: integer('rows').notNull(),
    files: jsonb('files').$type<{ digest: string; rows: number }[]>().notNull(),
    schema: jsonb('schema').$type<Schema>().notNull(),
    watermark: jsonb('watermark').$type<Watermark>().notNull(),
    parents: jsonb('parents').$type<string[]>().notNull(),
    profile: text('profile'),
    quarantine: text('quarantine'),
    quarantined: integer('quarantined').notNull(),
    /** The run that made it. */
    run: text('run').notNull(),
    annotators: jsonb('annotators').$type<string[]>().notNull(),
    labelCounts: jsonb('label_counts').$type<Record<LabelSource, number>>().notNull(),
    /** Label batches whose automatic labels it may hold. */
    autoBatches: jsonb('auto_batches')
      .$type<string[]>()
      .notNull()
      .default(sql`'[]'::jsonb`),
    /** It holds labels that were withdrawn since; null: as good as ever. */
    superseded: jsonb('superseded').$type<Superseded>(),
    createdAt: createdAt(),
  },
  (t) => [
    primaryKey({ columns: [t.dataset, t.version] }),
    unique('dataset_version_content').on(t.dataset, t.digest),
    digested('dataset_version', 'digest'),
    foreignKey({ columns: [t.dataset], foreignColumns: [dataset.id] }),
    foreignKey({ columns: [t.profile], foreignColumns: [artifact.digest] }),
    foreignKey({ columns: [t.quarantine], foreignColumns: [artifact.digest] }),
    // collectArtifacts: is anything referring to it
    index('dataset_version_profile').on(t.profile),
    index('dataset_version_quarantine').on(t.quarantine),
  ],
);
