// labelBatch: waits for people to answer one batch. Started by a run, or by the outbox for a batch that somebody opened
// over HTTP; ends accepted, partial or cancelled.
// The batch's row is the truth and the fence; this workflow holds the clock (reminders, deadline) and the decision's door.
import {
  allHandlersFinished,
  CancellationScope,
  condition,
  isCancellation,
  makeContinueAsNewFunc,
  patched,
  setCurrentDetails,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import { type BatchDecision, type BatchStatus, decideOnBatch, type WaitingBatch } from '../domain/labeling.js';
import { namedFailure, refusal } from './fail.js';
import {
  annotationsArrived,
  type BatchAnswer,
  type BatchInput,
  type BatchOutcome,
  decide,
  decideSignal,
  labelingProgress,
} from './labeling.messages.js';
import { flow } from './proxies.js';
import { noteRefusal } from './refusal.js';

const reminderShares = [0.5, 0.9] as const;
const mostEvents = 2_000;
/** architecture: Workflows: a run of the workflow takes at most 2,000 updates; long before that it starts afresh. */
const mostDecisions = 500;

interface State {
  batch: string;
  /** Rises with each send-back. */
  round: number;
  outcome: BatchOutcome;
  answer: BatchAnswer | null;
  arrived: boolean;
  /** The run says that it waits: from then on this workflow can be told. */
  shown: boolean;
  reminded: number[];
  deadline: string;
  /** Still to come. */
  escalate: boolean;
  decisions: number;
}

const closed: readonly BatchStatus[] = ['accepted', 'partial', 'cancelled'];

export async function labelBatch(input: BatchInput): Promise<BatchOutcome> {
  const counts = { tasks: 0, labelled: 0, skipped: 0, auto: 0 };
  const state: State = {
    batch: input.batch,
    round: 1,
    outcome: { status: 'open', counts },
    answer: null,
    arrived: true,
    shown: false,
    reminded: input.reminded ?? [],
    deadline: input.deadline,
    escalate: input.escalate === true,
    decisions: 0,
  };
  listen(state, input);
  try {
    await attend(state, input);
  } catch (error) {
    if (!isCancellation(error)) throw error;
    const reason = `the ${input.run === null ? 'workflow' : 'run'} was cancelled`;
    await CancellationScope.nonCancellable(() => close(state, input, 'cancel', reason));
    throw error;
  }
  await condition(allHandlersFinished);
  return state.outcome;
}

/** Reads the counts when answers came, reminds, closes at the deadline; returns when the batch is closed. */
async function attend(state: State, input: BatchInput): Promise<void> {
  while (!isClosed(state)) {
    // answers may come without a pause: then there is always something to read first
    if (state.arrived && isLong(state) && patched('long-while-answers-come')) return goOn(state, input);
    if (state.arrived) {
      state.arrived = false;
      const { round, ...read } = await flow.readBatch({
        batch: input.batch,
        ...(state.shown ? {} : waitOf(input)),
      });
      state.shown = true;
      state.round = round;
      if (!isClosed(state)) state.outcome = read;
      show(state, input);
      continue;
    }
    if (isLong(state)) return goOn(state, input);
    const next = nextClock(state, input);
    const stirred = () => state.arrived || isClosed(state);
    if (await condition(stirred, Math.max(0, next.at - Date.now()), { summary: next.why })) continue;
    await ring(state, input, next.share);
  }
}

function isLong({ decisions }: State): boolean {
  const { historyLength, continueAsNewSuggested } = workflowInfo();
  return historyLength > mostEvents || continueAsNewSuggested || decisions > mostDecisions;
}

/** In a new run of this workflow, unless the batch is closed meanwhile. */
async function goOn(state: State, input: BatchInput): Promise<void> {
  await condition(allHandlersFinished);
  if (!isClosed(state)) await makeContinueAsNewFunc<typeof labelBatch>()({ ...afterwards(state, input) });
}

/** Nobody waits for a batch of its own. */
function waitOf({ run, node, openedAt, deadline }: BatchInput) {
  return run === null || node === null ? {} : { wait: { run, node, since: openedAt, deadline } };
}

function waiterOf({ run, node }: BatchInput) {
  return run === null || node === null ? null : { run, node };
}

/** Closed here, or found closed in its row (an API call or a person at the database may have done it). */
function isClosed(state: State): boolean {
  return closed.includes(state.outcome.status);
}

function waitingFor(state: State): WaitingBatch<BatchAnswer> {
  return { batch: state.batch, round: state.round, status: state.outcome.status, answer: state.answer };
}

function nextClock(state: State, input: BatchInput): { at: number; share: number | null; why: string } {
  const start = Date.parse(input.openedAt);
  const end = Date.parse(state.deadline);
  const share = reminderShares.find((candidate) => !state.reminded.includes(candidate));
  if (share === undefined) return { at: end, share: null, why: 'labels: deadline' };
  return { at: start + (end - start) * share, share, why: `labels: reminder at ${share * 100} % of the deadline` };
}

/** Whether there is more time. */
async function escalate(state: State, input: BatchInput): Promise<boolean> {
  if (!state.escalate) return false;
  state.escalate = false;
  const { deadline } = await flow.escalateBatch({ batch: input.batch });
  const later = Date.parse(deadline) > Date.parse(state.deadline);
  state.deadline = deadline;
  if (later) show(state, input);
  return later;
}

function passed(state: State, input: BatchInput): string {
  const moved = input.escalated === true || state.deadline !== input.deadline;
  return moved ? 'the deadline passed, and so did the longer one for more people' : 'the deadline passed';
}

/** What this workflow goes on with in its next run. */
function afterwards(state: State, { escalate: _, ...input }: BatchInput): BatchInput {
  const moved = state.deadline === input.deadline ? {} : { deadline: state.deadline, escalated: true as const };
  return { ...input, ...moved, ...(state.escalate ? { escalate: true } : {}), reminded: state.reminded };
}

async function ring(state: State, input: BatchInput, share: number | null): Promise<void> {
  if (share === null) {
    if (!(await escalate(state, input))) await close(state, input, 'deadline', passed(state, input));
    return;
  }
  state.reminded.push(share);
  await flow.remindBatch({ batch: input.batch, share });
}

/** The clock and a cancelled run decide too; where a person was faster their decision stands. */
async function close(state: State, input: BatchInput, decision: 'deadline' | 'cancel', reason: string): Promise<void> {
  const decisionId = `${state.batch}/${decision}`;
  try {
    const answer = await flow.recordBatchDecision({
      batch: state.batch,
      decision: { decisionId, decision, by: 'perennial', reason },
      verified: true,
      wait: waiterOf(input),
    });
    state.outcome = { status: answer.status, counts: answer.counts };
  } catch (error) {
    const { name } = namedFailure(error);
    if (name !== 'AlreadyDecided' && name !== 'RunEnded') throw error;
    const { status, counts } = await flow.readBatch({ batch: state.batch });
    state.outcome = { status, counts };
  }
}

function listen(state: State, input: BatchInput): void {
  const record = async (decision: BatchDecision): Promise<BatchAnswer> => {
    const outcome = decideOnBatch(waitingFor(state), decision);
    if (outcome.kind === 'refused') throw refusal(outcome.failure, outcome.detail);
    if (outcome.kind === 'same') return outcome.answer;
    state.decisions += 1;
    const answer = await flow.recordBatchDecision({
      batch: state.batch,
      decision: outcome.decision,
      verified: decision?.verified === true,
      wait: waiterOf(input),
    });
    state.answer = answer;
    state.outcome = { status: answer.status, counts: answer.counts };
    state.arrived = true;
    show(state, input);
    return answer;
  };
  setHandler(decide, record, {
    description: 'accept, send back or close this batch',
    validator: (decision) => {
      const outcome = decideOnBatch(waitingFor(state), decision);
      if (outcome.kind === 'refused') throw refusal(outcome.failure, outcome.detail);
    },
  });
  setHandler(decideSignal, async (decision) => {
    try {
      await record(decision);
    } catch (error) {
      await noteRefusal(input.project, state.batch, decision, error);
    }
  });
  setHandler(annotationsArrived, () => {
    state.arrived = true;
  });
  setHandler(labelingProgress, () => state.outcome);
}

function show(state: State, input: BatchInput): void {
  const { tasks, labelled, skipped } = state.outcome.counts;
  setCurrentDetails(
    [
      `### labels, batch ${input.batch}`,
      `**${state.outcome.status}**: ${labelled} labelled, ${skipped} skipped of ${tasks}; deadline ${state.deadline}`,
      'Answer with the Update `decide` or the Signal `decideSignal`: `{"decision":"accept","by":"…"}`',
    ].join('\n\n'),
  );
}
