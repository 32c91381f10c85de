// The two workflows that bench/overhead.ts compares: 40 no-op steps of a plan, and 40 no-op activities.
import { proxyActivities } from '@temporalio/workflow';
import type { Plan } from '../domain/plan.js';
import type { StepInput } from '../domain/run.js';
import { executePlan, NodeFailure } from '../workflows/plan.js';
import { callStep } from '../workflows/proxies.js';
import { StageTable } from '../workflows/stages.js';

const steps = 40;

/** The product's own way: plan, stage table, search attribute and a recorded row, event and result per step. */
export async function recordedNoops(run: string): Promise<void> {
  const stages = new StageTable('40 no-op steps');
  const context = { run, project: 'default', pipeline: 'overhead', number: 1 };
  const plan: Plan = Array.from({ length: steps }, (_, i) => ({
    ...{ name: `step${i}`, kind: 'activity' as const, activity: 'noop', after: i === 0 ? [] : [`step${i - 1}`] },
    ...{
      when: true,
      skipReason: null,
      onFailure: 'fail' as const,
      queue: 'cpu' as const,
      timeoutMs: 60_000,
      candidate: 0,
    },
  }));
  stages.plan(plan.map(({ name }) => name));
  await executePlan(plan, {
    execute: (node, inputs) => {
      const input: StepInput = { context, node: node.name, candidate: 0, inputs };
      return callStep(
        { activity: node.activity, queue: 'bench' as never, timeoutMs: node.timeoutMs, summary: node.name },
        input,
      );
    },
    note: (node, state, summary) => stages.set(node.name, state, summary),
    droppable: () => false,
    reason: String,
  }).catch((error: unknown) => {
    // as it is, it would be taken for a fault of the code and tried for ever
    throw error instanceof NodeFailure ? error.cause : error;
  });
}

const { noop } = proxyActivities<{ noop(): Promise<{ summary: string }> }>({ startToCloseTimeout: '1 minute' });

export async function bareNoops(): Promise<void> {
  for (let i = 0; i < steps; i += 1) await noop();
}
