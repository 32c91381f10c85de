import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseBytes } from '../../domain/bytes.js';
import { type Check, type CheckDemand, type CheckFacts, judgeCheck } from '../../domain/check.js';
import type { MeasuredMetric } from '../../domain/evaluation.js';
import { judge } from '../../domain/gate.js';

const named = (demand: CheckDemand): Check => ({ ...demand, name: 'mine' });
const measured = (value: number | null, n: number): MeasuredMetric => ({
  ...{ value, n, method: 'clopper-pearson' },
  ...(value === null ? { lo: null, hi: null } : { lo: value - 0.1, hi: value + 0.1 }),
});
const slices = (...found: [string, number | null, number][]): CheckFacts => ({
  kind: 'slice',
  slices: found.map(([value, metric, n]) => ({ value, metric: measured(metric, n) })),
});

describe('a slice floor', () => {
  const floor = named({ kind: 'slice', column: 'region', metric: 'accuracy', min: 0.8, max: null, minRows: 30 });

  it('holds where every value with enough rows meets it; the others are told', () => {
    const report = judgeCheck(floor, slices(['north', 0.9, 100], ['south', 0.8, 30], ['west', 0.1, 29]));
    expect(report).toMatchObject({ name: 'mine', kind: 'slice', passed: true, measured: 0.8 });
    expect(report.reason).toBe(
      'mine: 2 values of region within the bound, worst region = south: accuracy 0.8 (30 rows, 95 % interval 0.7 to 0.9); ' +
        '1 value with fewer than 30 rows not judged; required: accuracy at least 0.8 for each region',
    );
    expect(report.parts.map(({ of, passed }) => [of, passed])).toEqual([
      ['region = south', true],
      ['region = north', true],
      ['region = west', null],
    ]);
  });

  it('fails at one value below it, whatever the whole looks like', () => {
    const report = judgeCheck(floor, slices(['north', 0.99, 9000], ['', 0.7999, 40]));
    expect(report).toMatchObject({ passed: false, measured: 0.7999 });
    expect(report.reason).toContain('1 of 2 values of region beyond the bound: region = (missing): accuracy 0.7999');
    expect(report.reason).toMatch(/; not passed$/);
  });

  it('fails where the metric is not defined, and where nothing was judged', () => {
    expect(judgeCheck(floor, slices(['north', null, 40])).passed).toBe(false);
    const none = judgeCheck(floor, slices(['north', 1, 5]));
    expect(none).toMatchObject({ passed: false, measured: null });
    expect(none.reason).toContain('no value of region has 30 rows in the holdout, so nothing was judged');
  });

  it('is a ceiling for errors', () => {
    const ceiling = named({ kind: 'slice', column: 'region', metric: 'rmse', min: null, max: 2, minRows: 1 });
    expect(judgeCheck(ceiling, slices(['a', 1, 3], ['b', 2, 3]))).toMatchObject({ passed: true, measured: 2 });
    expect(judgeCheck(ceiling, slices(['a', 1, 3], ['b', 2.1, 3]))).toMatchObject({ passed: false, measured: 2.1 });
  });

  it('tells at most ten values, the worst first, and counts all', () => {
    const many = Array.from({ length: 80 }, (_, i): [string, number, number] => [`v${i}`, 0.81 + i / 1000, 30]);
    const { parts, reason } = judgeCheck(floor, slices(...many.reverse()));
    expect(parts).toHaveLength(10);
    expect(parts[0]?.of).toBe('region = v0');
    expect(reason).toContain('80 values');
  });

  it('stays readable where the values are texts that no other row has', () => {
    const texts = Array.from({ length: 50 }, (_, i): [string, number, number] => [`${i} ${'말 '.repeat(500)}`, 1, 1]);
    const { parts, reason } = judgeCheck(floor, slices(...texts));
    expect(reason).toContain('no value of region has 30 rows');
    expect(JSON.stringify(parts).length).toBeLessThan(2_500);
    const broad = judgeCheck(floor, slices(...texts.map(([text]): [string, number, number] => [text, 0.1, 40])));
    expect(broad.reason).toContain('50 of 50 values of region beyond the bound');
    expect(broad.reason.length).toBeLessThan(600);
  });
});

describe('invariance', () => {
  const demand = named({ kind: 'invariance', column: 'colour', changes: [{ kind: 'shuffle' }], min: 0.99, rows: 100 });
  const found = (...same: number[]): CheckFacts => ({
    kind: 'invariance',
    seen: true,
    rows: 100,
    changes: same.map((share, i) => ({ change: { kind: 'set', value: `v${i}` }, same: share })),
  });

  it('needs every change to leave enough answers as they were', () => {
    expect(judgeCheck(demand, found(0.99, 1))).toMatchObject({ passed: true, measured: 0.99 });
    const bad = judgeCheck(demand, found(1, 0.98999));
    expect(bad).toMatchObject({ passed: false, measured: 0.98999 });
    expect(bad.reason).toContain('colour set to "v0": 1, colour set to "v1": 0.9899');
  });

  it('holds for a column that the model does not see', () => {
    const unseen = judgeCheck(demand, { kind: 'invariance', seen: false, rows: 0, changes: [] });
    expect(unseen).toMatchObject({ passed: true });
    expect(unseen.reason).toContain('colour is no input of the model');
  });
});

