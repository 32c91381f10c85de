// What the workflow of a label batch writes: decisions under the batch's lock, reminders; and what it reads again.
import { type Db, inTransaction, type Tx } from '../../db/client.js';
import { batchState, decideBatch, escalateBatch, remindBatch, settleBatch } from '../../db/labeling.js';
import { lockIfLive, setRunWaiting } from '../../db/run.js';
import { recordWaitStep } from '../../db/step.js';
import type { BatchCounts, BatchDecision, BatchDecisionKind, BatchStatus } from '../../domain/labeling.js';

export interface BatchAnswer {
  status: BatchStatus;
  counts: BatchCounts;
  decisionId: string;
  decision: string;
}

type RecordedDecision = Omit<BatchDecision, 'decision' | 'decisionId'> & {
  decisionId: string;
  /** The clock and a cancelled run decide too. */
  decision: BatchDecisionKind | 'deadline' | 'cancel';
};

interface BatchWait {
  run: string;
  node: string;
  since: string;
  deadline: string;
}

/** Under the run's lock: a batch that was decided meanwhile is not waited for. */
async function beginWait(tx: Tx, batch: string, { run, node, since, deadline }: BatchWait): Promise<void> {
  if (!(await lockIfLive(tx, run))) return;
  const { status } = await batchState(tx, batch);
  if (status !== 'open' && status !== 'review') return;
  await setRunWaiting(tx, run, { kind: 'labels', id: batch, since, deadline }, node);
}

export function createLabelingDecisions({ db, kick }: { db: Db; kick: () => void }) {
  return {
    /** `wait`: the run waits for this batch from now on, when its workflow can take decisions and not before. */
    async readBatch(input: {
      batch: string;
      wait?: BatchWait;
    }): Promise<{ status: BatchStatus; counts: BatchCounts; round: number }> {
      const { wait } = input;
      if (wait) await inTransaction(db, (tx) => beginWait(tx, input.batch, wait));
      // who gave the last answer may have left it to us
      await inTransaction(db, (tx) => settleBatch(tx, input.batch));
      const { status, counts, round } = await batchState(db, input.batch);
      return { status, counts, round };
    },

    async remindBatch(input: { batch: string; share: number }): Promise<void> {
      await inTransaction(db, (tx) => remindBatch(tx, input.batch, input.share as 0.5 | 0.9));
    },

    /** The deadline that holds now: a later one where the batch's policy gives more people more time, once. */
    async escalateBatch(input: { batch: string }): Promise<{ deadline: string }> {
      return { deadline: await inTransaction(db, (tx) => escalateBatch(tx, input.batch)) };
    },

    /**
     * Status, labels, audit and event in one transaction. The same decision id gives the first answer.
     * Throws `BatchIncomplete` (accept with open tasks), `ReviewIncomplete` and `AlreadyDecided`.
     */
    async recordBatchDecision(input: {
      batch: string;
      decision: RecordedDecision;
      verified: boolean;
      /** Null: no run waits. */
      wait: { run: string; node: string } | null;
    }): Promise<BatchAnswer> {
      const { decision, wait } = input;
      const answer = await inTransaction(db, async (tx) => {
        // Locks in the order run, batch, audit. A batch that is sent back is still waited for.
        if (wait !== null && decision.decision !== 'send-back') {
          await recordWaitStep(tx, { ...wait, status: 'succeeded', summary: `${decision.decision} by ${decision.by}` });
          await setRunWaiting(tx, wait.run, null, wait.node);
        }
        return decideBatch(tx, {
          batch: input.batch,
          decisionId: decision.decisionId,
          decision: decision.decision,
          by: decision.by,
          verified: input.verified,
          reason: decision.reason ?? null,
          tasks: decision.tasks ?? null,
        });
      });
      kick();
      return answer;
    },
  };
}
