// From the catalogue to Temporal: how a failure of an activity is retried, and for how long.
import { ApplicationFailure, CancelledFailure } from '@temporalio/activity';
import { Failure, failures, type FailureName, isDiskFull } from '../domain/failures.js';

/** Failures that are retried only so often, each by itself; those not named here are retried until the world is back. */
const mostAttempts: Partial<Record<FailureName, number>> = {
  Internal: 5,
  OutOfMemory: 3,
  // with the collector's pass every 5 minutes, some ten minutes until somebody has made room
  DiskFull: 60,
  StoreFull: 60,
  // a package that does not exist looks to the installer like an index that is late
  EnvironmentFailed: 8,
  ChildDied: 20,
  ArtifactCorrupt: 3,
  DeadlineExceeded: 2,
};

/** Any error as a `Failure`; what is not one is `Internal`, with its message kept for the log only. */
export function asFailure(error: unknown): Failure {
  if (error instanceof Failure) return error;
  if (isDiskFull(error)) return new Failure('DiskFull', 'a file of the worker could not be written', { cause: error });
  const detail = error instanceof Error ? error.message : String(error);
  return new Failure('Internal', detail, { cause: error });
}

/**
 * Whether another attempt would be in vain. `times`: how often this very failure happened so far, this time included,
 * so that a minute without a database does not use up the attempts of a child that died.
 */
export function isFinal(failure: Failure, times: number): boolean {
  if (failures[failure.failure].retry === 'never') return true;
  return times >= (mostAttempts[failure.failure] ?? Number.POSITIVE_INFINITY);
}

/** What an activity throws across Temporal: `type` is the catalogue's name. Expected failures do not alarm. */
export function toApplicationFailure(failure: Failure, final: boolean): ApplicationFailure {
  return ApplicationFailure.create({
    type: failure.failure,
    message: failure.message,
    nonRetryable: final,
    details: [{ members: failure.members, faults: failure.faults }],
    ...(failures[failure.failure].family === 'request' ? { category: 'BENIGN' as const } : {}),
  });
}

/** Cancellation and Temporal's own failures pass through untouched. */
export function passesThrough(error: unknown): boolean {
  return error instanceof CancelledFailure || error instanceof ApplicationFailure;
}
