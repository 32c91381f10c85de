// The reducer of a pipeline's loop: what it knows, how each message changes that, and what it does next.
// All positions are absolute and only grow, so that messages may come twice, late and in any order.
import { dayMs } from './duration.js';
import type { PipelineDocument } from './pipeline.js';
import { formatDuration } from './duration.js';

/** What Postgres says about a pipeline: everything a loop may hold (architecture, rule 11). Times are ISO 8601. */
export interface LoopFacts {
  project: string;
  pipeline: string;
  version: number;
  paused: boolean;
  triggers: PipelineDocument['triggers'];
  liveRun: { id: string } | null;
  /** Number of the last run opened, 0 before the first. */
  lastNumber: number;
  lastOpenedAt: string | null;
  /** When each run of the last 24 hours was opened; the newest is run `lastNumber`. */
  openedLast24h: string[];
  /** Rows accepted by the two POSTs for this dataset, ever. */
  acceptedRows: number;
  /** The same when the last run was opened. */
  acceptedRowsAtLastRun: number;
  /** The newest time that the schedule named. */
  dueAt: string | null;
}

export interface Opening {
  number: number;
  atMs: number;
}

/** Plain JSON, carried over continue-as-new. */
export interface LoopState {
  v: 1;
  project: string;
  pipeline: string;
  /** Pipeline version whose triggers these are, and the newest one heard of. */
  version: number;
  newestVersion: number;
  paused: boolean;
  triggers: PipelineDocument['triggers'];
  /** Numbers of the last run known to be opened and the last known to have ended. A run is live between the two. */
  lastNumber: number;
  endedNumber: number;
  /** Runs of the last 24 hours before the newest, by number. */
  openings: Opening[];
  ingest: number;
  acceptedRows: number;
  /** How many of `acceptedRows` a run has seen. */
  servedRows: number;
  /** Newest schedule time that was due, and the newest that a run answered; milliseconds since 1970, 0 for none. */
  dueMs: number;
  servedDueMs: number;
  /** How many messages said that Postgres knows more, and how many of them came before the facts were read. */
  heard: number;
  read: number;
  /** Id of the run that stood in the way of the last attempt to open one, until facts are read. */
  blockedBy: string | null;
  /** Ids of the last runs heard to have ended, by number. */
  endedRuns: { run: string; number: number }[];
}

export type LoopEvent =
  | { type: 'rowsArrived'; ingest: number; acceptedRows: number }
  /** `due` is the time the schedule named, ISO 8601, not the time the message came. */
  | { type: 'trigger'; kind: 'schedule'; due: string }
  /** Version, triggers or pause changed; facts say what it is now. */
  | { type: 'pipelineChanged'; version: number }
  | { type: 'runEnded'; run: string; number: number; status: string }
  /** `heard`: the state's when the reading began, so that a change during it is read again. Absent: nothing came meanwhile. */
  | { type: 'facts'; facts: LoopFacts; heard?: number }
  /** The loop opened a run itself: `at` its time of opening, `dueMs` and `acceptedRows` from the decision. */
  | { type: 'opened'; run: string; number: number; at: string; acceptedRows: number; dueMs?: number }
  /** `openRun` answered `run-live`; `run` is the one that lives, where the answer named it. */
  | { type: 'refusedLive'; run?: string };

export type LoopDecision =
  | {
      kind: 'open';
      trigger: 'schedule' | 'rows';
      /** Makes the start key `loop/<cycle>`; no two runs of a pipeline have the same. */
      cycle: number;
      dueMs: number;
      acceptedRows: number;
    }
  /** `untilMs` null: only a message can change that. */
  | { kind: 'wait'; untilMs: number | null; why: string };

/** So many ended runs are remembered; a message about an older one would have to be late by as many runs. */
const endedRunsKept = 20;

