// Words about labeling: batches, tasks, leases, answers, decisions.

export const batchStatuses = ['open', 'review', 'accepted', 'partial', 'cancelled'] as const;
export type BatchStatus = (typeof batchStatuses)[number];
export const taskStatuses = ['open', 'labelled', 'skipped', 'auto'] as const;
export type TaskStatus = (typeof taskStatuses)[number];

export const builtStrategies = ['leastConfidence', 'margin', 'entropy', 'random'] as const;
export type Strategy = (typeof builtStrategies)[number];

export const batchDecisions = ['accept', 'send-back', 'close'] as const;
export type BatchDecisionKind = (typeof batchDecisions)[number];

export interface BatchDecision {
  decisionId?: string;
  decision: BatchDecisionKind;
  by: string;
  reason?: string;
  /** `send-back`: which tasks; all when absent. */
  tasks?: string[];
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
  label?: string;
  skip?: true;
}
