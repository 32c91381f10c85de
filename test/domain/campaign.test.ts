import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type CampaignFacts,
  type CampaignRound,
  type CampaignSettings,
  campaignDecisionFault,
  flatRounds,
  type Gain,
  gains,
  isReference,
  labelsSoFar,
  nextCampaignStep,
  pairedGain,
  type RightRows,
} from '../../domain/campaign.js';
import { rulesProgress } from '../../domain/campaign-progress.js';
import { shownAccuracy } from '../../domain/campaign-target.js';
import { clopperPearson, clopperPearsonLower } from '../../stats/intervals.js';
import { createRandom } from '../../stats/prng.js';

const n = 200;
const now = Date.parse('2026-11-21T00:00:00Z');
const hour = 3_600_000;

/** The first `right` rows are right. */
function rightRows(right: number, keys = 'sha256:1'): RightRows {
  const bits = new Uint8Array(n / 8);
  for (let row = 0; row < right; row += 1) bits[row >> 3]! |= 1 << (row & 7);
  return { keys, n, right: bits };
}

function roundOf(round: number, more: Partial<CampaignRound> & { right?: number } = {}): CampaignRound {
  const { right = 100 + round, ...rest } = more;
  return {
    ...{ round, run: `run_${round}`, number: round, status: 'succeeded', strategy: 'margin', batch: `bat_${round}` },
    ...{ tasks: 10, labelled: 10, rows: rightRows(right) },
    accuracy: { value: right / n, lo: right / n - 0.05, hi: right / n + 0.05, n, method: 'clopper-pearson' },
    ...rest,
  };
}

const rules = { labels: null, deadline: null, plateau: null, target: null };

function facts(
  rounds: CampaignRound[],
  stop: Partial<CampaignSettings['stop']> = {},
  more: Partial<CampaignFacts> = {},
  settled: Partial<CampaignSettings> = {},
) {
  const settings: CampaignSettings = {
    ...{ ask: 'unlabelled', strategies: ['kCenter', 'margin'], batchSize: 10, explore: 0.1 },
    stop: { ...rules, ...stop },
    ...settled,
  };
  const all: CampaignFacts = {
    ...{ status: 'running', settings, rounds, otherRun: null, batchDeadlineMs: 24 * hour },
    ...more,
  };
  return all;
}

it('what was kept of earlier rounds stands for them: only the rows of the one that is compared with are read', () => {
  const bits = fc.record({ right: fc.integer({ min: 60, max: 200 }), keys: fc.constantFrom('sha256:1', 'sha256:2') });
  const rounds = fc.array(fc.option(bits, { freq: 8 }), { minLength: 2, maxLength: 12 }).map((all) =>
    all.map((one, i) => {
      const rows = one && rightRows(one.right, one.keys);
      return roundOf(i + 1, { right: one?.right ?? 100, rows });
    }),
  );
  fc.assert(
    fc.property(rounds, fc.constantFrom(0, 0.02), (all, margin) => {
      const before = all.slice(0, -1);
      const kept = gains(before, margin);
      const known = before.map((one) => ({ ...one, gain: kept.get(one.round) ?? null }));
      const reference = known.findLast((one) => isReference(one) && one.rows !== null);
      const bare = known.map((one) => (one === reference ? one : { ...one, rows: null }));
      const last = all.at(-1)!;
      expect(gains([...bare, last], margin).get(last.round)).toEqual(gains(all, margin).get(last.round));
      expect(flatRounds([...bare, last], margin)).toBe(flatRounds(all, margin));
    }),
  );
});

