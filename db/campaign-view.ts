// Campaigns as clients see them: rounds as a learning curve, labels so far, why it goes on or stopped.
import { sql, type SQL } from 'drizzle-orm';
import {
  type CampaignSettings,
  type CampaignStatus,
  type Gain,
  labelsSoFar,
  type StopReason,
} from '../domain/campaign.js';
import type { MeasuredMetric } from '../domain/evaluation.js';
import { Failure } from '../domain/failures.js';
import { askInWords } from '../domain/label-ask.js';
import type { RunStatus } from '../domain/run.js';
import { autoBatches, type AutoBatchView } from './auto.js';
import { storedRounds, todaysSettings } from './campaign.js';
import { iso, row, rows, type Tx } from './client.js';
import { readCursor, toPage, type Page, type PageRequest } from './page.js';

export interface CampaignSummary {
  id: string;
  pipeline: string;
  status: CampaignStatus;
  why: string;
  /** Null while it goes on. */
  stopReason: StopReason | null;
  /** `ask` in words. */
  settings: Omit<CampaignSettings, 'ask'> & { ask: string };
  startedBy: string;
  createdAt: string;
  finishedAt: string | null;
  /** Workflow id. */
  temporal: string;
}

export interface RoundView {
  round: number;
  run: string;
  number: number;
  status: RunStatus;
  strategy: string;
  batch: string | null;
  tasks: number;
  labels: number;
  /** All rounds up to this one. */
  labelsSoFar: number;
  /** With its 95 % interval, on the holdout. */
  accuracy: MeasuredMetric | null;
  gain: Gain | null;
}

export interface CampaignView extends CampaignSummary {
  /** The learning curve. */
  rounds: RoundView[];
  /** `human`: answers to checks included; `auto`: those that stand and people have not checked. */
  labels: { human: number; auto: number };
  /** What its rounds labelled without people, or why nothing. */
  auto: AutoBatchView[];
}

const stored = sql`select c.id, p.name as pipeline, c.status, c.why, c.stop_reason as "stopReason", c.settings,
    c.started_by as "startedBy", c.created_at as "createdAt", c.finished_at as "finishedAt", c.workflow_id as temporal
  from campaign c join pipeline p on p.id = c.pipeline`;

type StoredCampaign = Omit<CampaignSummary, 'settings'> & { settings: CampaignSettings };

function summaryOf(found: StoredCampaign): CampaignSummary {
  const settings = todaysSettings(found.settings);
  const moments = { createdAt: iso(found.createdAt), finishedAt: iso(found.finishedAt) };
  return { ...found, settings: { ...settings, ask: askInWords(settings.ask) }, ...moments };
}

/** @throws Failure `NotFound` */
export async function campaignView(tx: Tx, project: string, id: string): Promise<CampaignView> {
  const found = await row<StoredCampaign>(tx, sql`${stored} where c.project = ${project} and c.id = ${id}`);
  if (found === null) throw new Failure('NotFound', `there is no campaign ${id}`);
  const rounds = await storedRounds(tx, id);
  const auto = await autoBatches(tx, id);
  return {
    ...summaryOf(found),
    rounds: rounds.map(({ evaluation: _, batchSize: __, labelled, ...round }, at) => ({
      ...round,
      labels: labelled,
      labelsSoFar: rounds.slice(0, at + 1).reduce((sum, one) => sum + one.labelled, 0),
    })),
    labels: {
      human: labelsSoFar(rounds.map((round) => ({ ...round, rows: null }))),
      auto: auto.reduce((sum, one) => sum + (one.status === 'standing' ? one.labels - one.audited : 0), 0),
    },
    auto,
  };
}

/** Campaigns, the latest first. @throws Failure `InvalidRequest` for a foreign cursor */
export async function listCampaigns(
  tx: Tx,
  request: { project: string; pipeline?: string; status?: CampaignStatus; page: PageRequest },
): Promise<Page<CampaignSummary>> {
  const { project, pipeline, status, page } = request;
  const after = readCursor(page, ['moment', 'text']);
  const where: SQL[] = [sql`c.project = ${project}`];
  if (pipeline !== undefined) where.push(sql`p.name = ${pipeline}`);
  if (status !== undefined) where.push(sql`c.status = ${status}`);
  if (after !== null) where.push(sql`(c.created_at, c.id) < (${after[0]}::timestamptz, ${after[1]})`);
  const found = await rows<StoredCampaign>(
    tx,
    sql`${stored} where ${sql.join(where, sql` and `)} order by c.created_at desc, c.id desc limit ${page.limit + 1}`,
  );
  return toPage(found, page, (one) => [one.createdAt, one.id], summaryOf);
}
