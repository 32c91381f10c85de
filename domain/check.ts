// Checks of the gate beside its metric (docs/pipeline.md): what each demands, and whether what was measured meets it.
// A check that could not be measured, or judged nothing, is not passed. Who measures is activities/model/check.ts.
import type { MeasuredMetric } from './evaluation.js';
import type { MetricName } from './pipeline.js';
import type { ProgramParams, ProgramVerdict } from './program.js';
import { writtenShare } from './share.js';

/** What is done to a column of rows whose answers should stay as they are. */
export type Change =
  /** Every row gets the value of another one. */
  | { kind: 'shuffle' }
  | { kind: 'missing' }
  | { kind: 'set'; value: string }
  /** Texts and categories in other letters, or with a space before and after. */
  | { kind: 'upper' | 'lower' | 'spaces' };

export type CheckDemand =
  | { kind: 'slice'; column: string; metric: MetricName; min: number | null; max: number | null; minRows: number }
  | { kind: 'invariance'; column: string; changes: Change[]; min: number; rows: number }
  | { kind: 'latency'; p99Ms: number; batch: number }
  | { kind: 'size'; maxBytes: number }
  | { kind: 'calibration'; maxEce: number }
  /** A program of one's own, which leaves a verdict. */
  | ({ kind: 'command' } & ProgramParams);
export type CheckKind = CheckDemand['kind'];
export type Check = CheckDemand & { name: string };

/** What was found about a check; `failed`: why nothing was, with the failure's code where it has one. */
export type CheckFacts =
  | { kind: 'failed'; reason: string; failure?: string }
  | { kind: 'slice'; slices: { value: string; metric: MeasuredMetric }[] }
  /** `seen`: the column is an input of the model. */
  | { kind: 'invariance'; seen: boolean; rows: number; changes: { change: Change; same: number }[] }
  | { kind: 'latency'; p50Ms: number; p99Ms: number }
  | { kind: 'size'; sizeBytes: number }
  | { kind: 'calibration'; ece: number; n: number }
  | ({ kind: 'command' } & ProgramVerdict);

/** One slice, or one change. */
export interface CheckPart {
  of: string;
  value: number | null;
  /** 95 %; null where there is none. */
  interval: [number, number] | null;
  n: number;
  /** null: told, but not judged. */
  passed: boolean | null;
}

export interface CheckReport {
  name: string;
  kind: CheckKind;
  passed: boolean;
  /** What is compared with the bound: the worst one, where there are parts. */
  measured: number | null;
  bound: string;
  reason: string;
  parts: CheckPart[];
  /** Why nothing was found, as a code of docs/errors.md; absent where something was. */
  failure?: string;
}

/** Parts told one by one, the worst first; all are counted in the reason. A value may be a long text. */
const toldParts = 10;
const toldLetters = 60;

type Judged = Pick<CheckReport, 'passed' | 'measured' | 'reason' | 'parts'>;

const short = (value: number): string => String(Number(value.toPrecision(4)));
const count = (n: number, one: string): string => `${n} ${one}${n === 1 ? '' : 's'}`;

function valueOf(value: string): string {
  const letters = [...value.slice(0, 4 * toldLetters)];
  if (letters.length > toldLetters) return `${letters.slice(0, toldLetters).join('')}…`;
  return value === '' ? '(missing)' : value;
}

/** Of a program: what it says may have many lines, and the last of it tells most. Holds nothing that no database takes. */
function oneLine(text: string): string {
  const line = [
    ...text
      .trim()
      .replace(/\s*[\r\n]+\s*/g, ' | ')
      .replace(/[\p{Cc}\p{Surrogate}]/gu, ' '),
  ];
  return (line.length <= 1_000 ? line : [...line.slice(0, 200), ' … ', ...line.slice(-800)]).join('');
}
const programWords = (program: string[]): string => {
  const words = program.join(' ');
  return words.length <= 80 ? words : `${words.slice(0, 80)}…`;
};

export function wordsOf(change: Change): string {
  switch (change.kind) {
    case 'shuffle':
      return 'shuffled';
    case 'missing':
      return 'missing';
    case 'set':
      return `set to ${JSON.stringify(change.value)}`;
    case 'upper':
      return 'in capitals';
    case 'lower':
      return 'in small letters';
    case 'spaces':
      return 'with spaces around';
  }
}

export function boundOf(check: CheckDemand): string {
  switch (check.kind) {
    case 'slice': {
      const bounds = [
        check.min === null ? '' : `at least ${check.min}`,
        check.max === null ? '' : `at most ${check.max}`,
      ];
      return `${check.metric} ${bounds.filter(Boolean).join(' and ')} for each ${check.column}`;
    }
    case 'invariance':
      return `the same answer on a share of at least ${check.min} of rows when ${check.column} changes`;
    case 'latency':
      return `p99 at most ${check.p99Ms} ms for ${count(check.batch, 'row')}`;
    case 'size':
      return `at most ${check.maxBytes} bytes`;
    case 'calibration':
      return `expected calibration error at most ${check.maxEce}`;
    case 'command':
      return `a passing verdict of ${programWords(check.program)}`;
  }
}

type Slice = Extract<CheckFacts, { kind: 'slice' }>['slices'][number];

