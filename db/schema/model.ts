// The registry: models, immutable versions with their files, movable names with their history.
import {
  bigint,
  boolean,
  foreignKey,
  index,
  integer,
  jsonb,
  pgTable,
  primaryKey,
  text,
  unique,
} from 'drizzle-orm/pg-core';
import type { Json } from '../../domain/json.js';
import { type VariantReport, variants } from '../../domain/variant.js';
import { artifact } from './artifact.js';
import { at, createdAt, digest, digested, named, oneOf, prefixed } from './columns.js';
import { datasetVersion } from './dataset.js';
import { project } from './project.js';

export const aliasNames = ['champion'] as const;
export const moveKinds = ['promotion', 'rollback'] as const;
export type MoveKind = (typeof moveKinds)[number];

export const model = pgTable(
  'model',
  {
    id: text('id').primaryKey(),
    project: text('project')
      .notNull()
      .references(() => project.name),
    name: text('name').notNull(),
    lastVersion: integer('last_version').notNull().default(0),
    /** Number of the last row in `alias_history`. */
    lastMove: integer('last_move').notNull().default(0),
    createdAt: createdAt(),
  },
  (t) => [prefixed('model', 'mod'), named('model'), unique('model_name').on(t.project, t.name)],
);

export const modelVersion = pgTable(
  'model_version',
  {
    model: text('model').notNull(),
    version: integer('version').notNull(),
    /** One version per run: registering again gives the same. */
    run: text('run').notNull(),
    /** sha256 of the canonical list of its files. */
    digest: digest('digest').notNull(),
    metrics: jsonb('metrics').$type<Record<string, number>>().notNull(),
    dataset: text('dataset').notNull(),
    datasetVersion: text('dataset_version').notNull(),
    /** The eight kinds (DESIGN, Registry). */
    details: jsonb('details').$type<Json>().notNull(),
    card: text('card').notNull(),
    /** What was measured of each variant when it was judged; their bytes are in `model_file`. */
    variants: jsonb('variants').$type<VariantReport[]>().notNull().default([]),
    /** The variant that answers. */
    served: text('served').notNull().default('float32'),
    createdAt: createdAt(),
  },
  (t) => [
    primaryKey({ columns: [t.model, t.version] }),
    oneOf('model_version', 'served', variants),
    unique('model_version_run').on(t.run),
    digested('model_version', 'digest'),
    foreignKey({ columns: [t.model], foreignColumns: [model.id] }),
    foreignKey({
      columns: [t.dataset, t.datasetVersion],
      foreignColumns: [datasetVersion.dataset, datasetVersion.digest],
      name: 'model_version_data',
    }),
    foreignKey({ columns: [t.card], foreignColumns: [artifact.digest] }),
    // collectArtifacts: is anything referring to it
    index('model_version_card').on(t.card),
  ],
);

export const modelFile = pgTable(
  'model_file',
  {
    model: text('model').notNull(),
    version: integer('version').notNull(),
    path: text('path').notNull(),
    digest: text('digest').notNull(),
    sizeBytes: bigint('size_bytes', { mode: 'number' }).notNull(),
    mediaType: text('media_type').notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.model, t.version, t.path] }),
    foreignKey({
      columns: [t.model, t.version],
      foreignColumns: [modelVersion.model, modelVersion.version],
      name: 'model_file_version',
    }),
    foreignKey({ columns: [t.digest], foreignColumns: [artifact.digest] }),
    // collectArtifacts: is anything referring to it
    index('model_file_digest').on(t.digest),
  ],
);

/** The primary key is the rule: one champion per model. */
export const alias = pgTable(
  'alias',
  {
    model: text('model').notNull(),
    name: text('name').notNull(),
    version: integer('version').notNull(),
    movedAt: at('moved_at').notNull().defaultNow(),
  },
  (t) => [
    primaryKey({ columns: [t.model, t.name] }),
    oneOf('alias', 'name', aliasNames),
    foreignKey({
      columns: [t.model, t.version],
      foreignColumns: [modelVersion.model, modelVersion.version],
      name: 'alias_version',
    }),
  ],
);

export const aliasHistory = pgTable(
  'alias_history',
  {
    model: text('model').notNull(),
    number: integer('number').notNull(),
    name: text('name').notNull(),
    /** Null: there was none. */
    fromVersion: integer('from_version'),
    toVersion: integer('to_version').notNull(),
    kind: text('kind').$type<MoveKind>().notNull(),
    decisionId: text('decision_id').notNull(),
    by: text('by').notNull(),
    verified: boolean('verified').notNull(),
    reason: text('reason'),
    at: at('at').notNull().defaultNow(),
  },
  (t) => [
    primaryKey({ columns: [t.model, t.number] }),
    // one move per decision
    unique('alias_history_decision').on(t.model, t.decisionId),
    oneOf('alias_history', 'name', aliasNames),
    oneOf('alias_history', 'kind', moveKinds),
    foreignKey({
      columns: [t.model, t.toVersion],
      foreignColumns: [modelVersion.model, modelVersion.version],
      name: 'alias_history_to',
    }),
  ],
);
