// Approvals: opened with the digest they are about, decided once, expired by the clock.
import type { Db } from '../db/client.js';
import { inTransaction } from '../db/client.js';
import type { Tx } from '../db/client.js';
import { decideApproval, openApproval } from '../db/approval.js';
import { setRunWaiting } from '../db/run.js';
import { recordWaitStep } from '../db/step.js';
import type { ApprovalAnswer, ApprovalDecision, ApprovalKind } from '../domain/approval.js';
import type { Digest } from '../domain/artifact.js';
import type { RunContext } from '../domain/run.js';

/** The wait that a decision ends. */
interface Wait {
  run: string;
  node: string;
}

/** The run goes on. Before the decision's own rows: locks are taken in the order run, approval, audit. */
async function endWait(tx: Tx, wait: Wait, summary: string): Promise<void> {
  await recordWaitStep(tx, { ...wait, status: 'succeeded', summary });
  await setRunWaiting(tx, wait.run, null, wait.node);
}

export function createApprovalActivities({ db, kick }: { db: Db; kick: () => void }) {
  return {
    /** Idempotent by run, kind and round: a repeat gives the same id and deadline. */
    async openApproval(input: {
      context: RunContext;
      stepNode: string;
      kind: ApprovalKind;
      round: number;
      digest: Digest;
      deadlineMs: number;
      evidence: { evaluation: string } | { newColumns: string[] };
    }): Promise<{ id: string; since: string; deadline: string }> {
      const { run } = input.context;
      return inTransaction(db, async (tx) => {
        const opened = await openApproval(tx, {
          run,
          node: input.stepNode,
          kind: input.kind,
          round: input.round,
          digest: input.digest,
          deadline: new Date(Date.now() + input.deadlineMs),
          evidence: input.evidence,
        });
        const kind = input.kind === 'schema' ? 'schema' : 'approval';
        await recordWaitStep(tx, {
          run,
          node: input.stepNode,
          status: 'waiting',
          summary: `waits for ${kind} ${opened.id}`,
        });
        await setRunWaiting(tx, run, { kind, ...opened }, input.stepNode);
        return opened;
      });
    },

    /** Row, audit and event in one transaction; the same decision id gives the first answer. */
    async recordDecision(input: {
      approval: string;
      decision: ApprovalDecision & { decisionId: string };
      verified: boolean;
      wait: Wait;
    }): Promise<ApprovalAnswer> {
      const { decision } = input;
      const answer = await inTransaction(db, async (tx) => {
        await endWait(tx, input.wait, `${decision.decision} by ${decision.by}`);
        return decideApproval(tx, {
          approval: input.approval,
          decisionId: decision.decisionId,
          decision: decision.decision,
          outcome: decision.decision === 'approve' ? 'approved' : 'rejected',
          by: decision.by,
          verified: input.verified,
          reason: decision.reason ?? null,
          digest: decision.digest,
        });
      });
      kick();
      return answer;
    },

    /** The deadline as a decision. Throws `AlreadyDecided` where a person was faster: their answer stands. */
    async expireApproval(input: {
      approval: string;
      digest: Digest;
      round: number;
      onDeadline: 'approve' | 'reject';
      wait: Wait;
    }): Promise<ApprovalAnswer> {
      return inTransaction(db, async (tx) => {
        await endWait(tx, input.wait, `the deadline passed: ${input.onDeadline}`);
        return decideApproval(tx, {
          approval: input.approval,
          decisionId: `${input.approval}/${input.round}/deadline`,
          decision: 'expire',
          outcome: 'expired',
          by: 'perennial',
          verified: true,
          reason: `the deadline passed; the default is to ${input.onDeadline}`,
          digest: input.digest,
        });
      });
    },
  };
}
