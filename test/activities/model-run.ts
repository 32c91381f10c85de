// Whole runs up to `evaluate` in one process, step by step as a worker executes them, with the real trainer and scorer
// children: for tests of what runs take over from each other.
import { join } from 'node:path';
import { randomUUID } from 'node:crypto';
import { createDatasetActivities } from '../../activities/dataset/index.js';
import { createModelActivities } from '../../activities/model/index.js';
import { type Step, withStep } from '../../activities/step.js';
import { createTrainingActivities } from '../../activities/training/index.js';
import { createScorer } from '../../adapters/scorer.js';
import { closeRun, openRerun, openRun, runView, takenSteps } from '../../db/run.js';
import { beginStep, failStep, fenceHolds, finishStep } from '../../db/step.js';
import type { Json } from '../../domain/json.js';
import { Failure, failureCode } from '../../domain/failures.js';
import type { PureStep } from '../../domain/reuse.js';
import type { RunContext, StepResultBase } from '../../domain/run.js';
import { type Document, documentOf, openWorld } from './dataset-run.js';

export const nodes = ['extract', 'profile', 'validate', 'split', 'featurize', 'train', 'package', 'evaluate'] as const;
export type Node = (typeof nodes)[number];
export type Results = Record<Node, { [key: string]: Json } & StepResultBase>;

export const csv = (shift = 0) =>
  [
    'id,x,color,y',
    ...Array.from({ length: 90 }, (_, row) => {
      const label = row % 3 === 0 ? 'a' : 'b';
      return `k${row},${(label === 'a' ? 4 : -4) + Math.sin(row) + shift},${['red', 'blue'][row % 2]},${label}`;
    }),
  ].join('\n');

export interface Options {
  overrides?: Record<string, Json>;
  fresh?: boolean;
  code?: string;
  memoryLimitMb?: number;
  checkpointEveryMs?: number;
  /** Folder of the trainer's files, where it is not the world's. */
  scratch?: string;
}

export interface Executed {
  context: RunContext;
  results: Results;
}

export async function openModelWorld() {
  const world = await openWorld();
  const scorer = createScorer({ deadlineMs: 60_000, memoryLimitMb: 2048, onChild: () => undefined });
  /** Pids of all trainer children. */
  const children: number[] = [];

  function activitiesOf(options: Options): Record<Node, (input: never) => Promise<StepResultBase>> {
    const { code = 'test', memoryLimitMb = 2000, checkpointEveryMs = 60_000 } = options;
    const { scratch = world.config.scratch } = options;
    const deps = { ...world.deps, scorer, code };
    const training = {
      ...deps,
      ...{ scratch, memoryLimitMb, checkpointEveryMs, childEnv: {} },
      device: { provider: 'cpu' as const, name: 'cpu', note: '', threads: 1 },
      command: {
        ...{ python: 'python3', environments: join(world.folder, 'environments'), variables: [] },
        secrets: ['postgres-password'],
        ...{ network: 'none', tracking: () => Promise.resolve(null) },
      },
      onChild: (pid: number, alive: boolean) => void (alive && children.push(pid)),
    };
    return {
      ...createDatasetActivities(deps),
      ...createTrainingActivities(training),
      ...createModelActivities(training),
    };
  }

  async function openStep(context: RunContext, node: string): Promise<Step> {
    const key = { workflowId: context.run, workflowRunId: 'w', activityId: `${node}-${randomUUID()}` };
    const { fence } = await beginStep(world.db, { ...key, run: context.run, node, worker: 'w', attempt: 1 });
    return {
      ...{ key, run: context.run, node, fence, previous: undefined },
      signal: new AbortController().signal,
      draining: () => false,
      guard: (tx) => fenceHolds(tx, { ...key, fence }),
      heartbeat: () => undefined,
      hold: () => Promise.resolve(),
    };
  }

  async function executeNode(context: RunContext, node: Node, inputs: Record<string, Json>, options: Options) {
    const step = await openStep(context, node);
    const { key, fence } = step;
    try {
      const input = { context, node, candidate: 0, inputs };
      const result = await withStep(step, () => activitiesOf(options)[node](input as never));
      await finishStep(world.db, { ...key, fence, result: result as unknown as Json, summary: result.summary });
      return result as Results[Node];
    } catch (error) {
      const name = error instanceof Failure ? error.failure : 'Internal';
      const failure = { type: failureCode(name), title: name, detail: String(error) };
      await failStep(world.db, { ...key, fence, failure, failed: { [name]: 1 }, final: true });
      throw error;
    }
  }

  /** Executes what was not taken over, and closes the run however it ends. */
  async function execute(context: RunContext, options: Options = {}): Promise<Executed> {
    const taken = await takenSteps(world.db, context.run);
    const results: Record<string, Json> = Object.fromEntries(taken.map(({ node, result }) => [node, result]));
    try {
      for (const node of nodes) results[node] ??= await executeNode(context, node, { ...results }, options);
      await closeRun(world.db, { run: context.run, status: 'succeeded', failure: null });
    } catch (error) {
      await closeRun(world.db, { run: context.run, status: 'failed', failure: null });
      throw error;
    }
    return { context, results: results as unknown as Results };
  }

  const who = { project: 'default', startedBy: 'kim', verified: true };

  return {
    world,
    children,
    activitiesOf,
    openStep,
    execute,
    async close() {
      scorer.close();
      await world.close();
    },
    /** Opens a run and does not execute it. */
    async open(name: string, options: Options = {}): Promise<RunContext> {
      const { overrides = {}, fresh = false } = options;
      const request = { ...who, pipeline: name, startKey: randomUUID(), trigger: 'manual' as const, overrides, fresh };
      const { id, number } = await openRun(world.db, request);
      return { run: id, project: 'default', pipeline: name, number };
    },
    async run(name: string, options: Options = {}): Promise<Executed> {
      return execute(await this.open(name, options), options);
    },
    async openAgain(of: RunContext, asked: Options & { from?: string; until?: string } = {}): Promise<RunContext> {
      const { overrides = {}, fresh = false, from = null, until = null } = asked;
      const request = { ...who, run: of.run, startKey: randomUUID(), overrides, fresh, from, until };
      const { id, number } = await openRerun(world.db, request);
      return { ...of, run: id, number };
    },
    /** A pipeline over a file of its own, which `world.write` changes. */
    async pipeline(more: Document = {}): Promise<string> {
      const name = `r${randomUUID().slice(0, 8)}`;
      const path = world.write(`${name}.csv`, csv());
      const trainer = { type: 'linear', params: { epochs: 3, batch: 16 }, seed: 7 };
      const dataset = { ...(more['dataset'] as Document | undefined), source: { type: 'file', path } };
      const { run: first } = await world.open(documentOf(name, { trainer, ...more, dataset } as Document));
      await closeRun(world.db, { run: first, status: 'cancelled', failure: null });
      return name;
    },
    async reusedOf({ run }: RunContext): Promise<PureStep[]> {
      const { steps } = await runView(world.db, 'default', run);
      return steps.filter(({ reused }) => reused !== null).map(({ name }) => name as PureStep);
    },
  };
}
