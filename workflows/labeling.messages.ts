// What one can say to a label batch: accept it, send it back, close it; and that answers have come.
import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';
import type { BatchCounts, BatchDecision, BatchStatus } from '../domain/labeling.js';

export interface BatchInput {
  project: string;
  batch: string;
  /** The run that waits, and its node; both null: a batch of its own. */
  run: string | null;
  node: string | null;
  openedAt: string;
  deadline: string;
  /** At the deadline the batch's policy is asked for more people and more time, once. */
  escalate?: true;
  /** It got them (kept over continue-as-new). */
  escalated?: true;
  /** Shares of the deadline whose reminder went out (kept over continue-as-new). */
  reminded?: number[];
}

export interface BatchOutcome {
  status: BatchStatus;
  counts: BatchCounts;
}

export interface BatchAnswer extends BatchOutcome {
  decisionId: string;
  decision: string;
}

export const decide = defineUpdate<BatchAnswer, [BatchDecision]>('decide');
export const decideSignal = defineSignal<[BatchDecision]>('decideSignal');
/** Empty and coalesced: the workflow reads the counts again. */
export const annotationsArrived = defineSignal('annotationsArrived');
export const labelingProgress = defineQuery<BatchOutcome>('labelingProgress');
