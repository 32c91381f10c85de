// The fields of a pipeline document (docs/pipeline.md) as one table: names, ranges, defaults, and the words that are not built yet.
import { type CommandParams, modelForms } from './command.js';
import { cronAliases, cronFault } from './cron.js';
import { tasks } from './dataset.js';
import { readChecks, type ReadCheck } from './document-checks.js';
import { labeling, type ReadLabeling } from './document-labeling.js';
import { features, noFeatures, type WrittenFeatures } from './document-features.js';
import { readProgram } from './document-program.js';
import { dayMs, longestWait } from './duration.js';
import type { FieldFault } from './failures.js';
import * as f from './fields.js';
import { trainerTypes, type TrainerType } from './model.js';
import { nearestWord } from './nearest.js';
import { classificationMetrics, regressionMetrics } from './pipeline.js';
import type { BuiltInTrainer, Expectation, PipelineDocument, SplitBy, TrainerSpecification } from './pipeline.js';
import { trainerParameters, type TrainerParameter, type TrainerValue, warmTrainers } from './trainers.js';
import { servingChoices, type Serving } from './variant.js';

/** As read: every field checked by itself; what depends on two fields is still to do (`document.ts`). */
export type ReadDocument = Omit<PipelineDocument, 'labeling' | 'features' | 'gate'> & {
  features: WrittenFeatures;
  gate: Omit<PipelineDocument['gate'], 'checks'> & { checks: ReadCheck[] };
  labeling: ReadLabeling | null;
};

const nameWords = 'a name of a-z, 0-9, _ and -, starting with a letter or digit, at most 63 long';
const name = f.text(nameWords, /^[a-z0-9][a-z0-9_-]{0,62}$/);
const column = f.text('the name of a column', undefined, 256);
const columns = f.list(column, { max: 5000, unique: true, what: 'names of columns' });
const metrics = [...classificationMetrics, ...regressionMetrics];

const source = f.object<{ type: 'file'; path: string }>({
  type: f.optional(f.choice(['file'] as const, ['http', 'postgres', 's3']), () => 'file'),
  path: f.required(f.text('a path or a glob'), 'a path or a glob'),
});

const dataset = f.object<PipelineDocument['dataset']>({
  name: f.required(name, nameWords),
  source: f.optional<{ type: 'file'; path: string }, null>(source, () => null),
  key: f.required(column, 'the name of a column'),
  label: f.required(column, 'the name of a column'),
  task: f.required(f.choice(tasks), tasks.join(', ')),
});

/** Cells are compared as text; a number is taken as its decimal text. */
const cell: f.Read<string> = (value, path, faults) =>
  typeof value === 'string' || (typeof value === 'number' && Number.isFinite(value))
    ? String(value)
    : f.addFault(faults, path, { found: f.described(value), allowed: 'a text or a number' });

/** Stands for "not given"; dropped before the value is handed on. */
const absent = (): undefined => undefined;
type Optional<T> = { [K in keyof T]-?: T[K] | undefined };

function given<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, item]) => item !== undefined)) as T;
}

function orderedBounds(
  bounds: { min?: number | undefined; max?: number | undefined },
  path: string,
  faults: FieldFault[],
): void {
  if (bounds.min === undefined || bounds.max === undefined || bounds.min <= bounds.max) return;
  f.addFault(faults, f.joinPath(path, 'max'), { found: String(bounds.max), allowed: `at least min, ${bounds.min}` });
}

const columnRule = f.object<Optional<Extract<Expectation, { column: string }>>>(
  {
    column: f.required(column, 'the name of a column'),
    min: f.optional(f.number(), absent),
    max: f.optional(f.number(), absent),
    in: f.optional(f.list(cell, { min: 1, max: 10_000, unique: true, what: 'values' }), absent),
    notNull: f.optional(f.flag, absent),
    unique: f.optional(f.flag, absent),
  },
  ['pattern'],
);
const count = f.number({ min: 0, integer: true });
const rowsRule = f.object<{ rows: { min: number | undefined; max: number | undefined } }>({
  rows: f.required(
    f.object({ min: f.optional(count, absent), max: f.optional(count, absent) }),
    'an object with min, max',
  ),
});

