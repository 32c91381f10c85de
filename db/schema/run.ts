// Runs, their steps, events and metrics.
import { sql } from 'drizzle-orm';
import {
  bigint,
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
  uniqueIndex,
} from 'drizzle-orm/pg-core';
import type { Json } from '../../domain/json.js';
import type { PipelineDocument } from '../../domain/pipeline.js';
import {
  liveRunStatuses,
  runStatuses,
  stepStatuses,
  triggerKinds,
  type RunFailure,
  type RunStatus,
  type StepStatus,
  type TriggerKind,
  type Verdict,
  type Waiting,
} from '../../domain/run.js';
import { artifact } from './artifact.js';
import { at, digest, oneOf, prefixed } from './columns.js';
import { dataset } from './dataset.js';
import { pipelineVersion } from './pipeline.js';

const live = sql.raw(`"status" in (${liveRunStatuses.map((status) => `'${status}'`).join(', ')})`);

export const run = pgTable(
  'run',
  {
    id: text('id').primaryKey(),
    project: text('project').notNull(),
    pipeline: text('pipeline').notNull(),
    pipelineVersion: integer('pipeline_version').notNull(),
    /** The pipeline's when the run was opened: another version may name another. */
    dataset: text('dataset')
      .notNull()
      .references(() => dataset.id),
    number: integer('number').notNull(),
    startKey: text('start_key').notNull(),
    trigger: text('trigger').$type<TriggerKind>().notNull(),
    startedBy: text('started_by').notNull(),
    verified: boolean('verified').notNull(),
    workflowId: text('workflow_id').notNull(),
    overrides: jsonb('overrides').$type<Record<string, Json>>().notNull(),
    /** The document after overrides: all that the run executes. */
    specification: jsonb('specification').$type<PipelineDocument>().notNull(),
    specificationDigest: digest('specification_digest').notNull(),
    /** Provider, threads and versions of the first attempt; null before it. */
    pinned: jsonb('pinned').$type<Json>(),
    status: text('status').$type<RunStatus>().notNull().default('running'),
    stage: text('stage'),
    waiting: jsonb('waiting').$type<Waiting>(),
    plan: jsonb('plan').$type<{ name: string; skipReason: string | null }[]>().notNull().default([]),
    metrics: jsonb('metrics').$type<Record<string, number>>(),
    verdict: jsonb('verdict').$type<Verdict>(),
    modelVersion: integer('model_version'),
    evaluation: text('evaluation').references(() => artifact.digest),
    failure: jsonb('failure').$type<RunFailure>(),
    acceptedRowsAtOpen: bigint('accepted_rows_at_open', { mode: 'number' }).notNull(),
    lastEvent: integer('last_event').notNull().default(0),
    /** The run whose data and steps it took over; null: it reads its own. */
    rerunOf: text('rerun_of'),
    /** Step that it began with, of a run again. */
    rerunFrom: text('rerun_from'),
    /** Step that it ends with; null: the whole plan. */
    until: text('until'),
    /** Takes nothing from the result store. */
    fresh: boolean('fresh').notNull().default(false),
    /** Who asked for the end; null: nobody. */
    cancelledBy: text('cancelled_by'),
    openedAt: at('opened_at').notNull().defaultNow(),
    finishedAt: at('finished_at'),
  },
  (t) => [
    prefixed('run', 'run'),
    oneOf('run', 'trigger', triggerKinds),
    oneOf('run', 'status', runStatuses),
    check('run_finished', sql.raw(`("status" in ('running', 'waiting')) = ("finished_at" is null)`)),
    check('run_waiting', sql.raw(`("status" = 'waiting') = ("waiting" is not null)`)),
    unique('run_number').on(t.pipeline, t.number),
    unique('run_start_key').on(t.pipeline, t.startKey),
    // one live run per pipeline
    uniqueIndex('run_live').on(t.pipeline).where(live),
    // one live run per workflow
    uniqueIndex('run_live_workflow').on(t.workflowId).where(live),
    // listRuns
    index('run_project').on(t.project, t.openedAt, t.id),
    // loopFacts: runs of the last day
    index('run_pipeline_opened').on(t.pipeline, t.openedAt),
    // collectArtifacts: is anything referring to it
    index('run_evaluation').on(t.evaluation),
    foreignKey({
      columns: [t.pipeline, t.pipelineVersion],
      foreignColumns: [pipelineVersion.pipeline, pipelineVersion.version],
      name: 'run_pipeline_version',
    }),
    foreignKey({ columns: [t.rerunOf], foreignColumns: [t.id], name: 'run_rerun_of' }),
  ],
);

