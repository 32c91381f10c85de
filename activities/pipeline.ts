// What the loop of a pipeline does outside: reads its facts, opens runs, keeps its one Schedule, passes a tick on.
import { type Client, ScheduleNotFoundError } from '@temporalio/client';
import type { Db } from '../db/client.js';
import { inTransaction } from '../db/client.js';
import { enqueue } from '../db/outbox.js';
import { loopFacts, noteDue } from '../db/pipeline.js';
import { openRun } from '../db/run.js';
import { workflowIds } from '../domain/ids.js';
import type { LoopFacts } from '../domain/loop.js';
import type { TriggerKind } from '../domain/run.js';

interface PipelineDeps {
  db: Db;
  client: Client;
  kick: () => void;
}

interface ScheduleInput {
  project: string;
  pipeline: string;
  schedule: string | null;
  timezone: string;
  paused: boolean;
}

/** After an outage one missed start is caught up, not a year of them. */
const catchupWindow = '1 hour';

export function createPipelineActivities({ db, client, kick }: PipelineDeps) {
  return {
    readLoopFacts: (input: { project: string; pipeline: string }): Promise<LoopFacts> =>
      inTransaction(db, (tx) => loopFacts(tx, input.project, input.pipeline)),

    /** Idempotent by `startKey`. Throws `RunLive` while another run lives. */
    async openLoopRun(input: {
      project: string;
      pipeline: string;
      startKey: string;
      trigger: TriggerKind;
    }): Promise<{ id: string; number: number; openedAt: string; acceptedRows: number }> {
      const { opened, facts } = await inTransaction(db, async (tx) => ({
        opened: await openRun(tx, { ...input, overrides: {}, startedBy: 'loop', verified: true }),
        facts: await loopFacts(tx, input.project, input.pipeline),
      }));
      kick();
      return {
        id: opened.id,
        number: opened.number,
        openedAt: facts.lastOpenedAt ?? new Date().toISOString(),
        acceptedRows: facts.acceptedRowsAtLastRun,
      };
    },

    /** Makes, changes or removes the Schedule so that it is what the document says. Safe to repeat. */
    async ensureSchedule(input: ScheduleInput): Promise<void> {
      const scheduleId = workflowIds.trigger(input.project, input.pipeline);
      if (input.schedule === null) {
        await removeSchedule(client, scheduleId);
        return;
      }
      await writeSchedule(client, scheduleId, input, input.schedule);
    },

    /** Notes the due time and signals `trigger`, by outbox like every other message. The due time is absolute: a repeat is the same. */
    async fireTrigger(input: { project: string; pipeline: string; due: string }): Promise<void> {
      const { project, pipeline, due } = input;
      const workflowId = workflowIds.loop(project, pipeline);
      const coalesceKey = `${workflowId}/trigger`;
      await inTransaction(db, async (tx) => {
        await noteDue(tx, project, pipeline, due);
        await enqueue(tx, {
          kind: 'signal',
          workflowId,
          name: 'trigger',
          payload: { kind: 'schedule', due },
          project,
          coalesceKey,
        });
      });
      kick();
    },
  };
}

async function removeSchedule(client: Client, scheduleId: string): Promise<void> {
  await client.schedule
    .getHandle(scheduleId)
    .delete()
    .catch((error: unknown) => {
      if (!(error instanceof ScheduleNotFoundError)) throw error;
    });
}

async function writeSchedule(client: Client, scheduleId: string, input: ScheduleInput, cron: string): Promise<void> {
  const spec = { cronExpressions: [cron], timezone: input.timezone };
  const policies = { overlap: 'SKIP' as const, catchupWindow };
  const action = {
    type: 'startWorkflow' as const,
    workflowType: 'tick',
    taskQueue: 'flow',
    workflowId: `tick/${input.project}/${input.pipeline}`,
    args: [{ project: input.project, pipeline: input.pipeline }],
    staticSummary: `schedule of ${input.pipeline}`,
  };
  const handle = client.schedule.getHandle(scheduleId);
  try {
    await handle.update((before) => ({
      ...before,
      spec,
      policies,
      action,
      state: { ...before.state, paused: input.paused },
    }));
  } catch (error) {
    if (!(error instanceof ScheduleNotFoundError)) throw error;
    await client.schedule.create({ scheduleId, spec, policies, action, state: { paused: input.paused } });
  }
}
