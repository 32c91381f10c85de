// pipelineLoop: the long life of one pipeline. Started when the pipeline is created, lives for years: it continues as new
// after each run. Holds triggers, pause, cool-down and daily cap in one pure reducer (domain/loop.ts); opens runs beside
// itself and never owns them. tick: what a Temporal Schedule starts, only to signal the loop through the outbox.
import {
  allHandlersFinished,
  condition,
  makeContinueAsNewFunc,
  setCurrentDetails,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import {
  decideLoop,
  initialLoop,
  type LoopDecision,
  type LoopEvent,
  type LoopState,
  needsFacts,
  nextLoop,
} from '../domain/loop.js';
import { namedFailure } from './fail.js';
import {
  type LoopInput,
  loopState,
  pipelineChanged,
  rowsArrived,
  runEnded,
  trigger as triggered,
} from './pipeline.messages.js';
import { flow } from './proxies.js';

const mostEvents = 2_000;
/** Even when no signal comes, the facts are read again this often. */
const rereadMs = 3_600_000;

interface Flags {
  stirred: boolean;
  reread: boolean;
  cycleOver: boolean;
}

export async function pipelineLoop(input: LoopInput): Promise<never> {
  const { project, pipeline } = input;
  let state: LoopState = input.state ?? initialLoop(project, pipeline);
  const flags: Flags = { stirred: false, reread: true, cycleOver: false };
  const take = (event: LoopEvent) => {
    state = nextLoop(state, event);
    flags.stirred = true;
  };
  listen(take, flags, () => state);
  for (;;) {
    // again while a change came meanwhile: nothing below would wake up for it
    while (flags.reread || needsFacts(state)) {
      flags.reread = false;
      const { heard } = state;
      const facts = await flow.readLoopFacts({ project, pipeline });
      take({ type: 'facts', facts, heard });
      const { schedule, timezone } = facts.triggers;
      await flow.ensureSchedule({ project, pipeline, schedule, timezone, paused: facts.paused });
    }
    flags.stirred = false;
    const decision = decideLoop(state, Date.now());
    if (decision.kind === 'open') {
      take(await open(input, decision));
      show(state, 'a run is on its way');
      continue;
    }
    show(state, decision.why);
    if (mustContinue(flags)) {
      await condition(allHandlersFinished);
      if (!flags.stirred) return makeContinueAsNewFunc<typeof pipelineLoop>()({ project, pipeline, state });
      continue;
    }
    const waitMs =
      decision.untilMs === null ? rereadMs : Math.min(rereadMs, Math.max(0, decision.untilMs - Date.now()));
    const stirred = await condition(() => flags.stirred || flags.reread, waitMs, { summary: decision.why });
    if (!stirred && waitMs === rereadMs) flags.reread = true;
  }
}

function mustContinue(flags: Flags): boolean {
  const info = workflowInfo();
  return flags.cycleOver || info.continueAsNewSuggested || info.historyLength > mostEvents;
}

/** A run that lives already is no failure: the trigger stays pending until that one has ended. */
async function open(input: LoopInput, decision: LoopDecision & { kind: 'open' }): Promise<LoopEvent> {
  try {
    const opened = await flow.openLoopRun({
      project: input.project,
      pipeline: input.pipeline,
      startKey: `loop/${decision.cycle}`,
      trigger: decision.trigger,
    });
    const { id, number, openedAt, acceptedRows } = opened;
    return { type: 'opened', run: id, number, at: openedAt, acceptedRows, dueMs: decision.dueMs };
  } catch (error) {
    if (namedFailure(error).name !== 'RunLive') throw error;
    return { type: 'refusedLive' };
  }
}

function listen(take: (event: LoopEvent) => void, flags: Flags, current: () => LoopState): void {
  setHandler(rowsArrived, (event) => take({ type: 'rowsArrived', ...event }));
  setHandler(triggered, (event) => take({ type: 'trigger', ...event }));
  setHandler(pipelineChanged, (event) => take({ type: 'pipelineChanged', ...event }));
  setHandler(runEnded, (event) => {
    take({ type: 'runEnded', ...event });
    flags.reread = true;
    flags.cycleOver = true;
  });
  setHandler(loopState, current);
}

function show(state: LoopState, why: string): void {
  setCurrentDetails(
    [`### loop of ${state.pipeline}`, `**${why}**`, `last run: ${state.lastNumber || 'none yet'}`].join('\n\n'),
  );
}

/** Started by a Schedule: writes the signal `trigger` for the loop and ends. */
export async function tick(input: { project: string; pipeline: string }): Promise<void> {
  const { startTime } = workflowInfo();
  await flow.fireTrigger({ ...input, due: startTime.toISOString() });
}