/** Knows nothing yet: facts come first. */
export function initialLoop(project: string, pipeline: string): LoopState {
  return {
    v: 1,
    project,
    pipeline,
    version: 0,
    newestVersion: 0,
    paused: false,
    triggers: { schedule: null, timezone: 'UTC', newRows: null, cooldownMs: 0, maxRunsPerDay: null },
    lastNumber: 0,
    endedNumber: 0,
    openings: [],
    ingest: 0,
    acceptedRows: 0,
    servedRows: 0,
    dueMs: 0,
    servedDueMs: 0,
    heard: 1,
    read: 0,
    blockedBy: null,
    endedRuns: [],
  };
}

/** Milliseconds since 1970; 0 for a text that is no time. */
function timeMs(text: string): number {
  const parsed = Date.parse(text);
  return Number.isFinite(parsed) ? parsed : 0;
}

/** Counts and numbers out of messages: whole and not negative, else 0, which changes nothing. */
function position(value: number): number {
  return Number.isSafeInteger(value) && value > 0 ? value : 0;
}

/** `preferred` says whose time stands for a run in both lists: Postgres' clock beats the loop's. */
function mergeOpenings(openings: Opening[], preferred: Opening[]): Opening[] {
  const byNumber = new Map([...openings, ...preferred].map((opening) => [opening.number, opening.atMs]));
  const newest = Math.max(0, ...byNumber.values());
  return [...byNumber]
    .map(([number, atMs]) => ({ number, atMs }))
    .filter(({ atMs }) => atMs > newest - dayMs)
    .sort((a, b) => a.number - b.number);
}

function withFacts(state: LoopState, facts: LoopFacts, heard: number): LoopState {
  const times = facts.openedLast24h.map(timeMs).sort((a, b) => b - a);
  if (facts.lastOpenedAt !== null && times.length === 0) times.push(timeMs(facts.lastOpenedAt));
  const openings = times.map((atMs, back) => ({ number: facts.lastNumber - back, atMs }));
  const newer = facts.version >= state.version;
  return {
    ...state,
    version: Math.max(state.version, facts.version),
    newestVersion: Math.max(state.newestVersion, facts.version),
    paused: newer ? facts.paused : state.paused,
    triggers: newer ? facts.triggers : state.triggers,
    lastNumber: Math.max(state.lastNumber, facts.lastNumber),
    // At most one run of a pipeline lives, and it is the last one opened.
    endedNumber: Math.max(state.endedNumber, facts.liveRun === null ? facts.lastNumber : facts.lastNumber - 1),
    openings: mergeOpenings(state.openings, openings),
    acceptedRows: Math.max(state.acceptedRows, facts.acceptedRows),
    servedRows: Math.max(state.servedRows, facts.acceptedRowsAtLastRun),
    // absent in the facts that an older history holds
    dueMs: Math.max(state.dueMs, timeMs(facts.dueAt ?? '')),
    read: Math.max(state.read, heard),
    blockedBy: null,
  };
}

function withEnded(state: LoopState, run: string, number: number): LoopState {
  const others = state.endedRuns.filter((ended) => ended.run !== run);
  const endedRuns = [...others, { run, number }].sort((a, b) => a.number - b.number).slice(-endedRunsKept);
  return {
    ...state,
    lastNumber: Math.max(state.lastNumber, number),
    endedNumber: Math.max(state.endedNumber, number),
    blockedBy: state.blockedBy === run ? null : state.blockedBy,
    endedRuns,
  };
}

