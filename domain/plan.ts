// What a run executes: a list of nodes, made from the document by one pure function (glossary: plan).
import type { Queue } from './queues.js';

/** `activity`: one activity of that name; `people`: the workflow waits for a decision or for labels. */
export type NodeKind = 'activity' | 'labels' | 'approval';

export interface PlanNode {
  /** Unique in the plan; the built-in steps keep their names, candidates add `-1`, `-2` … where there are several. */
  name: string;
  kind: NodeKind;
  /** Name of the activity (kind `activity`). */
  activity: string;
  /** Nodes whose results this one takes. Order of execution follows from it. */
  after: string[];
  /** Skipped when false at planning time, with the reason in `skipReason`. */
  when: boolean;
  skipReason: string | null;
  /** `fail`: the run fails; `drop-candidate`: the others go on, the reason is kept. */
  onFailure: 'fail' | 'drop-candidate';
  queue: Queue;
  timeoutMs: number;
  /** Index of the candidate that this node belongs to, 0 for all shared nodes. */
  candidate: number;
}

export type Plan = PlanNode[];
