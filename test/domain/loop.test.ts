import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  decideLoop,
  initialLoop,
  type LoopEvent,
  type LoopFacts,
  type LoopState,
  needsFacts,
  nextLoop,
} from '../../domain/loop.js';

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const nowMs = Date.parse('2026-03-01T12:00:00Z');

function at(offsetMs: number): string {
  return new Date(nowMs + offsetMs).toISOString();
}

const triggers = { schedule: '0 2 * * *', timezone: 'UTC', newRows: 100, cooldownMs: hourMs, maxRunsPerDay: 3 };

function facts(changes: Partial<LoopFacts> = {}): LoopFacts {
  return {
    project: 'default',
    pipeline: 'digits',
    version: 1,
    paused: false,
    triggers,
    liveRun: null,
    lastNumber: 2,
    lastOpenedAt: at(-5 * hourMs),
    openedLast24h: [at(-5 * hourMs)],
    acceptedRows: 1000,
    acceptedRowsAtLastRun: 1000,
    dueAt: null,
    ...changes,
  };
}

function after(...events: LoopEvent[]): LoopState {
  return events.reduce(nextLoop, initialLoop('default', 'digits'));
}

function known(changes: Partial<LoopFacts> = {}): LoopEvent {
  return { type: 'facts', facts: facts(changes) };
}

const rows = (acceptedRows: number): LoopEvent => ({ type: 'rowsArrived', ingest: acceptedRows, acceptedRows });
const due = (offsetMs: number): LoopEvent => ({ type: 'trigger', kind: 'schedule', due: at(offsetMs) });

describe('a loop opens a run', () => {
  it('for enough rows since the last run, and not for fewer', () => {
    expect(decideLoop(after(known(), rows(1099)), nowMs)).toMatchObject({ kind: 'wait', untilMs: null });
    expect(decideLoop(after(known(), rows(1100)), nowMs)).toMatchObject({ kind: 'open', trigger: 'rows', cycle: 3 });
  });

  it('for a schedule time that no run has answered', () => {
    expect(decideLoop(after(known(), due(-1000)), nowMs)).toMatchObject({ kind: 'open', trigger: 'schedule' });
    expect(decideLoop(after(known(), due(-6 * hourMs)), nowMs)).toMatchObject({ kind: 'wait' });
    // a loop that was lost knows of it by the facts alone, and an older one takes nothing back
    expect(decideLoop(after(known({ dueAt: at(-1000) })), nowMs)).toMatchObject({ kind: 'open', trigger: 'schedule' });
    expect(after(due(-1000), known({ dueAt: at(-6 * hourMs) })).dueMs).toBe(nowMs - 1000);
    const unscheduled = known({ triggers: { ...triggers, schedule: null } });
    expect(decideLoop(after(unscheduled, due(-1000)), nowMs)).toMatchObject({ kind: 'wait' });
  });

  it('once for a thousand messages', () => {
    const many = Array.from({ length: 1000 }, (_, index) => rows(2000 + index));
    const state = after(known(), ...many, due(-2000), due(-1000));
    const decision = decideLoop(state, nowMs);
    if (decision.kind !== 'open') throw new Error(decision.why);
    const opened: LoopEvent = {
      type: 'opened',
      run: 'run_3',
      number: 3,
      at: at(-1_500_000), // Postgres' clock behind Temporal's
      dueMs: decision.dueMs,
      acceptedRows: decision.acceptedRows,
    };
    const live = nextLoop(state, opened);
    expect(decideLoop(live, nowMs)).toMatchObject({ kind: 'wait', why: 'run 3 is alive' });
    const over = nextLoop(live, { type: 'runEnded', run: 'run_3', number: 3, status: 'succeeded' });
    expect(decideLoop(over, nowMs + dayMs)).toMatchObject({ kind: 'wait', why: 'no trigger is pending' });
  });
});

