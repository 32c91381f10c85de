// trainingRun: one pass of a pipeline, from data to verdict. Started by openRun's outbox row, or by a person in Temporal's
// CLI. Executes planRun(document); waits for people where the plan says so. Ends succeeded, rejected, failed or cancelled:
// closeRun writes the end. The first two complete the workflow, the others fail or cancel it with the reason.
import {
  allHandlersFinished,
  CancellationScope,
  condition,
  executeChild,
  isCancellation,
  setHandler,
  uuid4,
} from '@temporalio/workflow';
import type { BeginRunResult } from '../activities/run.js';
import type { ApprovalAnswer, ApprovalDecision, ApprovalKind, ApprovalStatus } from '../domain/approval.js';
import { decideOnApproval } from '../domain/approval.js';
import type { Digest } from '../domain/artifact.js';
import { failures } from '../domain/failures.js';
import { workflowIds } from '../domain/ids.js';
import type { Json } from '../domain/json.js';
import type { PlanNode } from '../domain/plan.js';
import { trainQueue } from '../domain/plan-run.js';
import type { RunStatus, StepInput, Verdict } from '../domain/run.js';
import { finalFailure, namedFailure, refusal, runFailure } from './fail.js';
import { labelBatch } from './labeling.js';
import { executePlan, type PlanHost } from './plan.js';
import { noteRefusal } from './refusal.js';
import { callStep, flow, type StepResult } from './proxies.js';
import { decide, decideSignal, type RunInput, type RunOutcome, runProgress } from './run.messages.js';
import { setAttribute, StageTable } from './stages.js';

/** What the run waits for, if it is a decision. Plain JSON. */
interface OpenApproval {
  approval: string;
  run: string;
  node: string;
  kind: ApprovalKind;
  round: number;
  digest: Digest;
  status: ApprovalStatus;
  answer: ApprovalAnswer | null;
}

interface RunState {
  run: BeginRunResult | null;
  approval: OpenApproval | null;
  /** The question is being written: people may see it before this workflow knows its id. Decisions wait that long. */
  opening: boolean;
  stages: StageTable;
}

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
    droppable: (error) => !isCancellation(error) && failures[namedFailure(error).name].family === 'request',
  };
}

