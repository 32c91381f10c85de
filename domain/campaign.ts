// Words about labeling campaigns, and what a campaign does next: rounds of a pipeline's runs, each asking people for one
// batch, until a stop rule holds. Pure: the rounds so far and the clock in, the next step out (docs/pipeline.md, Campaigns).
import { mcNemar } from '../stats/paired.js';
import type { AutoRules } from './auto-label.js';
import { isDecisionId, nameFault, reasonFault } from './decision.js';
import { shownAccuracy } from './campaign-target.js';
import type { MeasuredMetric } from './evaluation.js';
import { type Ask, keysOf } from './label-ask.js';
import type { Strategy } from './labeling.js';
import type { RunStatus } from './run.js';

export const campaignStatuses = ['running', 'paused', 'stopped'] as const;
export type CampaignStatus = (typeof campaignStatuses)[number];

export const campaignDecisions = ['stop', 'pause', 'resume'] as const;
export type CampaignDecisionKind = (typeof campaignDecisions)[number];

/** Why no further round is opened. */
export const stopReasons = [
  'target',
  'labels',
  'plateau',
  'deadline',
  'nothing-left',
  'no-answers',
  'failed-runs',
  'run-cancelled',
  'person',
] as const;
export type StopReason = (typeof stopReasons)[number];

export interface StopRules {
  /** Labels by people, over all rounds; never automatic ones. */
  labels: number | null;
  /** ISO time; the last batch is closed at it, too. */
  deadline: string | null;
  /** Stop when so many rounds in a row were not better by more than `margin`, by a paired test at 0.05. */
  plateau: { rounds: number; margin: number } | null;
  /** Stop when the accuracy was shown to be at least this (`shownAccuracy`). */
  target: number | null;
}

export interface CampaignSettings {
  /** Which rows its rounds ask about; named ones batch after batch. */
  ask: Ask;
  /** Of the first, second, … round; the last of them goes on. */
  strategies: Strategy[];
  batchSize: number;
  explore: number;
  stop: StopRules;
  /** Labels without people; null or absent: none. */
  auto?: AutoRules | null;
}

/** What a round's model got right: one bit a row of the holdout, in key order. */
export interface RightRows {
  /** Digest of the keys and their labels: only equal rows with equal labels are compared. */
  keys: string;
  n: number;
  right: Uint8Array;
}

export interface CampaignRound {
  round: number;
  run: string;
  number: number;
  status: RunStatus;
  strategy: Strategy;
  /** Null: nothing was asked, or not yet. */
  batch: string | null;
  tasks: number;
  /** Of `tasks`, those with a label by people; checks of automatic labels cost as much as others, and count. */
  labelled: number;
  /** On the holdout; null where the run has not come so far. */
  accuracy: MeasuredMetric | null;
  /** Null also where it was compared before, and no later round is compared with it. */
  rows: RightRows | null;
  /** What came of it when it was compared before. */
  gain?: Gain | null;
}

export interface CampaignFacts {
  status: CampaignStatus;
  settings: CampaignSettings;
  /** In their order. */
  rounds: CampaignRound[];
  /** Another live run of the pipeline, if any. */
  otherRun: string | null;
  /** The document's deadline of a batch. */
  batchDeadlineMs: number;
}

export type CampaignStep =
  | {
      kind: 'open';
      round: number;
      ask: Ask;
      strategy: Strategy;
      batchSize: number;
      explore: number;
      /** Shorter than the document's where the campaign ends before. */
      deadlineMs: number;
      why: string;
    }
  /** `untilMs`: look again then; null: only when told. */
  | { kind: 'wait'; why: string; untilMs: number | null }
  | { kind: 'stop'; reason: StopReason; why: string };

/** p-values above it are no difference. */
const level = 0.05;
/** Runs in a row that end without a model, or without an answer, before the campaign stops. */
const mostFailures = 2;
const leastDeadlineMs = 1_000;

const isLive = ({ status }: CampaignRound): boolean => status === 'running' || status === 'waiting';

