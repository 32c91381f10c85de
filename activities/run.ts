// The ends of a run: how it begins (also when a person starts it in Temporal's CLI) and how it is closed.
import { Context } from '@temporalio/activity';
import type { Db } from '../db/client.js';
import { inTransaction } from '../db/client.js';
import { appendAudit } from '../db/audit.js';
import { closeRun as writeEnd, openRun, requireOwnRun, runSpecification, setRunPlan, takenSteps } from '../db/run.js';
import type { FailureName } from '../domain/failures.js';
import { Failure } from '../domain/failures.js';
import type { Json } from '../domain/json.js';
import type { PipelineDocument } from '../domain/pipeline.js';
import type { Plan } from '../domain/plan.js';
import { planRun } from '../domain/plan-run.js';
import { cutPlan } from '../domain/rerun.js';
import type { RunContext, RunFailure, StepResultBase, Verdict } from '../domain/run.js';

export interface BeginRunResult {
  context: RunContext;
  document: PipelineDocument;
  /** Made once and kept in the history: a run that waits for weeks goes on with the plan it began with. */
  plan: Plan;
  /** Results that a run again took over, by node: these are not executed. Absent in histories of before. */
  taken?: Record<string, TakenResult>;
}

export type TakenResult = { [key: string]: Json } & StepResultBase;

export interface CloseRunInput {
  run: string;
  status: 'succeeded' | 'rejected' | 'failed' | 'cancelled';
  failure: RunFailure | null;
  verdict: Verdict | null;
}

export interface RefusalInput {
  project: string;
  subject: string;
  actor: string;
  failure: FailureName;
  detail: string;
}

export function createRunActivities({ db, kick }: { db: Db; kick: () => void }) {
  return {
    /**
     * Idempotent by the run's id or, without one, by the workflow's id. Throws `RunLive`, `RunEnded`, `NotFound`,
     * `InvalidRequest`.
     */
    async beginRun(input: {
      pipeline: string;
      project: string;
      run?: string;
      overrides?: Record<string, Json>;
      until?: string;
      fresh?: boolean;
    }): Promise<BeginRunResult> {
      if (typeof input.pipeline !== 'string') throw new Failure('InvalidRequest', 'the input needs a pipeline');
      const { workflowId = '', runId = '' } = Context.current().info.workflowExecution ?? {};
      return inTransaction(db, async (tx) => {
        if (input.run !== undefined) await requireOwnRun(tx, input.run, workflowId);
        const run =
          input.run ??
          (
            await openRun(tx, {
              project: input.project,
              pipeline: input.pipeline,
              // A workflow id may be used again from the CLI: that is another run.
              startKey: `cli/${workflowId}/${runId}`,
              trigger: 'cli',
              overrides: input.overrides ?? {},
              until: input.until ?? null,
              fresh: input.fresh ?? false,
              startedBy: 'temporal',
              verified: false,
              workflowId,
            })
          ).id;
        const { context, document, until } = await runSpecification(tx, run);
        const plan = cutPlan(planRun(document), until);
        const shown = plan.map(({ name, when, skipReason }) => ({ name, skipReason: when ? null : skipReason }));
        await setRunPlan(tx, run, shown);
        const taken = await takenSteps(tx, run);
        const results = taken.map(({ node, result }) => [node, result as TakenResult] as const);
        return { context, document, plan, taken: Object.fromEntries(results) };
      });
    },

    /** Writes the end and tells the loop, in one transaction; a second call changes nothing, nor does one for another workflow's run. */
    async closeRun(input: CloseRunInput): Promise<void> {
      const { workflowId = '' } = Context.current().info.workflowExecution ?? {};
      await inTransaction(db, (tx) =>
        writeEnd(tx, {
          run: input.run,
          workflowId,
          status: input.status,
          failure: input.failure,
          ...(input.verdict ? { verdict: input.verdict } : {}),
        }),
      );
      kick();
    },

    /** A decision that came as a Signal and was refused leaves a trace. */
    async recordRefusal(input: RefusalInput): Promise<void> {
      await inTransaction(db, (tx) =>
        appendAudit(tx, {
          project: input.project,
          actor: input.actor || 'unknown',
          verified: false,
          action: 'decision.refused',
          subject: input.subject,
          details: { failure: input.failure, detail: input.detail },
        }),
      );
    },
  };
}
