// labelCampaign: rounds of labeling until a stop rule holds. Started when a campaign is posted; ends when it stops. Each
// round is a run of the pipeline, opened beside this workflow and never owned by it; the end of a run is told by a signal,
// so that waiting costs nothing. Postgres holds the rounds: a campaign that lost its workflow goes on in a new one.
import {
  allHandlersFinished,
  condition,
  makeContinueAsNewFunc,
  setCurrentDetails,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import { type CampaignDecision, campaignDecisionFault } from '../domain/campaign.js';
import {
  type CampaignAnswer,
  type CampaignInput,
  campaignProgress,
  type CampaignProgress,
  decide,
  decideSignal,
  stirred,
} from './campaign.messages.js';
import { refusal } from './fail.js';
import { flow } from './proxies.js';
import { noteRefusal } from './refusal.js';

const mostEvents = 2_000;
/** A timer of Temporal can be no longer; then it is set again. */
const longestWaitMs = 366 * 86_400_000;

interface State {
  progress: CampaignProgress;
  /** Something happened since the rounds were last looked at. */
  stirred: boolean;
}

export async function labelCampaign(input: CampaignInput): Promise<CampaignProgress> {
  const state: State = { progress: { status: 'running', why: 'begins' }, stirred: true };
  listen(state, input);
  for (;;) {
    state.stirred = false;
    const { step, status } = await flow.advanceCampaign({ campaign: input.campaign });
    state.progress = { status, why: step.why };
    show(input, state.progress);
    if (status === 'stopped') break;
    if (mustContinue()) {
      await condition(allHandlersFinished);
      if (!state.stirred) return makeContinueAsNewFunc<typeof labelCampaign>()(input);
      continue;
    }
    const untilMs = step.kind === 'wait' ? step.untilMs : null;
    const told = () => state.stirred;
    if (untilMs === null) await condition(told);
    else await condition(told, clampMs(untilMs - Date.now()), { summary: 'campaign: deadline' });
  }
  await condition(allHandlersFinished);
  return state.progress;
}

const clampMs = (ms: number): number => Math.min(longestWaitMs, Math.max(1, ms));

function mustContinue(): boolean {
  const { continueAsNewSuggested, historyLength } = workflowInfo();
  return continueAsNewSuggested || historyLength > mostEvents;
}

function listen(state: State, input: CampaignInput): void {
  const check = (decision: CampaignDecision): void => {
    const fault = campaignDecisionFault(decision);
    if (fault !== null) throw refusal('InvalidRequest', fault);
    if (state.progress.status === 'stopped') throw refusal('AlreadyDecided', `${input.campaign} has stopped`);
  };
  const record = async (sent: CampaignDecision): Promise<CampaignAnswer> => {
    check(sent);
    const verified = sent.verified === true;
    const answer = await flow.recordCampaignDecision({ campaign: input.campaign, decision: sent, verified });
    state.stirred = true;
    return answer;
  };
  setHandler(decide, record, { description: 'stop, pause or resume this campaign', validator: check });
  setHandler(decideSignal, async (decision) => {
    try {
      await record(decision);
    } catch (error) {
      await noteRefusal(input.project, input.campaign, decision, error);
    }
  });
  setHandler(stirred, () => {
    state.stirred = true;
  });
  setHandler(campaignProgress, () => state.progress);
}

function show({ campaign, pipeline }: CampaignInput, { status, why }: CampaignProgress): void {
  setCurrentDetails(
    [
      `### campaign ${campaign} of ${pipeline}`,
      `**${status}**: ${why}`,
      'Answer with the Update `decide` or the Signal `decideSignal`: `{"decision":"stop","by":"…"}`',
    ].join('\n\n'),
  );
}
