// The product's door to Temporal for everything but workers: starts, signals, decisions, schedules, namespace.
import {
  Client,
  Connection,
  WorkflowExecutionAlreadyStartedError,
  WorkflowNotFoundError,
  WorkflowUpdateFailedError,
  WorkflowUpdateRPCTimeoutOrCancelledError,
} from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { type FailureName, isFailureName } from '../domain/failures.js';
import type { Json } from '../domain/json.js';

/** What the outbox hands over (db/outbox.ts has the same shape; adapters do not import db). */
export interface Message {
  kind: 'start' | 'signal';
  workflowId: string;
  name: string;
  taskQueue: string | null;
  payload: Json;
  attributes: Record<string, string>;
  summary: string | null;
}

export type DecisionOutcome =
  | { kind: 'answer'; answer: Json }
  | { kind: 'refused'; failure: FailureName; detail: string }
  | { kind: 'pending' }
  | { kind: 'closed' };

export interface DecisionClient {
  /** Sends the Update `decide` with `decisionId` as its update id, and waits for the workflow's answer. */
  decide(
    workflowId: string,
    decision: Json,
    options: { decisionId: string; timeoutMs: number },
  ): Promise<DecisionOutcome>;
  cancel(workflowId: string): Promise<void>;
}

export interface Temporal {
  client: Client;
  sender(message: Message): Promise<'sent' | 'gone'>;
  decisions: DecisionClient;
  close(): Promise<void>;
}

const rpcTimeoutMs = 10_000;

/** Connects lazily: a server that is away is an error of the call, not of the start. */
export function connectTemporal(address: string, namespace: string): Temporal {
  const connection = Connection.lazy({ address, connectTimeout: rpcTimeoutMs });
  const client = new Client({ connection, namespace });
  const within = <T>(ms: number, work: () => Promise<T>) => connection.withDeadline(Date.now() + ms, work);
  return {
    client,
    sender: (message) => within(rpcTimeoutMs, () => send(client, message)),
    decisions: {
      decide: (workflowId, decision, options) =>
        within(options.timeoutMs, () => decide(client, workflowId, decision, options.decisionId)),
      cancel: (workflowId) =>
        within(rpcTimeoutMs, async () => {
          await client.workflow.getHandle(workflowId).cancel();
        }),
    },
    close: () => connection.close(),
  };
}

/** Repeatable: a start by fixed id is done once, a signal carries absolute positions or an id of its own. */
async function send(client: Client, message: Message): Promise<'sent' | 'gone'> {
  try {
    if (message.kind === 'signal') {
      await client.workflow.getHandle(message.workflowId).signal(message.name, message.payload);
    } else {
      await start(client, message);
    }
    return 'sent';
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError) return 'sent';
    if (error instanceof WorkflowNotFoundError) return 'gone';
    throw error;
  }
}

const restartable = ['pipelineLoop', 'labelBatch'];

/** Loops, and batches that no run opened, are their rows: the reconciler starts them again. A run never runs twice under one id. */
async function start(client: Client, message: Message): Promise<void> {
  const project = message.workflowId.split('/')[1] ?? 'default';
  await client.workflow.start(message.name, {
    workflowId: message.workflowId,
    taskQueue: message.taskQueue ?? 'flow',
    args: [message.payload],
    workflowIdReusePolicy: restartable.includes(message.name) ? 'ALLOW_DUPLICATE' : 'REJECT_DUPLICATE',
    workflowIdConflictPolicy: 'FAIL',
    priority: { priorityKey: 3, fairnessKey: project.slice(0, 64) },
    typedSearchAttributes: Object.entries(message.attributes).map(([name, value]) => ({
      key: { name, type: 'KEYWORD' as const },
      value,
    })),
    ...(message.summary === null ? {} : { staticSummary: message.summary }),
  });
}

async function decide(
  client: Client,
  workflowId: string,
  decision: Json,
  decisionId: string,
): Promise<DecisionOutcome> {
  try {
    const handle = client.workflow.getHandle(workflowId);
    const answer = await handle.executeUpdate<Json, [Json]>('decide', { args: [decision], updateId: decisionId });
    return { kind: 'answer', answer };
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return { kind: 'closed' };
    if (error instanceof WorkflowUpdateRPCTimeoutOrCancelledError) return { kind: 'pending' };
    if (error instanceof WorkflowUpdateFailedError) return refused(error);
    if (isUnreachable(error)) return { kind: 'pending' };
    throw error;
  }
}

function refused(error: WorkflowUpdateFailedError): DecisionOutcome {
  let cause: unknown = error.cause;
  while (cause instanceof Error && !(cause instanceof ApplicationFailure && isFailureName(cause.type)))
    cause = cause.cause;
  if (cause instanceof ApplicationFailure && isFailureName(cause.type)) {
    return { kind: 'refused', failure: cause.type, detail: cause.message };
  }
  // The workflow ended while the update was under way: its row has the answer.
  return { kind: 'closed' };
}

/** gRPC UNAVAILABLE, DEADLINE_EXCEEDED, CANCELLED, or RESOURCE_EXHAUSTED: nobody answered, the Signal will. */
function isUnreachable(error: unknown): boolean {
  const cause: unknown = error instanceof Error && error.cause ? error.cause : error;
  const code = typeof cause === 'object' && cause !== null && 'code' in cause ? cause.code : undefined;
  return code === 14 || code === 4 || code === 1 || code === 8;
}