async function executeNode(
  state: RunState,
  run: BeginRunResult,
  node: PlanNode,
  inputs: Record<string, Json>,
  round: number,
): Promise<StepResult> {
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

async function askForLabels(state: RunState, node: PlanNode, input: StepInput): Promise<StepResult> {
  const call = { queue: node.queue, timeoutMs: labelStepMs };
  const opened = await callStep({ ...call, activity: 'openLabels', summary: 'choose what to ask' }, input);
  const batch = opened['batch'] as { id: string; openedAt: string; deadline: string; tasks: number } | null;
  let summary = 'nothing to ask';
  if (batch) {
    state.stages.set(node.name, 'waiting', `batch ${batch.id}: ${batch.tasks} tasks`);
    state.stages.wait(`labels: batch ${batch.id}, ${batch.tasks} tasks, until ${batch.deadline}`);
    const { project } = input.context;
    const clock = { openedAt: batch.openedAt, deadline: batch.deadline };
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

// People: decisions

async function askForApproval(
  state: RunState,
  run: BeginRunResult,
  input: StepInput,
  round: number,
): Promise<StepResult> {
  const registered = input.inputs['register'] as { digest: Digest; version: number };
  const policy = run.document.approval;
  if (!policy) return { summary: 'no approval needed' };
  const verdict = await waitForDecision(state, input, {
    kind: 'candidate',
    round,
    digest: registered.digest,
    deadlineMs: policy.deadlineMs,
    onDeadline: policy.onDeadline,
    what: `approval of version ${registered.version}`,
    evidence: { evaluation: (input.inputs['evaluate'] as { evaluation: string }).evaluation },
  });
  return { summary: verdict.reasons.join('; '), verdict: verdict as unknown as Json };
}

const schemaDeadlineMs = 7 * 86_400_000;

async function askForSchema(state: RunState, input: StepInput, result: StepResult, round: number): Promise<Verdict> {
  const newColumns = result['newColumns'] as string[];
  const columns = newColumns.join(', ');
  return waitForDecision(state, input, {
    kind: 'schema',
    round,
    digest: result['schema'] as Digest,
    deadlineMs: schemaDeadlineMs,
    onDeadline: 'reject',
    what: `a decision on new columns: ${columns}`,
    evidence: { newColumns: newColumns.slice(0, 100) },
  });
}

interface Question {
  kind: ApprovalKind;
  round: number;
  digest: Digest;
  deadlineMs: number;
  onDeadline: 'approve' | 'reject';
  what: string;
  /** What the decision rests on: the evaluation of a candidate, the new columns of a schema. */
  evidence: { evaluation: string } | { newColumns: string[] };
}

async function ask(
  state: RunState,
  input: StepInput,
  question: Question,
): Promise<[OpenApproval, { deadline: string }]> {
  const { kind, round, digest } = question;
  state.opening = true;
  try {
    const opened = await flow.openApproval({
      context: input.context,
      stepNode: input.node,
      kind,
      round,
      digest,
      deadlineMs: question.deadlineMs,
      evidence: question.evidence,
    });
    const { run } = input.context;
    const named = { approval: opened.id, run, node: input.node };
    const approval: OpenApproval = { ...named, kind, round, digest, status: 'open', answer: null };
    state.approval = approval;
    return [approval, opened];
  } finally {
    state.opening = false;
  }
}

/** Opens the approval, waits for a decision or the deadline, and says what stands. */
async function waitForDecision(state: RunState, input: StepInput, question: Question): Promise<Verdict> {
  const { kind, digest } = question;
  const [approval, opened] = await ask(state, input, question);
  state.stages.set(input.node, 'waiting', question.what);
  state.stages.wait(`${question.what} (${approval.approval}, ${digest}), until ${opened.deadline}`);
  const left = Math.max(0, Date.parse(opened.deadline) - Date.now());
  const decided = () => approval.status !== 'open';
  if (!(await condition(decided, left, { summary: `waiting for ${question.what}` }))) await expire(approval, question);
  state.stages.wait(null);
  const by = approval.answer?.by ?? 'the deadline';
  const passed = approval.status === 'approved' || (approval.status === 'expired' && question.onDeadline === 'approve');
  const word = approval.status === 'expired' ? 'the deadline passed' : `${approval.status} by ${by}`;
  return { passed, reasons: [`${kind === 'schema' ? 'new columns' : 'candidate'}: ${word}`] };
}

/** The deadline is a decision too. Where a person's came in the last moment it stands, and its handler is about to say so. */
async function expire(approval: OpenApproval, question: Question): Promise<void> {
  try {
    const answer = await flow.expireApproval({
      approval: approval.approval,
      digest: approval.digest,
      round: approval.round,
      onDeadline: question.onDeadline,
      wait: { run: approval.run, node: approval.node },
    });
    approval.answer ??= answer;
    approval.status = answer.status;
  } catch (error) {
    if (namedFailure(error).name !== 'AlreadyDecided') throw error;
    await condition(() => approval.status !== 'open');
  }
}

function listen(state: RunState, project: string): void {
  const record = async (decision: ApprovalDecision, verified: boolean): Promise<ApprovalAnswer> => {
    await condition(() => !state.opening);
    const { approval } = state;
    const outcome = decideOnApproval(approval, decision);
    if (outcome.kind === 'refused') throw refusal(outcome.failure, outcome.detail);
    if (outcome.kind === 'same') return outcome.answer;
    if (!approval) throw refusal('NotFound', 'this run waits for no decision');
    const { run, node } = approval;
    const answer = await flow.recordDecision({
      decision: outcome.decision,
      approval: approval.approval,
      verified,
      wait: { run, node },
    });
    approval.answer = answer;
    approval.status = answer.status;
    return answer;
  };
  setHandler(decide, (decision) => record(decision, decision?.verified === true), {
    description: 'approve or reject what the run waits for, by digest',
    validator: (decision) => {
      if (state.opening) return;
      const outcome = decideOnApproval(state.approval, decision);
      if (outcome.kind === 'refused') throw refusal(outcome.failure, outcome.detail);
    },
  });
  setHandler(decideSignal, async (decision) => {
    try {
      await record(decision, decision?.verified === true);
    } catch (error) {
      const subject = state.approval?.approval ?? state.run?.context.run ?? uuid4();
      await noteRefusal(project, subject, decision, error);
    }
  });
  setHandler(runProgress, () => ({ stage: state.stages.stage, waitingFor: state.stages.waitingFor }));
}