export const step = pgTable(
  'step',
  {
    workflowId: text('workflow_id').notNull(),
    workflowRunId: text('workflow_run_id').notNull(),
    activityId: text('activity_id').notNull(),
    run: text('run').notNull(),
    node: text('node').notNull(),
    /** A wait for people, written by the activity that opens or closes it; one per node. */
    wait: boolean('wait').notNull().default(false),
    /** Raised by each attempt: only the last one may write. */
    fence: integer('fence').notNull().default(1),
    worker: text('worker').notNull(),
    /** How often it was begun, as far as we or Temporal know: Temporal counts anew after a requeue. */
    attempt: integer('attempt').notNull(),
    status: text('status').$type<StepStatus>().notNull(),
    result: jsonb('result').$type<Json>(),
    summary: text('summary').notNull().default(''),
    progress: jsonb('progress').$type<Json>(),
    checkpoint: text('checkpoint').references(() => artifact.digest),
    checkpointStep: integer('checkpoint_step'),
    /** Of the last failed attempt, with its time; null again once the step has succeeded. */
    failure: jsonb('failure').$type<Json>(),
    /** Failed attempts so far by the name of the failure: each name has a budget of its own. */
    failedAttempts: jsonb('failed_attempts').$type<Record<string, number>>().notNull().default({}),
    /** Of a pure step: all that its result depends on; null until it was looked up. */
    inputsDigest: text('inputs_digest'),
    /** The run that the result was taken from; null: computed here. */
    reused: text('reused'),
    startedAt: at('started_at').notNull(),
    finishedAt: at('finished_at'),
  },
  (t) => [
    primaryKey({ columns: [t.workflowId, t.workflowRunId, t.activityId] }),
    oneOf('step', 'status', stepStatuses),
    foreignKey({ columns: [t.run], foreignColumns: [run.id] }),
    foreignKey({ columns: [t.reused], foreignColumns: [run.id], name: 'step_reused' }),
    check('step_checkpoint', sql.raw(`("checkpoint" is null) = ("checkpoint_step" is null)`)),
    // recordWaitStep: one wait per node
    uniqueIndex('step_wait').on(t.run, t.node).where(sql.raw('"wait"')),
    // runView: the latest begun row of each node
    index('step_run').on(t.run, t.node, t.startedAt),
    // collectArtifacts: is anything referring to it
    index('step_checkpoint_artifact').on(t.checkpoint),
    // keptCheckpoint: what another run of the same inputs had stored
    index('step_inputs').on(t.inputsDigest).where(sql.raw('"checkpoint" is not null')),
  ],
);

export const event = pgTable(
  'event',
  {
    run: text('run').notNull(),
    number: integer('number').notNull(),
    type: text('type').notNull(),
    data: jsonb('data').$type<Json>().notNull(),
    at: at('at').notNull(),
  },
  (t) => [primaryKey({ columns: [t.run, t.number] }), foreignKey({ columns: [t.run], foreignColumns: [run.id] })],
);

/** No foreign key: rows come in bulk and the check triples the time of a load. */
export const metric = pgTable(
  'metric',
  {
    run: text('run').notNull(),
    name: text('name').notNull(),
    candidate: integer('candidate').notNull(),
    step: integer('step').notNull(),
    value: doublePrecision('value').notNull(),
    at: at('at').notNull().defaultNow(),
  },
  (t) => [primaryKey({ columns: [t.run, t.name, t.candidate, t.step] })],
);
