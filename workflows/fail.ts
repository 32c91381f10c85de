// From Temporal's failures back to the catalogue, for the end of a run.
import { ActivityFailure, ApplicationFailure, ChildWorkflowFailure } from '@temporalio/workflow';
import { failureCode, type FailureName, failures, isFailureName } from '../domain/failures.js';
import type { RunFailure } from '../domain/run.js';
import { NodeFailure } from './plan.js';

/** What a node of the plan threw. */
const thrown = (error: unknown): unknown => (error instanceof NodeFailure ? error.cause : error);

function rootCause(error: unknown): unknown {
  let cause = error;
  while ((cause instanceof ActivityFailure || cause instanceof ChildWorkflowFailure) && cause.cause)
    cause = cause.cause;
  return cause;
}

/** The catalogue's name of what went wrong, and what it said. */
export function namedFailure(failed: unknown): { name: FailureName; detail: string } {
  const error = thrown(failed);
  const cause = rootCause(error);
  if (cause instanceof ApplicationFailure && isFailureName(cause.type)) {
    return { name: cause.type, detail: cause.message };
  }
  if (error instanceof ActivityFailure)
    return { name: 'DeadlineExceeded', detail: `${error.activityType}: ${error.message}` };
  return { name: 'Internal', detail: error instanceof Error ? error.message : String(error) };
}

/** As the run's row and the API tell it. `stage` where no node of the plan failed. */
export function runFailure(error: unknown, stage: string | null): RunFailure {
  const { name, detail: said } = namedFailure(error);
  const detail = name === 'Internal' ? failures.Internal.title : said;
  const failure = { type: failureCode(name), title: failures[name].title };
  if (!(error instanceof NodeFailure)) return { ...failure, detail, step: stage };
  const { node: step, candidates } = error;
  return {
    ...failure,
    detail: candidates === 0 ? detail : `all ${candidates} candidates failed; ${step}: ${detail}`,
    step,
  };
}

/** What ends the workflow itself: typed, final. */
export function finalFailure(error: unknown): ApplicationFailure {
  const { name, detail } = namedFailure(error);
  return ApplicationFailure.create({ type: name, message: detail, nonRetryable: true });
}

/** A refusal by a reducer, as a validator or a handler throws it. */
export function refusal(name: FailureName, detail: string): ApplicationFailure {
  return ApplicationFailure.create({ type: name, message: detail, nonRetryable: true, category: 'BENIGN' });
}
