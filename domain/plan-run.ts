// The plan of a run, made from the document alone: the twelve built-in steps, one training and one packaging per candidate.
import { Failure } from './failures.js';
import type { PipelineDocument, TrainerSpecification } from './pipeline.js';
import type { Plan, PlanNode } from './plan.js';
import type { Queue } from './queues.js';
import { flopsPerStep } from './trainers.js';

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;

/** A shared activity node that always runs and whose failure ends the run; `parts` says what differs. */
function node(
  name: string,
  after: string[],
  parts: Partial<PlanNode> & Pick<PlanNode, 'queue' | 'timeoutMs'>,
): PlanNode {
  return {
    name,
    kind: 'activity',
    activity: name,
    after,
    when: true,
    skipReason: null,
    onFailure: 'fail',
    candidate: 0,
    ...parts,
  };
}

/** `timeoutMs` of a skipped wait: nothing waits that long, but every node has a number above 0. */
const skippedMs = minuteMs;

function dataNodes(document: PipelineDocument): PlanNode[] {
  const { labeling } = document;
  return [
    node('extract', [], { queue: 'cpu', timeoutMs: 2 * hourMs }),
    node('profile', ['extract'], { queue: 'cpu', timeoutMs: hourMs }),
    node('validate', ['extract', 'profile'], { queue: 'cpu', timeoutMs: hourMs }),
    node('split', ['validate'], { queue: 'cpu', timeoutMs: hourMs }),
    node('label', ['profile', 'validate', 'split'], {
      kind: 'labels',
      queue: 'cpu',
      when: labeling !== null,
      skipReason: labeling === null ? 'the pipeline asks nobody for labels' : null,
      timeoutMs: labeling?.deadlineMs ?? skippedMs,
    }),
    node('featurize', ['validate', 'split', 'label'], { queue: 'cpu', timeoutMs: 2 * hourMs }),
  ];
}

/** Several candidates are numbered from 1 in names, from 0 in `candidate` (the index into `document.trainers`). */
function candidateNodes(trainer: TrainerSpecification, candidate: number, of: number): PlanNode[] {
  const suffix = of === 1 ? '' : `-${candidate + 1}`;
  const onFailure = of === 1 ? ('fail' as const) : ('drop-candidate' as const);
  const queue: Queue = trainer.pool === 'gpu' ? 'gpu' : 'cpu';
  // a program is given the rows too
  const learntFrom = trainer.type === 'command' ? ['validate', 'split', 'label', 'featurize'] : ['featurize'];
  return [
    node(`train${suffix}`, learntFrom, { activity: 'train', queue, timeoutMs: 24 * hourMs, onFailure, candidate }),
    node(`package${suffix}`, ['validate', 'split', 'label', 'featurize', `train${suffix}`], {
      activity: 'package',
      queue: 'cpu',
      timeoutMs: hourMs,
      onFailure,
      candidate,
    }),
  ];
}

/** Beside what evaluating takes, every program of the gate may take its time, once for each variant that may be judged. */
function evaluateMs(document: PipelineDocument): number {
  const variants = document.serving.variant === 'auto' ? 2 : 1;
  const deadlines = document.gate.checks.flatMap((check) => (check.kind === 'command' ? [check.deadlineMs] : []));
  return deadlines.reduce((sum, deadlineMs) => sum + variants * (deadlineMs + hourMs), 2 * hourMs);
}

function modelNodes(document: PipelineDocument, before: string[]): PlanNode[] {
  const { approval } = document;
  return [
    node('evaluate', before, { queue: 'cpu', timeoutMs: evaluateMs(document) }),
    node('register', [...before, 'evaluate'], { queue: 'cpu', timeoutMs: 10 * minuteMs }),
    node('approve', ['evaluate', 'register'], {
      kind: 'approval',
      queue: 'flow',
      when: approval !== null,
      skipReason: approval === null ? 'the pipeline asks nobody: a passed gate promotes' : null,
      timeoutMs: approval?.deadlineMs ?? skippedMs,
    }),
    node('release', ['evaluate', 'register', 'approve'], { queue: 'flow', timeoutMs: 10_000 }),
  ];
}

/**
 * The nodes of a run in an order in which they can be executed (glossary: plan). Equal documents give equal plans.
 * A node's `after` names everything whose result it takes; skipped nodes have none to give.
 * `train` nodes with pool `auto` carry queue `cpu`: ask `trainQueue` once the width is known.
 */
export function planRun(document: PipelineDocument): Plan {
  const { trainers } = document;
  const data = dataNodes(document);
  const candidates = trainers.flatMap((trainer, index) => candidateNodes(trainer, index, trainers.length));
  const before = [...data, ...candidates].map(({ name }) => name);
  return [...data, ...candidates, ...modelNodes(document, before)];
}

/**
 * From this many floating point operations per optimiser step a GPU pays. A GPU step costs 0.4 to 1.1 ms of kernel starts
 * whatever its size, as long as one CPU core needs for a step of about 0.4 GFLOP; with hidden layers of 1,024 it is 3 GFLOP.
 */
export const gpuFlopsPerStep = 1e9;

/** Where to train when rows are featurised: `width` columns of the matrix, `outputs` classes (1 for regression). */
export function trainQueue(trainer: TrainerSpecification, width: number, outputs: number): 'cpu' | 'gpu' {
  if (trainer.pool !== 'auto') return trainer.pool;
  // nobody knows what a program does in one step
  if (trainer.type === 'command') return 'cpu';
  const { type, params } = trainer;
  return flopsPerStep({ trainer: type, params, width, outputs }) >= gpuFlopsPerStep ? 'gpu' : 'cpu';
}

/**
 * The same nodes with each one behind all it comes after; among those that could go next, the earlier in `plan` first.
 * @throws Failure InvalidPipeline for a name given twice, a name in `after` that no node has, or a cycle
 */
export function orderPlan(plan: Plan): Plan {
  const names = new Set<string>();
  for (const { name } of plan) {
    if (names.has(name)) throw new Failure('InvalidPipeline', `two steps have the name ${name}`);
    names.add(name);
  }
  for (const { name, after } of plan) {
    const unknown = after.find((other) => !names.has(other));
    if (unknown !== undefined)
      throw new Failure('InvalidPipeline', `step ${name} comes after ${unknown}, which is no step`);
  }
  const done = new Set<string>();
  const ordered: Plan = [];
  let left = [...plan];
  while (left.length > 0) {
    const next = left.find(({ after }) => after.every((other) => done.has(other)));
    if (!next)
      throw new Failure(
        'InvalidPipeline',
        `these steps wait for each other: ${left.map(({ name }) => name).join(', ')}`,
      );
    done.add(next.name);
    ordered.push(next);
    left = left.filter((other) => other !== next);
  }
  return ordered;
}
