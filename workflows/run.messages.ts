// What one can say to a run: decide on what it waits for. The Signal carries the same payload as the Update.
import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';
import type { ApprovalAnswer, ApprovalDecision } from '../domain/approval.js';
import type { Json } from '../domain/json.js';
import type { RunStatus } from '../domain/run.js';

/** Started by the outbox with `run`, or by a person in Temporal's CLI with `pipeline` alone. */
export interface RunInput {
  pipeline: string;
  project?: string;
  /** Id of the run that `openRun` made. */
  run?: string;
  overrides?: Record<string, Json>;
  /** Step that the run ends with. */
  until?: string;
  /** Take nothing from the result store. */
  fresh?: boolean;
}

export interface RunOutcome {
  run: string;
  status: RunStatus;
  modelVersion: number | null;
}

export const decide = defineUpdate<ApprovalAnswer, [ApprovalDecision]>('decide');
export const decideSignal = defineSignal<[ApprovalDecision]>('decideSignal');
export const runProgress = defineQuery<{ stage: string; waitingFor: string | null }>('runProgress');