function judgeSlices(check: Extract<CheckDemand, { kind: 'slice' }>, slices: Slice[]): Judged {
  const { column, metric, min, max, minRows } = check;
  const holds = (value: number | null): boolean =>
    value !== null && (min === null || value >= min) && (max === null || value <= max);
  const all = slices.map(({ value, metric: found }): CheckPart => ({
    of: `${column} = ${valueOf(value)}`,
    value: found.value,
    interval: found.lo === null || found.hi === null ? null : [found.lo, found.hi],
    n: found.n,
    passed: found.n >= minRows ? holds(found.value) : null,
  }));
  const judged = all.filter(({ passed }) => passed !== null);
  const few = all.length - judged.length;
  // how far from the bound, so that the worst one can be named for a floor and a ceiling alike
  const room = ({ value }: CheckPart): number =>
    value === null ? -Infinity : Math.min(min === null ? Infinity : value - min, max === null ? Infinity : max - value);
  const ordered = [...judged].sort((a, b) => room(a) - room(b));
  const [worst] = ordered;
  const parts = [...ordered, ...all.filter(({ passed }) => passed === null)].slice(0, toldParts);
  const left = few === 0 ? '' : `; ${count(few, 'value')} with fewer than ${count(minRows, 'row')} not judged`;
  if (!worst) {
    const reason = `no value of ${column} has ${count(minRows, 'row')} in the holdout, so nothing was judged`;
    return { passed: false, measured: null, reason, parts };
  }
  const told = ({ of, value, interval, n }: CheckPart): string => {
    const between = interval ? `, 95 % interval ${short(interval[0])} to ${short(interval[1])}` : '';
    return `${of}: ${metric} ${value === null ? 'is not defined' : short(value)} (${count(n, 'row')}${between})`;
  };
  const bad = judged.filter(({ passed }) => !passed);
  const passed = bad.length === 0;
  const reason = passed
    ? `${count(judged.length, 'value')} of ${column} within the bound, worst ${told(worst)}${left}`
    : `${bad.length} of ${count(judged.length, 'value')} of ${column} beyond the bound: ${ordered
        .slice(0, 3)
        .filter(({ passed: held }) => !held)
        .map(told)
        .join('; ')}${bad.length > 3 ? `; and ${bad.length - 3} more` : ''}${left}`;
  return { passed, measured: worst.value, reason, parts };
}

function judgeInvariance(
  { column, min }: Extract<CheckDemand, { kind: 'invariance' }>,
  { seen, rows, changes }: Extract<CheckFacts, { kind: 'invariance' }>,
): Judged {
  if (!seen) return { passed: true, measured: 1, reason: `${column} is no input of the model`, parts: [] };
  const parts = changes.map(({ change, same }): CheckPart => ({
    of: `${column} ${wordsOf(change)}`,
    value: same,
    interval: null,
    n: rows,
    passed: same >= min,
  }));
  const told = parts.map(({ of, value }) => `${of}: ${value === null ? '' : writtenShare(value)}`);
  const shares = parts.map(({ value }) => value ?? NaN);
  const reason = `same answers on a share of ${count(rows, 'row')}, ${told.join(', ')}`;
  return {
    passed: parts.length > 0 && parts.every(({ passed }) => passed === true),
    measured: Math.min(...shares),
    ...{ reason, parts },
  };
}

function judgeFacts(check: CheckDemand, facts: CheckFacts): Judged {
  const single = (measured: number, passed: boolean, reason: string): Judged => ({
    passed,
    measured,
    reason,
    parts: [],
  });
  if (check.kind === 'slice' && facts.kind === 'slice') return judgeSlices(check, facts.slices);
  if (check.kind === 'invariance' && facts.kind === 'invariance') return judgeInvariance(check, facts);
  if (check.kind === 'latency' && facts.kind === 'latency') {
    const { p99Ms, p50Ms } = facts;
    return single(p99Ms, p99Ms <= check.p99Ms, `p99 ${short(p99Ms)} ms, p50 ${short(p50Ms)} ms`);
  }
  if (check.kind === 'size' && facts.kind === 'size') {
    return single(facts.sizeBytes, facts.sizeBytes <= check.maxBytes, `${facts.sizeBytes} bytes`);
  }
  if (check.kind === 'calibration' && facts.kind === 'calibration') {
    const { ece, n } = facts;
    return single(ece, ece <= check.maxEce, `expected calibration error ${short(ece)} on ${count(n, 'row')}`);
  }
  if (check.kind === 'command' && facts.kind === 'command') {
    const { passed, reason, value } = facts;
    return { passed, measured: value, reason: oneLine(reason), parts: [] };
  }
  if (check.kind === 'command' && facts.kind === 'failed') {
    const reason = `no verdict (${facts.failure ?? 'internal'}): ${oneLine(facts.reason)}`;
    return { passed: false, measured: null, reason, parts: [] };
  }
  const why = facts.kind === 'failed' ? facts.reason : `there is nothing about ${check.kind}`;
  return { passed: false, measured: null, reason: `could not be measured: ${why}`, parts: [] };
}

/** Never throws. `reason` is one sentence with the name, what was measured, the bound and the outcome. */
export function judgeCheck(check: Check, facts: CheckFacts): CheckReport {
  const { name, kind } = check;
  const { passed, measured, reason, parts } = judgeFacts(check, facts);
  const bound = boundOf(check);
  const finite = measured !== null && Number.isFinite(measured) ? measured : null;
  const sentence = `${name}: ${reason}; required: ${bound}${passed ? '' : '; not passed'}`;
  const failure = facts.kind === 'failed' ? facts.failure : undefined;
  return { name, kind, passed, measured: finite, bound, reason: sentence, parts, ...(failure && { failure }) };
}
