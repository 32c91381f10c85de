// What one can say to a labeling campaign: stop, pause, resume; that something stirred; and ask how far it is.
import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';
import type { CampaignDecision, CampaignDecisionKind, CampaignStatus } from '../domain/campaign.js';

export interface CampaignInput {
  project: string;
  campaign: string;
  pipeline: string;
}

export interface CampaignAnswer {
  status: CampaignStatus;
  decisionId: string;
  decision: CampaignDecisionKind;
}

export interface CampaignProgress {
  status: CampaignStatus;
  why: string;
}

export const decide = defineUpdate<CampaignAnswer, [CampaignDecision]>('decide');
export const decideSignal = defineSignal<[CampaignDecision]>('decideSignal');
/** Empty and coalesced: a run of the pipeline ended, and the rounds are looked at again. */
export const stirred = defineSignal('stirred');
export const campaignProgress = defineQuery<CampaignProgress>('campaignProgress');
