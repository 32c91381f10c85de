import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ApprovalDecision, decideOnApproval, type WaitingApproval } from '../../domain/approval.js';
import type { Digest } from '../../domain/artifact.js';
import { decisionIdOf } from '../../domain/decision.js';
import { type BatchDecision, decideOnBatch, type WaitingBatch } from '../../domain/labeling.js';

const digest: Digest = `sha256:${'a'.repeat(64)}`;
const otherDigest: Digest = `sha256:${'b'.repeat(64)}`;
const waiting: WaitingApproval = { approval: 'apr_1', round: 1, digest, status: 'open' };
const approve: ApprovalDecision = { decision: 'approve', by: 'kim', digest };

function answered(decision: ApprovalDecision): WaitingApproval {
  const outcome = decideOnApproval(waiting, decision);
  if (outcome.kind !== 'applied') throw new Error(outcome.kind);
  return { ...waiting, status: outcome.answer.status, answer: outcome.answer };
}

describe('a decision on an approval', () => {
  it('is applied once', () => {
    const outcome = decideOnApproval(waiting, approve);
    expect(outcome).toMatchObject({ kind: 'applied', answer: { approval: 'apr_1', status: 'approved', by: 'kim' } });
    if (outcome.kind === 'applied') expect(outcome.decision.decisionId).toBe(outcome.answer.decisionId);
    expect(decideOnApproval(waiting, { ...approve, decision: 'reject' })).toMatchObject({
      answer: { status: 'rejected' },
    });
  });

  it('gets its first answer again, with or without an id of its own', () => {
    for (const decision of [approve, { ...approve, decisionId: 'mine' }]) {
      const state = answered(decision);
      expect(decideOnApproval(state, decision)).toEqual({ kind: 'same', answer: state.answer });
    }
  });

  it('is refused after another one', () => {
    const state = answered(approve);
    for (const other of [
      { ...approve, by: 'lee' },
      { ...approve, decision: 'reject' as const },
    ]) {
      expect(decideOnApproval(state, other)).toMatchObject({ kind: 'refused', failure: 'AlreadyDecided' });
    }
    expect(decideOnApproval({ ...waiting, status: 'void' }, approve)).toMatchObject({ failure: 'AlreadyDecided' });
  });

  it('is refused for another candidate', () => {
    const outcome = decideOnApproval(waiting, { ...approve, digest: otherDigest });
    expect(outcome).toMatchObject({ kind: 'refused', failure: 'StaleCandidate' });
  });

  it('is refused where nothing waits', () => {
    expect(decideOnApproval(null, approve)).toMatchObject({ kind: 'refused', failure: 'NotFound' });
  });

  const malformed: [unknown, string][] = [
    [null, 'object'],
    [{ by: 'kim', digest }, 'decision must be'],
    [{ decision: 'maybe', by: 'kim', digest }, 'decision must be'],
    [{ decision: 'approve', digest }, 'by is missing'],
    [{ decision: 'approve', by: ' ', digest }, 'by is missing'],
    [{ decision: 'approve', by: 'kim' }, 'digest is missing'],
    [{ decision: 'approve', by: 'kim', digest: 'aaaa' }, 'digest is missing'],
    [{ ...approve, decisionId: '' }, 'decisionId'],
  ];
  it.each(malformed)('%j is refused', (decision, part) => {
    const outcome = decideOnApproval(waiting, decision as ApprovalDecision);
    expect(outcome).toMatchObject({ kind: 'refused', failure: 'InvalidRequest' });
    if (outcome.kind === 'refused') expect(outcome.detail).toContain(part);
  });
});

describe('a decision on a batch', () => {
  const batch: WaitingBatch<{ decisionId: string }> = { batch: 'bat_1', round: 1, status: 'review' };
  const accept: BatchDecision = { decision: 'accept', by: 'kim' };

  it.each([
    ['accept', 0, 'accepted'],
    ['close', 3, 'partial'],
    ['close', 0, 'accepted'],
    ['send-back', 0, 'open'],
  ] as const)('%s with %i open tasks: %s', (decision, openTasks, status) => {
    expect(decideOnBatch({ ...batch, openTasks }, { decision, by: 'kim' })).toMatchObject({ kind: 'applied', status });
  });

  it('accept needs every task answered, where that is known', () => {
    expect(decideOnBatch({ ...batch, openTasks: 2 }, accept)).toMatchObject({ failure: 'BatchIncomplete' });
    expect(decideOnBatch(batch, accept)).toMatchObject({ kind: 'applied' });
  });

  it('a repeat gets the first answer, a later round is another decision', () => {
    const sendBack: BatchDecision = { decision: 'send-back', by: 'kim' };
    const first = decideOnBatch(batch, sendBack);
    if (first.kind !== 'applied') throw new Error(first.kind);
    const answer = { decisionId: first.decision.decisionId };
    expect(decideOnBatch({ ...batch, status: 'open', answer }, sendBack)).toEqual({ kind: 'same', answer });
    expect(decideOnBatch({ ...batch, round: 2, answer }, sendBack)).toMatchObject({ kind: 'applied' });
  });

  it('is refused when the batch is closed', () => {
    for (const status of ['accepted', 'partial', 'cancelled'] as const) {
      expect(decideOnBatch({ ...batch, status }, accept)).toMatchObject({ failure: 'AlreadyDecided' });
    }
  });

  const malformed: unknown[] = [
    undefined,
    { decision: 'accept' },
    { decision: 'approve', by: 'kim' },
    { decision: 'accept', by: 'kim', tasks: ['task_1'] },
    { decision: 'send-back', by: 'kim', tasks: [1] },
  ];
  it.each(malformed)('%j is refused', (decision) => {
    expect(decideOnBatch(batch, decision as BatchDecision)).toMatchObject({ failure: 'InvalidRequest' });
  });
});

describe('decision ids', () => {
  it('are readable, equal for the same decision and different for any other', () => {
    expect(decisionIdOf({ target: 'apr_1', round: 2, by: 'kim', decision: 'approve', digest: 'sha256:ab' })).toBe(
      'apr_1/2/approve/kim/sha256:ab',
    );
    const parts = fc.record({
      target: fc.string(),
      round: fc.nat(),
      by: fc.string({ unit: 'binary' }),
      decision: fc.constantFrom('approve', 'reject'),
      digest: fc.option(fc.string(), { nil: undefined }),
    });
    fc.assert(
      fc.property(parts, parts, (a, b) => {
        expect(decisionIdOf(a) === decisionIdOf(b)).toBe(JSON.stringify(a) === JSON.stringify(b));
      }),
    );
  });
});
