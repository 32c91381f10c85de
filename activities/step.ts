// Steps are recorded here and nowhere else: one interceptor in the activity's own process (architecture, rule 3).
// Before: fence + 1, and the stored result if the step is finished already. After: result, status and event in one statement.
import { AsyncLocalStorage } from 'node:async_hooks';
import { mkdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { CancelledFailure, type Context } from '@temporalio/activity';
import type { ActivityExecuteInput, ActivityInterceptorsFactory } from '@temporalio/worker';
import type { Config } from '../adapters/config.js';
import type { Log } from '../adapters/log.js';
import type { Artifacts } from '../adapters/store/index.js';
import { referArtifact, stepOwner } from '../db/artifact.js';
import { type Db, inTransaction, type Tx } from '../db/client.js';
import { beginStep, type FailedAttempts, failStep, fenceHolds, finishStep, type StepKey } from '../db/step.js';
import type { ArtifactRef } from '../domain/artifact.js';
import { type Failure, failureCode, failures } from '../domain/failures.js';
import type { Json } from '../domain/json.js';
import type { StepInput, StepResultBase } from '../domain/run.js';
import { asFailure, isFinal, passesThrough, toApplicationFailure } from './fail.js';

const heartbeatEveryMs = 2_000;

/** What an activity that is a step knows of itself. */
export interface Step {
  key: StepKey;
  run: string;
  node: string;
  fence: number;
  /** Aborted by cancellation and by the worker's shutdown. */
  signal: AbortSignal;
  /** True once the worker drains: store what there is and throw `WorkerShutdown`. */
  draining(): boolean;
  /** First statement of every transaction in which the step writes facts: throws `Superseded` when a newer attempt runs. */
  guard(tx: Tx): Promise<void>;
  /** Remembered and sent with every heartbeat from now on. Small: digests and counters. */
  heartbeat(details: Json): void;
  /** Details of the last heartbeat of the attempt before, if any. */
  previous: Json | undefined;
  /** A place where a test may hold the step (PERENNIAL_HOLD). */
  hold(point: 'before' | 'middle' | 'after'): Promise<void>;
}

const storage = new AsyncLocalStorage<Step>();

/** The step that the calling activity is. Throws outside of one. */
export function currentStep(): Step {
  const step = storage.getStore();
  if (!step) throw new Error('this activity runs as a step only');
  return step;
}

/** Runs `work` as `step`; for the interceptor, and for tests of single activities. */
export function withStep<T>(step: Step, work: () => Promise<T>): Promise<T> {
  return storage.run(step, work);
}

function isStepInput(value: unknown): value is StepInput {
  return typeof value === 'object' && value !== null && 'context' in value && 'node' in value && 'inputs' in value;
}

/**
 * The store for what a step makes: each put is referred to at once, under the fence, until the run ends. A step may take
 * hours, and the collector takes what nothing refers to after minutes.
 */
export function keeping(
  deps: { db: Db; artifacts: Artifacts },
  role: string,
): Pick<Artifacts, 'putBytes' | 'putFile' | 'putJson'> {
  const kept = async (putting: Promise<ArtifactRef>): Promise<ArtifactRef> => {
    const ref = await putting;
    const step = currentStep();
    await inTransaction(deps.db, async (tx) => {
      await step.guard(tx);
      await referArtifact(tx, { digest: ref.digest, owner: stepOwner(step.key), role });
    });
    return ref;
  };
  return {
    putBytes: (bytes, mediaType) => kept(deps.artifacts.putBytes(bytes, mediaType)),
    putFile: (path, mediaType) => kept(deps.artifacts.putFile(path, mediaType)),
    putJson: (value) => kept(deps.artifacts.putJson(value)),
  };
}

interface RecorderDeps {
  db: Db;
  log: Log;
  config: Pick<Config, 'hold' | 'home'>;
  worker: string;
}

/** Waits while `$PERENNIAL_HOME/hold/<step>.<point>` exists, having made it; only where a test asked for that (architecture: Faults). */
export async function holdPoint(config: Pick<Config, 'hold' | 'home'>, step: string, point: string): Promise<void> {
  if (config.hold?.step !== step || config.hold.point !== point) return;
  const file = join(config.home, 'hold', `${step}.${point}`);
  const exists = () =>
    stat(file).then(
      () => true,
      () => false,
    );
  // A file `<step>.<point>.done` says that the test has had its turn: the next attempt passes.
  if (
    await stat(`${file}.done`).then(
      () => true,
      () => false,
    )
  )
    return;
  await mkdir(join(config.home, 'hold'), { recursive: true });
  await writeFile(file, String(process.pid));
  while (await exists()) await delay(20);
}

/** The factory given to every worker. Activities whose first argument is no `StepInput` are only translated, not recorded. */
export function stepRecorder(deps: RecorderDeps): ActivityInterceptorsFactory {
  return (context) => ({
    inbound: {
      async execute(input, next) {
        const argument = input.args[0];
        if (!isStepInput(argument)) return unrecorded(deps, context, () => next(input));
        return recorded(deps, context, argument, () => next(input as ActivityExecuteInput));
      },
    },
  });
}

async function unrecorded(deps: RecorderDeps, context: Context, work: () => Promise<unknown>): Promise<unknown> {
  try {
    return await work();
  } catch (error) {
    // nothing is kept of these, so all their attempts count as one failure
    throw translate(deps, context, error, isFinal(asFailure(error), context.info.attempt));
  }
}

function translate(deps: RecorderDeps, context: Context, error: unknown, final: boolean): unknown {
  if (passesThrough(error)) return error;
  const failure = asFailure(error);
  const { attempt, activityType, workflowExecution } = context.info;
  const facts = { activity: activityType, workflow: workflowExecution?.workflowId, attempt, failure: failure.failure };
  if (failures[failure.failure].family === 'request') deps.log.info(facts, 'activity.refused');
  else deps.log.warn({ ...facts, err: failure.cause ?? failure }, 'activity.failed');
  return toApplicationFailure(failure, final);
}

async function recorded(
  deps: RecorderDeps,
  context: Context,
  input: StepInput,
  work: () => Promise<unknown>,
): Promise<unknown> {
  const { info } = context;
  const key: StepKey = {
    workflowId: info.workflowExecution?.workflowId ?? '',
    workflowRunId: info.workflowExecution?.runId ?? '',
    activityId: info.activityId,
  };
  const { run } = input.context;
  let fence = 0;
  let failed: FailedAttempts = {};
  try {
    const begun = await beginStep(deps.db, {
      ...key,
      run,
      node: input.node,
      worker: deps.worker,
      attempt: info.attempt,
    });
    if (begun.finished) return begun.finished.result;
    ({ fence, failed } = begun);
    const step = makeStep(deps, context, input, key, fence);
    const result = (await beating(context, step, () => withStep(step, () => heldWork(step, work)))) as Json &
      StepResultBase;
    await finishStep(deps.db, { ...key, run, node: input.node, fence, result, summary: result.summary });
    return result;
  } catch (error) {
    const final = await noteFailure(deps, context, { ...key, run, node: input.node, fence, failed }, error);
    throw translate(deps, context, error, final);
  }
}

async function heldWork(step: Step, work: () => Promise<unknown>): Promise<unknown> {
  await step.hold('before');
  const result = await work();
  await step.hold('after');
  return result;
}

interface LiveStep extends Step {
  details: Json | undefined;
}

function makeStep(deps: RecorderDeps, context: Context, input: StepInput, key: StepKey, fence: number): LiveStep {
  const step: LiveStep = {
    key,
    run: input.context.run,
    node: input.node,
    fence,
    signal: context.cancellationSignal,
    details: context.info.heartbeatDetails as Json | undefined,
    previous: context.info.heartbeatDetails as Json | undefined,
    draining: () => context.cancellationDetails?.workerShutdown === true,
    guard: (tx) => fenceHolds(tx, { ...key, fence }),
    heartbeat: (details) => {
      step.details = details;
      context.heartbeat(details);
    },
    hold: (point) => holdPoint(deps.config, input.node, point),
  };
  return step;
}

/** Heartbeats while `work` runs, so that a dead worker is noticed and a cancellation arrives. */
async function beating<T>(context: Context, step: LiveStep, work: () => Promise<T>): Promise<T> {
  const timer = setInterval(() => context.heartbeat(step.details), heartbeatEveryMs);
  try {
    return await work();
  } finally {
    clearInterval(timer);
  }
}

/**
 * Writes the failed attempt to the step's row, and says whether it was the last. Where that is not possible (database
 * away, superseded) the retry will tell.
 */
async function noteFailure(
  deps: RecorderDeps,
  context: Context,
  step: StepKey & { run: string; node: string; fence: number; failed: FailedAttempts },
  error: unknown,
): Promise<boolean> {
  // nothing has failed
  if (error instanceof CancelledFailure) return false;
  const failure: Failure = asFailure(error);
  const name = failure.failure;
  if (step.fence === 0) return isFinal(failure, context.info.attempt);
  const times = (step.failed[name] ?? 0) + 1;
  const final = !passesThrough(error) && isFinal(failure, times);
  const entry = failures[name];
  const detail = name === 'Internal' ? entry.title : failure.message;
  try {
    await failStep(deps.db, {
      ...step,
      failed: passesThrough(error) ? step.failed : { ...step.failed, [name]: times },
      failure: { type: failureCode(name), title: entry.title, detail },
      final,
    });
    return final;
  } catch (cause) {
    deps.log.debug({ err: cause, step: step.node }, 'step.note-lost');
    return isFinal(failure, 1);
  }
}