describe('a loop waits', () => {
  it('while paused, and remembers the trigger', () => {
    const state = after(known({ paused: true }), rows(2000));
    expect(decideLoop(state, nowMs)).toEqual({ kind: 'wait', untilMs: null, why: 'paused' });
    expect(decideLoop(nextLoop(state, known()), nowMs)).toMatchObject({ kind: 'open' });
  });

  it('for a live run, and opens the next after it', () => {
    const state = after(known({ liveRun: { id: 'run_2' } }), rows(2000));
    expect(decideLoop(state, nowMs)).toMatchObject({ kind: 'wait', why: 'run 2 is alive' });
    const over = nextLoop(state, { type: 'runEnded', run: 'run_2', number: 2, status: 'failed' });
    expect(decideLoop(over, nowMs)).toMatchObject({ kind: 'open', cycle: 3 });
  });

  it('for a run in the way, until it has ended or facts are read', () => {
    const state = after(known(), rows(2000), { type: 'refusedLive', run: 'run_9' });
    expect(needsFacts(state)).toBe(true);
    expect(decideLoop(state, nowMs)).toMatchObject({ kind: 'wait', untilMs: null });
    const over = nextLoop(state, { type: 'runEnded', run: 'run_9', number: 3, status: 'succeeded' });
    expect(decideLoop(over, nowMs)).toMatchObject({ kind: 'open', cycle: 4 });
    const before = after(known(), rows(2000), { type: 'runEnded', run: 'run_9', number: 3, status: 'succeeded' });
    expect(decideLoop(nextLoop(before, { type: 'refusedLive', run: 'run_9' }), nowMs)).toMatchObject({ kind: 'open' });
  });

  it('for the cool-down since the last run opened', () => {
    const opened = at(-hourMs / 2);
    const state = after(known({ lastOpenedAt: opened, openedLast24h: [opened] }), rows(2000));
    expect(decideLoop(state, nowMs)).toMatchObject({ kind: 'wait', untilMs: nowMs + hourMs / 2 });
    expect(decideLoop(state, nowMs + hourMs / 2)).toMatchObject({ kind: 'open' });
  });

  it('for the daily cap, over rolling 24 hours', () => {
    const openedLast24h = [at(-20 * hourMs), at(-10 * hourMs), at(-5 * hourMs)];
    const state = after(known({ openedLast24h, lastNumber: 7 }), rows(2000));
    const decision = decideLoop(state, nowMs);
    expect(decision).toMatchObject({ kind: 'wait', untilMs: nowMs + 4 * hourMs });
    expect(decideLoop(state, nowMs + 4 * hourMs)).toMatchObject({ kind: 'open' });
  });

  it('for facts of a newer version', () => {
    const state = after(known(), rows(2000), { type: 'pipelineChanged', version: 2 });
    expect(needsFacts(state)).toBe(true);
    expect(decideLoop(state, nowMs)).toMatchObject({ kind: 'wait', why: 'version 2 has to be read' });
    const read = nextLoop(state, known({ version: 2, triggers: { ...triggers, newRows: 5000 } }));
    expect(needsFacts(read)).toBe(false);
    expect(decideLoop(read, nowMs)).toMatchObject({ kind: 'wait', why: 'no trigger is pending' });
  });
});

describe('a change while facts are being read', () => {
  it('is read again', () => {
    const reading = after(known());
    const heard = reading.heard;
    const changed = nextLoop(reading, { type: 'pipelineChanged', version: 1 });
    const old = nextLoop(changed, { type: 'facts', facts: facts(), heard });
    expect(needsFacts(old)).toBe(true);
    const fresh = nextLoop(old, { type: 'facts', facts: facts({ paused: true }), heard: old.heard });
    expect(needsFacts(fresh)).toBe(false);
    expect(decideLoop(fresh, nowMs)).toMatchObject({ why: 'paused' });
  });
});

const signal: fc.Arbitrary<LoopEvent> = fc.oneof(
  fc.integer({ min: 900, max: 1300 }).map(rows),
  fc.integer({ min: -10, max: 0 }).map((hours) => due(hours * hourMs)),
  fc.integer({ min: 1, max: 2 }).map((version): LoopEvent => ({ type: 'pipelineChanged', version })),
  fc
    .integer({ min: 1, max: 3 })
    .map((number): LoopEvent => ({ type: 'runEnded', run: `run_${number}`, number, status: 'succeeded' })),
);
/** What the loop's own activities answer, in the order in which it asks them. */
const own: LoopEvent[] = [
  known(),
  { type: 'opened', run: 'run_3', number: 3, at: at(-2 * hourMs), acceptedRows: 1010, dueMs: nowMs - 9 * hourMs },
  known({
    version: 2,
    lastNumber: 3,
    lastOpenedAt: at(-2 * hourMs),
    openedLast24h: [at(-5 * hourMs), at(-2 * hourMs)],
    dueAt: at(-9 * hourMs),
  }),
];

describe('properties', () => {
  it('messages may come twice and in any order among the loop’s own answers: the decision is the same', () => {
    const shuffled = fc.array(signal, { maxLength: 12 }).chain((signals) =>
      fc.record({
        signals: fc.constant(signals),
        again: fc.shuffledSubarray([...signals, ...signals], { minLength: signals.length * 2 }),
        places: fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 24, maxLength: 24 }),
      }),
    );
    fc.assert(
      fc.property(shuffled, ({ signals, again, places }) => {
        const plain = [...own, ...signals].reduce(nextLoop, initialLoop('default', 'digits'));
        const mixed: LoopEvent[] = [];
        for (let place = 0; place <= own.length; place += 1) {
          mixed.push(...again.filter((_, index) => places[index] === place));
          const answer = own[place];
          if (answer) mixed.push(answer);
        }
        const other = mixed.reduce(nextLoop, initialLoop('default', 'digits'));
        expect(decideLoop(other, nowMs)).toEqual(decideLoop(plain, nowMs));
      }),
      { numRuns: 500 },
    );
  });

  it('the state is plain JSON and does not grow', () => {
    fc.assert(
      fc.property(fc.array(signal, { maxLength: 60 }), (signals) => {
        const state = [known(), ...signals].reduce(nextLoop, initialLoop('default', 'digits'));
        expect(JSON.parse(JSON.stringify(state))).toEqual(state);
        expect(state.endedRuns.length).toBeLessThanOrEqual(20);
      }),
    );
  });

  it('nonsense changes no position', () => {
    const state = after(known());
    const wrong: LoopEvent[] = [
      { type: 'rowsArrived', ingest: NaN, acceptedRows: -5 },
      { type: 'trigger', kind: 'schedule', due: 'soon' },
      { type: 'unheardOf' } as unknown as LoopEvent,
    ];
    expect(wrong.reduce(nextLoop, state)).toEqual(state);
  });
});