describe('the next step', () => {
  it('opens rounds, each with its strategy, the last one with the labels that are left', () => {
    const stop = { labels: 25 };
    const of = (count: number) =>
      nextCampaignStep(
        facts(
          Array.from({ length: count }, (_, i) => roundOf(i + 1)),
          stop,
        ),
        now,
      );
    expect(of(0)).toMatchObject({ kind: 'open', round: 1, strategy: 'kCenter', batchSize: 10, explore: 0.1 });
    expect(of(2)).toMatchObject({ kind: 'open', round: 3, strategy: 'margin', batchSize: 5 });
    expect(of(3)).toMatchObject({ kind: 'stop', reason: 'labels' });
  });

  it('waits for a round that lives, whatever the rules say, and for other runs', () => {
    const live = [roundOf(1, { status: 'waiting', accuracy: null, rows: null })];
    expect(nextCampaignStep(facts(live, { labels: 1 }), now)).toMatchObject({ kind: 'wait', untilMs: null });
    const other = nextCampaignStep(facts([], { labels: 9 }, { otherRun: 'run_x' }), now);
    expect(other).toEqual({ kind: 'wait', why: 'run_x is alive', untilMs: null });
  });

  it('closes the last batch at the deadline, and opens none after it', () => {
    const deadline = new Date(now + hour).toISOString();
    expect(nextCampaignStep(facts([], { deadline }), now)).toMatchObject({ kind: 'open', deadlineMs: hour });
    expect(nextCampaignStep(facts([], { deadline }), now - 48 * hour)).toMatchObject({ deadlineMs: 24 * hour });
    expect(nextCampaignStep(facts([], { deadline }), now + hour)).toMatchObject({ kind: 'stop', reason: 'deadline' });
    const paused = nextCampaignStep(facts([], { deadline }, { status: 'paused' }), now);
    expect(paused).toEqual({ kind: 'wait', why: 'paused', untilMs: now + hour });
  });

  it.each([
    ['target', [roundOf(1, { right: 192 })], { target: 0.9 }],
    ['nothing-left', [roundOf(1, { batch: null, tasks: 0, labelled: 0 })], { labels: 99 }],
    ['no-answers', [roundOf(1, { labelled: 0 }), roundOf(2, { labelled: 0 })], { labels: 99 }],
    ['failed-runs', [roundOf(1, { status: 'failed' }), roundOf(2, { status: 'failed' })], { labels: 99 }],
    [
      'failed-runs',
      [roundOf(1, { status: 'failed' }), roundOf(2, { status: 'rejected', batch: null })],
      { labels: 99 },
    ],
    ['run-cancelled', [roundOf(1, { status: 'cancelled' })], { labels: 99 }],
    ['plateau', [1, 2, 3].map((round) => roundOf(round, { right: 100 })), { plateau: { rounds: 2, margin: 0 } }],
  ] as const)('stops: %s', (reason, rounds, stop) => {
    expect(nextCampaignStep(facts([...rounds], stop), now)).toMatchObject({ kind: 'stop', reason });
    expect(nextCampaignStep(facts(rounds.slice(0, -1), stop), now).kind).toBe('open');
  });

  it('asks named rows batch after batch, makes up for a round that asked nothing, and ends when all were asked', () => {
    const keys = Array.from({ length: 25 }, (_, place) => `k${place}`);
    const of = (rounds: CampaignRound[], stop = {}) =>
      nextCampaignStep(facts(rounds, stop, {}, { ask: { keys } }), now);
    expect(of([])).toMatchObject({ kind: 'open', ask: { keys: keys.slice(0, 10) } });
    const failed = roundOf(2, { status: 'failed', batch: null, tasks: 0, labelled: 0 });
    expect(of([roundOf(1), failed])).toMatchObject({ kind: 'open', ask: { keys: keys.slice(10, 20) } });
    expect(of([roundOf(1)], { labels: 14 })).toMatchObject({ kind: 'open', ask: { keys: keys.slice(10, 14) } });
    const all = [roundOf(1, { labelled: 3 }), failed, roundOf(3), roundOf(4, { tasks: 5, labelled: 0 })];
    expect(of(all)).toEqual({ kind: 'stop', reason: 'nothing-left', why: 'all 25 rows were asked about' });
  });

  it('of suspects it ends when no label is suspected', () => {
    const last = roundOf(2, { batch: null, tasks: 0, labelled: 0 });
    const step = nextCampaignStep(facts([roundOf(1), last], { labels: 99 }, {}, { ask: 'suspects' }), now);
    expect(step).toEqual({ kind: 'stop', reason: 'nothing-left', why: 'no label is suspected' });
  });

  it('the target is asked of the lower bound, not of the value', () => {
    expect(nextCampaignStep(facts([roundOf(1, { right: 186 })], { target: 0.9 }), now).kind).toBe('open');
  });

  it('always comes to an end, and never asks for more labels than the budget', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 60 }),
        fc.array(
          fc.record({ share: fc.double({ min: 0, max: 1, noNaN: true }), right: fc.integer({ min: 0, max: n }) }),
          {
            minLength: 130,
            maxLength: 130,
          },
        ),
        (labels, answers) => {
          const rounds: CampaignRound[] = [];
          for (const { share, right } of answers) {
            const step = nextCampaignStep(facts(rounds, { labels }), now);
            if (step.kind !== 'open') {
              expect(step.kind).toBe('stop');
              break;
            }
            const labelled = Math.floor(share * step.batchSize);
            rounds.push(roundOf(step.round, { tasks: step.batchSize, labelled, right }));
          }
          expect(labelsSoFar(rounds)).toBeLessThanOrEqual(labels);
          expect(nextCampaignStep(facts(rounds, { labels }), now).kind).toBe('stop');
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe('gains', () => {
  it('are of the same rows, with the exact paired test', () => {
    expect(pairedGain(rightRows(100), rightRows(110))).toEqual({ value: 0.05, p: 2 * 0.5 ** 10 });
    expect(pairedGain(rightRows(110), rightRows(100))).toMatchObject({ value: -0.05 });
    expect(pairedGain(rightRows(100), rightRows(100))).toEqual({ value: 0, p: 1 });
    expect(pairedGain(rightRows(100), rightRows(110, 'sha256:2'))).toBeNull();
  });

  it('small ones add up: each round is compared with the last that was better', () => {
    const slow = [100, 103, 106, 109].map((right, i) => roundOf(i + 1, { right }));
    const found = gains(slow, 0);
    expect([...found.values()].map((gain) => gain?.over ?? null)).toEqual([null, 1, 1, 3]);
    expect(found.get(3)).toMatchObject({ better: true, value: 0.03 });
    expect(flatRounds(slow, 0)).toBe(1);
    // by more than the margin
    expect(flatRounds(slow, 0.05)).toBe(3);
  });

  it('begin anew where the holdout changed, and leave out rounds that were not measured', () => {
    const changed = [
      roundOf(1),
      roundOf(2, { rows: null }),
      roundOf(3, { rows: rightRows(100, 'sha256:2') }),
      roundOf(4),
    ];
    expect([...gains(changed, 0)].map(([round, gain]) => [round, gain?.over ?? null])).toEqual([
      [1, null],
      [3, null],
      [4, null],
    ]);
    expect(flatRounds(changed, 0)).toBe(0);
    expect(flatRounds([], 0)).toBe(0);
  });
});

it('the shown accuracy is exact at the first look and holds at many: of 400 models at 0.8, looked at 20 times, few seem better', () => {
  const of = (right: number) => ({
    accuracy: { value: right / n, lo: 0, hi: 1, n, method: 'clopper-pearson' as const },
  });
  expect(shownAccuracy([])).toBeNull();
  expect(shownAccuracy([{ accuracy: null }])).toBeNull();
  expect(shownAccuracy([of(192)])).toBeCloseTo(clopperPearson(192, n).lo, 12);
  const random = createRandom(11);
  const drawn = () => Array.from({ length: n }, () => random.uniform() < 0.8).filter(Boolean).length;
  const broken = Array.from({ length: 400 }, () => Array.from({ length: 20 }, () => of(drawn()))).filter((rounds) =>
    rounds.some((_, look) => shownAccuracy(rounds.slice(0, look + 1))! > 0.8),
  );
  expect(broken.length / 400).toBeLessThan(0.05);
});

it('says how far each rule is', () => {
  const of = (round: CampaignRound, gain: Gain | null) => ({ accuracy: round.accuracy, gain });
  const flat: Gain = { over: 1, value: 0, p: 1, better: false };
  const stop = { labels: 30, deadline: new Date(now + 4 * hour).toISOString(), plateau: { rounds: 3, margin: 0 } };
  const settings = { stop: { ...stop, target: 0.9 } };
  const times = { createdAt: new Date(now - hour).toISOString(), finishedAt: null };
  const early = { settings, rounds: [], labels: { human: 0 }, ...times };
  expect(rulesProgress(early, now).map(({ rule, has }) => [rule, has])).toEqual([
    ['target', null],
    ['labels', 0],
    ['plateau', null],
    ['deadline', hour],
  ]);
  const waiting = { accuracy: null, gain: null };
  const rounds = [of(roundOf(1), null), of(roundOf(2), flat), of(roundOf(3), flat), waiting];
  const late = { ...early, rounds, labels: { human: 20 }, finishedAt: new Date(now).toISOString() };
  expect(rulesProgress(late, now + hour)).toMatchObject([
    { rule: 'target', has: clopperPearsonLower(103, n, 1 - 0.05 / 12), needs: 0.9 },
    { rule: 'labels', has: 20, needs: 30 },
    { rule: 'plateau', has: 2, needs: 3 },
    { rule: 'deadline', has: hour, needs: 5 * hour },
  ]);
});

it('knows a decision from something else', () => {
  expect(campaignDecisionFault({ decision: 'stop', by: 'kim' })).toBeNull();
  for (const sent of [
    null,
    'stop',
    { decision: 'end', by: 'kim' },
    { decision: 'stop' },
    { decision: 'stop', by: ' ' },
  ]) {
    expect(campaignDecisionFault(sent as never)).toMatch(/decision|by/);
  }
});