/** The state after one message. Pure; unknown or nonsensical messages change nothing. */
export function nextLoop(state: LoopState, event: LoopEvent): LoopState {
  switch (event.type) {
    case 'rowsArrived':
      return {
        ...state,
        ingest: Math.max(state.ingest, position(event.ingest)),
        acceptedRows: Math.max(state.acceptedRows, position(event.acceptedRows)),
      };
    case 'trigger':
      return { ...state, dueMs: Math.max(state.dueMs, timeMs(event.due)) };
    case 'pipelineChanged':
      return {
        ...state,
        newestVersion: Math.max(state.newestVersion, position(event.version)),
        heard: state.heard + 1,
      };
    case 'runEnded':
      return withEnded(state, event.run, position(event.number));
    case 'facts':
      return withFacts(state, event.facts, event.heard ?? state.heard);
    case 'opened':
      return {
        ...state,
        lastNumber: Math.max(state.lastNumber, position(event.number)),
        openings: mergeOpenings([{ number: position(event.number), atMs: timeMs(event.at) }], state.openings),
        servedRows: Math.max(state.servedRows, position(event.acceptedRows)),
        servedDueMs: Math.max(state.servedDueMs, position(event.dueMs ?? 0)),
        blockedBy: null,
      };
    case 'refusedLive': {
      const over = state.endedRuns.some(({ run }) => run === event.run);
      return { ...state, heard: state.heard + 1, blockedBy: over ? state.blockedBy : (event.run ?? 'another run') };
    }
    default:
      return state;
  }
}

/** Read the facts before deciding: a message said that Postgres knows more. */
export function needsFacts(state: LoopState): boolean {
  return state.heard > state.read || state.newestVersion > state.version;
}

/** Which trigger waits for a run, the schedule before rows; null for none. A run opened after a due time has answered it. */
function pendingTrigger(state: LoopState): 'schedule' | 'rows' | null {
  const { triggers } = state;
  const lastOpenedMs = state.openings.at(-1)?.atMs ?? 0;
  const due = state.dueMs > state.servedDueMs && state.dueMs > lastOpenedMs;
  if (triggers.schedule !== null && due) return 'schedule';
  if (triggers.newRows !== null && state.acceptedRows - state.servedRows >= triggers.newRows) return 'rows';
  return null;
}

/** Earliest time at which the cool-down and the daily cap both allow a run; 0 for at once. */
function allowedFrom(state: LoopState, nowMs: number): { atMs: number; why: string } {
  const { cooldownMs, maxRunsPerDay } = state.triggers;
  const last = state.openings.at(-1);
  const cooled = last === undefined ? 0 : last.atMs + cooldownMs;
  const recent = state.openings.map(({ atMs }) => atMs).filter((atMs) => atMs > nowMs - dayMs);
  recent.sort((a, b) => a - b);
  const full = maxRunsPerDay !== null && recent.length >= maxRunsPerDay;
  const free = full ? (recent[recent.length - maxRunsPerDay] ?? 0) + dayMs : 0;
  if (free > cooled) return { atMs: free, why: `${recent.length} runs in 24 hours, ${maxRunsPerDay} are allowed` };
  return { atMs: cooled, why: `cooling down for ${formatDuration(cooldownMs)} after the last run` };
}

/** What the loop does now, at `nowMs` since 1970. A thousand messages make one run; what is pending outlives pause and live runs. */
export function decideLoop(state: LoopState, nowMs: number): LoopDecision {
  if (state.newestVersion > state.version) {
    return { kind: 'wait', untilMs: null, why: `version ${state.newestVersion} has to be read` };
  }
  if (state.paused) return { kind: 'wait', untilMs: null, why: 'paused' };
  if (state.lastNumber > state.endedNumber) {
    return { kind: 'wait', untilMs: null, why: `run ${state.lastNumber} is alive` };
  }
  if (state.blockedBy !== null) return { kind: 'wait', untilMs: null, why: `${state.blockedBy} is alive` };
  const trigger = pendingTrigger(state);
  if (trigger === null) return { kind: 'wait', untilMs: null, why: 'no trigger is pending' };
  const { atMs, why } = allowedFrom(state, nowMs);
  if (atMs > nowMs) return { kind: 'wait', untilMs: atMs, why };
  const { dueMs, acceptedRows } = state;
  return { kind: 'open', trigger, cycle: state.lastNumber + 1, dueMs, acceptedRows };
}
