// The one table of queues, timeouts and retries: how workflows call activities (architecture: Workflows).
import { type ActivityOptions, proxyActivities } from '@temporalio/workflow';
import type { FlowActivities } from '../activities/index.js';
import type { Json } from '../domain/json.js';
import type { PlanNode } from '../domain/plan.js';
import type { Queue } from '../domain/queues.js';
import type { StepInput, StepResultBase } from '../domain/run.js';

const retry = { initialInterval: 200, backoffCoefficient: 2, maximumInterval: 10_000 } as const;

/** Millisecond writes: rows, decisions, schedules. */
export const flow = proxyActivities<FlowActivities>({ taskQueue: 'flow', startToCloseTimeout: 10_000, retry });

export type StepResult = { [key: string]: Json } & StepResultBase;
type StepActivity = {
  executeWithOptions(options: ActivityOptions, args: [StepInput]): Promise<StepResult>;
};

/** Calls the activity of a step: death of its worker is noticed by the heartbeat, not by the timeout. */
export async function callStep(
  call: { activity: string; queue: Queue; timeoutMs: number; summary: string },
  input: StepInput,
): Promise<StepResult> {
  const options: ActivityOptions = {
    taskQueue: call.queue,
    startToCloseTimeout: call.timeoutMs,
    ...(call.queue === 'flow' ? {} : { heartbeatTimeout: 10_000 }),
    retry,
  };
  const activities = proxyActivities<Record<string, StepActivity>>(options);
  const activity = activities[call.activity] as unknown as StepActivity;
  return activity.executeWithOptions({ ...options, summary: call.summary }, [input]);
}

export type { PlanNode };
