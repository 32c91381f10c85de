// Words about approvals: a human decision on one exact candidate or schema, by digest.
import { isDigest, type Digest } from './artifact.js';
import { decisionIdOf, isDecisionId, nameFault, reasonFault } from './decision.js';
import type { FailureName } from './failures.js';

export const approvalKinds = ['candidate', 'schema'] as const;
export type ApprovalKind = (typeof approvalKinds)[number];
export const approvalStatuses = ['open', 'approved', 'rejected', 'expired', 'void'] as const;
export type ApprovalStatus = (typeof approvalStatuses)[number];
export const approvalDecisions = ['approve', 'reject'] as const;
export type ApprovalDecisionKind = (typeof approvalDecisions)[number];

export interface ApprovalDecision {
  decisionId?: string;
  decision: ApprovalDecisionKind;
  by: string;
  reason?: string;
  digest: Digest;
  /** Set by the API: a token stands for `by`. Signals by hand are unverified. */
  verified?: boolean;
}

export interface ApprovalAnswer {
  approval: string;
  status: ApprovalStatus;
  decision: ApprovalDecisionKind;
  by: string;
  decisionId: string;
}

/** What an approval is at the moment, as its run's workflow or its row knows it. */
export interface WaitingApproval {
  approval: string;
  round: number;
  digest: Digest;
  status: ApprovalStatus;
  answer?: ApprovalAnswer | null;
}

export type ApprovalOutcome =
  /** To be recorded; `decision` has its id now. */
  | { kind: 'applied'; decision: ApprovalDecision & { decisionId: string }; answer: ApprovalAnswer }
  /** The same decision came before; this was its answer. */
  | { kind: 'same'; answer: ApprovalAnswer }
  | { kind: 'refused'; failure: FailureName; detail: string };

function malformed(decision: ApprovalDecision): string | null {
  if (typeof decision !== 'object' || decision === null) return 'a decision is an object with decision, by and digest';
  if (!approvalDecisions.includes(decision.decision)) return `decision must be ${approvalDecisions.join(' or ')}`;
  const fault = nameFault(decision.by) ?? reasonFault(decision.reason);
  if (fault !== null) return fault;
  const { decisionId } = decision;
  if (decisionId !== undefined && !isDecisionId(decisionId)) return 'decisionId must be a text of 1 to 500 letters';
  if (!isDigest(decision.digest)) return 'digest is missing: what was looked at, as sha256:<hex>';
  return null;
}

/**
 * The one rule for decisions on approvals (architecture, rule 5), for Update, Signal and row alike. `waiting` null: nothing waits.
 * A repeat gets the first answer; an approval that is over or another digest than the one that waits is refused.
 */
export function decideOnApproval(waiting: WaitingApproval | null, decision: ApprovalDecision): ApprovalOutcome {
  const fault = malformed(decision);
  if (fault !== null) return { kind: 'refused', failure: 'InvalidRequest', detail: fault };
  if (waiting === null) return { kind: 'refused', failure: 'NotFound', detail: 'nothing waits for a decision here' };
  const { approval, round, digest, status } = waiting;
  const { by } = decision;
  const decisionId = decision.decisionId ?? decisionIdOf({ target: approval, round, ...decision });
  if (waiting.answer?.decisionId === decisionId) return { kind: 'same', answer: waiting.answer };
  if (status !== 'open') {
    const who = waiting.answer ? ` by ${waiting.answer.by}` : '';
    return { kind: 'refused', failure: 'AlreadyDecided', detail: `${approval} is ${status}${who}` };
  }
  if (decision.digest !== digest) {
    const detail = `the decision names ${decision.digest}, but ${digest} waits in ${approval}`;
    return { kind: 'refused', failure: 'StaleCandidate', detail };
  }
  const outcome = decision.decision === 'approve' ? 'approved' : 'rejected';
  const answer: ApprovalAnswer = { approval, status: outcome, decision: decision.decision, by, decisionId };
  return { kind: 'applied', decision: { ...decision, decisionId }, answer };
}
