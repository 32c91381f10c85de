// Labeling campaigns and their rounds: what the campaign's workflow reads again whenever it is told to look.
import { sql } from 'drizzle-orm';
import { boolean, index, integer, jsonb, pgTable, primaryKey, text, uniqueIndex } from 'drizzle-orm/pg-core';
import {
  campaignStatuses,
  stopReasons,
  type CampaignSettings,
  type CampaignStatus,
  type Gain,
  type StopReason,
} from '../../domain/campaign.js';
import type { MeasuredMetric } from '../../domain/evaluation.js';
import type { Strategy } from '../../domain/labeling.js';
import type { Json } from '../../domain/json.js';
import { at, createdAt, oneOf, prefixed } from './columns.js';
import { pipeline } from './pipeline.js';
import { project } from './project.js';
import { run } from './run.js';

export const campaign = pgTable(
  'campaign',
  {
    id: text('id').primaryKey(),
    project: text('project')
      .notNull()
      .references(() => project.name),
    pipeline: text('pipeline')
      .notNull()
      .references(() => pipeline.id),
    workflowId: text('workflow_id').notNull(),
    status: text('status').$type<CampaignStatus>().notNull().default('running'),
    settings: jsonb('settings').$type<CampaignSettings>().notNull(),
    /** Why it goes on, waits or stopped, in words. */
    why: text('why').notNull().default(''),
    /** Null while it goes on. */
    stopReason: text('stop_reason').$type<StopReason>(),
    startedBy: text('started_by').notNull(),
    verified: boolean('verified').notNull(),
    createdAt: createdAt(),
    finishedAt: at('finished_at'),
  },
  (t) => [
    prefixed('campaign', 'cam'),
    oneOf('campaign', 'status', campaignStatuses),
    oneOf('campaign', 'stop_reason', stopReasons),
    // one live campaign per pipeline; closeRun: who is to be told
    uniqueIndex('campaign_live').on(t.pipeline).where(sql.raw(`"status" <> 'stopped'`)),
    // listCampaigns
    index('campaign_project').on(t.project, t.createdAt, t.id),
  ],
);

export const campaignRound = pgTable(
  'campaign_round',
  {
    campaign: text('campaign')
      .notNull()
      .references(() => campaign.id),
    round: integer('round').notNull(),
    run: text('run')
      .notNull()
      .references(() => run.id),
    strategy: text('strategy').$type<Strategy>().notNull(),
    /** Labels asked for. */
    batchSize: integer('batch_size').notNull(),
    /** On the holdout; null until the run was evaluated and has ended. */
    accuracy: jsonb('accuracy').$type<MeasuredMetric>(),
    /** Over the last round that was better than its own predecessor; null for the first. */
    gain: jsonb('gain').$type<Gain>(),
    createdAt: createdAt(),
  },
  (t) => [primaryKey({ columns: [t.campaign, t.round] })],
);

/** What people decided about a campaign. */
export const campaignDecision = pgTable(
  'campaign_decision',
  {
    campaign: text('campaign')
      .notNull()
      .references(() => campaign.id),
    decisionId: text('decision_id').notNull(),
    decision: text('decision').notNull(),
    by: text('by').notNull(),
    verified: boolean('verified').notNull(),
    reason: text('reason'),
    /** The same decision id gets it again. */
    answer: jsonb('answer').$type<Json>().notNull(),
    createdAt: createdAt(),
  },
  (t) => [primaryKey({ columns: [t.campaign, t.decisionId] })],
);