const expectation: f.Read<Expectation> = (value, path, faults) => {
  if (f.isRecord(value) && Object.hasOwn(value, 'rows')) {
    const read = rowsRule(value, path, faults);
    if (!read?.rows) return undefined;
    orderedBounds(read.rows, f.joinPath(path, 'rows'), faults);
    if (read.rows.min === undefined && read.rows.max === undefined && Object.keys(value.rows ?? {}).length === 0) {
      f.addFault(faults, f.joinPath(path, 'rows'), { found: 'no bound', allowed: 'min, max or both' });
    }
    return { rows: given(read.rows) as { min?: number; max?: number } };
  }
  const read = columnRule(value, path, faults);
  if (!read) return undefined;
  orderedBounds(read, path, faults);
  if (f.isRecord(value) && Object.keys(value).length === 1 && read.column !== undefined) {
    f.addFault(faults, path, { found: 'a column without a rule', allowed: 'min, max, in, notNull, unique' });
  }
  return given(read) as Expectation;
};

const timeCut = f.object<{ time: string }>({ time: f.required(column, 'the name of a column') });
const splitBy: f.Read<SplitBy> = (value, path, faults) => {
  if (value === 'key') return { kind: 'key' };
  if (f.isRecord(value)) {
    const cut = timeCut(value, path, faults);
    return cut && { kind: 'time', column: cut.time };
  }
  const group = f.text('key, the name of a column, or { time: column }', undefined, 256)(value, path, faults);
  return group === undefined ? undefined : { kind: 'group', column: group };
};

const seed = f.number({ min: 0, max: 4_294_967_295, integer: true });
const split = f.object<PipelineDocument['split']>({
  holdout: f.optional(f.number({ above: 0, max: 0.9 }), () => 0.2),
  validation: f.optional(f.number({ min: 0, max: 0.9 }), () => 0.1),
  seed: f.optional(seed, () => 1),
  by: f.optional<SplitBy>(splitBy, () => ({ kind: 'key' })),
});

function parameterReader(rule: TrainerParameter): f.Read<TrainerValue> {
  if (rule.type === 'choice') return f.choice(rule.choices);
  if (rule.type === 'flag') return f.flag;
  if (rule.type === 'map') return f.record(f.oneOf(rule.choices), 'an object from names of columns to a number each');
  const number = f.number({ min: rule.min, max: rule.max, integer: rule.type !== 'number' });
  return rule.type === 'list' ? f.list(number, { max: rule.longest, what: 'whole numbers' }) : number;
}

/** `params` of one trainer, checked against `trainerParameters`, with defaults filled in. */
function readParams(
  type: TrainerType,
  value: unknown,
  path: string,
  faults: FieldFault[],
): BuiltInTrainer['params'] | undefined {
  const fields = Object.entries(trainerParameters[type]).map(([key, rule]) => [
    key,
    f.optional(parameterReader(rule), () => rule.default),
  ]);
  return f.object<BuiltInTrainer['params']>(Object.fromEntries(fields))(value ?? {}, path, faults);
}

const program = readProgram<Pick<CommandParams, 'inputs'>>({
  inputs: f.optional(f.choice(modelForms), () => 'features' as const),
});
/** `params` of the trainer `command`. */
const readCommand: f.Read<CommandParams> = (value, path, faults) => program(value ?? {}, path, faults);

