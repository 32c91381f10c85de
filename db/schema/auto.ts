// Automatic labels of campaigns: each round's batch of them with its evidence, and its labels until people have checked.
import { sql } from 'drizzle-orm';
import {
  boolean,
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
import { autoStatuses, type AutoStatus, type ThresholdTest } from '../../domain/auto-label.js';
import { at, createdAt, oneOf, prefixed } from './columns.js';
import { campaign } from './campaign.js';
import { labelBatch } from './labeling.js';

/** One a round, also where nothing may be labelled: then it says why. */
export const autoBatch = pgTable(
  'auto_batch',
  {
    id: text('id').primaryKey(),
    campaign: text('campaign')
      .notNull()
      .references(() => campaign.id),
    round: integer('round').notNull(),
    /** The round's batch for people: what its closing decides. */
    batch: text('batch')
      .notNull()
      .references(() => labelBatch.id),
    dataset: text('dataset').notNull(),
    status: text('status').$type<AutoStatus>().notNull(),
    /** From 1; its share of the campaign's δ is δ / (n (n + 1)). */
    number: integer('number').notNull(),
    /** Too small a sample can show nothing, and costs no number. */
    tested: boolean('tested').notNull(),
    /** Null: nothing may be labelled. */
    threshold: doublePrecision('threshold'),
    /** Share of the pool. */
    coverage: doublePrecision('coverage').notNull(),
    tests: jsonb('tests').$type<ThresholdTest[]>().notNull(),
    why: text('why').notNull(),
    /** Rows without a label, and checked ones, that were looked at. */
    pool: integer('pool').notNull(),
    sample: integer('sample').notNull(),
    /** Keys of checked rows that the threshold takes out of the sample as long as the labels stand. */
    covered: jsonb('covered').$type<string[]>().notNull(),
    /** Labels, those drawn for people to check, those checked so far, the wrong ones. */
    population: integer('population').notNull(),
    audit: integer('audit').notNull(),
    audited: integer('audited').notNull().default(0),
    errors: integer('errors').notNull().default(0),
    /** Bounds of the error rate by the audit; null before the first look. */
    lo: doublePrecision('lo'),
    hi: doublePrecision('hi'),
    createdAt: createdAt(),
    /** Landed, revoked or void since. */
    decidedAt: at('decided_at'),
  },
  (t) => [
    prefixed('auto_batch', 'aut'),
    oneOf('auto_batch', 'status', autoStatuses),
    unique('auto_batch_round').on(t.campaign, t.round),
    unique('auto_batch_batch').on(t.batch),
    // checkedKeys: what the labels that stand took out of the sample
    index('auto_batch_standing').on(t.dataset).where(sql.raw(`"status" in ('landing', 'standing')`)),
  ],
);

export const autoLabel = pgTable(
  'auto_label',
  {
    autoBatch: text('auto_batch').notNull(),
    key: text('key').notNull(),
    label: text('label').notNull(),
    confidence: doublePrecision('confidence').notNull(),
    /** Place in the order in which people are asked; null: not drawn. */
    audit: integer('audit'),
    /** How often it was asked; and in which batch, until that closed without an answer. */
    tries: integer('tries').notNull().default(0),
    asked: text('asked').references(() => labelBatch.id),
    /** What people said; null: not yet. */
    answer: text('answer'),
  },
  (t) => [
    primaryKey({ columns: [t.autoBatch, t.key] }),
    foreignKey({ columns: [t.autoBatch], foreignColumns: [autoBatch.id] }),
    // dueAudits, countsOf
    index('auto_label_audit').on(t.autoBatch, t.audit).where(sql.raw('"audit" is not null')),
    // takeAnswers
    index('auto_label_asked').on(t.asked).where(sql.raw('"asked" is not null')),
  ],
);
