// `gate.checks` of a pipeline document (docs/pipeline.md): a list, each item with one kind of check and perhaps a name.
import { parseBytes, sizeUnits } from './bytes.js';
import type { Change, Check, CheckDemand, CheckKind } from './check.js';
import type { ColumnType } from './dataset.js';
import { readProgram } from './document-program.js';
import type { FieldFault } from './failures.js';
import * as f from './fields.js';
import { nearestWord } from './nearest.js';
import { changeFault } from './perturbation.js';
import { classificationMetrics, type MetricName, regressionMetrics } from './pipeline.js';

type Demand<K extends CheckKind> = Extract<CheckDemand, { kind: K }>;

/** As read: the metric of a slice may be absent, the gate's is meant then. */
export type ReadCheck = (Exclude<CheckDemand, { kind: 'slice' }> | UnresolvedSlice) & { name: string };
type UnresolvedSlice = Omit<Demand<'slice'>, 'metric'> & { metric: MetricName | null };

const column = f.text('the name of a column', undefined, 256);
const needsColumn = f.required(column, 'the name of a column');
const noBound = () => null;

const slice: f.Read<UnresolvedSlice> = (value, path, faults) => {
  const read = f.object<Omit<UnresolvedSlice, 'kind'>>({
    column: needsColumn,
    metric: f.optional<MetricName, null>(f.choice([...classificationMetrics, ...regressionMetrics]), () => null),
    min: f.optional<number, null>(f.number(), noBound),
    max: f.optional<number, null>(f.number(), noBound),
    minRows: f.optional(f.number({ min: 1, integer: true }), () => 30),
  })(value, path, faults);
  if (!read) return undefined;
  const { min, max } = read;
  if (min === null && max === null) f.addFault(faults, path, { found: 'no bound', allowed: 'min, max or both' });
  if (typeof min === 'number' && typeof max === 'number' && min > max) {
    f.addFault(faults, f.joinPath(path, 'max'), { found: String(max), allowed: `at least min, ${min}` });
  }
  return { kind: 'slice', ...read };
};

const cell: f.Read<string> = (value, path, faults) =>
  typeof value === 'string' || (typeof value === 'number' && Number.isFinite(value))
    ? String(value)
    : f.addFault(faults, path, { found: f.described(value), allowed: 'a text or a number' });

interface WrittenChanges {
  shuffle: boolean;
  missing: boolean;
  set: string[];
  case: boolean;
  whitespace: boolean;
}

const no = () => false;
const changes: f.Read<Change[]> = (value, path, faults) => {
  const read = f.object<WrittenChanges>({
    shuffle: f.optional(f.flag, no),
    missing: f.optional(f.flag, no),
    set: f.optional(f.list(cell, { min: 1, max: 20, unique: true, what: 'values' }), () => []),
    case: f.optional(f.flag, no),
    whitespace: f.optional(f.flag, no),
  })(value, path, faults);
  if (!read) return undefined;
  const made: Change[] = [
    ...(read.shuffle ? [{ kind: 'shuffle' } as const] : []),
    ...(read.missing ? [{ kind: 'missing' } as const] : []),
    ...(read.set ?? []).map((one) => ({ kind: 'set', value: one }) as const),
    ...(read.case ? [{ kind: 'upper' } as const, { kind: 'lower' } as const] : []),
    ...(read.whitespace ? [{ kind: 'spaces' } as const] : []),
  ];
  if (made.length > 0) return made;
  return f.addFault(faults, path, { found: 'no change', allowed: 'shuffle, missing, set, case, whitespace' });
};

const invariance: f.Read<Demand<'invariance'>> = f.mapped(
  f.object<Omit<Demand<'invariance'>, 'kind'>>({
    column: needsColumn,
    changes: f.optional<Change[]>(changes, () => [{ kind: 'shuffle' }]),
    min: f.optional(f.number({ above: 0, max: 1 }), () => 0.99),
    rows: f.optional(f.number({ min: 1, max: 100_000, integer: true }), () => 1_000),
  }),
  (read) => ({ kind: 'invariance', ...read }),
);

const latency: f.Read<Demand<'latency'>> = f.mapped(
  f.object<Omit<Demand<'latency'>, 'kind'>>({
    p99Ms: f.required(f.number({ above: 0 }), 'a number > 0, in milliseconds'),
    batch: f.optional(f.number({ min: 1, max: 10_000, integer: true }), () => 1),
  }),
  (read) => ({ kind: 'latency', ...read }),
);

const bytes: f.Read<number> = (value, path, faults) => {
  const parsed = typeof value === 'number' ? value : typeof value === 'string' ? parseBytes(value) : null;
  if (parsed !== null && Number.isSafeInteger(parsed) && parsed > 0) return parsed;
  const unit = typeof value === 'string' ? /^[\d.\s]+([a-z]+)$/i.exec(value)?.[1] : undefined;
  return f.addFault(faults, path, {
    found: f.described(value),
    allowed: 'whole bytes, or a size such as "10 MB"',
    nearest: unit === undefined ? null : nearestWord(unit, sizeUnits),
  });
};

const size: f.Read<Demand<'size'>> = f.mapped(
  f.object<Omit<Demand<'size'>, 'kind'>>({ maxBytes: f.required(bytes, 'whole bytes, or a size such as "10 MB"') }),
  (read) => ({ kind: 'size', ...read }),
);

const calibration: f.Read<Demand<'calibration'>> = f.mapped(
  f.object<Omit<Demand<'calibration'>, 'kind'>>({
    maxEce: f.required(f.number({ min: 0, max: 1 }), 'a number ≥ 0 and ≤ 1'),
  }),
  (read) => ({ kind: 'calibration', ...read }),
);