describe('single numbers', () => {
  it.each<[CheckDemand, CheckFacts, boolean]>([
    [{ kind: 'latency', p99Ms: 5, batch: 64 }, { kind: 'latency', p50Ms: 1, p99Ms: 5 }, true],
    [{ kind: 'latency', p99Ms: 5, batch: 1 }, { kind: 'latency', p50Ms: 1, p99Ms: 5.001 }, false],
    [{ kind: 'latency', p99Ms: 5, batch: 1 }, { kind: 'latency', p50Ms: NaN, p99Ms: NaN }, false],
    [{ kind: 'size', maxBytes: 1000 }, { kind: 'size', sizeBytes: 1000 }, true],
    [{ kind: 'size', maxBytes: 1000 }, { kind: 'size', sizeBytes: 1001 }, false],
    [{ kind: 'calibration', maxEce: 0.05 }, { kind: 'calibration', ece: 0.05, n: 10 }, true],
    [{ kind: 'calibration', maxEce: 0.05 }, { kind: 'calibration', ece: NaN, n: 0 }, false],
    [{ kind: 'size', maxBytes: 1000 }, { kind: 'failed', reason: 'no file' }, false],
    [{ kind: 'size', maxBytes: 1000 }, { kind: 'calibration', ece: 0, n: 1 }, false],
  ])('%j with %j: %s', (demand, facts, passed) => {
    const report = judgeCheck(named(demand), facts);
    expect(report.passed).toBe(passed);
    expect(report.reason.startsWith('mine: ')).toBe(true);
    expect(JSON.parse(JSON.stringify(report))).toEqual(report);
  });
});

describe('a program', () => {
  const limits = { deadlineMs: 1000, memoryMb: 16, diskMb: 1, params: {}, image: null, directory: null, code: null };
  const demand = named({ kind: 'command', program: ['python3', 'judge.py'], ...limits });

  it('is passed by its verdict alone, which is told', () => {
    const held = judgeCheck(demand, { kind: 'command', passed: true, reason: 'gap 0.01', value: 0.01 });
    expect(held).toMatchObject({ kind: 'command', passed: true, measured: 0.01 });
    expect(held.reason).toBe('mine: gap 0.01; required: a passing verdict of python3 judge.py');
    const not = judgeCheck(demand, { kind: 'command', passed: false, reason: 'gap 0.3\nin the north', value: null });
    expect(not).toMatchObject({ passed: false, measured: null });
    expect(not.reason).toBe(
      'mine: gap 0.3 | in the north; required: a passing verdict of python3 judge.py; not passed',
    );
    expect(not).not.toHaveProperty('failure');
  });

  it('without a verdict is not passed, and says why in one line that can be stored', () => {
    const lines = `ended with code 1; its last lines:\n${'x\0\n'.repeat(2000)}KeyError: \ud800 'age'`;
    const none = judgeCheck(demand, { kind: 'failed', failure: 'command-failed', reason: lines });
    expect(none).toMatchObject({ passed: false, measured: null, failure: 'command-failed' });
    expect(none.reason).toMatch(/^mine: no verdict \(command-failed\): ended with code 1; its last lines: \| x /);
    expect(none.reason).toMatch(/KeyError: {3}'age'; required: .*; not passed$/);
    expect(none.reason.length).toBeLessThan(1_200);
    expect(none.reason).not.toMatch(/[\p{Cc}\p{Surrogate}]/u);
    expect(judgeCheck(demand, { kind: 'size', sizeBytes: 1 }).passed).toBe(false);
  });
});

describe('the gate with checks', () => {
  const gate = { metric: 'accuracy', min: 0.5, max: null, champion: null } as const;
  const size = (maxBytes: number) => judgeCheck(named({ kind: 'size', maxBytes }), { kind: 'size', sizeBytes: 10 });

  it('passes only where all of them do, and tells each', () => {
    const verdict = judge({ gate, metrics: { accuracy: 0.9 }, champion: null, checks: [size(10), size(9)] });
    expect(verdict.passed).toBe(false);
    expect(verdict.reasons).toHaveLength(3);
    expect(verdict.checks?.map(({ passed }) => passed)).toEqual([true, false]);
    expect(judge({ gate, metrics: { accuracy: 0.9 }, champion: null, checks: [size(10)] }).passed).toBe(true);
    expect(judge({ gate, metrics: { accuracy: NaN }, champion: null, checks: [size(10)] }).passed).toBe(false);
    expect(judge({ gate, metrics: { accuracy: 0.9 }, champion: null })).not.toHaveProperty('checks');
  });
});

describe('sizes', () => {
  it.each([
    ['10 MB', 10_000_000],
    ['1.5kB', 1500],
    ['1 MiB', 1_048_576],
    ['2gb', 2_000_000_000],
    ['700', 700],
    ['10 XB', null],
    ['MB', null],
    ['-1 MB', null],
    ['', null],
    ['9999999999 GB', null],
  ])('%s is %s bytes', (text, bytes) => {
    expect(parseBytes(text)).toBe(bytes);
  });

  it('never throws', () => {
    fc.assert(fc.property(fc.string(), (text) => void parseBytes(text)));
  });
});