const trainerObject = f.object<{
  type: TrainerType | 'command';
  params: unknown;
  seed: number;
  pool: TrainerSpecification['pool'];
  warmStart: 'champion' | null;
}>({
  type: f.required(f.choice([...trainerTypes, 'command'] as const), [...trainerTypes, 'command'].join(', ')),
  params: f.optional<unknown>(
    (value) => value,
    () => ({}),
  ),
  seed: f.optional(seed, () => 1),
  pool: f.optional(f.choice(['auto', 'cpu', 'gpu'] as const), () => 'auto' as const),
  warmStart: f.optional<'champion', null>(f.choice(['champion'] as const), () => null),
});

const trainer: f.Read<TrainerSpecification> = (value, path, faults) => {
  const read = trainerObject(value, path, faults);
  if (!read || read.type === undefined) return undefined;
  const { seed: drawn, pool, type, warmStart } = read;
  const at = f.joinPath(path, 'params');
  if (warmStart && (type === 'command' || !warmTrainers.includes(type))) {
    const allowed = `none: ${type} begins at zero; ${warmTrainers.join(', ')} can go on from a version`;
    return f.addFault(faults, f.joinPath(path, 'warmStart'), { found: warmStart, allowed });
  }
  if (type === 'command') {
    const params = readCommand(read.params, at, faults);
    return params && { type, params, seed: drawn, pool };
  }
  const params = readParams(type, read.params, at, faults);
  return params && { type, params, seed: drawn, pool, ...(warmStart && { warmStart }) };
};

const trainerList = f.list(trainer, { min: 1, max: 8, what: 'trainers' });
const trainers: f.Read<TrainerSpecification[]> = (value, path, faults) => {
  if (Array.isArray(value)) return trainerList(value, path, faults);
  const one = trainer(value, path, faults);
  return one && [one];
};

const gate = f.object<ReadDocument['gate']>({
  metric: f.required(f.choice(metrics), metrics.join(', ')),
  min: f.optional<number, null>(f.number(), () => null),
  max: f.optional<number, null>(f.number(), () => null),
  champion: f.optional<{ notWorseBy: number }, null>(
    f.object({ notWorseBy: f.optional(f.number({ min: 0 }), () => 0) }),
    () => null,
  ),
  checks: f.optional(readChecks, () => []),
});

const quorum: f.Read<number> = (value, path, faults) => {
  const read = f.number({ min: 1, max: 100, integer: true })(value, path, faults);
  return read !== undefined && read > 1 ? f.addFault(faults, path, f.notBuilt(read, [1])) : read;
};

const approval = f.mapped(
  f.object<{ quorum: number; deadline: number; onDeadline: 'reject' | 'approve' }>(
    {
      quorum: f.optional(quorum, () => 1),
      deadline: f.optional(f.duration(longestWait), () => 7 * dayMs),
      onDeadline: f.optional(f.choice(['reject', 'approve'] as const), () => 'reject' as const),
    },
    ['delegates'],
  ),
  ({ deadline, ...rest }) => ({ ...rest, deadlineMs: deadline }),
);

/** Below this share a variant is no variant but another model. */
const leastAgreement = 0.5;
const defaultServing: Serving = { variant: 'float32', minAgreement: 0.99 };
const serving = f.object<Serving>({
  variant: f.optional(f.choice(servingChoices), () => defaultServing.variant),
  minAgreement: f.optional(f.number({ min: leastAgreement, max: 1 }), () => defaultServing.minAgreement),
});

const schedule: f.Read<string> = (value, path, faults) => {
  const wrong = typeof value === 'string' ? cronFault(value) : 'no text';
  if (typeof value === 'string' && wrong === null) return value.trim();
  return f.addFault(faults, path, {
    found: `${f.described(value)} (${wrong ?? ''})`,
    allowed: `five cron fields such as "0 2 * * *", or ${cronAliases.join(', ')}`,
    nearest: typeof value === 'string' && value.startsWith('@') ? nearestWord(value, cronAliases) : null,
  });
};

/** Names of the IANA time zones that this runtime can list; empty where it cannot. */
function knownZones(): string[] {
  try {
    return ['UTC', ...Intl.supportedValuesOf('timeZone')];
  } catch {
    return [];
  }
}