const command: f.Read<Demand<'command'>> = f.mapped(readProgram({}), (read) => ({ kind: 'command', ...read }));

const readers: { [K in CheckKind]: f.Read<Exclude<CheckDemand, { kind: 'slice' }> | UnresolvedSlice> } = {
  slice,
  invariance,
  latency,
  size,
  calibration,
  command,
};
const checkKinds = Object.keys(readers) as CheckKind[];
const longestName = 80;
const readName = f.text(`a name of at most ${longestName} characters`, undefined, longestName);

/** Not given: what it is about. */
function defaultName(demand: Exclude<CheckDemand, { kind: 'slice' }> | UnresolvedSlice): string {
  if (demand.kind === 'command') return `command ${(demand.program ?? []).join(' ')}`.slice(0, longestName);
  return 'column' in demand && typeof demand.column === 'string' ? `${demand.kind} ${demand.column}` : demand.kind;
}

const check: f.Read<ReadCheck> = (value, path, faults) => {
  const allowed = `an object with one of ${checkKinds.join(', ')}, and perhaps a name`;
  if (!f.isRecord(value)) return f.addFault(faults, path, { found: f.described(value), allowed });
  const given = Object.keys(value).filter((word) => word !== 'name');
  for (const word of given) {
    if (checkKinds.some((kind) => kind === word)) continue;
    const nearest = nearestWord(word, checkKinds);
    const found = `the unknown check "${word.slice(0, 60)}"`;
    f.addFault(faults, f.joinPath(path, word), { found, allowed: checkKinds.join(', '), nearest });
  }
  const kinds = checkKinds.filter((kind) => value[kind] !== undefined);
  const [kind] = kinds;
  if (kinds.length !== 1 || kind === undefined) {
    const found = kinds.length === 0 ? 'no check' : kinds.join(' and ');
    return kinds.length === 0 && given.length > 0 ? undefined : f.addFault(faults, path, { found, allowed });
  }
  const demand = readers[kind](value[kind], f.joinPath(path, kind), faults);
  const name = value['name'] === undefined ? null : readName(value['name'], f.joinPath(path, 'name'), faults);
  if (!demand || name === undefined) return undefined;
  return { ...demand, name: name ?? defaultName(demand) };
};

const list = f.list(check, { max: 20, what: 'checks' });

export const readChecks: f.Read<ReadCheck[]> = (value, path, faults) => {
  const read = list(value, path, faults);
  const seen = new Set<string>();
  for (const [index, one] of (read ?? []).entries()) {
    if (one === undefined) continue;
    const where = f.joinPath(`${path}[${index}]`, 'name');
    if (seen.has(one.name))
      f.addFault(faults, where, { found: `${f.described(one.name)} again`, allowed: 'each once' });
    seen.add(one.name);
  }
  return read;
};

/** With the gate's metric for slices that name none. */
export function resolvedChecks(checks: ReadCheck[], metric: MetricName): Check[] {
  return checks.map((one) => (one.kind === 'slice' ? { ...one, metric: one.metric ?? metric } : one));
}

interface Around {
  task: 'classification' | 'regression' | undefined;
  key: string | undefined;
  label: string | undefined;
}

/** What was found where a change means nothing for the column's type, such as a word set for a number. */
export function changeFaults(check: Extract<CheckDemand, { kind: 'invariance' }>, type: ColumnType): string[] {
  const faults = (check.changes ?? []).map((change) => changeFault(change, type));
  return faults.flatMap((fault) => (fault === null ? [] : [`a change without meaning (${fault})`]));
}

/** Changes that mean nothing for the type that `features.types` gives a column. */
export function typeFaults(
  checks: (ReadCheck | undefined)[],
  types: Partial<Record<string, ColumnType>>,
  faults: FieldFault[],
): void {
  for (const [index, one] of checks.entries()) {
    if (one?.kind !== 'invariance' || one.column === undefined) continue;
    const type = Object.hasOwn(types, one.column) ? types[one.column] : undefined;
    if (type === undefined) continue;
    for (const found of changeFaults(one, type)) {
      const allowed = `changes of a ${type}, as features.types says of ${one.column}`;
      f.addFault(faults, `gate.checks[${index}].invariance.changes`, { found, allowed });
    }
  }
}

/** What depends on other fields of the document: the task's metrics, columns that are no feature. */
export function checkFaults(
  checks: (ReadCheck | undefined)[],
  { task, key, label }: Around,
  faults: FieldFault[],
): void {
  for (const [index, one] of checks.entries()) {
    if (one === undefined) continue;
    const path = `gate.checks[${index}].${one.kind}`;
    if (one.kind === 'calibration' && task === 'regression') {
      f.addFault(faults, path, { found: 'calibration with the task regression', allowed: 'a task with classes' });
    }
    if (one.kind === 'slice' && one.metric && task) {
      const metrics: readonly string[] = task === 'classification' ? classificationMetrics : regressionMetrics;
      const found = `"${one.metric}", which does not fit the task ${task}`;
      if (!metrics.includes(one.metric)) f.addFault(faults, `${path}.metric`, { found, allowed: metrics.join(', ') });
    }
    if (!('column' in one) || one.column === undefined) continue;
    if (one.column === key || (one.kind === 'invariance' && one.column === label)) {
      const found = `${f.described(one.column)}, which is the ${one.column === key ? 'key' : 'label'}`;
      f.addFault(faults, `${path}.column`, {
        found,
        allowed: one.kind === 'slice' ? 'a column that rows share' : 'a feature column',
      });
    }
  }
}
