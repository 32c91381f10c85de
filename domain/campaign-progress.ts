// How far each stop rule of a campaign is, for those who watch it: the figures that nextCampaignStep decides by.
import { type CampaignSettings, flatGains, type Gain, type StopRules } from './campaign.js';
import { shownAccuracy } from './campaign-target.js';
import type { MeasuredMetric } from './evaluation.js';

export interface RuleProgress {
  rule: keyof StopRules;
  /** Labels, flat rounds, lower end of the accuracy, milliseconds that passed; null: nothing was measured yet. */
  has: number | null;
  /** In the unit of `has`; the rule holds from here on. */
  needs: number;
}

export interface WatchedCampaign {
  settings: Pick<CampaignSettings, 'stop'>;
  rounds: readonly { accuracy: MeasuredMetric | null; gain: Gain | null }[];
  labels: { human: number };
  createdAt: string;
  /** Null while it goes on. */
  finishedAt: string | null;
}

/** The rules that the campaign has, at `nowMs` since 1970. */
export function rulesProgress(campaign: WatchedCampaign, nowMs: number): RuleProgress[] {
  const { labels, deadline, plateau, target } = campaign.settings.stop;
  const measured = campaign.rounds.filter(({ accuracy }) => accuracy !== null);
  const found: RuleProgress[] = [];
  if (target !== null) found.push({ rule: 'target', has: shownAccuracy(measured), needs: target });
  if (labels !== null) found.push({ rule: 'labels', has: campaign.labels.human, needs: labels });
  if (plateau !== null) {
    const flat = measured.length === 0 ? null : flatGains(measured.map(({ gain }) => gain));
    found.push({ rule: 'plateau', has: flat, needs: plateau.rounds });
  }
  if (deadline !== null) {
    const begun = Date.parse(campaign.createdAt);
    const until = campaign.finishedAt === null ? nowMs : Date.parse(campaign.finishedAt);
    found.push({ rule: 'deadline', has: until - begun, needs: Date.parse(deadline) - begun });
  }
  return found;
}
