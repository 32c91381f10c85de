// What a run asks people to decide: its candidate, or new columns. One question at a time; a decision comes as an Update or
// a Signal, is reduced by domain/approval.ts and recorded before it is answered. Each question has a deadline.
import { condition, setHandler, uuid4 } from '@temporalio/workflow';
import type { BeginRunResult } from '../activities/run.js';
import type { ApprovalAnswer, ApprovalDecision, ApprovalKind, ApprovalStatus } from '../domain/approval.js';
import { decideOnApproval } from '../domain/approval.js';
import type { Digest } from '../domain/artifact.js';
import type { Json } from '../domain/json.js';
import type { StepInput, Verdict } from '../domain/run.js';
import { namedFailure, refusal } from './fail.js';
import { flow, type StepResult } from './proxies.js';
import { noteRefusal } from './refusal.js';
import { decide, decideSignal, runProgress } from './run.messages.js';
import type { StageTable } from './stages.js';

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

export interface RunState {
  run: BeginRunResult | null;
  approval: OpenApproval | null;
  /** The question is being written: people may see it before this workflow knows its id. Decisions wait that long. */
  opening: boolean;
  stages: StageTable;
}

/** Waits for people where the pipeline names a policy. */
export async function askForApproval(
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

/** Asks about columns that the accepted schema does not have. */
export async function askForSchema(
  state: RunState,
  input: StepInput,
  result: StepResult,
  round: number,
): Promise<Verdict> {
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

/** Registers what one can say to the run. Before the first await. */
export function listen(state: RunState, project: string): void {
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
