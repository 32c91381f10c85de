// Executes a plan: each node as soon as the nodes before it are done. Knows nothing of what the nodes do.
// A node's result may end the plan (a verdict that did not pass) or send it back to an earlier node (`again`).
import { CancellationScope, isCancellation } from '@temporalio/workflow';
import type { Json } from '../domain/json.js';
import type { Plan, PlanNode } from '../domain/plan.js';
import { orderPlan } from '../domain/plan-run.js';
import type { Verdict } from '../domain/run.js';
import type { StepResult } from './proxies.js';

export interface PlanHost {
  /** Runs one node. `round` counts from 1 and rises each time the plan comes back to it. */
  execute(node: PlanNode, inputs: Record<string, Json>, round: number): Promise<StepResult>;
  /** Told of every change of a node's state. */
  note(node: PlanNode, state: 'running' | 'succeeded' | 'skipped' | 'failed', summary: string): void;
  /** Whether this error may cost a candidate only. Cancellation may not. */
  droppable(error: unknown): boolean;
  /** What an error says, in one line. */
  reason(error: unknown): string;
}

/** What a node threw, and which node: several may be under way. A cancellation is thrown as it is. */
export class NodeFailure extends Error {
  readonly node: string;
  /** Candidates that failed, where all of them did; 0 otherwise. */
  readonly candidates: number;

  constructor(node: string, cause: unknown, candidates = 0) {
    super(`${node} failed`, { cause });
    this.node = node;
    this.candidates = candidates;
  }
}

export interface PlanOutcome {
  results: Record<string, Json>;
  /** The verdict that ended the plan early, or null. */
  ended: Verdict | null;
}

interface Progress {
  done: Map<string, StepResult | null>;
  rounds: Map<string, number>;
  /** By candidate. */
  dropped: Map<number, NodeFailure>;
  ended: Verdict | null;
}

/**
 * Runs `plan` to its end.
 * @throws NodeFailure, or the cancellation, after the nodes beside it were cancelled
 */
export async function executePlan(plan: Plan, host: PlanHost): Promise<PlanOutcome> {
  const nodes = orderPlan(plan);
  const progress: Progress = { done: new Map(), rounds: new Map(), dropped: new Map(), ended: null };
  while (progress.ended === null) {
    const ready = nodes.filter(
      (node) => !progress.done.has(node.name) && node.after.every((name) => progress.done.has(name)),
    );
    if (ready.length === 0) break;
    await CancellationScope.cancellable(() => together(ready.map((node) => () => settle(plan, node, host, progress))));
  }
  const results = Object.fromEntries([...progress.done].filter(([, result]) => result !== null)) as Record<
    string,
    Json
  >;
  return { results, ended: progress.ended };
}

/** All at once; the first failure cancels the others, and is thrown when they have stopped. */
async function together(works: (() => Promise<void>)[]): Promise<void> {
  const scope = CancellationScope.current();
  let failed = false;
  let failure: unknown;
  await Promise.all(
    works.map((work) =>
      work().catch((error: unknown) => {
        if (failed) return;
        failed = true;
        failure = error;
        if (works.length > 1) scope.cancel();
      }),
    ),
  );
  if (failed) throw failure;
}

async function settle(plan: Plan, node: PlanNode, host: PlanHost, progress: Progress): Promise<void> {
  if (
    !node.when ||
    ((node.candidate > 0 || node.onFailure === 'drop-candidate') && progress.dropped.has(node.candidate))
  ) {
    progress.done.set(node.name, null);
    host.note(node, 'skipped', node.skipReason ?? 'the candidate was dropped');
    return;
  }
  const round = (progress.rounds.get(node.name) ?? 0) + 1;
  progress.rounds.set(node.name, round);
  host.note(node, 'running', '');
  try {
    const result = await host.execute(node, inputsOf(node, progress), round);
    progress.done.set(node.name, result);
    host.note(node, 'succeeded', result.summary);
    follow(plan, result, progress);
  } catch (error) {
    host.note(node, 'failed', host.reason(error));
    if (isCancellation(error)) throw error;
    const failure = new NodeFailure(node.name, error);
    if (node.onFailure !== 'drop-candidate' || !host.droppable(error)) throw failure;
    progress.dropped.set(node.candidate, failure);
    progress.done.set(node.name, null);
    refuseNone(plan, progress);
  }
}

/** The first candidate's failure speaks for all, with its own step: the others stand in their steps. */
function refuseNone(plan: Plan, { dropped }: Progress): void {
  const droppable = plan.filter(({ onFailure }) => onFailure === 'drop-candidate');
  const candidates = new Set(droppable.map(({ candidate }) => candidate));
  if (dropped.size < candidates.size) return;
  const [, first] = [...dropped].sort(([one], [other]) => one - other)[0]!;
  throw new NodeFailure(first.node, first.cause, candidates.size);
}

/** A node gets what it names in `after`, and no more: results are digests, but they add up in the history. */
function inputsOf(node: PlanNode, progress: Progress): Record<string, Json> {
  const inputs: Record<string, Json> = {};
  for (const name of node.after) {
    const result = progress.done.get(name);
    if (result) inputs[name] = result;
  }
  return inputs;
}

function follow(plan: Plan, result: StepResult, progress: Progress): void {
  const verdict = result['verdict'] as Verdict | undefined;
  if (verdict && !verdict.passed) progress.ended = verdict;
  const again = result['again'];
  if (typeof again !== 'string') return;
  for (const name of from(plan, again)) progress.done.delete(name);
}

/** `name` and every node that comes after it. */
function from(plan: Plan, name: string): Set<string> {
  const names = new Set([name]);
  for (const node of orderPlan(plan)) if (node.after.some((before) => names.has(before))) names.add(node.name);
  return names;
}
