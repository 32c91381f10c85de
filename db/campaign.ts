// Labeling campaigns: begun here, advanced in campaign-round.ts, decided about in campaign-decision.ts.
// Lock order: pipeline, campaign, run, audit.
import { sql } from 'drizzle-orm';
import type { CampaignSettings, CampaignStatus } from '../domain/campaign.js';
import { Failure } from '../domain/failures.js';
import { type Ask, askInWords } from '../domain/label-ask.js';
import { workflowIds } from '../domain/ids.js';
import type { Json } from '../domain/json.js';
import { appendAudit } from './audit.js';
import { json, row, rows, type Tx } from './client.js';
import { newId } from './id.js';
import { enqueue } from './outbox.js';
import { lockPipeline, specify } from './run-open.js';

export {
  campaignAnswer,
  campaignDecisionId,
  decideCampaign,
  type CampaignAnswer,
  type DecideCampaign,
} from './campaign-decision.js';
export { advanceCampaign, storedRounds, type Measured, type StoredRound } from './campaign-round.js';

/** What a round's run does otherwise than the document says. */
export function roundOverrides(round: {
  ask: Ask;
  strategy: string;
  batchSize: number;
  explore: number;
  deadlineMs: number | null;
}): Record<string, Json> {
  const { ask, strategy, batchSize, explore, deadlineMs } = round;
  return {
    'labeling.ask': ask,
    'labeling.strategy': strategy,
    'labeling.batchSize': batchSize,
    'labeling.explore': explore,
    ...(deadlineMs !== null && { 'labeling.deadline': `${Math.max(1, Math.floor(deadlineMs / 1000))} s` }),
  };
}

function refuse(path: string, message: string): never {
  throw new Failure('InvalidRequest', 'the campaign does not fit the pipeline', { faults: [{ path, message }] });
}

/** Every round's document, as it would be. @throws Failure `InvalidRequest` */
function checkSettings(source: Json, { strategies, stop, ...rest }: CampaignSettings): void {
  if (rest.ask === 'suspects' && specify(source, {}).dataset.task === 'regression') {
    refuse('ask', 'suspects needs classes; the task is regression');
  }
  const documents = strategies.map((strategy) =>
    specify(source, roundOverrides({ ...rest, strategy, deadlineMs: null })),
  );
  const task = documents[0]?.dataset.task;
  if (task === 'classification') return;
  if (rest.auto) refuse('auto', 'labels classes alone; the task is regression');
  if (stop.target !== null) refuse('stop.target', 'is an accuracy; the task is regression');
  if (stop.plateau !== null) refuse('stop.plateau', 'compares accuracies; the task is regression');
}

export interface CreateCampaign {
  project: string;
  pipeline: string;
  settings: CampaignSettings;
  by: string;
  verified: boolean;
}

/**
 * Begins a campaign: its row, its workflow's start, the audit.
 * @throws Failure `NotFound`, `InvalidRequest`, `CampaignLive` with the live one's id
 */
export async function createCampaign(tx: Tx, asked: CreateCampaign): Promise<{ id: string; workflowId: string }> {
  const { project, pipeline: name, settings, by, verified } = asked;
  const pipeline = await lockPipeline(tx, project, name);
  checkSettings(pipeline.source, settings);
  const live = await row<{ id: string }>(
    tx,
    sql`select id from campaign where pipeline = ${pipeline.id} and status <> 'stopped'`,
  );
  if (live) throw new Failure('CampaignLive', `${live.id} of ${name} is alive`, { members: { campaign: live.id } });
  const id = newId('cam');
  const workflowId = workflowIds.campaign(project, id);
  await rows(
    tx,
    sql`insert into campaign (id, project, pipeline, workflow_id, settings, started_by, verified)
      values (${id}, ${project}, ${pipeline.id}, ${workflowId}, ${json(settings)}, ${by}, ${verified})`,
  );
  await startCampaign(tx, { project, id, pipeline: name, workflowId });
  const details = { pipeline: name, settings: { ...settings, ask: askInWords(settings.ask) } as unknown as Json };
  await appendAudit(tx, { project, actor: by, verified, action: 'campaign.begun', subject: id, details });
  return { id, workflowId };
}

export interface CampaignRef {
  project: string;
  id: string;
  pipeline: string;
  workflowId: string;
}

/** Starts the workflow; a second start of a living one does nothing. */
export async function startCampaign(tx: Tx, { project, id, pipeline, workflowId }: CampaignRef): Promise<void> {
  await enqueue(tx, {
    ...{ project, kind: 'start', workflowId, name: 'labelCampaign', taskQueue: 'flow' },
    payload: { project, campaign: id, pipeline },
    attributes: { PerennialProject: project, PerennialPipeline: pipeline, PerennialKind: 'campaign' },
    summary: `campaign of ${pipeline}`,
    coalesceKey: `${workflowId}/start`,
  });
}

/** Campaigns that must have an open workflow. */
export function liveCampaigns(tx: Tx): Promise<CampaignRef[]> {
  return rows<CampaignRef>(
    tx,
    sql`select c.project, c.id, p.name as pipeline, c.workflow_id as "workflowId"
      from campaign c join pipeline p on p.id = c.pipeline
      where c.status <> 'stopped' and not exists (
        select 1 from outbox o where o.workflow_id = c.workflow_id and o.kind = 'start' and o.sent_at is null)`,
  );
}

export interface HeldCampaign extends CampaignRef {
  status: CampaignStatus;
  why: string;
  settings: CampaignSettings;
}

/** Settings as older software stored them, with what it did not know. */
export function todaysSettings(settings: CampaignSettings): CampaignSettings {
  return { ...settings, ask: (settings as Partial<CampaignSettings>).ask ?? 'unlabelled' };
}

const held = sql`select c.id, c.project, p.name as pipeline, c.workflow_id as "workflowId", c.status, c.why, c.settings
  from campaign c join pipeline p on p.id = c.pipeline`;

export async function campaignRow(tx: Tx, id: string): Promise<HeldCampaign> {
  const found = await row<HeldCampaign>(tx, sql`${held} where c.id = ${id}`);
  if (found === null) throw new Failure('NotFound', `there is no campaign ${id}`);
  return { ...found, settings: todaysSettings(found.settings) };
}