export function labelsSoFar(rounds: readonly CampaignRound[]): number {
  return rounds.reduce((sum, { labelled }) => sum + labelled, 0);
}

const bit = (rows: RightRows, row: number): number => (rows.right[row >> 3]! >> (row & 7)) & 1;

export interface Gain {
  /** The round compared with: the last one that was better than its own. */
  over: number;
  /** Accuracy minus that round's, on the same rows. */
  value: number;
  p: number;
  better: boolean;
}

/** Later minus earlier accuracy on the same rows, with the exact McNemar p; null where the rows differ. */
export function pairedGain(earlier: RightRows, later: RightRows): { value: number; p: number } | null {
  if (earlier.keys !== later.keys || earlier.n !== later.n || later.n === 0) return null;
  let [gained, lost] = [0, 0];
  for (let row = 0; row < later.n; row += 1) {
    const difference = bit(later, row) - bit(earlier, row);
    if (difference > 0) gained += 1;
    if (difference < 0) lost += 1;
  }
  return { value: (gained - lost) / later.n, p: mcNemar(gained, lost) };
}

/**
 * Of each measured round its gain over the last round that was better than its predecessor in this sense: so small gains
 * add up. Null for the first, and where the holdout changed, which begins anew.
 */
export function gains(rounds: readonly CampaignRound[], margin: number): Map<number, Gain | null> {
  const found = new Map<number, Gain | null>();
  let reference: CampaignRound | null = null;
  for (const one of rounds) {
    const gain: Gain | null = one.gain ?? gainOver(reference, one, margin);
    if (gain === null && one.rows === null) continue;
    found.set(one.round, gain);
    if (gain === null || gain.better) reference = one;
  }
  return found;
}

function gainOver(reference: CampaignRound | null, one: CampaignRound, margin: number): Gain | null {
  const gain = reference?.rows && one.rows ? pairedGain(reference.rows, one.rows) : null;
  if (!reference || !gain) return null;
  return { over: reference.round, ...gain, better: gain.value > margin && gain.p <= level };
}

/** Of rounds that were compared: later ones are compared with the last that has rows and of which this is true. */
export function isReference({ gain }: { gain: Gain | null }): boolean {
  return gain === null || gain.better;
}

/** Measured rounds at the end that were not better. */
export function flatRounds(rounds: readonly CampaignRound[], margin: number): number {
  return flatGains([...gains(rounds, margin).values()]);
}

/** As `flatRounds`, by the gains of the measured rounds in their order. */
export function flatGains(all: readonly (Gain | null)[]): number {
  return all.length - 1 - all.findLastIndex((gain) => gain === null || gain.better);
}

function lastWhile(rounds: readonly CampaignRound[], holds: (round: CampaignRound) => boolean): number {
  return rounds.length - 1 - rounds.findLastIndex((round) => !holds(round));
}

type Stop = Extract<CampaignStep, { kind: 'stop' }>;

function stopOf({ settings, rounds }: CampaignFacts, nowMs: number): Stop | null {
  const { labels, deadline, plateau, target } = settings.stop;
  const stop = (reason: StopReason, why: string): Stop => ({ kind: 'stop', reason, why });
  const last = rounds.at(-1);
  const given = labelsSoFar(rounds);
  const lower = shownAccuracy(rounds);
  if (target !== null && lower !== null && lower >= target) {
    return stop('target', `accuracy is at least ${lower.toFixed(4)}, ${target} was wanted`);
  }
  if (labels !== null && given >= labels) return stop('labels', `${given} of ${labels} labels are given`);
  if (plateau !== null) {
    const flat = flatRounds(rounds, plateau.margin);
    if (flat >= plateau.rounds) {
      return stop('plateau', `${flat} rounds in a row were not better by more than ${plateau.margin}`);
    }
  }
  if (last?.status === 'cancelled') return stop('run-cancelled', `run ${last.number} was cancelled`);
  const failed = ({ status, batch }: CampaignRound) => status === 'failed' || (status === 'rejected' && batch === null);
  if (lastWhile(rounds, failed) >= mostFailures) return stop('failed-runs', `${mostFailures} runs in a row failed`);
  const left = nothingLeft(settings.ask, rounds);
  if (left !== null) return stop('nothing-left', left);
  if (lastWhile(rounds, ({ batch, labelled }) => batch !== null && labelled === 0) >= mostFailures) {
    return stop('no-answers', `${mostFailures} batches in a row got no label`);
  }
  if (deadline !== null && Date.parse(deadline) - nowMs < leastDeadlineMs) {
    return stop('deadline', `the deadline ${deadline} passed`);
  }
  return null;
}

