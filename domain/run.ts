// Words about runs: their states, their steps, and what they may wait for.
import type { Digest } from './artifact.js';
import type { CheckReport } from './check.js';
import type { Json } from './json.js';

export const runStatuses = ['running', 'waiting', 'succeeded', 'rejected', 'failed', 'cancelled'] as const;
export type RunStatus = (typeof runStatuses)[number];
export const liveRunStatuses = ['running', 'waiting'] as const satisfies readonly RunStatus[];

export const stepStatuses = ['pending', 'running', 'waiting', 'succeeded', 'skipped', 'failed', 'cancelled'] as const;
export type StepStatus = (typeof stepStatuses)[number];

export const stepNames = [
  'extract',
  'profile',
  'validate',
  'split',
  'label',
  'featurize',
  'train',
  'package',
  'evaluate',
  'register',
  'approve',
  'release',
] as const;
export type StepName = (typeof stepNames)[number];

export const waitKinds = ['labels', 'approval', 'schema', 'budget', 'release'] as const;
export type WaitKind = (typeof waitKinds)[number];

export interface Waiting {
  kind: WaitKind;
  /** Id of the batch or the approval. */
  id: string;
  since: string;
  deadline: string;
}

export interface Verdict {
  passed: boolean;
  reasons: string[];
  /** Of the document's `gate.checks`, in its order; absent where it has none. */
  checks?: CheckReport[];
}

/** As in the API: `type` is the failure's code in kebab case. */
export interface RunFailure {
  type: string;
  title: string;
  detail: string;
  step: string | null;
}

/** Of one attempt at a step. */
export interface StepFailure extends Omit<RunFailure, 'step'> {
  /** Null where software that did not note it wrote the failure. */
  at: string | null;
}

export const triggerKinds = ['manual', 'rows', 'schedule', 'cli', 'campaign'] as const;
export type TriggerKind = (typeof triggerKinds)[number];

/** What every activity of a run is told about where it belongs. */
export interface RunContext {
  run: string;
  project: string;
  pipeline: string;
  number: number;
}

/**
 * Input of an activity that is a step: the interceptor records it under `node` (architecture, rule 3).
 * `inputs` holds the results of the nodes it comes after, by node name: digests and counts, never rows.
 */
export interface StepInput {
  context: RunContext;
  node: string;
  candidate: number;
  inputs: Record<string, Json>;
}

/** What a step's row keeps for people: one line, shown in the API and in Temporal's UI. */
export interface StepResultBase {
  summary: string;
}

export type { Digest };