const timezone: f.Read<string> = (value, path, faults) => {
  const fault = { found: f.described(value), allowed: 'a time zone of the IANA list, such as Asia/Seoul or UTC' };
  if (typeof value !== 'string' || !/^[A-Za-z][A-Za-z0-9_+/-]{0,63}$/.test(value))
    return f.addFault(faults, path, fault);
  let exact: string | null = null;
  try {
    exact = new Intl.DateTimeFormat('en-US', { timeZone: value }).resolvedOptions().timeZone;
  } catch {
    return f.addFault(faults, path, { ...fault, nearest: nearestWord(value, knownZones()) });
  }
  // Temporal's server compares letter by letter; this runtime does not.
  const otherCase = exact !== value && exact.toLowerCase() === value.toLowerCase();
  return otherCase ? f.addFault(faults, path, { ...fault, nearest: exact }) : value;
};

const triggers = f.mapped(
  f.object<Omit<PipelineDocument['triggers'], 'cooldownMs'> & { cooldown: number }>(
    {
      schedule: f.optional<string, null>(schedule, () => null),
      timezone: f.optional(timezone, () => 'UTC'),
      newRows: f.optional<number, null>(f.number({ min: 1, integer: true }), () => null),
      cooldown: f.optional(f.duration({ ...longestWait, minMs: 0 }), () => 0),
      maxRunsPerDay: f.optional<number, null>(f.number({ min: 1, integer: true }), () => null),
    },
    ['drift', 'labels', 'upstream', 'age', 'budget', 'gpuHours'],
  ),
  ({ cooldown, ...rest }) => ({ ...rest, cooldownMs: cooldown }),
);

const defaultTriggers = { schedule: null, timezone: 'UTC', newRows: null, cooldownMs: 0, maxRunsPerDay: null };
const defaultSplit = (): PipelineDocument['split'] => ({ holdout: 0.2, validation: 0.1, seed: 1, by: { kind: 'key' } });

/** Bad rows up to this share are put aside; more fail the run. */
const defaultMaxShare = 0.01;

type Written = Omit<ReadDocument, 'trainers'> & { trainer: TrainerSpecification[] };

export const readDocument: f.Read<ReadDocument> = f.mapped(
  f.object<Written>(
    {
      name: f.required(name, nameWords),
      dataset: f.required(dataset, 'an object with name, key, label, task'),
      features: f.optional(features, noFeatures),
      expectations: f.optional(f.list(expectation, { max: 10_000, what: 'expectations' }), () => []),
      quarantine: f.optional(
        f.object({ maxShare: f.optional(f.number({ min: 0, max: 1 }), () => defaultMaxShare) }),
        () => ({ maxShare: defaultMaxShare }),
      ),
      labeling: f.optional<ReadLabeling, null>(labeling, () => null),
      split: f.optional(split, defaultSplit),
      trainer: f.required(trainers, 'an object with type, params, seed, pool, or a list of such'),
      gate: f.required(gate, 'an object with metric and min, max or champion'),
      evaluation: f.optional(f.object({ slices: f.optional(columns, () => []) }), () => ({ slices: [] })),
      approval: f.optional<NonNullable<PipelineDocument['approval']>, null>(approval, () => null),
      serving: f.optional(serving, () => ({ ...defaultServing })),
      release: f.optional<PipelineDocument['release']>(
        f.object({
          strategy: f.optional(f.choice(['direct'] as const, ['shadow', 'canary', 'ab']), () => 'direct' as const),
        }),
        () => ({ strategy: 'direct' }),
      ),
      triggers: f.optional(triggers, () => ({ ...defaultTriggers })),
    },
    ['steps', 'sweep', 'monitor', 'notify'],
  ),
  ({ trainer: trainerOrList, ...rest }) => ({ ...rest, trainers: trainerOrList }),
);
