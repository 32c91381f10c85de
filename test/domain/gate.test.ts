import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type GateInput, judge } from '../../domain/gate.js';

const gate: GateInput['gate'] = { metric: 'accuracy', min: 0.85, max: null, champion: { notWorseBy: 0.01 } };
const champion = { version: 3, metrics: { accuracy: 0.95, rmse: 2 } };

function verdict(accuracy: number, changes: Partial<GateInput> = {}) {
  return judge({ gate, metrics: { accuracy }, champion: null, ...changes });
}

describe('the gate', () => {
  it('passes at the bound and fails just below it, in plain sentences', () => {
    expect(verdict(0.85)).toEqual({
      passed: true,
      reasons: ['accuracy 0.85 is at least the required 0.85', 'there is no champion to compare with'],
    });
    expect(verdict(0.8499999)).toMatchObject({ passed: false });
    expect(verdict(0.8499999).reasons[0]).toBe('accuracy 0.8499999 is below the required 0.85');
    expect(verdict(0.5).reasons[0]).toBe('accuracy 0.5 is below the required 0.85');
  });

  it.each([NaN, Infinity, -Infinity])('fails on %s', (value) => {
    expect(verdict(value)).toMatchObject({ passed: false, reasons: [expect.stringContaining('not a finite number')] });
  });

  it('fails on a metric that was not measured', () => {
    expect(judge({ gate, metrics: {}, champion: null })).toEqual({
      passed: false,
      reasons: ['accuracy was not measured'],
    });
  });

  it('lets a candidate be worse than the champion by no more than allowed', () => {
    expect(verdict(0.94, { champion }).passed).toBe(true);
    expect(verdict(0.9399, { champion }).passed).toBe(false);
    expect(verdict(0.9, { champion }).reasons[1]).toBe(
      'accuracy 0.9 against 0.95 of champion version 3: worse by 0.05, 0.01 is allowed',
    );
    expect(verdict(0.97, { champion }).reasons[1]).toContain('not worse');
  });

  it('knows that lower is better for errors', () => {
    const rmse: GateInput['gate'] = { metric: 'rmse', min: null, max: 2.5, champion: { notWorseBy: 0.1 } };
    expect(judge({ gate: rmse, metrics: { rmse: 2.1 }, champion }).passed).toBe(true);
    expect(judge({ gate: rmse, metrics: { rmse: 2.2 }, champion }).passed).toBe(false);
    expect(judge({ gate: rmse, metrics: { rmse: 2.6 }, champion: null })).toMatchObject({
      passed: false,
      reasons: ['rmse 2.6 is above the required 2.5', 'there is no champion to compare with'],
    });
  });

  it('fails where the champion could not be measured', () => {
    const unmeasured = { version: 3, metrics: { accuracy: NaN } };
    expect(verdict(0.99, { champion: unmeasured })).toMatchObject({ passed: false });
  });

  it('is monotone: what is better than a passing candidate passes', () => {
    const share = fc.double({ min: 0, max: 1, noNaN: true });
    fc.assert(
      fc.property(share, share, share, (a, b, theirs) => {
        const other = { version: 1, metrics: { accuracy: theirs } };
        const [low, high] = [
          verdict(Math.min(a, b), { champion: other }),
          verdict(Math.max(a, b), { champion: other }),
        ];
        expect(high.passed || !low.passed).toBe(true);
        expect(low.reasons).toHaveLength(2);
      }),
    );
  });
});
