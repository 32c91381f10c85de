// trainingRun: one pass of a pipeline, from data to verdict. Started by openRun's outbox row, or by a person in Temporal's
// CLI. Executes planRun(document); waits for people where the plan says so. Ends succeeded, rejected, failed or cancelled:
// closeRun writes the end. The first two complete the workflow, the others fail or cancel it with the reason.
import { allHandlersFinished, CancellationScope, condition, executeChild, isCancellation } from '@temporalio/workflow';
import type { BeginRunResult } from '../activities/run.js';
import { failures } from '../domain/failures.js';
import { workflowIds } from '../domain/ids.js';
import type { Json } from '../domain/json.js';
import type { PlanNode } from '../domain/plan.js';
import { trainQueue } from '../domain/plan-run.js';
import type { RunStatus, StepInput } from '../domain/run.js';
import { finalFailure, namedFailure, runFailure } from './fail.js';
import { labelBatch } from './labeling.js';
import { executePlan, type PlanHost } from './plan.js';
import { callStep, flow, type StepResult } from './proxies.js';
import { askForApproval, askForSchema, listen, type RunState } from './run-decision.js';
import type { RunInput, RunOutcome } from './run.messages.js';
import { setAttribute, StageTable } from './stages.js';

export async function trainingRun(input: RunInput): Promise<RunOutcome> {
  const project = input.project ?? 'default';
  const stages = new StageTable(`run of ${input.pipeline}`);
  const state: RunState = { run: null, approval: null, opening: false, stages };
  listen(state, project);
  try {
    state.run = await flow.beginRun({ ...input, project });
  } catch (error) {
    const { run } = input;
    if (run !== undefined) await CancellationScope.nonCancellable(() => closeAfter(error, state, run));
    throw isCancellation(error) ? error : finalFailure(error);
  }
  const { context } = state.run;
  state.stages.retitle(`run ${context.number} of ${context.pipeline}`);
  let outcome: RunOutcome;
  try {
    outcome = await execute(state, state.run);
  } catch (error) {
    await CancellationScope.nonCancellable(() => closeAfter(error, state, context.run));
    throw isCancellation(error) ? error : finalFailure(error);
  }
  await condition(allHandlersFinished);
  return outcome;
}

async function execute(state: RunState, run: BeginRunResult): Promise<RunOutcome> {
  const { plan } = run;
  state.stages.plan(plan.map((node) => node.name));
  const { results, ended } = await executePlan(plan, host(state, run));
  const version = (results['register'] as { version?: number } | undefined)?.version ?? null;
  const status: RunStatus = ended ? 'rejected' : 'succeeded';
  await flow.closeRun({ run: run.context.run, status, failure: null, verdict: ended });
  setAttribute('PerennialVerdict', ended ? 'rejected' : 'passed');
  return { run: run.context.run, status, modelVersion: version };
}

async function closeAfter(error: unknown, state: RunState, run: string): Promise<void> {
  const cancelled = isCancellation(error);
  await flow.closeRun({
    run,
    status: cancelled ? 'cancelled' : 'failed',
    failure: cancelled ? null : runFailure(error, state.stages.stage || null),
    verdict: null,
  });
  setAttribute('PerennialVerdict', cancelled ? 'cancelled' : 'failed');
  await condition(allHandlersFinished);
}

function host(state: RunState, run: BeginRunResult): PlanHost {
  return {
    execute: (node, inputs, round) => executeNode(state, run, node, inputs, round),
    note: (node, status, summary) => state.stages.set(node.name, status, summary),
    droppable: (error) => failures[namedFailure(error).name].family === 'request',
    reason: (error) => (isCancellation(error) ? 'cancelled' : namedFailure(error).detail),
  };
}

async function executeNode(
  state: RunState,
  run: BeginRunResult,
  node: PlanNode,
  inputs: Record<string, Json>,
  round: number,
): Promise<StepResult> {
  // in its first round only: where the champion moved, what it was compared with is no longer there
  const taken = round === 1 ? run.taken?.[node.name] : undefined;
  if (taken) return taken;
  const input: StepInput = { context: run.context, node: node.name, candidate: node.candidate, inputs };
  if (node.kind === 'labels') return askForLabels(state, node, input);
  if (node.kind === 'approval') return askForApproval(state, run, input, round);
  const queue = node.activity === 'train' ? queueOfTraining(run, node, inputs) : node.queue;
  const call = { activity: node.activity, queue, timeoutMs: node.timeoutMs, summary: node.name };
  let result = await callStep(call, input);
  for (let asked = 1; result['kind'] === 'ask'; asked += 1) {
    const verdict = await askForSchema(state, input, result, asked);
    if (!verdict.passed) return { summary: verdict.reasons.join('; '), verdict: verdict as unknown as Json };
    result = await callStep(call, { ...input, inputs: { ...inputs, 'schema:answer': 'approve' } });
  }
  return result;
}

/** `auto` is settled once the width of the features is known (architecture: Queues and pools). */
function queueOfTraining(run: BeginRunResult, node: PlanNode, inputs: Record<string, Json>): 'cpu' | 'gpu' {
  const trainer = run.document.trainers[node.candidate];
  const featurize = inputs['featurize'] as { train: { width: number }; outputs?: number } | undefined;
  if (!trainer || !featurize) return node.queue === 'gpu' ? 'gpu' : 'cpu';
  return trainQueue(trainer, featurize.train.width, featurize.outputs ?? 1);
}

// People: labels

/** Choosing and merging are work of minutes; the wait between them has its own deadline. */
const labelStepMs = 7_200_000;

interface OpenedBatch {
  id: string;
  openedAt: string;
  deadline: string;
  tasks: number;
  escalate?: true;
}

async function askForLabels(state: RunState, node: PlanNode, input: StepInput): Promise<StepResult> {
  const call = { queue: node.queue, timeoutMs: labelStepMs };
  const opened = await callStep({ ...call, activity: 'openLabels', summary: 'choose what to ask' }, input);
  const batch = opened['batch'] as OpenedBatch | null;
  let summary = 'nothing to ask';
  if (batch) {
    state.stages.set(node.name, 'waiting', `batch ${batch.id}: ${batch.tasks} tasks`);
    state.stages.wait(`labels: batch ${batch.id}, ${batch.tasks} tasks, until ${batch.deadline}`);
    const { project } = input.context;
    const { openedAt, deadline, escalate } = batch;
    const clock = { openedAt, deadline, ...(escalate && { escalate }) };
    const outcome = await executeChild(labelBatch, {
      workflowId: workflowIds.labels(project, batch.id),
      args: [{ project, batch: batch.id, run: input.context.run, node: node.name, ...clock }],
      parentClosePolicy: 'REQUEST_CANCEL',
      staticSummary: `labels for run ${input.context.number} of ${input.context.pipeline}`,
      typedSearchAttributes: [
        { key: { name: 'PerennialProject', type: 'KEYWORD' }, value: project },
        { key: { name: 'PerennialPipeline', type: 'KEYWORD' }, value: input.context.pipeline },
        { key: { name: 'PerennialKind', type: 'KEYWORD' }, value: 'labels' },
      ],
    });
    state.stages.wait(null);
    summary = `${outcome.status}: ${outcome.counts.labelled} of ${outcome.counts.tasks} labelled`;
  }
  const merge = { ...input, inputs: { ...input.inputs, 'labels:opened': opened } };
  return callStep({ ...call, activity: 'mergeLabels', summary }, merge);
}
