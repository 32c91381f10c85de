// Words about labeling: batches, tasks, leases, answers, decisions; the rule for decisions. What to ask: label-pick.ts.
import { decisionIdOf, isDecisionId, nameFault, reasonFault } from './decision.js';
import type { FailureName } from './failures.js';

export {
  pickFrom,
  pickTasks,
  type PickCandidate,
  type PickPool,
  type PickedTask,
  type PickOptions,
} from './label-pick.js';

export const batchStatuses = ['open', 'review', 'accepted', 'partial', 'cancelled'] as const;
export type BatchStatus = (typeof batchStatuses)[number];
export const taskStatuses = ['open', 'labelled', 'skipped', 'auto'] as const;
export type TaskStatus = (typeof taskStatuses)[number];

/**
 * Why an item is asked about: a strategy chose it, it was drawn for exploration, somebody named it, its label looks wrong,
 * or a model labelled it and people check that, which nobody is told while the batch goes on.
 */
export const askReasons = ['strategy', 'explore', 'named', 'suspect', 'audit'] as const;
export type AskReason = (typeof askReasons)[number];

/** A guess that labelers may see. */
export interface Suggestion {
  label: string;
  /** Null where whoever guessed did not say. */
  confidence: number | null;
}

export const annotationOutcomes = ['accepted', 'surplus', 'skipped'] as const;
export type AnnotationOutcome = (typeof annotationOutcomes)[number];

/** `dispute`: an annotator objects to a fix, and another reviewer looks. */
export const reviewVerdicts = ['accept', 'fix', 'send-back', 'dispute'] as const;
export type ReviewVerdict = (typeof reviewVerdicts)[number];

export const strategies = ['leastConfidence', 'margin', 'entropy', 'kCenter', 'badge', 'random'] as const;
export type Strategy = (typeof strategies)[number];

export const batchDecisions = ['accept', 'send-back', 'close'] as const;
export type BatchDecisionKind = (typeof batchDecisions)[number];

export interface BatchDecision {
  decisionId?: string;
  decision: BatchDecisionKind;
  by: string;
  reason?: string;
  /** `send-back`: which tasks; all when absent. */
  tasks?: string[];
  /** Set by the API: a token stands for `by`. Signals by hand are unverified. */
  verified?: boolean;
}

export interface BatchCounts {
  tasks: number;
  labelled: number;
  skipped: number;
  auto: number;
}

export const refusals = ['stale-fence', 'unknown-task', 'unknown-label', 'batch-closed'] as const;
export type Refusal = (typeof refusals)[number];

/** One answer of a person: exactly one of `label` and `skip`. */
export interface Answer {
  taskId: string;
  fence: number;
  /** A text or a number; a list for kinds with parts (domain/label-kind.ts). */
  label?: unknown;
  skip?: true;
  comment?: string;
}

/** What a reviewer says of a task's label. */
export interface Review {
  taskId: string;
  /** Of the task as it was shown: a label that changed since is not judged unseen. */
  fence: number;
  verdict: ReviewVerdict;
  /** `fix` only. */
  label?: unknown;
  /** `send-back` only. Default: anybody. */
  to?: 'same' | 'other';
  comment?: string;
}

export const reviewRefusals = [
  'stale-fence',
  'unknown-task',
  'unknown-label',
  'no-label',
  'self-review',
  'not-disputable',
] as const;
export type ReviewRefusal = (typeof reviewRefusals)[number];

/** The decision that closed a batch. */
export interface BatchDecided {
  decision: string;
  by: string;
  reason: string | null;
  at: string;
}

/** What a batch is at the moment. `A`: what was answered to a decision, as the caller keeps it. */
export interface WaitingBatch<A extends { decisionId: string }> {
  batch: string;
  /** Rises with each send-back. */
  round: number;
  status: BatchStatus;
  /** Tasks without an answer, only where it was read under the batch's lock; otherwise its row decides later. */
  openTasks?: number;
  /** Of the last decision. */
  answer?: A | null;
}

export type BatchOutcome<A> =
  | { kind: 'applied'; decision: BatchDecision & { decisionId: string }; status: BatchStatus }
  | { kind: 'same'; answer: A }
  | { kind: 'refused'; failure: FailureName; detail: string };

function malformed(decision: BatchDecision): string | null {
  if (typeof decision !== 'object' || decision === null) return 'a decision is an object with decision and by';
  if (!batchDecisions.includes(decision.decision)) return `decision must be one of ${batchDecisions.join(', ')}`;
  const fault = nameFault(decision.by) ?? reasonFault(decision.reason);
  if (fault !== null) return fault;
  const { decisionId, tasks } = decision;
  if (decisionId !== undefined && !isDecisionId(decisionId)) return 'decisionId must be a text of 1 to 500 letters';
  if (tasks === undefined) return null;
  if (decision.decision !== 'send-back') return 'tasks can be named only to send them back';
  const ids: unknown = tasks;
  return Array.isArray(ids) && ids.every((id) => typeof id === 'string') ? null : 'tasks must be a list of task ids';
}

/**
 * The one rule for decisions on label batches (architecture, rule 6). `status` of an applied one is what the batch becomes:
 * `accept` needs every task answered, `close` takes what there is, `send-back` opens it again.
 */
export function decideOnBatch<A extends { decisionId: string }>(
  waiting: WaitingBatch<A>,
  decision: BatchDecision,
): BatchOutcome<A> {
  const fault = malformed(decision);
  if (fault !== null) return { kind: 'refused', failure: 'InvalidRequest', detail: fault };
  const { batch, round, status, openTasks } = waiting;
  const { by } = decision;
  const decisionId = decision.decisionId ?? decisionIdOf({ target: batch, round, by, decision: decision.decision });
  if (waiting.answer?.decisionId === decisionId) return { kind: 'same', answer: waiting.answer };
  if (status !== 'open' && status !== 'review') {
    return { kind: 'refused', failure: 'AlreadyDecided', detail: `${batch} is ${status}` };
  }
  if (decision.decision === 'accept' && openTasks !== undefined && openTasks > 0) {
    return { kind: 'refused', failure: 'BatchIncomplete', detail: `${openTasks} tasks of ${batch} have no answer` };
  }
  return { kind: 'applied', decision: { ...decision, decisionId }, status: statusAfter(decision, openTasks ?? 0) };
}

function statusAfter({ decision }: BatchDecision, openTasks: number): BatchStatus {
  if (decision === 'send-back') return 'open';
  return decision === 'close' && openTasks > 0 ? 'partial' : 'accepted';
}
