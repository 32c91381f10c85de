import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Failure } from '../../domain/failures.js';
import type { PlanNode } from '../../domain/plan.js';
import { orderPlan, planRun, trainQueue } from '../../domain/plan-run.js';
import { stepNames } from '../../domain/run.js';
import { digits, parsed, regression } from './document.support.js';

const linear = { type: 'linear' };

describe('the plan of a run', () => {
  it('is the twelve built-in steps in their order', () => {
    const plan = planRun(parsed(digits()));
    expect(plan.map(({ name }) => name)).toEqual([...stepNames]);
    expect(plan.every(({ when }) => when)).toBe(true);
    expect(plan.find(({ name }) => name === 'label')).toMatchObject({ kind: 'labels', timeoutMs: 259_200_000 });
    expect(plan.find(({ name }) => name === 'approve')).toMatchObject({ kind: 'approval', timeoutMs: 604_800_000 });
    expect(orderPlan(plan)).toEqual(plan);
  });

  it('skips what the document leaves out, with a reason', () => {
    const plan = planRun(parsed(regression()));
    const skipped = plan.filter(({ when }) => !when);
    expect(skipped.map(({ name }) => name)).toEqual(['label', 'approve']);
    for (const { skipReason } of skipped) expect(skipReason).toMatch(/asks nobody/);
  });

  it('numbers candidates and lets one fail without the others', () => {
    const plan = planRun(parsed(digits({ trainer: [linear, { type: 'linear', pool: 'gpu' }] })));
    const names = plan.map(({ name }) => name);
    expect(names.slice(6, 11)).toEqual(['train-1', 'package-1', 'train-2', 'package-2', 'evaluate']);
    const second = plan.filter(({ candidate }) => candidate === 1);
    expect(second.map(({ name, queue, onFailure }) => [name, queue, onFailure])).toEqual([
      ['train-2', 'gpu', 'drop-candidate'],
      ['package-2', 'cpu', 'drop-candidate'],
    ]);
    expect(plan.find(({ name }) => name === 'evaluate')?.after).toEqual(
      expect.arrayContaining(['package-1', 'package-2']),
    );
    expect(plan.find(({ name }) => name === 'package-2')?.after).toContain('train-2');
  });

  it('gives every program of the gate its time in evaluate, twice where two variants may be judged', () => {
    const command = { code: `sha256:${'a'.repeat(64)}`, program: ['judge'], deadline: '3 hours' };
    const gate = { metric: 'accuracy', min: 0.5, checks: [{ command }, { size: { maxBytes: 1 } }] };
    const hours = (changes: Parameters<typeof digits>[0]) =>
      (planRun(parsed(digits(changes))).find(({ name }) => name === 'evaluate')?.timeoutMs ?? 0) / 3_600_000;
    expect([hours({}), hours({ gate }), hours({ gate, serving: { variant: 'auto' } })]).toEqual([2, 6, 10]);
  });

  it('trains on a GPU where a step is large, or where the document says so', () => {
    const [trainer] = parsed(digits({ trainer: { type: 'linear', params: { batch: 65_536 } } })).trainers;
    if (!trainer) throw new Error('no trainer');
    expect(trainQueue(trainer, 64, 10)).toBe('cpu');
    expect(trainQueue(trainer, 4096, 100)).toBe('gpu');
    expect(trainQueue({ ...trainer, pool: 'gpu' }, 1, 1)).toBe('gpu');
    expect(trainQueue({ ...trainer, pool: 'cpu' }, 4096, 100)).toBe('cpu');
  });
});

function node(name: string, after: string[]): PlanNode {
  const [first] = planRun(parsed(digits()));
  if (!first) throw new Error('no node');
  return { ...first, name, after };
}

describe('the order of a plan', () => {
  it.each([
    ['a cycle', [node('a', ['b']), node('b', ['a'])], /wait for each other: a, b/],
    ['a node after itself', [node('a', ['a'])], /wait for each other: a/],
    ['an unknown name', [node('a', ['z'])], /a comes after z/],
    ['a name twice', [node('a', []), node('a', [])], /two steps/],
  ])('refuses %s', (_, plan, message) => {
    expect(() => orderPlan(plan)).toThrow(Failure);
    expect(() => orderPlan(plan)).toThrow(message);
  });

  it('puts every node behind all it comes after, whatever the order given', () => {
    const plan = planRun(parsed(digits({ trainer: [linear, { ...linear, seed: 2 }, { ...linear, seed: 3 }] })));
    fc.assert(
      fc.property(fc.shuffledSubarray(plan, { minLength: plan.length }), (shuffled) => {
        const names = orderPlan(shuffled).map(({ name }) => name);
        for (const { name, after } of plan) {
          for (const other of after) expect(names.indexOf(other)).toBeLessThan(names.indexOf(name));
        }
      }),
    );
  });
});
