// What people decide about a campaign: status, decision and audit in one transaction.
import { sql } from 'drizzle-orm';
import type { CampaignDecisionKind, CampaignStatus } from '../domain/campaign.js';
import { decisionIdOf } from '../domain/decision.js';
import { Failure } from '../domain/failures.js';
import { appendAudit } from './audit.js';
import { campaignRow } from './campaign.js';
import { atomically, json, mustRow, row, rows, type Tx } from './client.js';

export interface DecideCampaign {
  campaign: string;
  /** Null: one made of the decision. */
  decisionId: string | null;
  decision: CampaignDecisionKind;
  by: string;
  verified: boolean;
  reason: string | null;
}

export interface CampaignAnswer {
  status: CampaignStatus;
  decisionId: string;
  decision: CampaignDecisionKind;
}

/** The answer that a decision id got, if it was given. */
export async function campaignAnswer(tx: Tx, campaign: string, decisionId: string): Promise<CampaignAnswer | null> {
  const before = await row<{ answer: CampaignAnswer }>(
    tx,
    sql`select answer from campaign_decision where campaign = ${campaign} and decision_id = ${decisionId}`,
  );
  return before?.answer ?? null;
}

/** The id of a decision that came without one: another each time that something else was decided in between. */
export async function campaignDecisionId(
  tx: Tx,
  { campaign, decision, by }: Pick<DecideCampaign, 'campaign' | 'decision' | 'by'>,
): Promise<string> {
  const { round } = await mustRow<{ round: number }>(
    tx,
    sql`select count(*)::int as round from campaign_decision where campaign = ${campaign} and decision <> ${decision}`,
  );
  return decisionIdOf({ target: campaign, round, by, decision });
}

const statusAfter = { stop: 'stopped', pause: 'paused', resume: 'running' } as const;

/**
 * Stops, pauses or resumes; the same decision id gets the first answer. A round that lives goes on as a run of its own.
 * @throws Failure `NotFound`, `AlreadyDecided` where the campaign has ended
 */
export async function decideCampaign(tx: Tx, decision: DecideCampaign): Promise<CampaignAnswer> {
  return atomically(tx, (inner) => decideOnce(inner, decision));
}

async function decideOnce(tx: Tx, asked: DecideCampaign): Promise<CampaignAnswer> {
  const { campaign: id, decision, by, verified, reason } = asked;
  await rows(tx, sql`select 1 from campaign where id = ${id} for update`);
  const campaign = await campaignRow(tx, id);
  const decisionId = asked.decisionId ?? (await campaignDecisionId(tx, asked));
  const before = await campaignAnswer(tx, id, decisionId);
  if (before) return before;
  if (campaign.status === 'stopped') throw new Failure('AlreadyDecided', `the campaign ${id} has stopped`);
  const status = statusAfter[decision];
  const answer: CampaignAnswer = { status, decisionId, decision };
  const why = reason === null ? `${decision} by ${by}` : `${decision} by ${by}: ${reason}`;
  const stopped = status === 'stopped';
  await rows(
    tx,
    sql`update campaign set status = ${status}, why = ${why}, stop_reason = ${stopped ? 'person' : null},
        finished_at = case when ${stopped} then clock_timestamp() end where id = ${id}`,
  );
  await rows(
    tx,
    sql`insert into campaign_decision (campaign, decision_id, decision, by, verified, reason, answer)
      values (${id}, ${decisionId}, ${decision}, ${by}, ${verified}, ${reason}, ${json(answer)})`,
  );
  const { project } = campaign;
  const details = { decision, decisionId, reason };
  await appendAudit(tx, { project, actor: by, verified, action: 'campaign.decided', subject: id, details });
  return answer;
}
