// Words about approvals: a human decision on one exact candidate or schema, by digest.
import type { Digest } from './artifact.js';

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
}

export interface ApprovalAnswer {
  approval: string;
  status: ApprovalStatus;
  decision: ApprovalDecisionKind;
  by: string;
  decisionId: string;
}