/** How many rows were asked about so far. */
const askedSoFar = (rounds: readonly CampaignRound[]): number => rounds.reduce((sum, { tasks }) => sum + tasks, 0);

/** Why there is nothing more to ask about; null where there may be. */
function nothingLeft(ask: Ask, rounds: readonly CampaignRound[]): string | null {
  const keys = keysOf(ask);
  if (keys !== null) return askedSoFar(rounds) >= keys.length ? `all ${keys.length} rows were asked about` : null;
  const last = rounds.at(-1);
  if (last?.status !== 'succeeded' || last.batch !== null) return null;
  return ask === 'suspects' ? 'no label is suspected' : 'every row of the training part has a label';
}

/** Of named rows the next ones: a round that failed before it asked is made up for by the next. */
function nextAsk(ask: Ask, rounds: readonly CampaignRound[], batchSize: number): Ask {
  const keys = keysOf(ask);
  const from = askedSoFar(rounds);
  return keys === null ? ask : { keys: keys.slice(from, from + batchSize) };
}

/** What the campaign does now, at `nowMs` since 1970. A round that lives is waited for, whatever the rules say. */
export function nextCampaignStep(facts: CampaignFacts, nowMs: number): CampaignStep {
  const { settings, rounds, status, otherRun, batchDeadlineMs } = facts;
  const live = rounds.find(isLive);
  if (live) return { kind: 'wait', why: `round ${live.round} goes on: run ${live.number}`, untilMs: null };
  const stop = stopOf(facts, nowMs);
  if (stop) return stop;
  const deadlineMs = settings.stop.deadline === null ? null : Date.parse(settings.stop.deadline);
  if (status === 'paused') return { kind: 'wait', why: 'paused', untilMs: deadlineMs };
  if (otherRun !== null) return { kind: 'wait', why: `${otherRun} is alive`, untilMs: deadlineMs };
  const round = rounds.length + 1;
  const { labels } = settings.stop;
  const left = labels === null ? settings.batchSize : labels - labelsSoFar(rounds);
  const batchSize = Math.min(settings.batchSize, left);
  return {
    kind: 'open',
    round,
    strategy: settings.strategies[Math.min(round, settings.strategies.length) - 1] ?? 'margin',
    ...{ batchSize, ask: nextAsk(settings.ask, rounds, batchSize) },
    explore: settings.explore,
    deadlineMs: Math.min(batchDeadlineMs, deadlineMs === null ? Infinity : deadlineMs - nowMs),
    why: `no stop rule holds after ${rounds.length} rounds`,
  };
}

export interface CampaignDecision {
  decisionId?: string;
  decision: CampaignDecisionKind;
  by: string;
  reason?: string;
  /** Set by the API: a token stands for `by`. Signals by hand are unverified. */
  verified?: boolean;
}

/** Why this is no decision on a campaign, or null. */
export function campaignDecisionFault(decision: CampaignDecision): string | null {
  if (typeof decision !== 'object' || decision === null) return 'a decision is an object with decision and by';
  if (!campaignDecisions.includes(decision.decision)) {
    return `decision must be one of ${campaignDecisions.join(', ')}`;
  }
  const { decisionId } = decision;
  if (decisionId !== undefined && !isDecisionId(decisionId)) {
    return 'decisionId must be a text of 1 to 500 letters';
  }
  return nameFault(decision.by) ?? reasonFault(decision.reason);
}
